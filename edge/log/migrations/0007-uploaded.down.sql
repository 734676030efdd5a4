DROP TABLE uploaded;
