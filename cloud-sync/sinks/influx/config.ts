import { z } from "zod";
import { setting } from "../../../shared/core/setting.ts";
import { serverUrl } from "../../config/server-url.ts";

export const influxConfig = z
  .strictObject({
    url: serverUrl
      .optional()
      .meta(setting("InfluxDB URL", "an InfluxDB (default: a table in our database)")),
    version: z
      .union([z.literal(1), z.literal(2), z.literal(3)])
      .default(2)
      .meta(setting("API version", "of its API: 1, 2 or 3")),
    database: z.string().min(1).optional().meta(setting("Database", "versions 1 and 3")),
    org: z.string().min(1).optional().meta(setting("Organisation", "version 2")),
    bucket: z.string().min(1).optional().meta(setting("Bucket", "version 2")),
    token: z.string().optional().meta(setting("Token", "versions 2 and 3")),
    username: z.string().optional().meta(setting("User name", "version 1")),
    password: z.string().optional().meta(setting("Password", "version 1")),
    ca: z
      .string()
      .optional()
      .meta(setting("Authority", "PEM file of the authority behind the certificate of influx.url")),
    manage: z
      .boolean()
      .default(true)
      .meta(
        setting(
          "Manage the store",
          "create databases or buckets, retention and downsampling there",
        ),
      ),
  })
  .refine(
    ({ url, version, database, org, bucket }) =>
      url === undefined ||
      (version === 2 ? org !== undefined && bucket !== undefined : database !== undefined),
    { error: "InfluxDB 2 needs org and bucket, 1 and 3 need database" },
  )
  .prefault({});
