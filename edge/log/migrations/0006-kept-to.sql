-- Where a log is left off for a later one: entries behind this seq are this device's alone, because
-- the centre has others in their places. Null: all of it goes to the centre.
ALTER TABLE logs ADD COLUMN kept_to INTEGER;
