import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createDevices } from "../../../cloud-sync/fleet/devices.ts";
import { watchDevices } from "../../../cloud-sync/fleet/revoke-sessions.ts";
import { mosquittoAcl } from "../../../cloud-sync/mqtt/topic-acl.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { Central } from "../../support/central.ts";
import { startOwn } from "../../support/engines.ts";
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
