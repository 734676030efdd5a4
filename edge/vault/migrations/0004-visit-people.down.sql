DROP TABLE visit_people;
DELETE FROM projections WHERE name = 'links';
