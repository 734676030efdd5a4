import * as assert from "uvu/assert";
import { AgentDevice, fasterClock } from "../../support/agent.ts";
import { arrivalPromises, arrived, drained, same } from "../../support/arrivals.ts";
import { RunningIngest } from "../../support/ingest.ts";
import { needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const arriving = suite("a log on its way to the centre, over Mosquitto into PostgreSQL");

if (needsMosquitto() && needsPostgres()) {
  const rig = arrivalPromises(arriving, startMosquitto);

  arriving("waits while PostgreSQL is away, and loses nothing by it", async () => {
    const { server, broker, log } = rig();
    const device = new AgentDevice(30_000);
    const ingest = new RunningIngest(log, broker);
    await ingest.service.transport.ready;
    device.start(broker);
    await arrived(log, 3_000);
    await server.kill();
    await until("it says so", () =>
      ingest.logged.lines.some((line) => line.includes("database.unreachable")),
    );
    await server.restart();
    await drained(device);
    await same(log, device);
    await device.remove();
    await ingest.stop();
  });

  arriving("outlasts a PostgreSQL that is away for longer than any ack may take", async () => {
    const { server, broker, database, log } = rig();
    // 20 s without an ack are over in one.
    const device = new AgentDevice(3_000, fasterClock(20));
    const ingest = new RunningIngest(log, broker);
    await ingest.service.transport.ready;
    device.start(broker);
    await drained(device);
    await server.kill();
    const silent = (): number =>
      device.reasons.filter((reason) => reason.includes("no answer from the centre")).length;
    await until("the agent has given up on three sessions, and begun again", () => {
      device.append(20);
      return silent() >= 3 && device.status?.state === "connected";
    });
    assert.ok(device.lag() > 100, "nothing was acknowledged meanwhile");
    await server.restart();
    await drained(device);
    await same(log, device);
    assert.is(device.status?.halted, null);
    assert.equal(await database.query("SELECT id FROM dead_letters"), []);
    await device.remove();
    await ingest.stop();
  });

  arriving("who publishes under another's topic is refused, and kept", async () => {
    const { broker, database, log } = rig();
    const [victim, thief] = [new AgentDevice(500), new AgentDevice(500)];
    const ingest = new RunningIngest(log, broker);
    await ingest.service.transport.ready;
    victim.start(broker);
    await drained(victim);
    await victim.stop();
    thief.start(broker, victim.id);
    await until("the thief gives up", () => thief.status?.halted != null);
    await same(log, victim);
    assert.is((await log.logs()).length, 1);
    const deadLetters = await database.query("SELECT reason FROM dead_letters");
    assert.match(JSON.stringify(deadLetters[0]), /opened by another device/);
    for (const device of [victim, thief]) await device.remove();
    await ingest.stop();
  });
}

arriving.run();
