-- Up to where every object that the log announces is in the centre, or is here no longer. A cache:
-- whoever starts anew from an older place is told that the rest is held.
CREATE TABLE uploaded (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  log  TEXT    NOT NULL,
  seq  INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT;
