import { z } from "zod";
import { checkedUrl } from "../../shared/core/checked-url.ts";
import { setting } from "../../shared/core/setting.ts";

const databaseUrl = checkedUrl(
  /^postgres(ql)?$/,
  "a database is named as postgres://user@host:port/name",
).refine((text) => !new URL(text).searchParams.has("password"), {
  error: "a password is no part of the query: database.password or database.passwordFile",
});

export const databaseConfig = z
  .strictObject({
    url: databaseUrl
      .optional()
      .meta(
        setting(
          "Database URL",
          "PostgreSQL 15 or newer (default: one of our own in <data>/postgres)",
        ),
      ),
    password: z
      .string()
      .min(1)
      .optional()
      .meta(setting("Password", "of the user in database.url; else the URL's, else ~/.pgpass")),
    passwordFile: z
      .string()
      .optional()
      .meta(
        setting(
          "Password file",
          "read at each new connection: a rotated password needs no restart",
        ),
      ),
    connections: z
      .int()
      .min(2)
      .max(100)
      .default(10)
      .meta(setting("Connections", "at the same time, at most")),
    statementTimeoutS: z
      .int()
      .min(1)
      .max(3_600)
      .default(30)
      .meta(setting("Statement timeout", "a statement that takes longer is cancelled, s")),
  })
  .prefault({});
