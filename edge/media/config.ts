import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

export const mediaConfigSchema = z
  .strictObject({
    snapshots: z
      .boolean()
      .default(true)
      .meta(setting("Snapshots", "keep a sealed picture of every visit, in <data>/media")),
    sizes: z
      .array(z.int().min(64).max(3_840))
      .min(1)
      .max(4)
      .default([1280, 320])
      .meta(setting("Widths", "widths in px; a narrower frame stays as it is", "at once")),
    quality: z
      .int()
      .min(30)
      .max(100)
      .default(80)
      .meta(setting("JPEG quality", "of the JPEG, 30 to 100", "at once")),
    maxMiB: z
      .int()
      .min(64)
      .max(1_048_576)
      .default(1_024)
      .meta(
        setting(
          "Snapshot budget",
          "above this the oldest are shed, MiB, if buffer.shed has media",
          "at once",
        ),
      ),
  })
  .prefault({});

export type MediaConfig = z.infer<typeof mediaConfigSchema>;
