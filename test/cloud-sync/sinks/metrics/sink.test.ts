import * as assert from "uvu/assert";
import { DAY_MS, type MetricsQuery } from "../../../../cloud-sync/sinks/metrics/query.ts";
import { createTimeSeries, type TimeSeries } from "../../../../cloud-sync/sinks/metrics/sink.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { Central, Device } from "../../../support/central.ts";
import { startServer } from "../../../support/engines.ts";
import { type Fact, logOf, visitLike } from "../../../support/links.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { rejects } from "../../../support/rejects.ts";
import { suite } from "../../../support/suite.ts";

const series = suite("time series in PostgreSQL");
const central = new Central(startServer);
const unaborted = new AbortController().signal;

const RETENTION = { rawDays: 30, minuteDays: 180, hourDays: 1_825 };
const HOUR_MS = 3_600_000;
/** The beginning of an hour, lately. */
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 6 * HOUR_MS;
let nowMs = HOUR;
let position = 0n;

function made(): TimeSeries {
  const devicesOf = createLogOwners(central.database);
  const clock = { now: () => nowMs };
  return createTimeSeries({ database: central.database, devicesOf, retention: RETENTION, clock });
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

async function written({ sink }: TimeSeries): Promise<void> {
  const batch = await central.log.readAfter(position, 10_000);
  const { rejected } = await sink.write(batch, unaborted);
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
    await all.sink.open(unaborted);
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
    await all.sink.maintain?.(unaborted);
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

  series("what comes late is taken in, and what comes twice counts once", async () => {
    const all = made();
    await all.sink.open(unaborted);
    const door = new Device(1);
    await append(door, [[HOUR + 1_000, 1]]);
    await written(all);
    await all.sink.maintain?.(unaborted);
    await append(door, [[HOUR + 2_000, 5]]);
    await written(all);
    await written(all);
    await all.sink.maintain?.(unaborted);
    nowMs = HOUR + 181 * DAY_MS;
    const [hour] = await all.query(asked(door.device));
    assert.equal(hour, { at: new Date(HOUR), count: 2, mean: 3, min: 1, max: 5 });
  });

  series(
    "each tier is kept for its time; a replay from the first entry brings all of it again",
    async () => {
      const all = made();
      await all.sink.open(unaborted);
      const door = new Device(1);
      await append(door, [
        [HOUR + 1_000, 1],
        [HOUR + 2_000, 3],
      ]);
      await written(all);
      nowMs = HOUR + 60 * DAY_MS;
      await all.sink.maintain?.(unaborted);
      const count = async (tier: string): Promise<unknown> =>
        (
          await central.database.query(`SELECT count(*)::int AS n FROM porchlight_metrics.${tier}`)
        )[0];
      assert.equal([await count("raw"), await count("minute")], [{ n: 0 }, { n: 1 }]);
      const before = await all.query(asked(door.device));
      position = (await central.log.readAfter(0n, 2)).at(-1)?.position ?? 0n;
      await written(all);
      await all.sink.maintain?.(unaborted);
      assert.equal(
        await all.query(asked(door.device)),
        before,
        "a part does not replace the whole",
      );
      await all.sink.reset?.();
      position = 0n;
      await written(all);
      await all.sink.maintain?.(unaborted);
      assert.equal(await all.query(asked(door.device)), before);
      nowMs = HOUR + 300 * DAY_MS;
      await all.sink.maintain?.(unaborted);
      assert.equal([await count("minute"), await count("hour")], [{ n: 0 }, { n: 1 }]);
      nowMs = HOUR + 2_600 * DAY_MS;
      await all.sink.maintain?.(unaborted);
      assert.equal(await count("hour"), { n: 0 });
    },
  );

  series("a device that does not know the time is put where its entries came in", async () => {
    const all = made();
    await all.sink.open(unaborted);
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
