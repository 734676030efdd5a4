-- A projection: how old what stands in the log is, in steps of an hour. `at`: not later than this by
-- any clock that was set; `uptime_ms`: of the machine, over all its starts. Both never fall with `id`.
CREATE TABLE ages (
  id        INTEGER PRIMARY KEY,
  log       TEXT    NOT NULL,
  seq       INTEGER NOT NULL,
  uptime_ms INTEGER NOT NULL,
  at        INTEGER
) STRICT;

-- The uptime at the last entry; one row.
CREATE TABLE uptime (
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  uptime_ms    INTEGER NOT NULL,
  monotonic_ms INTEGER NOT NULL
) STRICT;

-- The step in which each visit began.
CREATE TABLE visit_ages (visit TEXT PRIMARY KEY, age INTEGER NOT NULL) STRICT, WITHOUT ROWID;
