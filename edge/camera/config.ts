import { z } from "zod";

/** An option of a camera, in the units of its name. Numbers only: they end up in command lines. */
const widthPx = z.int().min(160).max(4096).default(1280);
const heightPx = z.int().min(120).max(4096).default(720);
const framesPerSecond = z.number().min(0.1).max(60).default(10);
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, "expected small letters, digits and dashes");
/** Alive but silent for this long: the source is ended and started again. */
const stallMs = z.int().min(500).max(120_000).default(10_000);
const rotationDegrees = z.union([z.literal(0), z.literal(180)]).default(0);
const devicePath = z.string().regex(/^\/dev\/[A-Za-z0-9/_.-]+$/, "expected a path under /dev");

export const cameraConfigSchema = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("files"),
      name: name.default("files"),
      paths: z.array(z.string()).min(1).describe("folders, globs, images, or one video"),
      framesPerSecond: z.number().min(0.1).max(1000).default(10),
      loop: z.boolean().default(false),
      everyFrame: z.boolean().default(false).describe("never drop a frame: for replay"),
    })
    .describe("replay of pictures or a video"),
  z
    .strictObject({
      kind: z.literal("libcamera"),
      name: name.default("libcamera"),
      widthPx,
      heightPx,
      framesPerSecond,
      rotationDegrees,
      camera: z.int().min(0).max(7).default(0),
      stallMs,
    })
    .describe("Raspberry Pi camera"),
  z
    .strictObject({
      kind: z.literal("gstreamer"),
      name: name.default("gstreamer"),
      widthPx,
      heightPx,
      framesPerSecond,
      sensor: z.int().min(0).max(7).default(0),
      stallMs,
    })
    .describe("Jetson CSI camera"),
  z
    .strictObject({
      kind: z.literal("ffmpeg"),
      name: name.default("ffmpeg"),
      device: devicePath.default("/dev/video0"),
      widthPx,
      heightPx,
      framesPerSecond,
      stallMs,
    })
    .describe("USB or other V4L2 camera that gives MJPEG"),
  z
    .strictObject({
      kind: z.literal("socket"),
      name: name.default("socket"),
      path: z.string().describe("Unix socket of porchlight-camera@.service"),
      stallMs,
    })
    .describe("network camera, read by a process of its own"),
]);

export type CameraConfig = z.infer<typeof cameraConfigSchema>;
export type CameraConfigOf<K extends CameraConfig["kind"]> = Extract<CameraConfig, { kind: K }>;
