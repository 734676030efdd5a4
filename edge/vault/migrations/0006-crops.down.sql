DROP TABLE crops;
DELETE FROM projections WHERE name = 'crops';
