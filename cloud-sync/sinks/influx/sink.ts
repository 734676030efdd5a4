/** Points in time in InfluxDB 1, 2 or 3, and in what speaks their write paths. */
import { z } from "zod";
import type { Clock } from "../../../shared/core/clock.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { type Point, pointOf } from "../metrics/points.ts";
import {
  DAY_MS,
  type MetricsBucket,
  type QueryMetrics,
  type Retention,
  tierFor,
} from "../metrics/query.ts";
import type { Rejection, Sink } from "../sink.ts";
import { writeIsolating } from "../support/bisect.ts";
import { decodeEntries } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { createInfluxApi, type InfluxApi, type InfluxServer } from "./client.ts";
import { lineOf } from "./lines.ts";
import { createTiers, quoted, targetOf } from "./tiers.ts";

export interface InfluxOptions extends InfluxServer {
  readonly devicesOf: DevicesOf;
  readonly retention: Retention;
  /**
   * Whether we create databases and retention, and for how long: else the server's administrator
   * has.
   */
  readonly manage: boolean;
  readonly clock: Pick<Clock, "now">;
}

export interface Influx {
  readonly sink: Sink;
  readonly query: QueryMetrics;
}

interface Line {
  readonly position: bigint;
  readonly text: string;
}

/** The server has dropped what it would have dropped a moment later anyway. */
const TOO_OLD = /(beyond|outside) retention policy/;
const CONFLICT = /conflict|unable to parse|invalid/;

export function createInflux(options: InfluxOptions): Influx {
  const { devicesOf, retention, manage, clock, ...server } = options;
  const api = createInfluxApi(server);
  const sink: Sink = {
    name: "influx",
    async open(signal) {
      if (manage) await createTiers(api, server, retention, signal);
    },
    async write(batch, signal) {
      const { items, rejected } = await decodeEntries(batch, devicesOf, pointOf);
      const since = clock.now() - retention.rawDays * DAY_MS;
      const [lines, unsayable] = linesOf(items.filter(({ at }) => at > since));
      const written = await writeLines(api, targetOf(server, "raw"), lines, signal);
      return { rejected: [...rejected, ...unsayable, ...written] };
    },
    close: async () => undefined,
  };
  return { sink, query: queryOver(api, server, options) };
}

function linesOf(points: readonly Point[]): readonly [readonly Line[], readonly Rejection[]] {
  const lines: Line[] = [];
  const unsayable: Rejection[] = [];
  for (const point of points) {
    const [{ position }, text] = [point, lineOf(point)];
    if (text !== null) lines.push({ position, text });
    else unsayable.push({ position, reason: "a name in it cannot be encoded in line protocol" });
  }
  return [lines, unsayable];
}

/** The server refuses a part of a batch: by line numbers where it says them, else by halves. */
class Refused extends Error {}

async function writeLines(
  api: InfluxApi,
  target: string,
  lines: readonly Line[],
  signal: AbortSignal,
): Promise<readonly Rejection[]> {
  const named: Rejection[] = [];
  const writeLines = async (part: readonly Line[]): Promise<void> => {
    const partly = await api.write(
      target,
      part.map(({ text }) => text),
      signal,
    );
    if (partly === null) return;
    const { lines: refused, reason } = partly;
    if (refused.length === 0 && TOO_OLD.test(reason) && !CONFLICT.test(reason)) return;
    if (refused.length === 0) throw new Refused(reason);
    for (const { line, reason: why } of refused) {
      const position = part[line - 1]?.position;
      if (position === undefined) throw new Refused(reason);
      named.push({ position, reason: why });
    }
    // Not every server has written the others: they are written again, which is the same.
    const others = part.filter((_, i) => refused.every(({ line }) => line !== i + 1));
    if (others.length > 0) await writeLines(others);
  };
  const refusal = (error: unknown): string | null =>
    error instanceof Refused ? error.message : null;
  const { rejected } = await writeIsolating(lines, writeLines, refusal);
  return [...named, ...rejected];
}

const answerSchema = z.object({
  results: z.tuple([
    z.object({
      error: z.string().optional(),
      series: z
        .array(z.object({ columns: z.array(z.string()), values: z.array(z.array(z.unknown())) }))
        .optional(),
    }),
  ]),
});
const rowSchema = z.tuple([z.number(), z.number(), z.number(), z.number(), z.number()]);

function queryOver(api: InfluxApi, server: InfluxServer, options: InfluxOptions): QueryMetrics {
  return async (query) => {
    const { measurement, field, device, from, to, everyMs } = query;
    const found = tierFor(query, options.retention, options.clock.now());
    const tier = server.version === 3 || !options.manage ? "raw" : found;
    const target = targetOf(server, tier);
    const column = (name: string): string => quoted(tier === "raw" ? field : `${name}_${field}`);
    const sumOf = tier === "raw" ? `count(${column("count")})` : `sum(${column("count")})`;
    const figures = [
      sumOf,
      `sum(${column("sum")})`,
      `min(${column("min")})`,
      `max(${column("max")})`,
    ];
    const source = server.version === 1 ? `${quoted(target)}.${measurement}` : measurement;
    const of = device === undefined ? "" : ` AND "device" = '${device}'`;
    const range = `time >= ${from.getTime()}ms AND time < ${to.getTime()}ms${of}`;
    const text = `SELECT ${figures.join(", ")} FROM ${source} WHERE ${range}
      GROUP BY time(${everyMs}ms) fill(none)`;
    const database = server.version === 1 ? (server.database ?? "") : target;
    const signal = new AbortController().signal;
    const [answer] = answerSchema.parse(await api.query(database, text, signal)).results;
    if (answer.error !== undefined) throw unanswered(api.place, answer.error);
    return (answer.series?.[0]?.values ?? []).flatMap(bucketOf);
  };
}

function bucketOf(value: unknown): readonly MetricsBucket[] {
  const row = rowSchema.safeParse(value);
  if (!row.success) return [];
  const [at, count, sum, min, max] = row.data;
  return [{ at: new Date(at), count, mean: sum / count, min, max }];
}

function unanswered(place: string, why: string): PorchlightError {
  return new PorchlightError("influx.refused", `InfluxDB at ${place} failed the query: ${why}`, {
    hint: "see what can be asked: porchlight-cloud metrics query --help",
  });
}
