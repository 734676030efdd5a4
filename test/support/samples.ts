import type { StoredEntry } from "../../cloud-sync/log/event-log.ts";
import type { InfluxOptions } from "../../cloud-sync/sinks/influx/sink.ts";

export const METRICS_DEVICE = "7d8e4f6c-50c5-4a6b-9a3e-000000000001";
const LOG = "7d8e4f6c-50c5-4a6b-9a3e-000000000002";
const RETENTION = { rawDays: 30, minuteDays: 180, hourDays: 1_825 };

/** InfluxDB of version 1 at the moment, unless something else is said. */
export function influxOptions(more: Partial<InfluxOptions>): InfluxOptions {
  const devicesOf = async (): Promise<Map<string, string>> => new Map([[LOG, METRICS_DEVICE]]);
  const common = { devicesOf, retention: RETENTION, clock: { now: Date.now }, manage: true };
  return { url: "", version: 1, database: "home", ...common, ...more };
}

/** Telemetry of these moments, [when, value, metric]. */
export function samples(...points: readonly (readonly [number, number, string?])[]): StoredEntry[] {
  return points.map(([at, value, metric = "faces"], i) => ({
    position: BigInt(i + 1),
    log: LOG,
    seq: i + 1,
    hash: "",
    body: JSON.stringify({ clock: "synced", data: { metrics: { [metric]: value } }, sealed: null }),
    type: "telemetry.sampled",
    at,
    subject: null,
    actor: "device",
    receivedAt: new Date(at + 10),
  }));
}
