/** Settings of the stores that a centre projects into. Secrets have settings of their own. */
import { z } from "zod";

const serverUrl = z.url({ protocol: /^https?$/ }).refine(
  (text) => {
    const { username, password, search } = new URL(text);
    return username === "" && password === "" && search === "";
  },
  { error: "a URL with a password or a token ends up in logs: they have settings of their own" },
);

export const objectsConfig = z
  .strictObject({
    folder: z.string().optional().describe("of our own (default: <data>/objects)"),
    url: serverUrl.optional().describe("an S3 server, instead of a folder"),
    bucket: z.string().min(3).max(63).optional(),
    region: z.string().default("us-east-1"),
    accessKeyId: z.string().optional(),
    secretAccessKey: z.string().optional(),
    forcePathStyle: z
      .boolean()
      .default(true)
      .describe("the bucket in the path: most servers but Amazon's want it"),
  })
  .refine(({ url, folder }) => url === undefined || folder === undefined, {
    error: "either a folder or a url",
  })
  .refine(
    ({ url, bucket, accessKeyId, secretAccessKey }) =>
      url === undefined || ![bucket, accessKeyId, secretAccessKey].includes(undefined),
    { error: "an S3 server needs bucket, accessKeyId and secretAccessKey" },
  )
  .prefault({});

export const influxConfig = z
  .strictObject({
    url: serverUrl.optional().describe("an InfluxDB (default: a table in our database)"),
    version: z
      .union([z.literal(1), z.literal(2), z.literal(3)])
      .default(2)
      .describe("of its API"),
    database: z.string().min(1).optional().describe("versions 1 and 3"),
    org: z.string().min(1).optional().describe("version 2"),
    bucket: z.string().min(1).optional().describe("version 2"),
    token: z.string().optional(),
    username: z.string().optional().describe("version 1"),
    password: z.string().optional(),
    manage: z
      .boolean()
      .default(true)
      .describe("create databases or buckets, retention and downsampling there"),
  })
  .refine(
    ({ url, version, database, org, bucket }) =>
      url === undefined ||
      (version === 2 ? org !== undefined && bucket !== undefined : database !== undefined),
    { error: "InfluxDB 2 needs org and bucket, 1 and 3 need database" },
  )
  .prefault({});

export const sinksConfig = z
  .strictObject({
    run: z
      .boolean()
      .default(true)
      .describe("whether this instance projects the log; another one on its database may"),
  })
  .prefault({});

const days = z.int().min(1).max(36_500);

export const metricsConfig = z
  .strictObject({
    retention: z
      .strictObject({
        rawDays: days.default(30).describe("as they came"),
        minuteDays: days.default(180).describe("by the minute"),
        hourDays: days.default(1_825).describe("by the hour"),
      })
      .refine(
        ({ rawDays, minuteDays, hourDays }) => rawDays <= minuteDays && minuteDays <= hourDays,
        { error: "the coarser is kept for longer" },
      )
      .prefault({}),
  })
  .prefault({});
