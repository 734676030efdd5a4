import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

const similarity = z.number().min(0).max(1).optional();

export const recognitionConfigSchema = z
  .strictObject({
    match: similarity.meta(
      setting("Match threshold", "similarity of the same person (default: the pack's)", "at once"),
    ),
    margin: similarity.meta(
      setting("Margin", "lead over the next person (default: the pack's)", "at once"),
    ),
    maxSidePx: z
      .int()
      .min(160)
      .max(4096)
      .default(1280)
      .meta(setting("Largest side", "frames are shrunk to this, px")),
    absentMs: z
      .int()
      .min(200)
      .max(60_000)
      .default(3_000)
      .meta(setting("Absence", "a visit ends after this, ms", "at once")),
    visitsPerHour: z
      .int()
      .min(1)
      .max(3_600)
      .default(120)
      .meta(
        setting(
          "Visits an hour",
          "so many visits of strangers are logged, and as many of known people; five hours' worth at once",
          "at once",
        ),
      ),
    decideAfterMs: z
      .int()
      .min(0)
      .max(10_000)
      .default(1_000)
      .meta(
        setting("Decision delay", "a decision waits this long for better looks, ms", "at once"),
      ),
  })
  .prefault({});
