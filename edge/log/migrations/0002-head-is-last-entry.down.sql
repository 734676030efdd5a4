CREATE TABLE logs_before (
  id             INTEGER PRIMARY KEY,
  uuid           TEXT    NOT NULL UNIQUE,
  first_position INTEGER NOT NULL UNIQUE,
  head_seq       INTEGER NOT NULL,
  head_hash      BLOB    NOT NULL CHECK (length(head_hash) = 32)
) STRICT;
-- The last entry of a log stands before the first of the next one.
INSERT INTO logs_before
SELECT id, uuid, first_position,
       coalesce(last - first_position + 1, 0),
       coalesce((SELECT hash FROM entries WHERE position = last), zeroblob(32))
FROM (
  SELECT *, (
    SELECT max(position) FROM entries
    WHERE position >= first_position AND position < coalesce(next, 9223372036854775807)
  ) AS last
  FROM (SELECT *, lead(first_position) OVER (ORDER BY id) AS next FROM logs)
);
DROP TABLE logs;
ALTER TABLE logs_before RENAME TO logs;
