/** What listens: our own broker, the server that devices reach, the one for who watches the centre. */
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import { isLoopback } from "../host/addresses.ts";
import { createServedIdentity, type ServedIdentity } from "../host/served-identity.ts";
import { type Identity, openIdentity } from "../host/tls-identity.ts";
import { type Api, type ApiOptions, createApi } from "../http/server.ts";
import type { EmbeddedBroker } from "../mqtt/embedded-broker.ts";

export type Listener = Pick<Api, "start" | "stop" | "renew">;

export interface Listeners {
  readonly api: Api;
  readonly watching: Api;
  /** All of them, in the order of their start. */
  readonly listeners: readonly Listener[];
  /** The certificate of them all. */
  readonly served: ServedIdentity;
}

export interface ListenersOptions {
  readonly config: CloudConfig;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

export interface Served {
  readonly own: EmbeddedBroker | null;
  readonly http: ApiOptions["routes"];
  readonly metrics: ApiOptions["routes"];
}

export function createListeners(
  { config, clock, logger }: ListenersOptions,
  identity: Identity | null,
  { own, http, metrics }: Served,
): Listeners {
  const api = createApi({ ...listening(config.http, identity), routes: http, logger });
  const watched = listening(metricsListener(config), identity);
  const watching = createApi({ ...watched, routes: metrics, logger, setting: "http.metrics.port" });
  const listeners = [own ?? [], api, watching].flat();
  const served = createServedIdentity({
    served: identity,
    open: () => openIdentity(config, clock.now(), logger),
    renew(found) {
      for (const listener of listeners) listener.renew(found);
    },
    now: clock.now,
    logger,
  });
  return { api, watching, listeners, served };
}

function listening({ host, port }: { host: string; port: number }, identity: Identity | null) {
  return { host, port, tls: isLoopback(host) ? null : identity };
}

/** The port after the one of uploads, unless it is named: two centres on a machine have two. */
function metricsListener({ http }: CloudConfig): { readonly host: string; readonly port: number } {
  const { host, port = http.port === 0 ? 0 : http.port + 1 } = http.metrics;
  return { host, port };
}
