-- Subject keys that the owner has released to the site, wrapped for it: nobody here can open them.
-- Written by the daemon, sent by the agent. Once the centre has a key, the row says so and holds it no
-- longer; a row that is not held and has nothing wrapped takes a key back.
CREATE TABLE released (
  subject TEXT    NOT NULL,
  class   TEXT    NOT NULL CHECK (class IN ('profile', 'biometric', 'media')),
  site    TEXT    NOT NULL,
  number  INTEGER NOT NULL UNIQUE,
  wrapped BLOB,
  held    INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
  PRIMARY KEY (subject, class),
  CHECK (held = 0 OR wrapped IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX released_waiting ON released (number) WHERE held = 0;
