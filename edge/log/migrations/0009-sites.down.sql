DROP TABLE site_uploaded;
DROP TABLE site_halted;
DROP TABLE site_acked;
