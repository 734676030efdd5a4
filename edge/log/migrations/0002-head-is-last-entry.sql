--! breaking
-- The head of a log is its last entry. Written down a second time it cost every durable append
-- another page, and told nothing that whoever can change the entries could not have changed too.
ALTER TABLE logs DROP COLUMN head_seq;
ALTER TABLE logs DROP COLUMN head_hash;
