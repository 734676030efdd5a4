-- Projections: each can be emptied and filled again from the log.
CREATE TABLE people (
  id          TEXT PRIMARY KEY,
  name        TEXT    NOT NULL,
  enrolled_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE packs (
  id        INTEGER PRIMARY KEY,
  name      TEXT    NOT NULL UNIQUE,
  dimension INTEGER NOT NULL
) STRICT;

-- One row a template; its vector lies in the vec0 table gallery_<pack> under the same id.
CREATE TABLE templates (
  id       INTEGER PRIMARY KEY,
  uuid     TEXT    NOT NULL UNIQUE,
  person   TEXT    NOT NULL,
  pack     INTEGER NOT NULL REFERENCES packs (id),
  quality  REAL    NOT NULL,
  width_px REAL    NOT NULL,
  source   TEXT    NOT NULL,
  photo    TEXT,
  of       TEXT,
  added_at INTEGER NOT NULL,
  seq      INTEGER NOT NULL
) STRICT;
CREATE INDEX templates_by_person ON templates (person, pack);

CREATE TABLE visits (
  id          TEXT PRIMARY KEY,
  camera      TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  clock       TEXT    NOT NULL,
  ended_at    INTEGER,
  duration_ms INTEGER,
  frames      INTEGER,
  outcome     TEXT,
  person      TEXT,
  revision    INTEGER,
  decision    TEXT,
  seq         INTEGER NOT NULL,
  decided_seq INTEGER,
  changed_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_by_start ON visits (seq);
CREATE INDEX visits_by_change ON visits (changed_seq);

-- The last entry of each type without a subject: what is in force now.
CREATE TABLE latest (
  type TEXT PRIMARY KEY,
  at   INTEGER NOT NULL,
  data TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
