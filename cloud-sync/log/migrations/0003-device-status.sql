-- The last word of each device about itself. Written now and then, and nothing depends on it.
CREATE TABLE device_status (
  device  uuid        PRIMARY KEY,
  online  boolean     NOT NULL,
  -- By our clock.
  told_at timestamptz NOT NULL,
  -- Entries that it holds and that are not acknowledged; null when it was offline.
  lag     bigint,
  -- Why it sends no more of its log.
  halted  text,
  version text        NOT NULL
);
-- A line of a Mosquitto password file for the device (mosquitto_passwd(1)), without its name.
ALTER TABLE devices ADD COLUMN mosquitto_hash text;
