import { z } from "zod";
import { checkedUrl } from "../../shared/core/checked-url.ts";
import { setting } from "../../shared/core/setting.ts";

const brokerUrl = checkedUrl(
  /^(mqtts?|wss?)$/,
  "a broker is named as mqtts://host:port (mqtt, mqtts, ws or wss)",
).refine((url) => new URL(url).password === "", {
  error: "a URL with a password ends up in logs: use mqtt.password",
});

export const embeddedBrokerConfig = z
  .strictObject({
    host: z
      .string()
      .default("127.0.0.1")
      .meta(
        setting("Listen address", "where our own broker listens; with TLS, unless it is loopback"),
      ),
    port: z
      .int()
      .min(0)
      .max(65_535)
      .default(1883)
      .meta(setting("Port", "of our own broker; 0: any that is free")),
  })
  .prefault({});

export const externalBrokerConfig = z
  .strictObject({
    url: brokerUrl.optional().meta(setting("Broker URL", "a broker (default: one of our own)")),
    username: z.string().optional().meta(setting("User name", "of this centre at the broker")),
    password: z.string().optional().meta(setting("Password", "of this centre at the broker")),
    ca: z
      .string()
      .optional()
      .meta(setting("Authority", "PEM file of the authority behind its certificate")),
    certificate: z
      .string()
      .optional()
      .meta(setting("Client certificate", "PEM file of our own certificate")),
    key: z.string().optional().meta(setting("Private key", "PEM file of its private key")),
    connections: z
      .int()
      .min(1)
      .max(16)
      .default(2)
      .meta(setting("Connections", "connections that subscribe")),
  })
  .prefault({});

/** The advertised address of this centre, as bundles have it. */
export const advertisedBrokerConfig = z
  .strictObject({
    url: brokerUrl
      .optional()
      .meta(
        setting(
          "Advertised broker URL",
          "of the broker, as devices reach it (default: mqtt.url, or our own broker)",
        ),
      ),
    ca: z
      .string()
      .optional()
      .meta(
        setting(
          "Advertised authority",
          "PEM file of the authority that devices are to trust (default: our own)",
        ),
      ),
  })
  .prefault({});
