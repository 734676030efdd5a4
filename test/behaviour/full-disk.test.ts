import { type ChildProcess, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { openLog } from "../../edge/log/open-log.ts";
import { RESERVE_BYTES } from "../../edge/sqlite/disk-reserve.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { startAgent } from "../support/agent-process.ts";
import { CentreLink } from "../support/centre-link.ts";
import { json, porchlight, startDaemon } from "../support/cli.ts";
import { deviceOf } from "../support/device.ts";
import { enrolled, erased, pressed, sampled, visit } from "../support/facts.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { bundledPeople, writeScenes } from "../support/people.ts";
import { rejects } from "../support/rejects.ts";
import { type SmallDisk, smallDisk } from "../support/small-disk.ts";
import { type TestStore, testStore } from "../support/store.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

const full = suite("a full disk");
const VISIT = "9d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c22";
/** What a test has opened, the last first. */
const opened: (() => unknown)[] = [];
full.after.each(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A store on a disk of its own, which is gone with the test. */
function storeOn({ path }: SmallDisk): TestStore {
  const at = testStore(systemClock, () => "synced", { path, remove: () => undefined });
  opened.push(at.remove);
  return at;
}

function diskOf(sizeMiB: number): SmallDisk | null {
  const disk = smallDisk(sizeMiB);
  if (disk !== null) opened.push(disk.remove);
  return disk;
}

full(
  "takes presses and visits into its reserve, no telemetry, and recovers by itself",
  async () => {
    const disk = diskOf(96);
    if (disk === null) return;
    const at = storeOn(disk);
    at.store.append([sampled(1)]);
    assert.ok(at.store.reserve.restore());
    disk.fill();
    await rejects(() => {
      for (let i = 0; i < 2_000; i++) at.store.append([sampled(i)]);
    }, "disk.full");
    assert.ok(existsSync(join(disk.path, "reserve")), "telemetry does not cost the reserve");
    const before = at.store.log.head().seq;
    for (let i = 0; i < 50; i++) at.store.append([pressed(), ...visit(VISIT, null)]);
    assert.not(existsSync(join(disk.path, "reserve")));
    assert.ok(at.store.reserve.full());
    assert.is(at.store.log.head().seq, before + 200);
    assert.not(at.store.reserve.restore());
    disk.free();
    assert.ok(at.store.reserve.restore());
    assert.not(at.store.reserve.full());
    at.store.append([sampled(2)]);
    assert.is(at.store.log.verify([]).fault, null);
    assert.equal(at.store.followed(), at.store.log.head());
    at.remove();
  },
);

full("is survived for as long as something may be given up: the store lives on its pages", () => {
  const disk = diskOf(96);
  if (disk === null) return;
  const at = storeOn(disk);
  at.store.reserve.restore();
  const metrics = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`figure${i}`, i / 7]));
  const telemetry = Array.from({ length: 500 }, () => ({ ...sampled(0), data: { metrics } }));
  for (let i = 0; i < 60; i++) at.store.append(telemetry);
  disk.fill();
  const policy = { maxMiB: 512, maxDays: 10_000, shed: ["telemetry", "media"] } as const;
  for (let i = 0; i < 3_000; i++) {
    at.store.append([pressed(), ...visit(VISIT, null)]);
    // What the daemon's housekeeping does, every few seconds.
    if (i % 20 !== 0 || !at.store.reserve.full()) continue;
    while (at.store.retention.step(policy, RESERVE_BYTES / 4) === "shed");
    disk.fill();
  }
  assert.ok(at.store.reserve.full(), "there was never room again");
  assert.is(at.store.log.verify([]).fault, null);
  assert.is(
    at.store.log.readAfter(0, 100_000).filter(({ body }) => body === null).length > 0,
    true,
  );
  at.remove();
});

full("lets a store be opened that was closed in peace", async () => {
  const disk = diskOf(96);
  if (disk === null) return;
  const at = storeOn(disk);
  at.store.reserve.restore();
  at.store.close();
  disk.fill();
  at.reopen().append([pressed()]);
  assert.is(at.store.log.verify([]).fault, null);
  at.remove();
});

if (needsMosquitto()) {
  full("does not end the agent: what it cannot write down it is told again", async () => {
    const disk = diskOf(64);
    if (disk === null) return;
    const at = storeOn(disk);
    const { reader, database, close } = openLog(at.options);
    opened.push(close);
    const broker = await startMosquitto();
    opened.push(broker.stop);
    const link = new CentreLink(broker.url);
    opened.push(() => link.client.end(true));
    await until("the centre listens", () => link.client.connected);
    at.store.append(Array.from({ length: 500 }, (_, i) => sampled(i)));
    const device = deviceOf(reader);
    const agent = startAgent(at, device, broker.url);
    opened.push(agent.stop);
    const { log } = at.store.log.head();
    const held = (): number => link.centre.head(log).seq;
    await until("the first are there", () => held() === 501);
    // What log.db and its write-ahead log still hold is filled as well.
    disk.fill();
    try {
      for (let i = 0; i < 20_000; i++) at.store.log.append([pressed()]);
    } catch {
      // now nothing fits any more
    }
    await until("it goes on", () => held() === reader.head().seq);
    assert.is(agent.child.exitCode, null);
    const acked = createAckedStore(database, UNSIGNED_SITE);
    disk.free();
    at.store.append([pressed()]);
    await until("it is written down again", () => acked.read()?.cursor.seq === reader.head().seq);
    const lines = at.store.log.readAfter(0, 100_000).map(({ body }) => body);
    assert.equal(link.centre.lines(log), lines, "everything once, in order");
    assert.is(agent.child.exitCode, null);
  });
}

/** One press, as the kernel would say it. */
function press(fifo: string): void {
  const event = Buffer.alloc(24);
  event.writeUInt16LE(1, 16);
  event.writeUInt16LE(28, 18);
  event.writeInt32LE(1, 20);
  const file = openSync(fifo, "w");
  writeSync(file, event);
  closeSync(file);
}

/** The daemon at work, and what it says. */
function watched(child: ChildProcess) {
  const events: { event: string; seq: number | null }[] = [];
  let err = "";
  if (child.stdout === null) throw new Error("it has an output");
  createInterface({ input: child.stdout }).on("line", (line) => void events.push(JSON.parse(line)));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  return { events, err: () => err, ended: once(child, "close") };
}

full("does not end the daemon: it goes on watching, says so, and is well again after", async () => {
  const disk = diskOf(128);
  if (disk === null) return;
  const folder = tempFolder("full-disk");
  opened.push(folder.remove);
  const scenes = join(folder.path, "scenes");
  await writeScenes((await bundledPeople()).slice(0, 1), scenes, 4);
  const fifo = join(folder.path, "button");
  spawnSync("mkfifo", [fifo]);
  const config = join(folder.path, "porchlight.yaml");
  writeFileSync(
    config,
    `data: ${disk.path}/data\nmodels: {threads: 1}\nbutton: {device: ${fifo}}\n` +
      `camera: {kind: files, name: door, paths: [${scenes}], loop: true, framesPerSecond: 5}\n` +
      "recognition: {absentMs: 400, decideAfterMs: 300}\ntelemetry: {intervalS: 1}\n",
  );
  const at = ["--config", config];
  const { code, err } = await porchlight(["init", ...at]);
  assert.is(code, 0, err);
  const child = startDaemon(at);
  const said = watched(child);
  opened.push(async () => {
    child.kill("SIGKILL");
    await said.ended;
  });
  const reserve = join(disk.path, "data/reserve");
  const count = (event: string): number =>
    said.events.filter((each) => each.event === event).length;
  const presses = async (wanted: number): Promise<void> => {
    while (count("button.pressed") < wanted) {
      press(fifo);
      await sleep(250);
    }
  };
  await until("the reserve is kept", () => existsSync(reserve), 30_000);
  await presses(1);
  disk.fill();
  const visits = count("visit.recognised");
  await until("the reserve is used", () => !existsSync(reserve), 60_000);
  await until("it says that the disk is full", () => said.err().includes("disk full"), 30_000);
  await presses(3);
  await until("visits go on", () => count("visit.recognised") > visits + 1, 90_000);
  const status = json<{ disk: { full: boolean } }>(await porchlight(["status", ...at, "--json"]));
  assert.ok(status.disk.full);
  disk.free();
  await until("disk space recovered", () => said.err().includes("disk space recovered"), 30_000);
  child.kill("SIGTERM");
  await said.ended;
  assert.is(child.exitCode, 0, said.err());
  const verified = json<{ fault: unknown }>(await porchlight(["log", "verify", ...at, "--json"]));
  assert.is(verified.fault, null);
  const { out } = await porchlight(["log", "tail", "--type", "button.pressed", ...at, "--json"]);
  const written = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).seq);
  const reported = said.events.filter(({ event }) => event === "button.pressed");
  assert.equal(
    reported.map(({ seq }) => seq),
    written,
    "each press that was reported is in the log",
  );
});

full("lets nobody say that a person is erased while their keys are there", () => {
  const disk = diskOf(48);
  if (disk === null) return;
  const seen = new Set<string>();
  for (let room = 4_096; room <= 196_608; room += 12_288) {
    const person = randomUUID();
    const folder = join(disk.path, `${room}`);
    const at = testStore(systemClock, () => "synced", { path: folder, remove: () => undefined });
    opened.push(() => at.store.close());
    at.store.append([enrolled(person, "Ana")]);
    const ballast = join(disk.path, `ballast-${room}`);
    writeFileSync(ballast, Buffer.alloc(room));
    disk.fill();
    unlinkSync(ballast);
    const before = at.store.log.head().seq;
    try {
      at.store.append([erased(person)]);
    } catch (error) {
      assert.ok(error instanceof PorchlightError && error.code === "disk.full");
    }
    at.store.erasing.finish(20);
    const { keyring, erasing, log } = at.store;
    if (erasing.isGone(person)) assert.not(keyring.holds(person));
    if (keyring.holds(person)) assert.not(erasing.isGone(person));
    seen.add(`${log.head().seq > before ? "logged" : "refused"} ${erasing.isGone(person)}`);
    disk.free();
    if (log.head().seq > before) {
      at.store.catchUp();
      assert.ok(at.store.erasing.finish(20) && erasing.isGone(person), "once there is room");
    }
  }
  assert.ok(seen.has("logged false"), [...seen].join());
});

full.run();
