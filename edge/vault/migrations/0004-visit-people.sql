-- A projection: whose visits turned out to be whose. Erasing a person erases these visits too.
CREATE TABLE visit_people (
  visit  TEXT NOT NULL,
  person TEXT NOT NULL,
  PRIMARY KEY (person, visit)
) STRICT, WITHOUT ROWID;
CREATE INDEX visit_people_by_visit ON visit_people (visit);
