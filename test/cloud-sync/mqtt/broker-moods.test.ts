/** Brokers of others as they are: small packets, access rules with a hole, two sites on one. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type CentralLog, createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { CENTRE_USER, mosquittoAcl } from "../../../cloud-sync/mqtt/topic-acl.ts";
import { createDatabase } from "../../../cloud-sync/postgres/database.ts";
import { createPacketRoom } from "../../../edge/sync/packet-room.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { AgentDevice } from "../../support/agent.ts";
import { arrived, drained, same } from "../../support/arrivals.ts";
import { randomEmbedding, template } from "../../support/facts.ts";
import { RunningIngest } from "../../support/ingest.ts";
import { needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const moods = suite("a broker of others");
const SUBJECT = "0a0a0a0a-0000-4000-8000-00000000000a";

moods("of which nothing was answered is sent half as much, and more again when it answers", () => {
  const room = createPacketRoom();
  assert.is(room.bytes(null), 768 * 1024 - 160);
  assert.is(room.bytes(16_384), 16_384 - 160);
  room.failed(64 * 1024);
  assert.is(room.bytes(null), 32 * 1024);
  for (let i = 0; i < 9; i++) room.failed(64 * 1024);
  assert.is(room.bytes(null), 4 * 1024);
  room.answered();
  assert.is(room.bytes(null), 8 * 1024);
});

if (needsMosquitto() && needsPostgres()) {
  let server: PostgresServer;
  const opened: (() => Promise<void>)[] = [];
  moods.before(async () => {
    server = await startPostgres();
  });
  moods.after.each(async () => {
    for (const close of opened.splice(0)) await close();
  });
  moods.after(() => server.stop());

  async function newLog(): Promise<CentralLog> {
    const url = server.freshDatabase();
    const database = createDatabase({ url, logger: silentLogger, random: Math.random });
    opened.push(() => database.close());
    const log = createCentralLog(database);
    await log.open();
    return log;
  }

  for (const bytes of [131_072, 40_000, 16_384]) {
    moods(`that takes packets of ${bytes} bytes gets the whole log in one session`, async () => {
      const broker = await startMosquitto({ config: [`max_packet_size ${bytes}`] });
      const log = await newLog();
      const [device, ingest] = [new AgentDevice(0), new RunningIngest(log, broker)];
      // Of random bytes, which no compression makes shorter.
      for (let i = 0; i < 300; i++) {
        device.at.store.append([template(SUBJECT, randomEmbedding(Math.random, 512))]);
      }
      await ingest.service.transport.ready;
      device.start(broker);
      await drained(device);
      await same(log, device);
      assert.equal(device.reasons, []);
      await device.remove();
      await ingest.stop();
      await broker.stop();
    });
  }

  moods("that takes less than one entry is told of with both figures, and named", async () => {
    const broker = await startMosquitto({ config: ["max_packet_size 2000"] });
    const log = await newLog();
    const [device, ingest] = [new AgentDevice(0), new RunningIngest(log, broker)];
    device.at.store.append([template(SUBJECT, randomEmbedding(Math.random, 512))]);
    device.start(broker);
    await until("it says so", () => device.reasons.some((each) => each.includes("2000 bytes")));
    assert.match(
      device.reasons.join("\n"),
      /takes packets of 2000 bytes, and one entry needs \d{4}/,
    );
    await device.remove();
    await ingest.stop();
    await broker.stop();
  });

  for (const [who, hole] of [
    ["the device's log", /^pattern write .*\/log$/m],
    ["the centre's acks", /^topic write .*\/ack$/m],
  ] as const) {
    moods(`whose access rules lack ${who} is said to refuse them, with the topic`, async () => {
      const temp = tempFolder("acl");
      const log = await newLog();
      const device = new AgentDevice(10);
      const acl = join(temp.path, "acl");
      writeFileSync(acl, mosquittoAcl().replace(hole, ""), { mode: 0o600 });
      const users = { [device.id]: "device", [CENTRE_USER]: "centre" };
      const broker = await startMosquitto({ users, config: [`acl_file ${acl}`] });
      const account = { username: CENTRE_USER, password: "centre" };
      const ingest = new RunningIngest(log, { url: broker.url, ...account });
      const { transport } = ingest.service;
      await transport.ready;
      device.start({ url: broker.url, username: device.id, password: "device" });
      if (who === "the device's log") {
        const refusal = `refuses what is published on porchlight/v1/${device.id}/log (135`;
        await until("the device says so", () => device.reasons.some((r) => r.includes(refusal)));
      } else {
        await until("health knows", () => transport.problem() !== null);
        assert.match(
          transport.problem() ?? "",
          /refuses our answers on porchlight\/v1\/\+\/ack \(135/,
        );
        const told = ingest.logged.lines.filter((line) => line.includes("refuses our answers"));
        assert.is(told.length, 1, "once a minute");
      }
      await device.remove();
      await ingest.stop();
      await broker.stop();
      temp.remove();
    });
  }

  moods("with two sites on it gives each of them everything, once", async () => {
    const broker = await startMosquitto();
    const logs = [await newLog(), await newLog()];
    const sites = logs.map((log, i) => new RunningIngest(log, broker, 2, `site${i}`));
    for (const { service } of sites) await service.transport.ready;
    const device = new AgentDevice(3_000);
    device.start(broker);
    await drained(device);
    for (const log of logs) {
      await arrived(log, 3_000);
      await same(log, device);
    }
    await device.remove();
    for (const site of sites) await site.stop();
    await broker.stop();
  });
}

moods.run();
