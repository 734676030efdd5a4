DROP TABLE log_archives;
DROP TABLE sink_rejects;
DROP TABLE sink_cursors;
