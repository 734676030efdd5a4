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

export interface Total {
  readonly series: bigint;
  /** Its beginning, ms since 1970. */
  readonly at: number;
  count: number;
  readonly sums: number[];
  readonly mins: number[];
  readonly maxs: number[];
}

export interface Gathered {
  readonly series: readonly Series[];
  readonly raw: readonly RawPoint[];
  readonly minute: readonly Total[];
  readonly hour: readonly Total[];
}

export interface RawPoint {
  readonly series: bigint;
  readonly at: number;
  readonly figures: readonly number[];
}

/** What is older than its tier is kept for is not written: it would be dropped a moment later. */
export function gather(points: readonly Point[], retention: Retention, now: number): Gathered {
  const since = {
    raw: now - retention.rawDays * DAY_MS,
    minute: now - retention.minuteDays * DAY_MS,
    hour: now - retention.hourDays * DAY_MS,
  };
  const all = new SeriesOfBatch();
  const raw: RawPoint[] = [];
  const minute = new Totals();
  const hour = new Totals();
  for (const point of points) {
    const { at } = point;
    if (at < since.hour) continue;
    const [own, together] = all.of(point);
    const figures = own.fields.map((field) => point.fields[field] ?? 0);
    if (at >= since.raw) raw.push({ series: own.id, at, figures });
    if (at >= since.minute) minute.add(own.id, beginOf("minute", at), figures);
    hour.add(own.id, beginOf("hour", at), figures);
    hour.add(together.id, beginOf("hour", at), figures);
  }
  return { series: all.all(), raw, minute: minute.all(), hour: hour.all() };
}

class SeriesOfBatch {
  readonly #known = new Map<string, readonly [Series, Series]>();

  /** That of its device, and that of all devices with the same figures. */
  of({ measurement, device, tags, fields }: Point): readonly [Series, Series] {
    const names = Object.keys(fields).sort();
    const key = JSON.stringify([measurement, device, tags, names]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const both = [
      seriesOf({ measurement, device, tags, fields: names }),
      seriesOf({ measurement, device: null, tags: {}, fields: names }),
    ] as const;
    this.#known.set(key, both);
    return both;
  }

  all(): readonly Series[] {
    return [...new Map([...this.#known.values()].flat().map((each) => [each.id, each])).values()];
  }
}

function seriesOf(series: Omit<Series, "id">): Series {
  const { measurement, device, tags, fields } = series;
  const ordered = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([measurement, device, ordered, fields]);
  return { ...series, id: createHash("sha256").update(text).digest().readBigInt64BE() };
}

class Totals {
  readonly #totals = new Map<string, Total>();

  add(series: bigint, at: number, figures: readonly number[]): void {
    const key = `${series} ${at}`;
    const total = this.#totals.get(key);
    if (total === undefined) {
      const [sums, mins, maxs] = [[...figures], [...figures], [...figures]];
      this.#totals.set(key, { series, at, count: 1, sums, mins, maxs });
      return;
    }
    total.count++;
    for (const [i, figure] of figures.entries()) {
      total.sums[i] = (total.sums[i] ?? 0) + figure;
      total.mins[i] = Math.min(total.mins[i] ?? figure, figure);
      total.maxs[i] = Math.max(total.maxs[i] ?? figure, figure);
    }
  }

  all(): readonly Total[] {
    return [...this.#totals.values()];
  }
}
