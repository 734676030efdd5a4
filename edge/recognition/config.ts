import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** A similarity means nothing without the pack that gives it: 0.46 is strict for one, and lets everybody in with another. */
const ofPack = z
  .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/), z.number().min(0).max(1), {
    error: ({ input }) =>
      typeof input === "number"
        ? `${input} belongs to a model pack: write {NAME: ${input}} with the name of the pack it was measured for (porchlight models list)`
        : undefined,
  })
  .optional();

export const recognitionConfigSchema = z
  .strictObject({
    match: ofPack.meta(
      setting(
        "Match threshold",
        "similarity of the same person, by name of the pack: {opencv: 0.46} (default: the pack's)",
        "at once",
      ),
    ),
    margin: ofPack.meta(
      setting(
        "Margin",
        "lead over the next person, by name of the pack: {opencv: 0.05} (default: the pack's)",
        "at once",
      ),
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
