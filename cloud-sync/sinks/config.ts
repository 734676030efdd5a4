/** What the stores that a centre projects into are configured with: a slice a store. */
import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { influxConfig } from "./influx/config.ts";
import { metricsConfig } from "./metrics/config.ts";

export const sinkConfigs = {
  sinks: z
    .strictObject({
      run: z
        .boolean()
        .default(true)
        .meta(
          setting(
            "Run sinks",
            "whether this instance projects the log; another one on its database may",
          ),
        ),
    })
    .prefault({}),
  influx: influxConfig,
  metrics: metricsConfig,
} as const;
