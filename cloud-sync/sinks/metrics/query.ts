/** Questions about points in time, and what an answer looks like, whatever store gives it. */
import { z } from "zod";
import { EXIT, PorchlightError } from "../../../shared/core/errors.ts";

export interface MetricsQuery {
  /** `telemetry`, `arrival`, `decision` or `visit` (points.ts). */
  readonly measurement: string;
  readonly field: string;
  /** One device; without it, all of them together. */
  readonly device?: string;
  readonly from: Date;
  /** Not included. */
  readonly to: Date;
  /** Length of what is taken together, ms. It is counted from 1970 on, in UTC. */
  readonly everyMs: number;
}

export interface MetricsBucket {
  /** Its beginning. */
  readonly at: Date;
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

/** Oldest first; without those in which there is nothing. */
export type QueryMetrics = (query: MetricsQuery) => Promise<readonly MetricsBucket[]>;

/** How long what is kept: as it came, by the minute and by the hour. */
export interface Retention {
  readonly rawDays: number;
  readonly minuteDays: number;
  readonly hourDays: number;
}

export type Tier = "raw" | "minute" | "hour";

export const DAY_MS = 86_400_000;
const STEP_MS = { raw: 1, minute: 60_000, hour: 3_600_000 } as const;
/** More than a screen has, and than anybody reads. */
const BUCKETS_MAX = 10_000;
const querySchema = z.object({
  measurement: z.string().regex(/^[a-z]+$/),
  field: z.string().min(1).max(100),
  device: z.uuid().lowercase().optional(),
});

/**
 * Where the answer to a question is: the finest that still goes back so far.
 * Throws `metrics.query` for a question that has no answer.
 */
export function tierFor(query: MetricsQuery, retention: Retention, nowMs: number): Tier {
  const { from, to, everyMs } = query;
  if (!querySchema.safeParse(query).success) throw refused("measurement, field or device");
  if (!(from < to && Number.isInteger(everyMs) && everyMs >= 1)) throw refused("from, to or every");
  if ((to.getTime() - from.getTime()) / everyMs > BUCKETS_MAX) {
    throw refused(`every: at most ${BUCKETS_MAX} values`);
  }
  const ageDays = (nowMs - from.getTime()) / DAY_MS;
  const { rawDays, minuteDays } = retention;
  const tier = ageDays <= rawDays ? "raw" : ageDays <= minuteDays ? "minute" : "hour";
  if (everyMs % STEP_MS[tier] === 0) return tier;
  throw refused(`every: so long ago only whole ${tier}s are kept`);
}

/**
 * Of what goes back as far as the finest tier that does, the coarsest that still says it: an hour's
 * total is read instead of its thousand points.
 */
export function coarsestTier({ everyMs }: MetricsQuery, finest: Tier): Tier {
  if (everyMs % STEP_MS.hour === 0) return "hour";
  return finest === "raw" && everyMs % STEP_MS.minute === 0 ? "minute" : finest;
}

/** The beginning of what is taken together in a tier. */
export function beginOf(tier: Tier, atMs: number): number {
  return atMs - (atMs % STEP_MS[tier]);
}

function refused(what: string): PorchlightError {
  return new PorchlightError("metrics.query", `this cannot be asked for (${what})`, {
    exitCode: EXIT.usage,
    hint: "see what can: porchlight-cloud metrics query --help",
  });
}
