-- A projection: objects that lie sealed beside the log, and the entries that hold their keys.
CREATE TABLE media (
  id        TEXT PRIMARY KEY,
  visit     TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  sha256    TEXT    NOT NULL UNIQUE,
  bytes     INTEGER NOT NULL,
  width_px  INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  log       TEXT    NOT NULL,
  seq       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX media_by_visit ON media (visit);
CREATE INDEX media_by_subject ON media (subject);
CREATE INDEX media_by_place ON media (log, seq);
