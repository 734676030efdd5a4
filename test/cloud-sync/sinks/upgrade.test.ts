/** A centre that is updated: what its older version had made is served until this one's is level. */
import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { LOG_MIGRATIONS } from "../../../cloud-sync/log/event-log.ts";
import { migrate, migrateDown } from "../../../cloud-sync/postgres/migrate.ts";
import { listVisits } from "../../../cloud-sync/queries/visits.ts";
import { createSinks } from "../../../cloud-sync/sinks/registry.ts";
import { createSinkControl } from "../../../cloud-sync/sinks/runner/control.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { Central } from "../../support/central.ts";
import { startServer } from "../../support/engines.ts";
import { batchOf } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { RunningSink } from "../../support/running-sink.ts";
import { Story } from "../../support/story.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const upgrades = suite("a centre of the version before");
const central = new Central(startServer);

/** The tables of read models 2 and time series 1, as far as they are asked, with a row in each. */
const BEFORE = `CREATE SCHEMA porchlight_read;
CREATE TABLE porchlight_read.projection (version integer NOT NULL, position bigint NOT NULL);
INSERT INTO porchlight_read.projection VALUES (2, 40);
CREATE TABLE porchlight_read.visits (
  visit uuid PRIMARY KEY, device uuid NOT NULL, camera text, clock text, started_at timestamptz,
  received_at timestamptz, delay_ms bigint, started_position bigint, revision integer, outcome text,
  person uuid, score float8, margin float8, pack text, decided_at timestamptz,
  decided_position bigint, ended_at timestamptz, end_outcome text, reason text, duration_ms bigint,
  frames bigint, ended_position bigint);
INSERT INTO porchlight_read.visits (visit, device, camera, started_at)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'of before', now());
CREATE SCHEMA porchlight_metrics;
CREATE TABLE porchlight_metrics.projection (version integer NOT NULL, position bigint NOT NULL);
INSERT INTO porchlight_metrics.projection VALUES (1, 40);
CREATE TABLE porchlight_metrics.raw (
  measurement text NOT NULL, device uuid NOT NULL, at timestamptz NOT NULL, tags jsonb NOT NULL,
  fields jsonb NOT NULL, log uuid NOT NULL, seq bigint NOT NULL, PRIMARY KEY (log, seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE porchlight_metrics.raw_20200106 PARTITION OF porchlight_metrics.raw
  FOR VALUES FROM ('2020-01-06Z') TO ('2100-01-01Z');
CREATE TABLE porchlight_metrics.hour (
  measurement text NOT NULL, field text NOT NULL, device uuid NOT NULL, at timestamptz NOT NULL,
  count bigint NOT NULL, sum float8 NOT NULL, min float8 NOT NULL, max float8 NOT NULL,
  PRIMARY KEY (measurement, field, device, at)
) PARTITION BY RANGE (at);
CREATE TABLE porchlight_metrics.hour_20200101 PARTITION OF porchlight_metrics.hour
  FOR VALUES FROM ('2020-01-01Z') TO ('2100-01-01Z');
INSERT INTO porchlight_metrics.raw SELECT 'telemetry', gen_random_uuid(), now(), '{}',
  '{"faces": 7}', gen_random_uuid(), 1;
INSERT INTO porchlight_metrics.hour SELECT 'telemetry', 'faces', gen_random_uuid(),
  date_bin('1 hour', now(), 'epoch'), 2, 18, 7, 11;
INSERT INTO sink_cursors (sink, position, written) VALUES
  ('postgres', 40, 40), ('time-series', 40, 40), ('keyring', 40, 1);`;

if (needsPostgres()) {
  upgrades.before.each(() => central.begin());
  upgrades.after.each(() => central.end());
  upgrades.after(() => central.stop());

  upgrades("is migrated, serves what it had, and is swapped with nothing missing", async () => {
    const { database, log } = central;
    const story = new Story();
    const visit = randomUUID();
    story.fact("visit.linked", { person: story.erased, visit }, visit);
    await log.append([{ device: story.device, batch: batchOf(story.log, story.links) }]);
    await migrateDown(database, LOG_MIGRATIONS, 6);
    await database.query(BEFORE);
    const rejected = `INSERT INTO sink_rejects (sink, position, log, seq, reason)
      SELECT 'postgres', position, log, seq, 'then' FROM event_log WHERE seq < 3`;
    await database.query(rejected);
    await migrate(database, LOG_MIGRATIONS);
    const retention = { rawDays: 36_500, minuteDays: 36_500, hourDays: 36_500 };
    const config = { influx: { version: 2, manage: true }, metrics: { retention } } as const;
    const stores = createSinks({ config, database, clock: systemClock });
    const cameras = async () => (await listVisits(database, { limit: 9 })).map((v) => v.camera);
    const telemetry = async (everyMs: number) => {
      const asked = { measurement: "telemetry", field: "faces", everyMs };
      const [from, to] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 1_000)];
      return (await stores.queryMetrics({ ...asked, from, to })).map(({ count, max }) => [
        count,
        max,
      ]);
    };
    assert.equal(await cameras(), ["of before"]);
    assert.equal(await telemetry(3_600_000), [[2, 11]]);
    assert.equal(await telemetry(1_000), [[1, 7]]);
    const control = createSinkControl(database);
    const running = stores.projections.map((projection) => new RunningSink(projection, central));
    await until("everything was built anew", async () => {
      const states = await control.states();
      const level = states.every(({ lagEntries, rebuild }) => lagEntries === 0 && rebuild === null);
      return level && states.length === 3 && (await cameras()).length > 1;
    });
    assert.equal((await cameras()).sort(), ["door", "door"]);
    assert.equal(await telemetry(3_600_000), []);
    const reasons = await control.rejects("postgres", 0n, 10);
    assert.equal(
      reasons.filter(({ reason }) => reason === "then"),
      [],
      "rejects are this version's",
    );
    const erased = await database.query("SELECT FROM erased_subjects");
    assert.is(erased.length, 2, "the links of before are followed: a person and a visit");
    await until("what was served is dropped", async () => {
      const found = "SELECT FROM pg_namespace WHERE nspname ~ 'porchlight.*_(old|next)'";
      return (await database.query(found)).length === 0;
    });
    for (const each of running) await each.stop();
  });
}

upgrades.run();
