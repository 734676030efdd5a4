DROP TABLE latest;
DROP TABLE visits;
DROP TABLE templates;
DROP TABLE packs;
DROP TABLE people;
DELETE FROM projections;
