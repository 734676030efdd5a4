DROP TABLE erased_subjects;
DROP TABLE released_keys;
DROP TABLE site_key;
