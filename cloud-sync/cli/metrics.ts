import { deviceId, number, type Option, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createSinks } from "../sinks/registry.ts";
import { type Verb, verb } from "./verb.ts";

const DAY_S = 86_400;
const DIGITS = 6;
/** What a database can be asked about: nothing was measured outside of it. */
const [FIRST_YEAR, LAST_YEAR] = [1970, 9999];
const AGO_MS_MAX = 50 * 365 * DAY_S * 1_000;

/** A moment: an ISO date, or so long ago ("6h"). */
function moment(help: string, fallbackS: number): Option<(nowMs: number) => Date> {
  return {
    placeholder: "WHEN",
    help,
    required: false,
    read(typed, label) {
      if (typeof typed !== "string") return (nowMs) => new Date(nowMs - fallbackS * 1_000);
      const [, count, unit] = /^(\d+)([smhd])$/.exec(typed) ?? [];
      const seconds = { s: 1, m: 60, h: 3_600, d: DAY_S }[unit ?? ""];
      if (count !== undefined && seconds !== undefined) {
        const agoMs = Number(count) * seconds * 1_000;
        if (agoMs <= AGO_MS_MAX) return (nowMs) => new Date(nowMs - agoMs);
      }
      const date = new Date(typed);
      const year = date.getUTCFullYear();
      if (year >= FIRST_YEAR && year <= LAST_YEAR) return () => date;
      throw usageError(`${label} is a date like 2026-11-27T08:00:00Z, or so long ago: 30m, 6h, 7d`);
    },
  };
}

export const metricsQuery: Verb = verb({
  name: "metrics query",
  summary: "mean, minimum and maximum of a metric over time, from our database or from InfluxDB",
  options: {
    device: deviceId("of one device (default: all together)"),
    from: moment("a date, or so long ago (default: 1d)", DAY_S),
    to: moment("a date, or so long ago (default: now)", 0),
    every: number("SECONDS", "what is taken together (default: 3600)", {
      fallback: 3_600,
      min: 0.001,
      max: 366 * DAY_S,
      fractions: true,
    }),
  },
  example: "porchlight-cloud metrics query telemetry residentMiB --from 6h --every 600",
  operands: { usage: "<measurement> <field>", min: 2, max: 2 },
  async run({ centre, config, operands, values, terminal }) {
    const [measurement = "", field = ""] = operands;
    const everyS = values.every;
    const now = systemClock.now();
    const device = values.device;
    const { database } = await centre();
    const { queryMetrics } = createSinks({ config: config(), database, clock: systemClock });
    const buckets = await queryMetrics({
      measurement,
      field,
      ...(device !== undefined && { device }),
      from: values.from(now),
      to: values.to(now),
      everyMs: Math.round(everyS * 1_000),
    });
    const short = (value: number): string => `${Number(value.toPrecision(DIGITS))}`;
    const rows = buckets.map(({ at, count, mean, min, max }) => [
      dateOf(at.getTime()),
      `${count}`,
      short(mean),
      short(min),
      short(max),
    ]);
    terminal.data(buckets, table(["from", "count", "mean", "least", "most"], rows));
    return buckets.length > 0 ? EXIT.ok : EXIT.notFound;
  },
});
