import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** 870 entries of 400 bytes a second: 87 times what a busy door writes. */
const LOG_KIB_PER_SECOND = 512;

export const fairnessConfig = z
  .strictObject({
    logKibPerSecond: z
      .int()
      .min(16)
      .max(1_048_576)
      .default(LOG_KIB_PER_SECOND)
      .meta(
        setting(
          "Log rate",
          "of each device, KiB a second unpacked, after the first 2 MiB: more waits its turn",
        ),
      ),
  })
  .prefault({});
