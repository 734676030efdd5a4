/** Points of a batch as rows: the points, their series, and what they come to by minute and hour. */
import { createHash } from "node:crypto";
import type { Point } from "./points.ts";
import { beginOf, DAY_MS, type Retention } from "./query.ts";

export interface Series {
  /** The first eight bytes of a SHA-256: the same wherever and whenever it is made. */
  readonly id: bigint;
  readonly measurement: string;
  /** Null: of all devices together. */
  readonly device: string | null;
  readonly tags: Point["tags"];
  /** In alphabetical order; figures come in the order of their fields. */
  readonly fields: readonly string[];
}

/** What points of one series come to within a minute or an hour. */
export interface Total {
  readonly series: bigint;
  /** Its beginning, ms since 1970. */
  readonly at: number;
  /** The one that came first. */
  readonly first: RawPoint;
  count: number;
  readonly sums: number[];
  /** Empty while there is one point: its figures are the sums. */
  mins: number[];
  maxs: number[];
}

export interface RawPoint {
  readonly series: bigint;
  readonly at: number;
  readonly figures: readonly number[];
}

export interface Gathered {
  readonly series: readonly Series[];
  /** Points that are not the first of their minute. */
  readonly raw: readonly RawPoint[];
  /** What is older is in no tier of single points, ms since 1970. */
  readonly rawSince: number;
  readonly minute: readonly Total[];
  readonly hour: readonly Total[];
}

/** What is older than its tier is kept for is not written: it would be dropped a moment later. */
export function gather(points: readonly Point[], retention: Retention, now: number): Gathered {
  const since = {
    raw: now - retention.rawDays * DAY_MS,
    minute: now - retention.minuteDays * DAY_MS,
    hour: now - retention.hourDays * DAY_MS,
  };
  const known = new Map<string, Both>();
  const raw: RawPoint[] = [];
  for (const point of points) {
    const { at } = point;
    if (at < since.hour) continue;
    const { own, all } = bothOf(point, known);
    const figures = own.series.fields.map((field) => point.fields[field] ?? 0);
    const place = { series: own.series.id, at, figures };
    if (at >= since.minute && !own.minute.add(place) && at >= since.raw) raw.push(place);
    own.hour.add(place);
    all.hour.add({ ...place, series: all.series.id });
  }
  const both = [...known.values()].flatMap(({ own, all }) => [own, all]);
  const unique = [...new Map(both.map((each) => [each.series.id, each])).values()];
  return {
    series: unique.map(({ series }) => series),
    raw,
    rawSince: since.raw,
    minute: unique.flatMap(({ minute }) => minute.all()),
    hour: unique.flatMap(({ hour }) => hour.all()),
  };
}

interface SeriesTotals {
  readonly series: Series;
  readonly minute: Totals;
  readonly hour: Totals;
}

/** A point counts in its device's series, and in that of all devices with the same figures. */
interface Both {
  readonly own: SeriesTotals;
  readonly all: SeriesTotals;
}

function bothOf({ measurement, device, tags, fields }: Point, known: Map<string, Both>): Both {
  const names = Object.keys(fields);
  const values = Object.entries(tags).flat();
  const key = `${measurement}\0${device}\0${values.join("\0")}\0\0${names.join("\0")}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const ordered = { measurement, tags, fields: names.sort() };
  const series = seriesOf({ ...ordered, device: null, tags: {} });
  const others = [...known.values()].find(({ all }) => all.series.id === series.id);
  const both = {
    own: totalsOf(seriesOf({ ...ordered, device })),
    all: others?.all ?? totalsOf(series),
  };
  known.set(key, both);
  return both;
}

function totalsOf(series: Series): SeriesTotals {
  return { series, minute: new Totals("minute"), hour: new Totals("hour") };
}

function seriesOf(series: Omit<Series, "id">): Series {
  const { measurement, device, tags, fields } = series;
  const ordered = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([measurement, device, ordered, fields]);
  return { ...series, id: createHash("sha256").update(text).digest().readBigInt64BE() };
}

class Totals {
  readonly #tier: "minute" | "hour";
  readonly #totals = new Map<number, Total>();

  constructor(tier: "minute" | "hour") {
    this.#tier = tier;
  }

  /** Whether it is the first one. */
  add(point: RawPoint): boolean {
    const { series, figures } = point;
    const at = beginOf(this.#tier, point.at);
    const total = this.#totals.get(at);
    if (total === undefined) {
      const fresh = { series, at, first: point, count: 1, sums: [...figures], mins: [], maxs: [] };
      this.#totals.set(at, fresh);
      return true;
    }
    if (total.count === 1) [total.mins, total.maxs] = [[...total.sums], [...total.sums]];
    total.count++;
    for (const [i, figure] of figures.entries()) {
      total.sums[i] = (total.sums[i] ?? 0) + figure;
      total.mins[i] = Math.min(total.mins[i] ?? figure, figure);
      total.maxs[i] = Math.max(total.maxs[i] ?? figure, figure);
    }
    return false;
  }

  all(): readonly Total[] {
    return [...this.#totals.values()];
  }
}
