-- The public half of the site's key, for which devices wrap what they release. The private half is in
-- no database.
CREATE TABLE site_key (
  one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
  public_key bytea       NOT NULL CHECK (octet_length(public_key) = 32),
  made_at    timestamptz NOT NULL DEFAULT now()
);

-- Keys of personal content, wrapped for the site as they came: the database alone opens nothing.
CREATE TABLE released_keys (
  device  uuid   NOT NULL,
  subject uuid   NOT NULL,
  class   text   NOT NULL CHECK (class IN ('profile', 'biometric', 'media')),
  -- Of the device's last word about this key: what has a lower one comes late.
  number  bigint NOT NULL,
  -- SHA-256 of the public key it is wrapped for.
  site    bytea  NOT NULL CHECK (octet_length(site) = 32),
  -- Null: taken back.
  wrapped bytea  CHECK (octet_length(wrapped) = 80),
  -- In the order of commits.
  changed bigint NOT NULL,
  PRIMARY KEY (device, subject, class)
);
CREATE SEQUENCE released_keys_changes OWNED BY released_keys.changed;
CREATE INDEX released_keys_changed ON released_keys (class, changed);

-- Subjects that their device has erased: no key of theirs is taken any more.
CREATE TABLE erased_subjects (
  device  uuid NOT NULL,
  subject uuid NOT NULL,
  PRIMARY KEY (device, subject)
);
