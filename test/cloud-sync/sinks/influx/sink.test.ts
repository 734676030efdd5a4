import * as assert from "uvu/assert";
import { createInflux, type InfluxOptions } from "../../../../cloud-sync/sinks/influx/sink.ts";
import { takeTogether } from "../../../../cloud-sync/sinks/influx/tiers.ts";
import { DAY_MS } from "../../../../cloud-sync/sinks/metrics/query.ts";
import { StoreBusy } from "../../../../cloud-sync/sinks/sink.ts";
import { ADMIN, type MetricsServer, needsInflux, startInflux } from "../../../support/influx.ts";
import { playAnswers } from "../../../support/recorded.ts";
import { rejects } from "../../../support/rejects.ts";

import { influxOptions, METRICS_DEVICE, samples } from "../../../support/samples.ts";
import { suite } from "../../../support/suite.ts";

const influx = suite("InfluxDB");
const recorded = suite("InfluxDB's answers, as recorded");

const HOUR_MS = 3_600_000;
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
const RETENTION = { rawDays: 30, minuteDays: 180, hourDays: 1_825 };
const unaborted = new AbortController().signal;
let nowMs = HOUR + 2 * HOUR_MS;

function options(more: Partial<InfluxOptions>): InfluxOptions {
  return influxOptions({ retention: RETENTION, clock: { now: () => nowMs }, ...more });
}

if (needsInflux()) {
  let server: MetricsServer | undefined;
  let databases = 0;
  const made = (more: Partial<InfluxOptions> = {}) => {
    const database = `home ${++databases}`;
    const all = options({ url: server?.url ?? "", database, ...ADMIN, ...more });
    return { ...createInflux(all), database, options: all };
  };
  const asked = {
    measurement: "telemetry",
    field: "faces",
    device: METRICS_DEVICE,
    everyMs: HOUR_MS,
  };
  const range = { from: new Date(HOUR), to: new Date(HOUR + 2 * HOUR_MS) };
  influx.before(async () => {
    server = await startInflux();
  });
  influx.before.each(() => {
    nowMs = HOUR + 2 * HOUR_MS;
  });
  influx.after(() => server?.stop());

  influx(
    "points are there, and a question is answered from the raw ones or the totals",
    async () => {
      const { sink, query, options: server1 } = made();
      await sink.open(unaborted);
      const batch = samples([HOUR + 1, 1], [HOUR + 1, 4], [HOUR + 61_000, 7], [HOUR + HOUR_MS, 10]);
      assert.equal(await sink.write(batch, unaborted), { rejected: [] });
      const expected = [
        { at: new Date(HOUR), count: 3, mean: 4, min: 1, max: 7 },
        { at: new Date(HOUR + HOUR_MS), count: 1, mean: 10, min: 10, max: 10 },
      ];
      assert.equal(await query({ ...asked, ...range }), expected);
      for (const tier of ["minute", "hour"] as const) {
        const where = `WHERE time >= ${HOUR}ms AND time < ${HOUR + 2 * HOUR_MS}ms`;
        await server?.query(takeTogether(server1, tier, where));
      }
      nowMs = HOUR + 31 * DAY_MS;
      assert.equal(await query({ ...asked, ...range }), expected);
      nowMs = HOUR + 181 * DAY_MS;
      assert.equal(await query({ ...asked, ...range }), expected);
      assert.equal(await query({ ...asked, ...range, field: "nothing" }), []);
    },
  );

  influx("retention and downsampling are made once, and follow the configuration", async () => {
    const first = made();
    await first.sink.open(unaborted);
    await first.sink.open(unaborted);
    const changed = { ...first.options, retention: { ...RETENTION, rawDays: 7 } };
    await createInflux(changed).sink.open(unaborted);
    const policies = JSON.stringify(
      await server?.query(`SHOW RETENTION POLICIES ON "${first.database}"`),
    );
    assert.match(policies, /"porchlight_raw","168h0m0s"/);
    assert.match(policies, /"porchlight_minute","4320h0m0s"/);
    assert.match(policies, /"porchlight_hour","43800h0m0s"/);
    const queries = JSON.stringify(await server?.query("SHOW CONTINUOUS QUERIES"));
    assert.is(queries.split(`ON \\"${first.database}\\" RESAMPLE`).length, 3);
  });

  influx("of a batch that is partly refused, only those are rejected that are wrong", async () => {
    const { sink, database, query } = made();
    await sink.open(unaborted);
    const account = `u=${ADMIN.username}&p=${ADMIN.password}`;
    const other = `/write?db=${encodeURIComponent(database)}&rp=porchlight_raw&${account}`;
    const text = `telemetry,device=${METRICS_DEVICE} odd="text" ${HOUR * 1_000_000}`;
    await fetch(`${server?.url}${other}`, { method: "POST", body: text });
    const good = Array.from({ length: 40 }, (_, i) => [HOUR + i, i] as const);
    const batch = samples(...good, [HOUR + 50, 1, "odd"], [HOUR + 51, 1, "a\nb"], [HOUR + 52, 2]);
    const { rejected } = await sink.write(batch, unaborted);
    assert.equal(rejected.map(({ position }) => position).sort(), [41n, 42n]);
    assert.ok(rejected.some(({ reason }) => reason.includes("field type conflict")));
    const [found] = await query({ ...asked, ...range });
    assert.is(found?.count, 41);
  });

  influx("what is past its time is passed over, and is no reason to stop", async () => {
    const { sink } = made();
    await sink.open(unaborted);
    const old = HOUR - 31 * DAY_MS;
    assert.equal(await sink.write(samples([old, 1]), unaborted), { rejected: [] });
    nowMs = old;
    assert.equal(await sink.write(samples([old, 1]), unaborted), { rejected: [] });
  });

  influx(
    "a wrong password and a database that is not there say what to do, and no secret",
    async () => {
      const wrong = await rejects(
        () => made({ password: "not-the-word" }).sink.open(unaborted),
        "influx.denied",
      );
      assert.match(wrong.hint ?? "", /influx\.username/);
      assert.not.match(`${wrong.message}${wrong.hint}${wrong.stack}`, "not-the-word");
      const { sink } = made({ manage: false });
      await rejects(() => sink.write(samples([HOUR, 1]), unaborted), "influx.missing");
    },
  );
}

recorded("a server that is busy is left alone for as long as it says", async () => {
  const answers = [
    { status: 429, headers: { "retry-after": "7" } },
    { status: 503 },
    { status: 500 },
  ];
  const server = await playAnswers(answers);
  const more = {
    url: server.url,
    version: 2,
    org: "o",
    bucket: "b",
    token: "t0k",
    manage: false,
  } as const;
  const { sink } = createInflux(options(more));
  const busy = await rejects(() => sink.write(samples([HOUR, 1]), unaborted), "sink.store.busy");
  assert.ok(busy instanceof StoreBusy && busy.afterMs === 7_000 && busy.remedy === "retry");
  await rejects(() => sink.write(samples([HOUR, 1]), unaborted), "sink.store.busy");
  await rejects(() => sink.write(samples([HOUR, 1]), unaborted), "influx.unreachable");
  const [request] = server.requests;
  assert.is(request?.path, "/api/v2/write?org=o&bucket=b&precision=ns");
  assert.is(request?.headers["authorization"], "Token t0k");
  await server.stop();
});

recorded("InfluxDB 2 names one line; the others are written again", async () => {
  const body = JSON.stringify({ code: "invalid", message: "unable to parse 'x'", line: 2 });
  const server = await playAnswers([{ status: 400, body }, { status: 204 }]);
  const more = {
    url: server.url,
    version: 2,
    org: "o",
    bucket: "b",
    token: "t",
    manage: false,
  } as const;
  const { sink } = createInflux(options(more));
  const { rejected } = await sink.write(samples([HOUR, 1], [HOUR, 2], [HOUR, 3]), unaborted);
  assert.equal(rejected, [{ position: 2n, reason: "unable to parse '…'" }]);
  assert.is(server.requests[1]?.body.split("\n").length, 2);
  await server.stop();
});

recorded(
  "InfluxDB 3 names each line that it refuses (its documentation; there is no server)",
  async () => {
    const data = [
      { original_line: "telemetry…", line_number: 1, error_message: "invalid column type" },
      { original_line: "telemetry…", line_number: 3, error_message: "invalid column type" },
    ];
    const error = "partial write of line protocol occurred";
    const body = JSON.stringify({ error, data });
    const server = await playAnswers([{ status: 400, body }, { status: 204 }]);
    const { sink } = createInflux(options({ url: server.url, version: 3, token: "apiv3_x" }));
    await sink.open(unaborted);
    const { rejected } = await sink.write(samples([HOUR, 1], [HOUR, 2], [HOUR, 3]), unaborted);
    assert.equal(
      rejected.map(({ position }) => position),
      [1n, 3n],
    );
    const [request] = server.requests;
    assert.is(request?.path, "/api/v3/write_lp?db=home&precision=nanosecond");
    assert.is(request?.headers["authorization"], "Bearer apiv3_x");
    await server.stop();
  },
);

influx.run();
recorded.run();
