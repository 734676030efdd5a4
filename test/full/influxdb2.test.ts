/** InfluxDB 2 itself: the buckets and tasks that VictoriaMetrics has not. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import * as assert from "uvu/assert";
import { z } from "zod";
import { createInflux } from "../../cloud-sync/sinks/influx/sink.ts";
import { DAY_MS } from "../../cloud-sync/sinks/metrics/query.ts";
import { FULL_BUILD_REMEDY, INFLUXDB2 } from "../support/built.ts";
import { needs } from "../support/needs.ts";
import { freePort } from "../support/port.ts";
import { influxOptions, METRICS_DEVICE, samples } from "../support/samples.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { answers } from "../support/versitygw.ts";

const influx = suite("InfluxDB 2");

const TOKEN = "a-token-of-the-test";
const HOUR_MS = 3_600_000;
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
const unaborted = new AbortController().signal;
const tasksSchema = z.object({ tasks: z.array(z.object({ id: z.string(), name: z.string() })) });
const bucketsSchema = z.object({
  buckets: z.array(
    z.object({ name: z.string(), retentionRules: z.array(z.object({ everySeconds: z.int() })) }),
  ),
});
const runSchema = z.object({ id: z.string(), status: z.string() });

if (needs(existsSync(INFLUXDB2.program), "InfluxDB 2", FULL_BUILD_REMEDY)) {
  const temp = tempFolder("influxdb2");
  let server: ChildProcess | undefined;
  let url = "";
  const ask = async (method: string, path: string, value?: object): Promise<unknown> => {
    const headers = { authorization: `Token ${TOKEN}`, "content-type": "application/json" };
    const body = value === undefined ? {} : { body: JSON.stringify(value) };
    return (await fetch(`${url}${path}`, { method, headers, ...body })).json();
  };
  influx.before(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const files = [`--bolt-path=${temp.path}/bolt`, `--engine-path=${temp.path}/engine`];
    const quiet = [
      "--reporting-disabled",
      "--log-level=error",
      `--sqlite-path=${temp.path}/sqlite`,
    ];
    const listen = `--http-bind-address=127.0.0.1:${port}`;
    server = spawn(INFLUXDB2.program, [...files, ...quiet, listen], { stdio: "ignore" });
    const started = server;
    process.once("exit", () => started.kill("SIGKILL"));
    await answers(`${url}/health`, 60_000);
    const account = { username: "admin", password: "geheim-genug", token: TOKEN };
    await ask("POST", "/api/v2/setup", { ...account, org: "home", bucket: "first" });
  });
  influx.after(async () => {
    if (server !== undefined) {
      const ended = once(server, "exit");
      server.kill("SIGTERM");
      await ended;
    }
    temp.remove();
  });

  influx("buckets, tasks, points, totals and answers", async () => {
    let nowMs = HOUR + 2 * HOUR_MS;
    const account = { url, version: 2, org: "home", bucket: "porch", token: TOKEN } as const;
    const { sink, query } = createInflux(
      influxOptions({ ...account, clock: { now: () => nowMs } }),
    );
    await sink.open(unaborted);
    await sink.open(unaborted);
    const { buckets } = bucketsSchema.parse(await ask("GET", "/api/v2/buckets?org=home"));
    const kept = new Map(buckets.map((each) => [each.name, each.retentionRules[0]?.everySeconds]));
    const days = ["porch", "porch_minute", "porch_hour"].map(
      (name) => (kept.get(name) ?? 0) / 86_400,
    );
    assert.equal(days, [30, 180, 1_825]);

    const batch = samples([HOUR + 1, 1], [HOUR + 1, 4], [HOUR + 61_000, 7], [HOUR + HOUR_MS, 10]);
    assert.equal(await sink.write(batch, unaborted), { rejected: [] });
    assert.equal(await sink.write(batch, unaborted), { rejected: [] });
    const asked = { measurement: "telemetry", field: "faces", device: METRICS_DEVICE };
    const range = { from: new Date(HOUR), to: new Date(HOUR + 2 * HOUR_MS), everyMs: HOUR_MS };
    const expected = [
      { at: new Date(HOUR), count: 3, mean: 4, min: 1, max: 7 },
      { at: new Date(HOUR + HOUR_MS), count: 1, mean: 10, min: 10, max: 10 },
    ];
    assert.equal(await query({ ...asked, ...range }), expected);

    const { tasks } = tasksSchema.parse(await ask("GET", "/api/v2/tasks?org=home"));
    assert.equal(tasks.map(({ name }) => name).sort(), ["porch_hour", "porch_minute"]);
    for (const { id } of tasks) {
      const started = runSchema.parse(await ask("POST", `/api/v2/tasks/${id}/runs`, {}));
      await until("the task has run", async () => {
        // A run that has just ended is, for a moment, neither among those that go on nor logged.
        const run = runSchema.safeParse(await ask("GET", `/api/v2/tasks/${id}/runs/${started.id}`));
        assert.is.not(run.data?.status, "failed");
        return run.data?.status === "success";
      });
    }
    nowMs = HOUR + 31 * DAY_MS;
    assert.equal(await query({ ...asked, ...range }), expected);
    nowMs = HOUR + 181 * DAY_MS;
    assert.equal(await query({ ...asked, ...range }), expected);
  });

  influx("of a batch that is partly refused, only those are rejected that are wrong", async () => {
    const account = { url, version: 2, org: "home", bucket: "partly", token: TOKEN } as const;
    const { sink } = createInflux(influxOptions(account));
    await sink.open(unaborted);
    const text = `telemetry,device=${METRICS_DEVICE} odd="text" ${HOUR * 1_000_000}`;
    const headers = { authorization: `Token ${TOKEN}` };
    const init = { method: "POST", headers, body: text };
    assert.is((await fetch(`${url}/api/v2/write?org=home&bucket=partly`, init)).status, 204);
    const good = Array.from({ length: 20 }, (_, i) => [HOUR + i, i] as const);
    const batch = samples(...good, [HOUR + 50, 1, "odd"], [HOUR + 51, 2]);
    const { rejected } = await sink.write(batch, unaborted);
    assert.equal(
      rejected.map(({ position }) => position),
      [21n],
    );
  });
}

influx.run();
