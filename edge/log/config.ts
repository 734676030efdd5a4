import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** The local buffer: what is kept of the log, and what may be shed from it. */
export const bufferConfigSchema = z
  .strictObject({
    maxMiB: z
      .int()
      .min(16)
      .max(1_048_576)
      .default(512)
      .meta(
        setting(
          "Log budget",
          "log.db stays within this, MiB, as far as something may be shed",
          "at once",
        ),
      ),
    maxDays: z
      .int()
      .min(1)
      .max(36_500)
      .default(90)
      .meta(
        setting("Retention", "what may be shed is, when it is older than this, days", "at once"),
      ),
    minHours: z
      .int()
      .min(0)
      .max(8_760)
      .default(24)
      .meta(
        setting(
          "Shedding floor",
          "nothing younger is shed for a budget: hours; a full disk may take it all the same",
          "at once",
        ),
      ),
    shed: z
      .array(z.enum(["telemetry", "media", "crops"]))
      .default(["telemetry", "media", "crops"])
      .meta(
        setting(
          "Shedding order",
          "what may be shed, in this order; visits, presses and people never are",
          "at once",
        ),
      ),
    writtenMiBPerDay: z
      .int()
      .min(1)
      .max(1_048_576)
      .default(512)
      .meta(
        setting(
          "Write volume warning",
          "warn when the store writes more than this to the card in a day, MiB",
          "at once",
        ),
      ),
  })
  .prefault({});
