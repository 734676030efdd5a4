import * as assert from "uvu/assert";
import { DAY_MS, type MetricsQuery } from "../../../../cloud-sync/sinks/metrics/query.ts";
import { createTimeSeries, type TimeSeries } from "../../../../cloud-sync/sinks/metrics/sink.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { Central, Device } from "../../../support/central.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { startServer } from "../../../support/engines.ts";
import { type Fact, logOf, visitLike } from "../../../support/links.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { rejects } from "../../../support/rejects.ts";
import { suite } from "../../../support/suite.ts";

const series = suite("time series in PostgreSQL");
const central = new Central(startServer);

const RETENTION = { rawDays: 30, minuteDays: 180, hourDays: 1_825 };
const HOUR_MS = 3_600_000;
/** The beginning of an hour, lately. */
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 6 * HOUR_MS;
let nowMs = HOUR;
let position = 0n;

function made(): TimeSeries & { readonly sink: DirectProjection } {
  const devicesOf = createLogOwners(central.database);
  const clock = { now: () => nowMs };
  const { database } = central;
  const series = createTimeSeries({ database, devicesOf, retention: RETENTION, clock });
  return { ...series, sink: new DirectProjection(database, series.projection) };
}

function sampled(at: number, faces: number): Fact {
  return {
    ...visitLike(0),
    at,
    data: { metrics: { faces } },
    subject: null,
    type: "telemetry.sampled",
  };
}

/** A device that appends these samples, [when, faces], after what it has. */
async function append(
  door: Device,
  samples: readonly (readonly [number, number])[],
): Promise<void> {
  const from = door.links.length + 1;
  const facts = samples.map(([at, faces]) => sampled(at, faces));
  door.links.push(...logOf(door.log, facts, door.links.at(-1)));
  await central.log.append([door.arrival(from === 2 ? 1 : from)]);
}

async function written({ sink }: { readonly sink: DirectProjection }): Promise<void> {
  const batch = await central.log.readAfter(position, 10_000);
  const { rejected } = await sink.write(batch);
  assert.equal(rejected, []);
}

function asked(device: string, more: Partial<MetricsQuery> = {}): MetricsQuery {
  const [from, to] = [new Date(HOUR), new Date(HOUR + 2 * HOUR_MS)];
  return { measurement: "telemetry", field: "faces", device, from, to, everyMs: HOUR_MS, ...more };
}

if (needsPostgres()) {
  series.before.each(async () => {
    nowMs = HOUR + 3 * HOUR_MS;
    position = 0n;
    await central.begin();
  });
  series.after.each(() => central.end());
  series.after(() => central.stop());

  series("the same answer by raw points, by the minute and by the hour", async () => {
    const all = made();
    await all.sink.open();
    const door = new Device(1);
    await append(door, [
      [HOUR + 1_000, 1],
      [HOUR + 2_000, 4],
      [HOUR + 61_000, 7],
      [HOUR + HOUR_MS, 10],
    ]);
    await written(all);
    const expected = [
      { at: new Date(HOUR), count: 3, mean: 4, min: 1, max: 7 },
      { at: new Date(HOUR + HOUR_MS), count: 1, mean: 10, min: 10, max: 10 },
    ];
    assert.equal(await all.query(asked(door.device)), expected);
    await all.sink.maintain();
    nowMs = HOUR + 31 * DAY_MS;
    assert.equal(await all.query(asked(door.device)), expected);
    nowMs = HOUR + 181 * DAY_MS;
    assert.equal(await all.query(asked(door.device)), expected);
    nowMs = HOUR + DAY_MS;
    const minutes = await all.query(asked(door.device, { everyMs: 60_000 }));
    assert.equal(
      minutes.map(({ count }) => count),
      [2, 1, 1],
    );
    const { device: _, ...everybody } = asked(door.device);
    assert.equal(await all.query(everybody), expected);
    assert.equal(await all.query(asked(door.device, { field: "nothing" })), []);
  });

  series("what comes late is added to what is there, whatever batches it comes in", async () => {
    const all = made();
    await all.sink.open();
    const door = new Device(1);
    const samples = [
      [HOUR + 1_000, 1],
      [HOUR + 2_000, 5],
      [HOUR + 62_000, -3],
      [HOUR + 3_000, 9],
    ] as const;
    for (const sample of samples) {
      const before = await central.log.lastPosition();
      await append(door, [sample]);
      position = before;
      await written(all);
    }
    const expected = { at: new Date(HOUR), count: 4, mean: 3, min: -3, max: 9 };
    assert.equal(await all.query(asked(door.device)), [expected]);
    const seconds = await all.query(asked(door.device, { everyMs: 1_000 }));
    assert.equal(
      seconds.map(({ at, mean }) => [at.getTime() - HOUR, mean]),
      [...samples].map(([at, faces]) => [at - HOUR, faces]).sort(([a = 0], [b = 0]) => a - b),
    );
    const minutes = await all.query(asked(door.device, { everyMs: 60_000 }));
    assert.equal(
      minutes.map(({ count, min, max }) => [count, min, max]),
      [
        [3, 1, 9],
        [1, -3, -3],
      ],
    );
  });

  series("each tier is kept for its time, and what is older is not written", async () => {
    const all = made();
    await all.sink.open();
    const count = async (tier: string): Promise<unknown> =>
      (
        await central.database.query(`SELECT count(*)::int AS n FROM porchlight_metrics.${tier}`)
      )[0];
    const counts = async () => [await count("raw"), await count("minute"), await count("hour")];
    const door = new Device(1);
    await append(door, [
      [HOUR + 1_000, 1],
      [HOUR + 2_000, 3],
    ]);
    await written(all);
    assert.equal(
      await counts(),
      [{ n: 1 }, { n: 1 }, { n: 2 }],
      "a first of its minute; an hour of all",
    );
    const before = await all.query(asked(door.device));
    for (const [days, left] of [
      [60, [0, 1, 2]],
      [300, [0, 0, 2]],
    ] as const) {
      nowMs = HOUR + days * DAY_MS;
      await all.sink.maintain();
      assert.equal(
        await counts(),
        left.map((n) => ({ n })),
      );
      assert.equal(await all.query(asked(door.device)), before);
      await all.sink.open();
      position = 0n;
      await written(all);
      assert.equal(
        await counts(),
        left.map((n) => ({ n })),
        "a replay writes the same",
      );
      assert.equal(await all.query(asked(door.device)), before);
    }
    nowMs = HOUR + 2_600 * DAY_MS;
    await all.sink.maintain();
    assert.equal(await count("hour"), { n: 0 });
  });

  series("no figure and no time of one device holds up another's, or fills the store", async () => {
    const all = made();
    nowMs = Date.now();
    await all.sink.open();
    const [hostile, door] = [new Device(1), new Device(1)];
    const now = Math.floor(nowMs / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
    await append(hostile, [
      [now, 1e308],
      [now + 1, 1e308],
      [now + 2, -1e16],
      ...Array.from({ length: 520 }, (_, i) => [now - i * 7 * DAY_MS, 1e15] as const),
    ]);
    await append(door, [[now, 7]]);
    const batch = await central.log.readAfter(0n, 10_000);
    const { rejected } = await all.sink.write(batch);
    assert.is(rejected.length, 3, "and the others are within what a double adds up");
    await all.sink.maintain();
    const partitions = await central.database.query(
      "SELECT FROM pg_class WHERE relispartition AND relkind = 'r' AND relname ~ '^(raw|minute|hour)_'",
    );
    assert.ok(partitions.length <= 20, `${partitions.length} partitions`);
    const [from, to] = [new Date(now), new Date(now + HOUR_MS)];
    const [own] = await all.query(asked(door.device, { from, to }));
    assert.equal([own?.count, own?.mean], [1, 7]);
    const { device: _, ...everybody } = asked(door.device, { from, to });
    assert.equal((await all.query(everybody))[0]?.count, 2);
  });

  series("hundreds of partitions are dropped, each by itself", async () => {
    const all = made();
    await all.sink.open();
    const weeks = `SELECT format('CREATE TABLE porchlight_metrics.raw_%s PARTITION OF
        porchlight_metrics.raw FOR VALUES FROM (%L) TO (%L)',
        to_char(week, 'YYYYMMDD'), week, week + interval '7 days') AS text
      FROM generate_series('2015-01-05Z'::timestamptz, '2016-12-19Z', '7 days') AS week`;
    for (const row of await central.database.query(weeks)) {
      await central.database.query(String(Object(row)["text"]));
    }
    await all.sink.maintain();
    const left = "SELECT FROM pg_inherits WHERE inhparent = 'porchlight_metrics.raw'::regclass";
    assert.equal(await central.database.query(left), []);
  });

  series("a device that does not know the time is put where its entries came in", async () => {
    const all = made();
    await all.sink.open();
    const door = new Device(1);
    door.links.push(...logOf(door.log, [{ ...sampled(0, 9), clock: "unsynced" }], door.links[0]));
    await central.log.append([door.arrival()]);
    await written(all);
    const to = new Date(Date.now() + HOUR_MS);
    const [only] = await all.query(asked(door.device, { to }));
    assert.is(only?.mean, 9);
  });

  series("a question without an answer is refused, with what is wrong about it", async () => {
    const all = made();
    const device = new Device(1).device;
    const wrong: Partial<MetricsQuery>[] = [
      { measurement: "telemetry; DROP" },
      { to: new Date(0) },
      { everyMs: 0 },
      { everyMs: 1 },
      { from: new Date(nowMs - 40 * DAY_MS), everyMs: 1_000_000 },
    ];
    for (const each of wrong) await rejects(() => all.query(asked(device, each)), "metrics.query");
    assert.equal(await createSinkControl(central.database).states(), []);
  });
}

series.run();
