import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** Execution providers of ONNX Runtime that a device may have. */
export const PROVIDERS = ["cpu", "cuda", "tensorrt", "coreml"] as const;
export type Provider = (typeof PROVIDERS)[number];

export const modelsConfigSchema = z
  .strictObject({
    directory: z
      .string()
      .optional()
      .meta(setting("Model folder", "folder of the model packs (default: the program's own)")),
    pack: z.string().default("default").meta(setting("Model pack", "the pack in use")),
    threads: z
      .int()
      .min(1)
      .max(16)
      .default(2)
      .meta(setting("Threads", "threads of a net; what is left reads the camera")),
    provider: z
      .enum(PROVIDERS)
      .default("cpu")
      .meta(setting("Execution provider", "ONNX Runtime execution provider")),
  })
  .prefault({});
