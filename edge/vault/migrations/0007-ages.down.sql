DROP TABLE visit_ages;
DROP TABLE uptime;
DROP TABLE ages;
DELETE FROM projections WHERE name = 'ages';
