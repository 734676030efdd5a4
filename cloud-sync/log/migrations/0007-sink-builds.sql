-- A new version of a projection is built in another schema and swapped when it is level. Its cursor is
-- a row of its own, "<sink>.next", until then.
ALTER TABLE sink_cursors
  -- Of this row's life: tables say which cursor they were written with.
  ADD COLUMN generation uuid NOT NULL DEFAULT gen_random_uuid(),
  -- A replay may leave out archived months that cannot be read: a person said so.
  ADD COLUMN incomplete boolean NOT NULL DEFAULT false;

-- Each device has a quota of rejects in each sink; what is over it is counted and passed.
ALTER TABLE sink_rejects ADD COLUMN device uuid;
UPDATE sink_rejects SET device = logs.device FROM logs WHERE logs.log = sink_rejects.log;
CREATE INDEX sink_rejects_device ON sink_rejects (sink, device);
CREATE TABLE sink_rejects_discarded (
  sink   text   NOT NULL REFERENCES sink_cursors ON DELETE CASCADE,
  device uuid   NOT NULL,
  count  bigint NOT NULL,
  PRIMARY KEY (sink, device)
);

-- Visits that a decision or an enrolment of a device has linked to a person: erasing the person
-- erases their keys as well.
CREATE TABLE visit_people (
  device uuid NOT NULL,
  person uuid NOT NULL,
  visit  uuid NOT NULL,
  PRIMARY KEY (device, person, visit)
);
-- Whoever follows erasures follows links as well, from the first entry on, under a name of its own.
DELETE FROM sink_cursors WHERE sink = 'keyring';
