import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { deviceUrl } from "../config/server-url.ts";

export const httpConfig = z
  .strictObject({
    host: z
      .string()
      .default("127.0.0.1")
      .meta(
        setting(
          "Listen address",
          "where uploads and health are served; with TLS, unless it is loopback",
        ),
      ),
    port: z
      .int()
      .min(0)
      .max(65_535)
      .default(8480)
      .meta(setting("Port", "of health and uploads; 0: any that is free")),
    metrics: z
      .strictObject({
        host: z
          .string()
          .default("127.0.0.1")
          .meta(
            setting("Metrics address", "where metrics are served; with TLS, unless it is loopback"),
          ),
        port: z
          .int()
          .min(0)
          .max(65_535)
          .optional()
          .meta(
            setting(
              "Metrics port",
              "of metrics and health (default: http.port + 1); 0: any that is free",
            ),
          ),
      })
      .prefault({}),
    url: deviceUrl
      .optional()
      .meta(
        setting(
          "Advertised URL",
          "as devices reach it, to upload objects (default: where it listens)",
        ),
      ),
  })
  .prefault({});
