DROP TABLE pairing_codes;
DROP INDEX devices_name;
ALTER TABLE devices DROP COLUMN name;
