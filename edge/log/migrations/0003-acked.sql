-- How far the centre has said that it holds the log. A cache: the truth lies there, and when this
-- is lost or behind, the agent is told anew.
CREATE TABLE acked (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  log  TEXT    NOT NULL,
  seq  INTEGER NOT NULL,
  hash TEXT    NOT NULL,
  at   INTEGER NOT NULL
) STRICT;
