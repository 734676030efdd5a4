-- Subjects whose keys were destroyed here and may still lie elsewhere: in a write-ahead log, a copy
-- of a file, an outbox. A row stays until all of it is gone, across crashes.
CREATE TABLE erasing (subject TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
