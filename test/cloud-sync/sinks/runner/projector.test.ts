import * as assert from "uvu/assert";
import type { AnyProjection } from "../../../../cloud-sync/sinks/projection.ts";
import { createReadModels } from "../../../../cloud-sync/sinks/read-models/sink.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { Central, Device } from "../../../support/central.ts";
import { startFast } from "../../../support/engines.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { RunningSink } from "../../../support/running-sink.ts";
import { suite } from "../../../support/suite.ts";
import { until } from "../../../support/until.ts";

const projecting = suite("the projector");
const central = new Central(startFast);
/** As many as are written at once. */
const BATCH = 2_000;

function models(): AnyProjection {
  return createReadModels({ devicesOf: createLogOwners(central.database) });
}

async function settled(running: RunningSink): Promise<void> {
  const last = await central.log.lastPosition();
  await until("it is level", () => running.runner.stats().position === last);
}

async function append(door: Device, from: number, to: number): Promise<void> {
  for (let first = from; first <= to; first += 500) {
    await central.log.append([door.arrival(first, Math.min(first + 499, to))]);
  }
}

async function audited(): Promise<number> {
  return (await central.database.query("SELECT FROM porchlight_read.audit")).length;
}

if (needsPostgres()) {
  projecting.before.each(() => central.begin());
  projecting.after.each(() => central.end());
  projecting.after(() => central.stop());

  projecting("goes on where a full batch was the end of the log", async () => {
    const door = new Device(2 * BATCH + 7);
    await append(door, 1, BATCH);
    const running = new RunningSink(models(), central);
    await settled(running);
    await append(door, BATCH + 1, 2 * BATCH);
    await settled(running);
    await append(door, 2 * BATCH + 1, 2 * BATCH + 7);
    await settled(running);
    await running.stop();
    assert.is(await audited(), 2 * BATCH + 7);
  });

  projecting("gives way to a burst of ingest, and not for ever", async () => {
    const door = new Device(10);
    await central.log.append([door.arrival()]);
    const { database, log } = central;
    let busy = true;
    const running = new RunningSink(models(), { database, log, busy: () => busy });
    await new Promise((done) => setTimeout(done, 300));
    assert.is(running.runner.stats().written, 0);
    busy = false;
    await settled(running);
    await running.stop();
  });

  projecting("a cursor that was forgotten is no reason to write anything twice", async () => {
    const door = new Device(10);
    await central.log.append([door.arrival()]);
    const first = new RunningSink(models(), central);
    await settled(first);
    await first.stop();
    await createSinkControl(central.database).forget("postgres");
    const second = new RunningSink(models(), central);
    await settled(second);
    await until("it was built anew", async () => {
      const [state] = await createSinkControl(central.database).states();
      return state?.rebuild === null && state.lagEntries === 0;
    });
    await second.stop();
    assert.is(await audited(), 10);
  });
}

projecting.run();
