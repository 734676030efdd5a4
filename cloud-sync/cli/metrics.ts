import { table } from "../../shared/cli/terminal.ts";
import { number, text, usageError, type Values } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createSinks } from "../sinks/registry.ts";
import type { Verb } from "./verb.ts";

const DAY_S = 86_400;
const DIGITS = 6;

/** A moment: an ISO date, or so long ago ("6h"); the fallback is so many seconds ago. */
function moment(values: Values, name: string, fallbackS: number, nowMs: number): Date {
  const given = text(values, name);
  if (given === undefined) return new Date(nowMs - fallbackS * 1_000);
  const [, count, unit] = /^(\d+)([smhd])$/.exec(given) ?? [];
  const seconds = { s: 1, m: 60, h: 3_600, d: DAY_S }[unit ?? ""];
  if (count !== undefined && seconds !== undefined) {
    return new Date(nowMs - Number(count) * seconds * 1_000);
  }
  const date = new Date(given);
  if (!Number.isNaN(date.getTime())) return date;
  throw usageError(`--${name} is a date like 2026-11-27T08:00:00Z, or so long ago: 30m, 6h, 7d`);
}

export const metricsQuery: Verb = {
  name: "metrics query",
  usage: "<measurement> <field> [--device ID] [--from WHEN] [--to WHEN] [--every SECONDS]",
  summary: "mean, least and most of a figure over time, from our database or from InfluxDB",
  options: {
    device: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    every: { type: "string" },
  },
  optionHelp: {
    "--device ID": "of one device (default: all together)",
    "--from WHEN": "a date, or so long ago (default: 1d)",
    "--to WHEN": "a date, or so long ago (default: now)",
    "--every SECONDS": "what is taken together (default: 3600)",
  },
  example: "porchlight-cloud metrics query telemetry residentMiB --from 6h --every 600",
  operands: { min: 2, max: 2 },
  async run({ centre, config, operands, values, terminal }) {
    const [measurement = "", field = ""] = operands;
    const everyS = number(values, "every", { fallback: 3_600, min: 0.001, max: 366 * DAY_S });
    const now = systemClock.now();
    const device = text(values, "device");
    const { database } = await centre();
    const { queryMetrics } = createSinks({ config: config(), database, clock: systemClock });
    const buckets = await queryMetrics({
      measurement,
      field,
      ...(device !== undefined && { device }),
      from: moment(values, "from", DAY_S, now),
      to: moment(values, "to", 0, now),
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
};
