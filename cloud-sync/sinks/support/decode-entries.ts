/** Entries as a projection reads them: with their device, their body checked, their time made usable. */
import { setImmediate as turn } from "node:timers/promises";
import { z } from "zod";
import { invariant, PorchlightError } from "../../../shared/core/errors.ts";
import type { StoredEntry } from "../../log/event-log.ts";
import { faultOf, type Rejection } from "../sink.ts";
import type { DevicesOf } from "./device-of-log.ts";

/** The device that an entry's log is of. */
export interface Projected {
  readonly entry: StoredEntry;
  readonly device: string;
}

/** Only what is read here: a newer device may say more. Ingest has checked the rest of its bytes. */
export interface Body {
  readonly clock: "synced" | "unsynced";
  readonly data: Readonly<Record<string, unknown>>;
  readonly sealed: Readonly<Record<string, string>> | null;
}

/** Text of a device that becomes a column: printable as it is, and short enough for an index. */
export const textColumn = z
  .string()
  .max(200)
  .refine((text) => !text.includes("\0"));

export interface Reading<T> {
  readonly items: readonly T[];
  readonly rejected: readonly Rejection[];
}

/** Between two turns of the event loop: ingest answers meanwhile. */
const ENTRIES_A_TURN = 250;

/** Sinks that are level read the same entries: a body is read and checked once. */
const bodies = new WeakMap<StoredEntry, Body | Error>();

/** Reads each entry of a batch; what does not fit its schema is rejected, with the place of the fault. */
export async function decodeEntries<T>(
  batch: readonly StoredEntry[],
  devicesOf: DevicesOf,
  read: (projected: Projected, body: Body | null) => T | null | Promise<T | null>,
): Promise<Reading<T>> {
  const devices = await devicesOf(batch.map(({ log }) => log));
  const items: T[] = [];
  const rejected: Rejection[] = [];
  for (const [i, entry] of batch.entries()) {
    if (i % ENTRIES_A_TURN === ENTRIES_A_TURN - 1) await turn();
    const device = devices.get(entry.log);
    invariant(device !== undefined, "every log has a device");
    try {
      const found = read({ entry, device }, bodyOf(entry));
      const item = found instanceof Promise ? await found : found;
      if (item !== null) items.push(item);
    } catch (error) {
      rejected.push({ position: entry.position, reason: reasonOf(error) });
    }
  }
  return { items, rejected };
}

function bodyOf(entry: StoredEntry): Body | null {
  if (entry.body === null) return null;
  const known = bodies.get(entry) ?? checkedBody(entry.body);
  bodies.set(entry, known);
  if (known instanceof Error) throw known;
  return known;
}

function checkedBody(text: string): Body | Error {
  const body: unknown = JSON.parse(text);
  return isBody(body) ? body : notABody;
}

/** By hand: of every entry, and a schema takes as long as reading its JSON. */
function isBody(value: unknown): value is Body {
  if (!isObject(value)) return false;
  const { clock, data, sealed } = value;
  if (clock !== "synced" && clock !== "unsynced") return false;
  if (!isObject(data)) return false;
  if (sealed === null) return true;
  return isObject(sealed) && Object.values(sealed).every((each) => typeof each === "string");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const notABody = new PorchlightError("entry.body", "body: invalid", { remedy: "reject" });

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) return faultOf(error);
  if (error instanceof PorchlightError && error.remedy === "reject") return error.message;
  throw error;
}

/** What PostgreSQL can say as a timestamp and a clock may say by mistake: the years 1 to 9999. */
const AT_MIN_MS = -62_135_596_800_000;
const AT_MAX_MS = 253_402_300_799_999;

/** The device's own time, as far as a database can say it. */
export function momentOf({ at }: Pick<StoredEntry, "at">): string {
  invariant(at !== null, "an entry with a body has a time");
  return new Date(Math.min(Math.max(at, AT_MIN_MS), AT_MAX_MS)).toISOString();
}
