-- How far each sink has come. One instance at a time writes it: the holder, as long as it says so.
CREATE TABLE sink_cursors (
  sink        text        PRIMARY KEY,
  -- Everything up to here is written, rejected or of no interest to it.
  position    bigint      NOT NULL DEFAULT 0,
  written     bigint      NOT NULL DEFAULT 0,
  moved_at    timestamptz NOT NULL DEFAULT now(),
  holder      uuid,
  held_until  timestamptz,
  -- Somebody wants it replayed from the first entry.
  reset_asked boolean     NOT NULL DEFAULT false,
  breaker     text        NOT NULL DEFAULT 'closed'
              CHECK (breaker IN ('closed', 'open', 'half-open')),
  -- The last failure since the last success.
  error_code  text,
  error_at    timestamptz
);

-- What a store will never accept, with the reason. The entries themselves stay in the log.
CREATE TABLE sink_rejects (
  sink        text        NOT NULL REFERENCES sink_cursors ON DELETE CASCADE,
  position    bigint      NOT NULL,
  log         uuid        NOT NULL,
  seq         bigint      NOT NULL,
  reason      text        NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  -- Somebody wants it tried again.
  again       boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (sink, position)
);
CREATE INDEX sink_rejects_again ON sink_rejects (sink, position) WHERE again;

-- Months of event_log that lie in the object store, verified; dropped from here or not.
CREATE TABLE log_archives (
  month          text        PRIMARY KEY CHECK (month ~ '^\d{4}-\d{2}$'),
  entries        bigint      NOT NULL,
  first_position bigint      NOT NULL,
  last_position  bigint      NOT NULL,
  -- Of the manifest, which has those of the files.
  sha256         bytea       NOT NULL CHECK (octet_length(sha256) = 32),
  archived_at    timestamptz NOT NULL DEFAULT now(),
  dropped_at     timestamptz
);
