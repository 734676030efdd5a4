-- Devices that may come in. The password itself is nowhere: scrypt of it, with a salt of its own.
CREATE TABLE devices (
  device        uuid        PRIMARY KEY,
  password_hash bytea       NOT NULL CHECK (octet_length(password_hash) = 32),
  salt          bytea       NOT NULL CHECK (octet_length(salt) = 16),
  added_at      timestamptz NOT NULL DEFAULT now(),
  -- When its password was made or taken away: a session from before is no longer good.
  changed_at    timestamptz NOT NULL DEFAULT now(),
  revoked_at    timestamptz
);
CREATE INDEX devices_changed ON devices (changed_at);
