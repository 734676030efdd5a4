/** Counters of what went over a limit (cloud-sync/fairness/limits.ts), or failed at a boundary. */
import type { BudgetStats } from "../fairness/device-budget.ts";
import type { IngestStats } from "../ingest/ingest.ts";
import type { BrokerStats } from "../mqtt/sessions.ts";
import type { UploadDoorStats } from "../uploads/receive-route.ts";

export interface CounterOf {
  readonly name: string;
  readonly help: string;
  readonly value: () => number;
}

export interface LimitStats {
  readonly budget: () => BudgetStats;
  readonly ingest: () => Pick<IngestStats, "limited" | "dropped">;
  /** Null where the broker is another's. */
  readonly broker: () => BrokerStats | null;
  /** Null where objects go to S3. */
  readonly door: () => UploadDoorStats | null;
  readonly http: () => { readonly failed: number; readonly refused: number };
  readonly statusFailures: () => number;
  readonly taskRestarts: () => number;
}

export function limitCounters(of: LimitStats): readonly CounterOf[] {
  const rows: readonly (readonly [string, string, () => number])[] = [
    ["device_messages_delayed", "messages whose device had to wait", () => of.budget().delayed],
    ["device_messages_dropped", "messages over the budget or too long", () => of.budget().dropped],
    ["device_nonsense", "sessions ended for undecodable batches", () => of.budget().nonsense],
    ["ingest_dropped", "batches beyond a device's admission window", () => of.ingest().dropped],
    ["ingest_logs_limited", "batches that would open a log too many", () => of.ingest().limited],
    ["broker_logins_refused", "logins refused unchecked", () => of.broker()?.loginsRefused ?? 0],
    [
      "broker_unauthenticated_ended",
      "connections ended before they had logged in",
      () => of.broker()?.unauthenticatedEnded ?? 0,
    ],
    [
      "broker_unacknowledged_ended",
      "sessions ended for answers that were not acknowledged",
      () => of.broker()?.unacknowledgedEnded ?? 0,
    ],
    ["upload_refused", "uploads refused: too many at once", () => of.door()?.refused ?? 0],
    ["upload_slow", "uploads ended: too slow", () => of.door()?.slow ?? 0],
    ["http_connections_refused", "connections of an address too many", () => of.http().refused],
    ["http_failed", "HTTP requests answered with 500", () => of.http().failed],
    ["status_failed", "device statuses not understood or stored", of.statusFailures],
    ["task_restarts", "side tasks started again after a failure", of.taskRestarts],
  ];
  return rows.map(([name, help, value]) => ({ name: `porchlight_${name}_total`, help, value }));
}
