DROP TABLE media;
DELETE FROM projections WHERE name = 'media';
