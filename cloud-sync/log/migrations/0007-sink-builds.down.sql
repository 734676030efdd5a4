DROP TABLE visit_people;
DROP TABLE sink_rejects_discarded;
ALTER TABLE sink_rejects DROP COLUMN device;
ALTER TABLE sink_cursors DROP COLUMN generation, DROP COLUMN incomplete;
DELETE FROM sink_cursors WHERE sink LIKE '%.next';
