import * as assert from "uvu/assert";
import { createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../../cloud-sync/postgres/database.ts";
import { silentLogger } from "../../../shared/logger.ts";
import { AgentDevice } from "../../support/agent.ts";
import { lines } from "../../support/central.ts";
import { eventually, RunningIngest } from "../../support/ingest.ts";
import { type Mosquitto, needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const arriving = suite("a log on its way to the centre, over Mosquitto into PostgreSQL");

let server: PostgresServer;
let broker: Mosquitto;
let database: Database;
let log: ReturnType<typeof createCentralLog>;

/** Whether the centre holds each log of the device, byte for byte. */
async function same(device: AgentDevice): Promise<void> {
  for (const [id, expected] of device.logs()) {
    const held = await lines(log, id);
    assert.is(held.length, expected.length, "every entry is there");
    // Compared as one text: of thousands of lines nobody wants to read the difference.
    assert.ok(held.join("\n") === expected.join("\n"), "and byte for byte");
    assert.is((await log.verify(id, [])).fault, null);
  }
}

const drained = (device: AgentDevice): Promise<void> =>
  eventually("everything is acknowledged", () => device.lag() === 0, 90_000);

const arrived = async (count: number): Promise<void> =>
  eventually(`${count} entries are there`, async () => {
    const heads = await log.logs().catch(() => []);
    return heads.reduce((sum, { seq }) => sum + seq, 0) >= count;
  });

if (needsMosquitto() && needsPostgres()) {
  arriving.before(async () => {
    server = await startPostgres();
  });
  arriving.after(() => server.stop());
  arriving.before.each(async () => {
    broker = await startMosquitto();
    database = createDatabase({
      url: server.freshDatabase(),
      logger: silentLogger,
      random: Math.random,
    });
    log = createCentralLog(database);
    await log.open();
  });
  arriving.after.each(async () => {
    await broker.stop();
    await database.close();
  });

  arriving("arrives byte for byte, and what is appended later as well", async () => {
    const [device, ingest] = [new AgentDevice(20_000), new RunningIngest(log, broker)];
    await ingest.service.source.ready;
    device.start(broker);
    await drained(device);
    await same(device);
    device.append(3);
    await drained(device);
    await same(device);
    await device.remove();
    await ingest.stop();
    assert.equal(ingest.logged.lines, []);
  });

  arriving("several devices and two instances at once do not disturb each other", async () => {
    const devices = [6_000, 9_000, 300].map((entries) => new AgentDevice(entries));
    const instances = [new RunningIngest(log, broker), new RunningIngest(log, broker, 3)];
    for (const { service } of instances) await service.source.ready;
    for (const device of devices) device.start(broker);
    for (const device of devices) await drained(device);
    for (const device of devices) await same(device);
    for (const { service } of instances) {
      assert.ok(service.ingest.figures().appendedEntries > 0, "both had their part");
    }
    for (const device of devices) await device.remove();
    for (const instance of instances) await instance.stop();
  });

  arriving("goes on after the broker was killed, and after ingest was stopped", async () => {
    const device = new AgentDevice(30_000);
    let ingest = new RunningIngest(log, broker);
    await ingest.service.source.ready;
    device.start(broker);
    await arrived(2_000);
    await broker.kill();
    await broker.restart();
    await arrived(8_000);
    await ingest.stop();
    device.append(2_000);
    ingest = new RunningIngest(log, broker);
    await drained(device);
    await same(device);
    await device.remove();
    await ingest.stop();
  });

  arriving("waits while PostgreSQL is away, and loses nothing by it", async () => {
    const device = new AgentDevice(30_000);
    const ingest = new RunningIngest(log, broker);
    await ingest.service.source.ready;
    device.start(broker);
    await arrived(3_000);
    await server.kill();
    await eventually("it says so", () =>
      ingest.logged.lines.some((line) => line.includes("database.unreachable")),
    );
    await server.restart();
    await drained(device);
    await same(device);
    await device.remove();
    await ingest.stop();
  });

  arriving("who publishes under another's topic is refused, and kept", async () => {
    const [victim, thief] = [new AgentDevice(500), new AgentDevice(500)];
    const ingest = new RunningIngest(log, broker);
    await ingest.service.source.ready;
    victim.start(broker);
    await drained(victim);
    await victim.stop();
    thief.start(broker, victim.id);
    await eventually("the thief gives up", () => thief.status?.halted != null);
    await same(victim);
    assert.is((await log.logs()).length, 1);
    const shelf = await database.query("SELECT reason FROM dead_letters");
    assert.match(JSON.stringify(shelf[0]), /opened by another device/);
    for (const device of [victim, thief]) await device.remove();
    await ingest.stop();
  });
}

arriving.run();
