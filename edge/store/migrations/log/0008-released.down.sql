DROP TABLE released;
