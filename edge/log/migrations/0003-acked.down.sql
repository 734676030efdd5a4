DROP TABLE acked;
