-- Up to where everything of a type was given up already: nothing there is looked at again.
CREATE TABLE shed (
  type     TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
