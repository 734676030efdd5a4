-- The public half of the key that the site signs its acks with. The private half is in no database.
CREATE TABLE signing_key (
  one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
  public_key bytea       NOT NULL CHECK (octet_length(public_key) = 32),
  made_at    timestamptz NOT NULL DEFAULT now()
);
