-- What a person waits for, released for sending at once. Written in the transaction of the entry it
-- is about, deleted once the broker has it; never the only copy. Times tell when it is too old.
CREATE TABLE live (
  position     INTEGER PRIMARY KEY,
  channel      TEXT    NOT NULL CHECK (channel IN ('ring', 'visitor')),
  at           INTEGER NOT NULL,
  monotonic_ms INTEGER NOT NULL,
  payload      TEXT    NOT NULL
) STRICT;
