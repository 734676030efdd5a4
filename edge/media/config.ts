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
    cropsMaxMiB: z
      .int()
      .min(16)
      .max(1_048_576)
      .default(512)
      .meta(
        setting(
          "Crop budget",
          "above this the oldest crops of visits are shed, MiB, if buffer.shed has crops",
          "at once",
        ),
      ),
  })
  .prefault({});

const days = (fallback: number, name: string, of: string) =>
  z
    .int()
    .min(1)
    .max(36_500)
    .default(fallback)
    .meta(setting(name, `${of} cannot be opened any more after this, days`, "at once"));

/** How long pictures can be opened, by whose they are: then their keys are destroyed. */
export const retentionConfigSchema = z
  .strictObject({
    strangers: z
      .strictObject({
        crops: days(7, "Strangers' crops", "crops of visitors who are linked to nobody"),
        snapshots: days(
          7,
          "Strangers' snapshots",
          "snapshots of visitors who are linked to nobody",
        ),
      })
      .prefault({}),
    people: z
      .strictObject({
        crops: days(90, "People's crops", "crops of visits of people who are enrolled"),
        snapshots: days(90, "People's snapshots", "snapshots of visits of people who are enrolled"),
      })
      .prefault({}),
  })
  .prefault({});

export type MediaConfig = z.infer<typeof mediaConfigSchema>;
