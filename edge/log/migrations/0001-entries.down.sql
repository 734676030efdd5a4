DROP TABLE entries;
DROP TABLE logs;
