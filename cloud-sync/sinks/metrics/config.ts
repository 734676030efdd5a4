import { z } from "zod";
import { setting } from "../../../shared/core/setting.ts";

const days = z.int().min(1).max(36_500);

export const metricsConfig = z
  .strictObject({
    retention: z
      .strictObject({
        rawDays: days.default(30).meta(setting("Raw points", "kept as they came, days")),
        minuteDays: days.default(180).meta(setting("By the minute", "kept by the minute, days")),
        hourDays: days.default(1_825).meta(setting("By the hour", "kept by the hour, days")),
      })
      .refine(
        ({ rawDays, minuteDays, hourDays }) => rawDays <= minuteDays && minuteDays <= hourDays,
        { error: "the coarser is kept for longer" },
      )
      .prefault({}),
  })
  .prefault({});
