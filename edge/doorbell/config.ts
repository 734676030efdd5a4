import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

export const buttonConfigSchema = z.strictObject({
  device: z
    .string()
    .meta(setting("Button device", "input device of the button, like /dev/input/event0")),
  key: z
    .int()
    .min(0)
    .max(0x2ff)
    .optional()
    .meta(setting("Key code", "key code it sends, see linux/input-event-codes.h (default: any)")),
  name: z
    .string()
    .min(1)
    .max(64)
    .default("door")
    .meta(setting("Button name", "what a press is called in the log")),
});
export type ButtonConfig = z.infer<typeof buttonConfigSchema>;
