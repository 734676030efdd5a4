-- What a door is called by people: "front-door". Unique however it is written.
ALTER TABLE devices ADD COLUMN name text CHECK (length(name) BETWEEN 1 AND 64);
CREATE UNIQUE INDEX devices_name ON devices (lower(name)) WHERE name IS NOT NULL;

-- Codes that a device joins with: each once, and soon. Of the code itself only a hash is kept.
CREATE TABLE pairing_codes (
  code_hash  bytea       PRIMARY KEY CHECK (octet_length(code_hash) = 32),
  -- The device it is for; null: whoever comes with it, by the id that it has or is given.
  device     uuid,
  name       text,
  expires_at timestamptz NOT NULL
);
