/**
 * The configuration of a device: one slice a room, each in the folder of the code that it is for.
 */
import { z } from "zod";
import type { ConfigMigration } from "../../shared/core/config-migration.ts";
import { setting } from "../../shared/core/setting.ts";
import { cameraConfigSchema } from "../camera/config.ts";
import { buttonConfigSchema } from "../doorbell/config.ts";
import { bufferConfigSchema } from "../log/config.ts";
import { mediaConfigSchema, retentionConfigSchema } from "../media/config.ts";
import { recognitionConfigSchema } from "../recognition/config.ts";
import { syncConfigSchema } from "../sync/config.ts";
import { modelsConfigSchema } from "../vision/config.ts";
import { stallProblem } from "./times.ts";

/** Of this schema: goes up by one with every migration. */
export const CONFIG_VERSION = 2;

/** Keys that were called otherwise once. Never changed after a release: only added to. */
export const CONFIG_MIGRATIONS: readonly ConfigMigration[] = [
  { to: 2, renamed: { "buffer.wearMiBPerDay": "buffer.writtenMiBPerDay" } },
];

const settingsSchema = z.strictObject({
  version: z
    .literal(CONFIG_VERSION)
    .default(CONFIG_VERSION)
    .meta(setting("Version", "of this file; an older one is read all the same")),
  data: z.string().default("./data").meta(setting("Data folder", "folder of the store")),
  keys: z
    .strictObject({
      log: z
        .string()
        .optional()
        .meta(setting("Log key file", "key file of log.db (default: <data>/keys/log-key)")),
      vault: z
        .string()
        .optional()
        .meta(setting("Vault key file", "key file of vault.db (default: <data>/keys/vault-key)")),
    })
    .prefault({}),
  clock: z
    .enum(["detect", "trust"])
    .default("detect")
    .meta(setting("Clock", "whether the clock is known good")),
  camera: cameraConfigSchema.optional(),
  button: buttonConfigSchema.optional(),
  models: modelsConfigSchema,
  recognition: recognitionConfigSchema,
  media: mediaConfigSchema,
  retention: retentionConfigSchema,
  telemetry: z
    .strictObject({
      intervalS: z
        .int()
        .min(1)
        .max(86_400)
        .default(60)
        .meta(
          setting("Telemetry interval", "health metrics of the device are logged this often, s"),
        ),
    })
    .prefault({}),
  buffer: bufferConfigSchema,
  sync: syncConfigSchema,
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .meta(setting("Log level", "least severe messages of the program's own log", "at once")),
    })
    .prefault({}),
});

/** Its settings have to fit each other, too. */
export const deviceConfigSchema = settingsSchema.superRefine(({ camera }, context) => {
  const problem = stallProblem(camera);
  if (problem === null) return;
  context.addIssue({ code: "custom", path: ["camera", "stallMs"], message: problem });
});

export type DeviceConfig = z.infer<typeof deviceConfigSchema>;
