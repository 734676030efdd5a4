ALTER TABLE devices DROP COLUMN mosquitto_hash;
DROP TABLE device_status;
