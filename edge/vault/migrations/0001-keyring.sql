-- The keys of personal content. They exist nowhere else, and destroying one is erasure.
CREATE TABLE subject_keys (
  subject TEXT NOT NULL,
  class   TEXT NOT NULL CHECK (class IN ('profile', 'biometric', 'media')),
  key     BLOB NOT NULL CHECK (length(key) = 32),
  PRIMARY KEY (subject, class)
) STRICT, WITHOUT ROWID;

-- Subjects that were erased: they never get a key again.
CREATE TABLE erased_subjects (
  subject TEXT PRIMARY KEY,
  seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each projection has followed the log.
CREATE TABLE projections (
  name TEXT PRIMARY KEY,
  log  TEXT    NOT NULL,
  seq  INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
