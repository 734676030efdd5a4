/** What the way of a log to the centre promises, whoever's broker is between them. */
import * as assert from "uvu/assert";
import { type CentralLog, createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { AgentDevice } from "./agent.ts";
import { lines } from "./central.ts";
import { RunningIngest } from "./ingest.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import type { suite } from "./suite.ts";
import { until } from "./until.ts";

export interface TestBroker {
  readonly url: string;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again at the same address. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A broker and a database of each test. */
export interface Rig {
  readonly server: PostgresServer;
  readonly broker: TestBroker;
  readonly database: Database;
  readonly log: CentralLog;
}

/** Batches that a device sends again at once, where one was lost. */
const WINDOW = 8;

/** Adds these tests to a suite; gives what they, and more of them, have at hand. */
export function arrivalPromises(
  tests: ReturnType<typeof suite>,
  startBroker: () => Promise<TestBroker>,
): () => Rig {
  const rig = rigFor(tests, startBroker);

  tests("arrives byte for byte, and what is appended later as well", async () => {
    const { log, broker } = rig();
    const [device, ingest] = [new AgentDevice(20_000), new RunningIngest(log, broker)];
    await ingest.service.transport.ready;
    device.start(broker);
    await drained(device);
    await same(log, device);
    device.append(3);
    await drained(device);
    await same(log, device);
    await device.remove();
    await ingest.stop();
    assert.equal(ingest.logged.lines, []);
  });

  tests("several devices and two instances at once do not disturb each other", async () => {
    const { log, broker } = rig();
    const devices = [6_000, 9_000, 300].map((entries) => new AgentDevice(entries));
    const instances = [new RunningIngest(log, broker), new RunningIngest(log, broker, 3)];
    for (const { service } of instances) await service.transport.ready;
    for (const device of devices) device.start(broker);
    for (const device of devices) await drained(device);
    for (const device of devices) await same(log, device);
    for (const { service } of instances) {
      const { appendedEntries, duplicates } = service.ingest.stats();
      assert.ok(appendedEntries > 0, "both had their part");
      assert.ok(duplicates <= WINDOW, "and what one has taken did not go to the other");
    }
    for (const device of devices) await device.remove();
    for (const instance of instances) await instance.stop();
  });

  tests("goes on after the broker was killed, and after ingest was stopped", async () => {
    const { log, broker } = rig();
    const device = new AgentDevice(30_000);
    let ingest = new RunningIngest(log, broker);
    await ingest.service.transport.ready;
    device.start(broker);
    await arrived(log, 2_000);
    await broker.kill();
    await broker.restart();
    await arrived(log, 8_000);
    await ingest.stop();
    device.append(2_000);
    ingest = new RunningIngest(log, broker);
    await drained(device);
    await same(log, device);
    await device.remove();
    await ingest.stop();
  });

  return rig;
}

function rigFor(tests: ReturnType<typeof suite>, startBroker: () => Promise<TestBroker>) {
  let server: PostgresServer | undefined;
  let rig: Rig | undefined;
  const started = (): Rig => {
    if (rig === undefined) throw new Error("a test has its rig");
    return rig;
  };
  tests.before(async () => {
    server = await startPostgres();
  });
  tests.after(() => server?.stop());
  tests.before.each(async () => {
    if (server === undefined) throw new Error("the server is started first");
    const broker = await startBroker();
    const url = server.freshDatabase();
    const database = createDatabase({ url, logger: silentLogger, random: Math.random });
    const log = createCentralLog(database);
    await log.open();
    rig = { server, broker, database, log };
  });
  tests.after.each(async () => {
    await started().broker.stop();
    await started().database.close();
  });
  return started;
}

/** Whether the centre holds each log of the device, byte for byte. */
export async function same(log: CentralLog, device: AgentDevice): Promise<void> {
  for (const [id, expected] of device.logs()) {
    const held = await lines(log, id);
    assert.is(held.length, expected.length, "every entry is there");
    // Compared as one text: of thousands of lines nobody wants to read the difference.
    assert.ok(held.join("\n") === expected.join("\n"), "and byte for byte");
    assert.is((await log.verify(id, [])).fault, null);
  }
}

export function drained(device: AgentDevice): Promise<void> {
  return until("everything is acknowledged", () => device.lag() === 0, 90_000);
}

export function arrived(log: CentralLog, count: number): Promise<void> {
  return until(`${count} entries are there`, async () => {
    const heads = await log.logs().catch(() => []);
    return heads.reduce((sum, { seq }) => sum + seq, 0) >= count;
  });
}
