-- The log. Entries of one log follow each other without a gap, so
-- seq = position - logs.first_position + 1 and no second index is needed.
CREATE TABLE logs (
  id             INTEGER PRIMARY KEY,
  uuid           TEXT    NOT NULL UNIQUE,
  first_position INTEGER NOT NULL UNIQUE,
  head_seq       INTEGER NOT NULL,
  head_hash      BLOB    NOT NULL CHECK (length(head_hash) = 32)
) STRICT;

-- body: the canonical bytes as they were hashed; NULL once shed.
CREATE TABLE entries (
  position INTEGER PRIMARY KEY,
  hash     BLOB NOT NULL CHECK (length(hash) = 32),
  body     TEXT
) STRICT;
