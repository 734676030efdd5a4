DROP TABLE projections;
DROP TABLE erased_subjects;
DROP TABLE subject_keys;
