import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** An option of a camera, in the units of its name. Numbers only: they end up in command lines. */
const widthPx = z.int().min(160).max(4096).default(1280).meta(setting("Width", "of a frame, px"));
const heightPx = z.int().min(120).max(4096).default(720).meta(setting("Height", "of a frame, px"));
const framesPerSecond = z
  .number()
  .min(0.1)
  .max(60)
  .default(10)
  .meta(setting("Frame rate", "frames a second that are asked of the camera"));
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, "expected small letters, digits and dashes")
  .meta(setting("Camera name", "what it is called in the log"));
const stallMs = z
  .int()
  .min(500)
  .max(120_000)
  .default(10_000)
  .meta(setting("Stall timeout", "a camera without a frame for this long is restarted, ms"));
/** A corner, in parts of the upright picture's width and height: 0,0 is its upper left corner. */
const corner = z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]);
const polygon = z.array(corner).min(3).max(64);

/** How a camera hangs, and what of its picture counts: the same for every kind. */
const mounting = {
  rotationDegrees: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)], {
      error: "expected 0, 90, 180 or 270",
    })
    .default(0)
    .meta(setting("Rotation", "the picture is turned clockwise by this, degrees")),
  mirrored: z
    .boolean()
    .default(false)
    .meta(
      setting("Mirrored", "the camera shows left and right exchanged: put right before turning"),
    ),
  masks: z
    .array(polygon)
    .max(16)
    .default([])
    .meta(
      setting(
        "Privacy masks",
        "polygons that are black before anything sees the frame: [[x, y], …]",
      ),
    ),
  ignore: z
    .array(polygon)
    .max(16)
    .default([])
    .meta(setting("Ignored zones", "polygons, as masks; a face whose middle lies in one is none")),
};
const devicePath = z
  .string()
  .regex(/^\/dev\/[A-Za-z0-9/_.-]+$/, "expected a path under /dev")
  .meta(setting("Device", "of the camera, like /dev/video0"));

function kind<K extends string>(value: K) {
  return z.literal(value).meta(setting("Kind", "of the camera"));
}

export const cameraConfigSchema = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: kind("files"),
      name: name.default("files"),
      ...mounting,
      paths: z
        .array(
          z.string().refine((path) => !path.startsWith("~"), {
            error: "~ stands for a home folder in a shell alone: write the whole path",
          }),
        )
        .min(1)
        .meta(setting("Files", "folders, globs, images, or one video")),
      framesPerSecond: z
        .number()
        .min(0.1)
        .max(1000)
        .default(10)
        .meta(setting("Frame rate", "frames a second that are replayed")),
      loop: z
        .boolean()
        .default(false)
        .meta(setting("Loop", "restart from the first frame at the end")),
      everyFrame: z
        .boolean()
        .default(false)
        .meta(setting("Every frame", "never drop a frame: for replay")),
    })
    .describe("replay of pictures or a video"),
  z
    .strictObject({
      kind: kind("libcamera"),
      name: name.default("libcamera"),
      ...mounting,
      widthPx,
      heightPx,
      framesPerSecond,
      camera: z
        .int()
        .min(0)
        .max(7)
        .default(0)
        .meta(setting("Camera number", "as rpicam-hello --list-cameras counts them")),
      stallMs,
    })
    .describe("Raspberry Pi camera"),
  z
    .strictObject({
      kind: kind("gstreamer"),
      name: name.default("gstreamer"),
      ...mounting,
      widthPx,
      heightPx,
      framesPerSecond,
      sensor: z
        .int()
        .min(0)
        .max(7)
        .default(0)
        .meta(setting("Sensor", "sensor-id of nvarguscamerasrc")),
      stallMs,
    })
    .describe("Jetson CSI camera"),
  z
    .strictObject({
      kind: kind("ffmpeg"),
      name: name.default("ffmpeg"),
      ...mounting,
      device: devicePath.default("/dev/video0"),
      widthPx,
      heightPx,
      framesPerSecond,
      stallMs,
    })
    .describe("USB or other V4L2 camera"),
  z
    .strictObject({
      kind: kind("socket"),
      name: name.default("socket"),
      ...mounting,
      path: z.string().meta(setting("Socket", "Unix socket of porchlight-camera@.service")),
      stallMs,
    })
    .describe("network camera, read by a separate process"),
]);

export type CameraConfig = z.infer<typeof cameraConfigSchema>;
export type CameraConfigOf<K extends CameraConfig["kind"]> = Extract<CameraConfig, { kind: K }>;
