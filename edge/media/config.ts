import { z } from "zod";

export const mediaConfigSchema = z
  .strictObject({
    snapshots: z
      .boolean()
      .default(true)
      .describe("keep a picture of every visit, sealed, beside the log"),
    sizes: z
      .array(z.int().min(64).max(3_840))
      .min(1)
      .max(4)
      .default([1280, 320])
      .describe("widths in px; a narrower frame stays as it is"),
    quality: z.int().min(30).max(100).default(80).describe("of the JPEG"),
    maxMiB: z
      .int()
      .min(64)
      .max(1_048_576)
      .default(1_024)
      .describe("the oldest are given up when they are more, if buffer.shed has media"),
  })
  .prefault({});

export type MediaConfig = z.infer<typeof mediaConfigSchema>;
