DROP TABLE dead_letters;
DROP TABLE forks;
DROP TABLE event_log;
DROP TABLE logs;
