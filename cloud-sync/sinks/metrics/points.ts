/**
 * Points in time out of entries, whatever store they go to: one entry is one point at the most.
 *
 *     measurement  from               tags                    fields
 *     telemetry    telemetry.sampled  device                  every metric
 *     arrival      visit.started      device, camera          delayMs
 *     decision     visit.recognised   device, pack, outcome   revision, seen, score, margin
 *     visit        visit.ended        device, outcome         durationMs, frames
 *
 * No subject is in it, let alone a name: whose visit it was stands in the read models.
 */
import { z } from "zod";
import type { StoredEntry } from "../../log/event-log.ts";
import type { Body, Projected } from "../support/decode-entries.ts";

export interface Point {
  readonly measurement: string;
  readonly device: string;
  /** Without the device. */
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, number>>;
  /** ms since 1970. */
  readonly at: number;
  readonly log: string;
  readonly seq: number;
  readonly position: bigint;
}

/** A sampler has a dozen; a store keeps a series for each of them for years. */
const METRICS_MAX = 200;
const NAME_CHARACTERS_MAX = 100;
/** Clock skew that is accepted of a clock that reports itself as set; more is a mistake. */
const AHEAD_MS_MAX = 3_600_000;
/** And behind: a device may have been offline for weeks, and not for ten years. */
const BEHIND_MS_MAX = 10 * 365 * 86_400_000;

const name = z
  .string()
  .min(1)
  .max(NAME_CHARACTERS_MAX)
  .refine((text) => !text.includes("\0"));
/** A sum of a billion such is a double still, and no sensor says more. */
const FIGURE_MAX = 1e15;
const number = z.number().min(-FIGURE_MAX).max(FIGURE_MAX);
const figure = number.nullable();
const schemas = {
  telemetry: z.object({ metrics: z.custom<Readonly<Record<string, number>>>(isMetrics) }),
  started: z.object({ camera: name }),
  recognised: z.object({
    revision: number,
    decision: z.object({ outcome: name, pack: name, score: figure, margin: figure, seen: figure }),
  }),
  ended: z.object({ outcome: name, durationMs: figure, frames: figure }),
} as const;

/** By hand: it is most of what comes in, and has a dozen figures. */
function isMetrics(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= METRICS_MAX &&
    entries.every(
      ([key, each]) =>
        key.length > 0 &&
        key.length <= NAME_CHARACTERS_MAX &&
        !key.includes("\0") &&
        typeof each === "number" &&
        Math.abs(each) <= FIGURE_MAX,
    )
  );
}

type Measured = Pick<Point, "measurement" | "tags"> & {
  readonly fields: Readonly<Record<string, number | null>>;
};

const MEASUREMENTS: Readonly<Record<string, (data: Body["data"], entry: StoredEntry) => Measured>> =
  {
    "telemetry.sampled"(data) {
      const { metrics } = schemas.telemetry.parse(data);
      return { measurement: "telemetry", tags: {}, fields: metrics };
    },
    "visit.started"(data, { at, receivedAt }) {
      const { camera } = schemas.started.parse(data);
      const delayMs = Math.max(0, receivedAt.getTime() - (at ?? 0));
      return { measurement: "arrival", tags: { camera }, fields: { delayMs } };
    },
    "visit.recognised"(data) {
      const { revision, decision } = schemas.recognised.parse(data);
      const { outcome, pack, ...figures } = decision;
      const fields = { revision, ...figures };
      return { measurement: "decision", tags: { pack, outcome }, fields };
    },
    "visit.ended"(data) {
      const { outcome, ...fields } = schemas.ended.parse(data);
      return { measurement: "visit", tags: { outcome }, fields };
    },
  };

/** The point of an entry; null when it has none. Throws a ZodError when its data does not fit. */
export function pointOf({ entry, device }: Projected, body: Body | null): Point | null {
  const measure = MEASUREMENTS[entry.type ?? ""];
  if (measure === undefined || body === null) return null;
  const { measurement, tags, fields: all } = measure(body.data, entry);
  const fields: Record<string, number> = {};
  for (const [field, value] of Object.entries(all)) if (value !== null) fields[field] = value;
  if (Object.keys(fields).length === 0) return null;
  const { log, seq, position } = entry;
  return { measurement, device, tags, fields, at: timeOf(entry, body), log, seq, position };
}

/** When it was; where the device did not know the time, when it came in. */
function timeOf({ at, receivedAt }: StoredEntry, { clock }: Body): number {
  const received = receivedAt.getTime();
  if (at === null || clock === "unsynced") return received;
  return at > received + AHEAD_MS_MAX || at < received - BEHIND_MS_MAX ? received : at;
}
