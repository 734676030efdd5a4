import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createDevices } from "../../../cloud-sync/fleet/devices.ts";
import { createPresenceBook, listPresence } from "../../../cloud-sync/fleet/presence.ts";
import { watchDevices } from "../../../cloud-sync/fleet/revoke-sessions.ts";
import { mosquittoAcl } from "../../../cloud-sync/mqtt/topic-acl.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { Central } from "../../support/central.ts";
import { startOwn } from "../../support/engines.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const registering = suite("the devices of a centre");
const central = new Central(startOwn);
registering.before.each(() => central.begin());
registering.after.each(() => central.end());
registering.after(() => central.stop());

registering("each has a password of its own, which is stored nowhere", async () => {
  const devices = createDevices(central.database);
  const [a, b] = [randomUUID(), randomUUID()];
  const [passwordA, passwordB] = [await devices.add(a), await devices.add(b)];
  assert.is.not(passwordA, passwordB);
  for (let again = 0; again < 2; again++) assert.ok(await devices.verify(a, passwordA));
  for (const wrong of [passwordB, "", `${passwordA}x`]) assert.not(await devices.verify(a, wrong));
  assert.not(await devices.verify(randomUUID(), passwordA));
  assert.not(await devices.verify("' OR true --", passwordA));
  const rows = JSON.stringify(await central.database.query("SELECT * FROM devices"));
  assert.not(rows.includes(passwordA));
  assert.equal((await devices.list()).map(({ device }) => device).sort(), [a, b].sort());
});

registering("a new password ends the old one, and a revoked device stays out", async () => {
  const devices = createDevices(central.database);
  const id = randomUUID();
  const first = await devices.add(id);
  assert.ok(await devices.verify(id, first));
  await rejects(() => devices.add(id), "device.exists");
  const second = await devices.rotate(id);
  assert.is(await devices.verify(id, first), null);
  const [listed] = await devices.list();
  assert.equal(await devices.verify(id, second), listed?.changedAt);
  await devices.revoke(id);
  assert.not(await devices.verify(id, second));
  assert.instance((await devices.list())[0]?.revokedAt, Date);
  await rejects(() => devices.revoke(randomUUID()), "device.unknown");
  await rejects(() => devices.rotate(randomUUID()), "device.unknown");
  await rejects(() => devices.add("door"), "device.id");
});

registering("one that is revoked while its password is checked is not let in", async () => {
  const devices = createDevices(central.database);
  const [revoked, rotated] = [randomUUID(), randomUUID()];
  const passwords = [await devices.add(revoked), await devices.add(rotated)];
  // scrypt takes 50 ms: these are quicker.
  const checks = [revoked, rotated].map((id, i) => devices.verify(id, passwords[i] ?? ""));
  await devices.revoke(revoked);
  await central.database.query("UPDATE devices SET password_hash = sha256('x') WHERE device = $1", [
    rotated,
  ]);
  assert.equal(await Promise.all(checks), [null, null]);
  assert.not(devices.isKnown(revoked, passwords[0] ?? ""));
});

registering(
  "a status with a NUL, or of any length, is refused, and no other's is lost",
  async () => {
    const { logger, lines } = keepingLogger();
    const book = createPresenceBook({ database: central.database, now: Date.now, logger });
    const good = randomUUID();
    const send = (device: string, status: object): void =>
      book.hear(device, Buffer.from(JSON.stringify(status)));
    const state = "offline";
    for (const version of ["\u0000", "\u001b[31m", "\ud800", "\u202e", "x".repeat(65), 1, null]) {
      send(randomUUID(), { state, version });
    }
    send(good, { state, version: "1.2.3" });
    // What passes our schema and not the database's: its column is of another type here.
    await central.database.query("ALTER TABLE device_status ADD CHECK (version <> 'bad')");
    send(randomUUID(), { state, version: "bad" });
    const stop = new AbortController();
    const running = book.run(stop.signal);
    await until("the good one is there", async () => {
      return (await listPresence(central.database)).some(({ device }) => device === good);
    });
    await until("the other is counted", () => book.failures() === 8);
    stop.abort();
    await running;
    assert.is((await listPresence(central.database)).length, 1);
    assert.ok(lines.length > 0 && !lines.join("").includes("\u001b"));
  },
);

registering("a change by another process is noticed once", async () => {
  const devices = createDevices(central.database);
  const id = randomUUID();
  await devices.add(id);
  const ended: string[] = [];
  const stop = new AbortController();
  const disconnect = (device: string): void => void ended.push(device);
  const watching = watchDevices({ devices, disconnect, logger: silentLogger }, stop.signal);
  await until("it knows the device", () => ended.length === 1);
  await devices.revoke(id);
  await until("it has noticed", () => ended.length === 2);
  await sleep(1_500);
  assert.equal(ended, [id, id]);
  stop.abort();
  await watching;
});

registering("Mosquitto's file is what the rules say today", () => {
  assert.is(readFileSync("systemd/mosquitto.acl", "utf8"), mosquittoAcl());
});

registering.run();
