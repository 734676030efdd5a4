/** Entries as a projection reads them: with their device, their body checked, their time made usable. */
import { z } from "zod";
import { invariant, PorchlightError } from "../../../shared/core/errors.ts";
import type { StoredEntry } from "../../log/event-log.ts";
import { faultOf, type Rejection } from "../sink.ts";
import type { DevicesOf } from "./device-of-log.ts";

export interface Projected extends StoredEntry {
  readonly device: string;
}

/** Only what is read here: a newer device may say more. */
const bodySchema = z.object({
  clock: z.enum(["synced", "unsynced"]),
  data: z.record(z.string(), z.unknown()),
  sealed: z.record(z.string(), z.string()).nullable(),
});
export type Body = z.infer<typeof bodySchema>;

export interface Reading<T> {
  readonly items: readonly T[];
  readonly rejected: readonly Rejection[];
}

/** Reads each entry of a batch; what does not fit its schema is rejected, with the place of the fault. */
export async function readBatch<T>(
  batch: readonly StoredEntry[],
  devicesOf: DevicesOf,
  read: (entry: Projected, body: Body | null) => T | null | Promise<T | null>,
): Promise<Reading<T>> {
  const devices = await devicesOf(batch.map(({ log }) => log));
  const items: T[] = [];
  const rejected: Rejection[] = [];
  for (const entry of batch) {
    const device = devices.get(entry.log);
    invariant(device !== undefined, "every log has a device");
    try {
      const body = entry.body === null ? null : bodySchema.parse(JSON.parse(entry.body));
      const item = await read({ ...entry, device }, body);
      if (item !== null) items.push(item);
    } catch (error) {
      rejected.push({ position: entry.position, reason: reasonOf(error) });
    }
  }
  return { items, rejected };
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) return faultOf(error);
  if (error instanceof PorchlightError && error.remedy === "reject") return error.message;
  throw error;
}

/** What PostgreSQL can say as a timestamp and a clock may say by mistake: the years 1 to 9999. */
const AT_MIN_MS = -62_135_596_800_000;
const AT_MAX_MS = 253_402_300_799_999;

/** The device's own time, as far as a database can say it. */
export function momentOf({ at }: Projected): string {
  invariant(at !== null, "an entry with a body has a time");
  return new Date(Math.min(Math.max(at, AT_MIN_MS), AT_MAX_MS)).toISOString();
}

const projectionRows = z.array(z.object({ version: z.int(), position: z.bigint() }));

/** The one row of a projection in a database: which version it is, and how far it has come. */
export function projectionOf(rows: readonly unknown[]): z.infer<typeof projectionRows>[number] {
  const [projection] = projectionRows.parse(rows);
  invariant(projection !== undefined, "a projection says which version it is");
  return projection;
}
