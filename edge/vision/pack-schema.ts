import { z } from "zod";
import { DETECTORS } from "./decoders.ts";
import { ALIGNMENTS } from "./templates.ts";

/**
 * pack.json: what a folder of nets is, and how they are to be used.
 *
 *   pack.json      this, zod-checked, made by `models build` or `models pull`
 *   *.onnx         the nets, each pinned by its sha256
 *   local.json     optional: thresholds the owner calibrated for this door
 */
const SHA256 = /^[0-9a-f]{64}$/;
const FILE_NAME = /^[a-z0-9][a-z0-9._-]*$/;

const modelFields = {
  file: z.string().regex(FILE_NAME),
  sha256: z.string().regex(SHA256),
  bytes: z.int().positive(),
  licence: z.string().min(1),
  /** Order of the bytes the net is handed. */
  channels: z.literal("RGB"),
  /** Cast, layout, mean and scale are nodes of the graph: it takes uint8 NHWC. */
  normalisation: z.literal("in-graph"),
};

const passSchema = z.strictObject({
  sidePx: z.int().multipleOf(32).max(2048),
  canvas: z.number().min(1).max(4),
});

const detectorSchema = z.strictObject({
  role: z.literal("detector"),
  architecture: z.enum(DETECTORS),
  ...modelFields,
  passes: z.array(passSchema).min(1).max(4),
  scoreMin: z.number().gt(0).lt(1),
  iouMax: z.number().gt(0).lt(1),
  /** How each face is looked at again, see second-look.ts. */
  secondLook: passSchema.optional(),
});

const landmarksSchema = z.strictObject({
  role: z.literal("landmarks"),
  architecture: z.literal("landmarks-68"),
  ...modelFields,
  sidePx: z.literal(112),
});

const embedderSchema = z.strictObject({
  role: z.literal("embedder"),
  architecture: z.enum(["dlib-resnet", "sface", "mobilefacenet"]),
  ...modelFields,
  sidePx: z.int().positive().max(512),
  dimension: z.int().positive().max(2048),
  alignment: z.enum(ALIGNMENTS),
});

export const packSchema = z.strictObject({
  format: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  /** What the owner should know about using these nets, in one or two sentences. */
  licence: z.string().min(1),
  models: z.strictObject({
    detector: detectorSchema,
    landmarks: landmarksSchema.optional(),
    embedder: embedderSchema,
  }),
  /** Cosine similarities, measured; `far` is the false accept rate of one comparison. */
  thresholds: z.strictObject({
    match: z.number().min(-1).max(1),
    margin: z.number().min(0).max(1),
    far: z.array(z.strictObject({ far: z.number().gt(0).lt(1), threshold: z.number() })).min(1),
  }),
  quality: z.strictObject({
    widthPx: z.number().positive(),
    sharpness: z.number().positive(),
    yawDegreesMax: z.number().positive().max(90),
    brightness: z.number().positive().max(255),
  }),
  golden: z.strictObject({
    /** The picture is computed, see golden.ts. */
    image: z.literal("waves-1"),
    /** Unit-length float32, little-endian, base64. */
    embedding: z.base64(),
  }),
});

export type PackFile = z.infer<typeof packSchema>;

export type ModelFile =
  | PackFile["models"]["detector" | "embedder"]
  | z.infer<typeof landmarksSchema>;

/** local.json: the owner's own thresholds, which win over the pack's. */
export const localSchema = z.strictObject({
  match: z.number().min(-1).max(1),
  margin: z.number().min(0).max(1),
  /** What they were calibrated for: the chance that a stranger is taken for anybody enrolled. */
  far: z.number().gt(0).lt(1),
  gallerySize: z.int().positive(),
  calibratedAtMs: z.int().positive(),
});

export type LocalThresholds = z.infer<typeof localSchema>;

/** The nets of a pack in the order they run. */
export function modelsOf({ models }: PackFile): ModelFile[] {
  const { detector, landmarks, embedder } = models;
  return landmarks ? [detector, landmarks, embedder] : [detector, embedder];
}
