import { z } from "zod";

export const cameraConfigSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("files"),
    name: z.string().default("files"),
    paths: z.array(z.string()).min(1),
    framesPerSecond: z.number().positive().max(1000).default(10),
    loop: z.boolean().default(false),
    everyFrame: z.boolean().default(false),
  }),
]);
export type CameraConfig = z.infer<typeof cameraConfigSchema>;
