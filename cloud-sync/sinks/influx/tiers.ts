/**
 * What is kept how long in InfluxDB, and who takes points together: the server itself, by retention
 * policies and continuous queries (version 1) or buckets and tasks (version 2). Version 3 keeps
 * what its administrator says, and takes together when it is asked.
 */
import { z } from "zod";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Retention, Tier } from "../metrics/query.ts";
import type { InfluxApi, InfluxServer } from "./client.ts";

const TIERS = ["raw", "minute", "hour"] as const;
const TAKEN_TOGETHER = { minute: "1m", hour: "1h" } as const;
/**
 * How far back the server looks for what came late, and how often: a day is computed again in
 * seconds. Later than that is only in the raw points.
 */
const LATE = {
  minute: { every: "5m", back: "25h" },
  hour: { every: "1h", back: "49h" },
} as const;

/** The retention policy of version 1, or the bucket or database of the others. */
export function targetOf(
  { version, bucket = "", database = "" }: InfluxServer,
  tier: Tier,
): string {
  if (version === 1) return `porchlight_${tier}`;
  const whole = version === 2 ? bucket : database;
  return tier === "raw" ? whole : `${whole}_${tier}`;
}

/** Idempotent. Throws `influx.denied` where we may not. */
export async function createTiers(
  api: InfluxApi,
  server: InfluxServer,
  retention: Retention,
  signal: AbortSignal,
): Promise<void> {
  if (server.version === 1) await createPolicies(api, server, retention, signal);
  if (server.version === 2) await createBuckets(api, server, retention, signal);
}

export function daysOf(retention: Retention, tier: Tier): number {
  return { raw: retention.rawDays, minute: retention.minuteDays, hour: retention.hourDays }[tier];
}

const answerSchema = z.object({
  results: z.array(z.object({ error: z.string().optional() })),
});

async function createPolicies(
  api: InfluxApi,
  server: InfluxServer,
  retention: Retention,
  signal: AbortSignal,
): Promise<void> {
  const { database = "" } = server;
  const errorOf = async (text: string): Promise<string | undefined> =>
    answerSchema.parse(await api.query(database, text, signal)).results[0]?.error;
  const run = async (text: string): Promise<void> => {
    const error = await errorOf(text);
    if (error !== undefined) throw refused(api.place, error);
  };
  await run(`CREATE DATABASE ${quoted(database)}`);
  for (const tier of TIERS) {
    const policy = `RETENTION POLICY ${targetOf(server, tier)} ON ${quoted(database)}`;
    const kept = `DURATION ${daysOf(retention, tier)}d REPLICATION 1`;
    const conflict = await errorOf(`CREATE ${policy} ${kept}`);
    if (conflict !== undefined) await run(`ALTER ${policy} ${kept}`);
  }
  for (const tier of ["minute", "hour"] as const) {
    const { every, back } = LATE[tier];
    const name = `${targetOf(server, tier)} ON ${quoted(database)}`;
    const query = `CREATE CONTINUOUS QUERY ${name} RESAMPLE EVERY ${every} FOR ${back}
      BEGIN ${takeTogether(server, tier)} END`;
    const conflict = await errorOf(query);
    if (conflict === undefined) continue;
    await run(`DROP CONTINUOUS QUERY ${name}`);
    await run(query);
  }
}

/** InfluxQL that takes raw points together; `where` narrows it down when it is run by hand. */
export function takeTogether(server: InfluxServer, tier: "minute" | "hour", where = ""): string {
  const [from, into] = (["raw", tier] as const).map((each) => {
    return `${quoted(server.database ?? "")}.${targetOf(server, each)}`;
  });
  return `SELECT count(*), sum(*), min(*), max(*) INTO ${into}.:MEASUREMENT FROM ${from}./.*/
    ${where} GROUP BY time(${TAKEN_TOGETHER[tier]}), *`;
}

const orgSchema = z.object({ orgs: z.array(z.object({ id: z.string() })).min(1) });
const bucketsSchema = z.object({
  buckets: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
});
const tasksSchema = z.object({ tasks: z.array(z.object({ name: z.string() })).default([]) });

async function createBuckets(
  api: InfluxApi,
  server: InfluxServer,
  retention: Retention,
  signal: AbortSignal,
): Promise<void> {
  const { org = "" } = server;
  const get = (path: string): Promise<unknown> => api.ask("GET", path, null, signal);
  const found = await get(`/api/v2/orgs?${new URLSearchParams({ org })}`);
  if (found === null) throw refused(api.place, `there is no organisation ${org}`);
  const orgID = orgSchema.parse(found).orgs[0]?.id ?? "";
  for (const tier of TIERS) {
    const name = targetOf(server, tier);
    const there = await get(`/api/v2/buckets?${new URLSearchParams({ orgID, name })}`);
    if (there !== null && bucketsSchema.parse(there).buckets.length > 0) continue;
    const everySeconds = daysOf(retention, tier) * 86_400;
    const retentionRules = [{ type: "expire", everySeconds }];
    await api.ask("POST", "/api/v2/buckets", { orgID, name, retentionRules }, signal);
  }
  for (const tier of ["minute", "hour"] as const) {
    const name = targetOf(server, tier);
    const there = await get(`/api/v2/tasks?${new URLSearchParams({ orgID, name })}`);
    if (tasksSchema.parse(there ?? {}).tasks.length > 0) continue;
    const flux = taskOf(server, tier);
    await api.ask("POST", "/api/v2/tasks", { orgID, flux, status: "active" }, signal);
  }
}

/** A Flux task that writes what the continuous query of version 1 does, under the same names. */
function taskOf(server: InfluxServer, tier: "minute" | "hour"): string {
  const { every, back } = LATE[tier];
  const [from, into] = [targetOf(server, "raw"), targetOf(server, tier)].map((name) =>
    JSON.stringify(name),
  );
  const step = TAKEN_TOGETHER[tier];
  const totals = ["count", "sum", "min", "max"].map(
    (
      fn,
    ) => `points |> aggregateWindow(every: ${step}, fn: ${fn}, createEmpty: false, timeSrc: "_start")
  |> map(fn: (r) => ({r with _value: float(v: r._value), _field: "${fn}_" + r._field}))
  |> to(bucket: ${into})`,
  );
  return `option task = {name: ${into}, every: ${every}}
points = from(bucket: ${from}) |> range(start: -${back})
${totals.join("\n")}`;
}

/** An InfluxQL identifier. */
export function quoted(name: string): string {
  return `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function refused(place: string, why: string): PorchlightError {
  return new PorchlightError("influx.refused", `InfluxDB at ${place} refuses: ${why}`, {
    hint: "give the account the right to it, or set influx.manage to false and create it yourself",
  });
}
