-- What counts as acknowledged and as uploaded, for each site that this device has joined: another
-- centre, or one that was restored, lacks what this one holds. '' is a site of an earlier version,
-- which signs nothing. The tables of before stay, for a program of before.
CREATE TABLE site_acked (
  site   TEXT    PRIMARY KEY,
  log    TEXT    NOT NULL,
  seq    INTEGER NOT NULL,
  hash   TEXT    NOT NULL,
  at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO site_acked SELECT '', log, seq, hash, at FROM acked;

-- Why nothing is sent to a site any more, until a person has looked at it.
CREATE TABLE site_halted (
  site   TEXT PRIMARY KEY,
  reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE site_uploaded (
  site TEXT    PRIMARY KEY,
  log  TEXT    NOT NULL,
  seq  INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO site_uploaded SELECT '', log, seq, hash FROM uploaded;
