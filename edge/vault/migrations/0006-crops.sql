-- A projection: crops of faces, which lie sealed beside the log, and the entries that hold their keys.
-- Each is of a visit's decision, or of a template.
CREATE TABLE crops (
  id       TEXT PRIMARY KEY,
  visit    TEXT,
  template TEXT,
  subject  TEXT    NOT NULL,
  revision INTEGER NOT NULL,
  sha256   TEXT    NOT NULL UNIQUE,
  bytes    INTEGER NOT NULL,
  log      TEXT    NOT NULL,
  seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX crops_by_visit ON crops (visit);
CREATE INDEX crops_by_template ON crops (template);
CREATE INDEX crops_by_subject ON crops (subject);
CREATE INDEX crops_by_place ON crops (log, seq);
