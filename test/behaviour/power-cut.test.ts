import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { z } from "zod";
import { type Answer, createIngest } from "../../cloud-sync/ingest/ingest.ts";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { openLog } from "../../edge/log/open-log.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { encodeBatch } from "../../shared/protocol/batch.ts";
import { startAgent } from "../support/agent-process.ts";
import { Device } from "../support/central.ts";
import { CentreLink } from "../support/centre-link.ts";
import { storeProcess, writeOrder } from "../support/child.ts";
import { collect, porchlight, userEnvironment } from "../support/cli.ts";
import { deviceOf } from "../support/device.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { needsProgram } from "../support/needs.ts";
import { bundledPeople, writeScenes } from "../support/people.ts";
import { needsPostgres, PROGRAMS, startPostgres } from "../support/postgres.ts";
import { testStore } from "../support/store.ts";
import { subscribe } from "../support/subscriber.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { type Call, follow, readTrace, STRACE, toldTooEarly } from "../support/trace.ts";
import { until } from "../support/until.ts";
import { startFolderPlace } from "../support/upload-places.ts";
import { grantOf, statusOf, wishFor } from "../support/upload-promises.ts";

/**
 * What was told to somebody is on the disk: the kernel is asked, not the program. A power cut in
 * between would show it once in a thousand times; the order of the calls shows it always.
 */
const cutting = suite("a power cut");
const PROGRAM = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));
const BATCHES = 20;
const KILLS = 30;
const PRESSES = 10;
const folder = tempFolder("power-cut");
cutting.after(() => folder.remove());

const connect = (url: string): Database =>
  createDatabase({ url, logger: silentLogger, random: Math.random });

/** Gives a log to ingest entry by entry; resolves with the time of each ack. */
async function acknowledge(database: Database, count: number): Promise<number[]> {
  const log = createCentralLog(database);
  const heard: Answer[] = [];
  const told: number[] = [];
  const ingest = createIngest({
    log,
    answer(_, answer) {
      told.push(performance.timeOrigin + performance.now());
      heard.push(answer);
    },
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
  });
  const door = new Device(count);
  for (const [i, link] of door.links.entries()) {
    const { payload } = encodeBatch(door.at(i), [link]);
    await ingest.take(door.device, payload, new AbortController().signal);
    while (await ingest.commit());
  }
  assert.is(heard.filter((answer) => "ack" in answer).length, count);
  return told;
}

const COMMITTED = /COMMIT\\0/;
const WAL = /pg_wal/;

/** For each commit that a client was told of: whether the log had been synced since the one before. */
async function syncedCommits(settings: readonly string[]) {
  const server = await startPostgres(PROGRAMS, settings);
  const url = server.freshDatabase();
  const asked = connect(url);
  const log = createCentralLog(asked);
  await log.open();
  const rows = await asked.query(
    `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'
     UNION ALL SELECT pg_backend_pid()`,
  );
  const [writer, backend] = z.array(z.object({ pid: z.int() })).parse(rows);
  const status = readFileSync(`/proc/${backend?.pid}/status`, "utf8");
  const postmaster = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
  await asked.close();
  const output = join(folder.path, `trace-${settings.length}`);
  const end = await follow([postmaster, writer?.pid ?? 0], output);
  const database = connect(url);
  const told = await acknowledge(database, BATCHES);
  await database.close();
  await end();
  await server.stop();
  let syncedAtMs: number | null = null;
  const commits: { atMs: number; syncedAtMs: number | null }[] = [];
  for (const { name, text, atMs } of readTrace(output)) {
    if (/^f(data)?sync$/.test(name) && WAL.test(text)) syncedAtMs = atMs;
    if (!name.startsWith("send") || !COMMITTED.test(text)) continue;
    commits.push({ atMs, syncedAtMs });
    syncedAtMs = null;
  }
  return { told, commits };
}

const traces = needsProgram("strace", "strace");

cutting("an ack leaves only after PostgreSQL has its commit on the disk", async () => {
  if (!traces || !needsPostgres()) return;
  const { told, commits } = await syncedCommits([]);
  assert.is(commits.length, BATCHES, "one commit for each");
  for (const [i, { atMs, syncedAtMs }] of commits.entries()) {
    assert.ok(syncedAtMs !== null && syncedAtMs <= atMs, `commit ${i} was told before its sync`);
    // The two clocks are read by two processes: a millisecond is theirs.
    assert.ok(atMs <= (told[i] ?? 0) + 1, `ack ${i} left before its commit was told`);
  }
});

cutting("the test itself sees a server that does not wait for its disk", async () => {
  if (!traces || !needsPostgres()) return;
  const { commits } = await syncedCommits(["synchronous_commit=off"]);
  const unsynced = commits.filter(({ syncedAtMs }) => syncedAtMs === null);
  assert.ok(unsynced.length > BATCHES / 2, `${unsynced.length} of ${commits.length}`);
});

cutting("what the daemon reports is on the disk by then", async () => {
  if (!traces) return;
  const at = (name: string): string => join(folder.path, name);
  await writeScenes((await bundledPeople()).slice(0, 2), at("scenes"), 4);
  const camera = `{kind: files, name: door, paths: [${at("scenes")}], everyFrame: true}`;
  writeFileSync(at("porchlight.yaml"), `data: ${at("data")}\ncamera: ${camera}\n`);
  assert.is((await porchlight(["init", "--config", at("porchlight.yaml")])).code, 0);
  const args = [...STRACE, "-o", at("daemon"), process.execPath, PROGRAM];
  const child = spawn("strace", [...args, "start", "--config", at("porchlight.yaml")], {
    env: userEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ran = await collect(child);
  assert.is(ran.code, 0, ran.err);
  const calls = readTrace(at("daemon"));
  const reports = ({ name, text }: { name: string; text: string }): boolean =>
    /^writev?$/.test(name) && text.startsWith("(1<") && text.includes('\\"seq\\":');
  assert.ok(calls.some(reports), "it has reported something");
  const file = /log\.db-wal/;
  assert.equal(toldTooEarly(calls, file, reports), []);
  const never = calls.filter(({ name }) => !name.endsWith("sync"));
  assert.ok(toldTooEarly(never, file, reports).length > 0, "without a sync this test fails");
});

/**
 * An agent and somebody who rings, both followed. Each press is told and acknowledged before the
 * next: so all that is sent is of entries that were written before.
 */
async function rungAndSent(trace: string) {
  const store = testStore();
  const { reader, database, close } = openLog(store.options);
  const device = deviceOf(reader);
  const broker = await startMosquitto();
  const centre = new CentreLink(broker.url);
  const subscriber = await subscribe(broker.url);
  const agent = startAgent(store, device, broker.url);
  const writer = storeProcess("press", writeOrder(store, "live"));
  await writer.ready;
  writer.go();
  await until("the agent is connected", () => agent.said().includes("connected to the centre"));
  const agentPid = agent.child.pid ?? 0;
  const end = await follow([writer.process.pid ?? 0, agentPid], trace);
  const acked = createAckedStore(database, UNSIGNED_SITE);
  for (let press = 1; press <= PRESSES; press++) {
    writer.go();
    await until("it was told at once", () => subscriber.heard.length === press);
    await until("it is acknowledged", () => acked.read()?.cursor.seq === reader.head().seq);
  }
  await until("its status says so", () => centre.acked === reader.head().seq);
  await end();
  writer.finish();
  await writer.ended;
  await agent.stop();
  subscriber.close();
  centre.client.end(true);
  await broker.stop();
  close();
  store.remove();
  const published = (channels: string) => {
    const topic = new RegExp(`porchlight/v1/${device}/(${channels})`);
    return ({ name, text }: Call): boolean => /^writev?$/.test(name) && topic.test(text);
  };
  return { calls: readTrace(trace), agentPid, published };
}

cutting("what the agent sends is on the disk by then, and it opens no database", async () => {
  if (!traces || !needsMosquitto()) return;
  const { calls, agentPid, published } = await rungAndSent(join(folder.path, "agent"));
  const log = /log\.db-wal/;
  const sent = published("log|ring");
  const count = (told: (call: Call) => boolean): number => calls.filter(told).length;
  assert.ok(count(published("log")) >= PRESSES, "each press was in a batch");
  assert.ok(count(published("ring")) >= PRESSES, "and told at once");
  assert.equal(toldTooEarly(calls, log, sent), [], "by whoever wrote it");
  const own = calls.filter(({ pid }) => pid === agentPid);
  assert.ok(own.length > 0, "it was followed");
  assert.equal(
    own.filter(({ text }) => /\.db/.test(text)),
    [],
  );
  const unsynced = calls.filter(({ name }) => !name.endsWith("sync"));
  assert.ok(toldTooEarly(unsynced, log, sent).length >= PRESSES, "or this test would fail");
});

cutting("an object is said to be there when its bytes and its name are on the disk", async () => {
  if (!traces) return;
  const place = await startFolderPlace();
  const trace = join(folder.path, "upload");
  const content = randomBytes(300_000);
  const wish = wishFor(content);
  const grant = await grantOf(place, wish);
  const end = await follow([process.pid], trace);
  assert.is(await statusOf(grant, content), 201);
  await end();
  await place.stop();
  const calls = readTrace(trace);
  const said = calls.findIndex(({ text }) => text.includes("HTTP/1.1 201"));
  const synced = calls.slice(0, said).filter(({ name }) => name.endsWith("sync"));
  const paths = synced.map(({ text }) => /<([^>]*)>/.exec(text)?.[1] ?? "");
  const bytes = paths.findIndex((path) => path.startsWith(join(place.folder, wish.key)));
  assert.ok(said > 0 && bytes !== -1, "its bytes");
  const name = dirname(join(place.folder, wish.key));
  assert.ok(paths.slice(bytes).includes(name), "then its name");
});

cutting("what was acknowledged is there after kill -9 of the server, thirty times", async () => {
  if (!needsPostgres()) return;
  const server = await startPostgres();
  const url = server.freshDatabase();
  const opening = connect(url);
  await createCentralLog(opening).open();
  await opening.close();
  for (let kill = 0; kill < KILLS; kill++) {
    const database = connect(url);
    await acknowledge(database, 3);
    await server.kill();
    await database.close();
    await server.restart();
    const again = connect(url);
    const log = createCentralLog(again);
    const logs = await log.logs();
    assert.is(logs.length, kill + 1);
    assert.ok(
      logs.every(({ seq }) => seq === 3),
      "each up to its last ack",
    );
    await again.close();
  }
  const last = connect(url);
  const log = createCentralLog(last);
  for (const each of await log.logs()) assert.is((await log.verify(each.log, [])).fault, null);
  await last.close();
  await server.stop();
});

chmodSync(folder.path, 0o755);
cutting.run();
