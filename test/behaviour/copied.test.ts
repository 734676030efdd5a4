import { randomUUID } from "node:crypto";
import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { loadConfig, storeOptions, syncStatusPath } from "../../edge/config.ts";
import { openStore, type Store } from "../../edge/open-store.ts";
import { readStatus } from "../../edge/sync/status-file.ts";
import { HALTED } from "../../edge/sync/uplink.ts";
import { systemClock } from "../../shared/clock.ts";
import { startSync } from "../support/agent-process.ts";
import { json, porchlight } from "../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../support/cloud.ts";
import { pressed, sampled } from "../support/facts.ts";
import { eventually } from "../support/ingest.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const copying = suite("two devices with one identity");
const folder = tempFolder("copied");
chmodSync(folder.path, 0o755);
const centreAt = ["--data", join(folder.path, "centre")];
let centre: CentreProcess;

copying.before(async () => {
  centre = await startCentre(centreAt);
});
copying.after(async () => {
  await centre.stop();
  folder.remove();
});

/** A door whose folder is this one. */
function door(name: string) {
  const data = join(folder.path, name);
  const config = loadConfig({ file: undefined, data, environment: {} });
  const run = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await porchlight([...words, "--data", data]);
    assert.is(code, 0, err);
    return out;
  };
  return {
    data,
    run,
    agent: () => porchlight(["sync", "run", "--until-acked", "--data", data]),
    exported: async () => (await run("log", "export", "--all")).trimEnd().split("\n"),
    /** Its store, to be written to as its daemon does. */
    store: () => openStore(storeOptions(config, {}, systemClock, randomUUID)),
    halted: () => readStatus(syncStatusPath(config))?.halted,
  };
}

/** What a centre says of one device. */
function centreOf(device: string, at: readonly string[], cloud: Record<string, string>) {
  const said = async (...words: string[]) => {
    const ran = await porchlightCloud([...words, ...at], cloud);
    assert.is(ran.code, 0, ran.err + ran.out);
    return ran;
  };
  return {
    add: (bundle: string) => said("devices", "add", device, "--out", bundle),
    exported: async () =>
      (await said("log", "export", "--device", device)).out.trimEnd().split("\n"),
    logs: async () =>
      json<{ log: string; frozenAt: string | null }[]>(
        await said("log", "list", "--device", device, "--json"),
      ),
    forks: async (log: string) =>
      json<{ seq: number; other: string }[]>(await said("log", "forks", log, "--json")),
    verify: () => said("log", "verify", "--device", device),
  };
}

/** A device that has joined. */
async function joined(name: string, at: readonly string[], cloud: Record<string, string> = {}) {
  const one = door(name);
  await one.run("init");
  const [opening = ""] = await one.exported();
  const device: string = JSON.parse(opening).data.device;
  const there = centreOf(device, at, cloud);
  const bundle = `${one.data}.bundle`;
  await there.add(bundle);
  await one.run("sync", "join", bundle);
  return { one, device, there };
}

copying("the second story is a fork, the first stays whole, and the copy can go on", async () => {
  const { one, there } = await joined("one", centreAt);
  const copy = door("copy");
  await one.run("ring");
  assert.is((await one.agent()).code, 0);
  cpSync(one.data, copy.data, { recursive: true });
  // Both ring in the same place: whoever comes second tells another story.
  for (const each of [one, copy]) await each.run("ring");
  assert.is((await one.agent()).code, 0);
  const stopped = await copy.agent();
  assert.is(stopped.code, 1, "it ends with what to do, and not with a crash");
  assert.match(stopped.err, "porchlight log renew");
  assert.match(centre.err(), "tells another story");

  const first = await one.exported();
  assert.equal(await there.exported(), first);
  await copy.run("log", "renew", "--yes");
  await copy.run("ring");
  const went = await copy.agent();
  assert.is(went.code, 0, went.err);
  const both = await there.exported();
  assert.equal(both.slice(0, first.length), first, "nothing of the first has changed");
  assert.is(both.at(-1), (await copy.exported()).at(-1));
  assert.is((await there.logs()).length, 2);
  await there.verify();
});

/** Entries that both copies have, and nothing of which the centre has seen. */
const COMMON = 3_000;
/** Lines of an agent whose sessions are ended by its copy's, again and again, until both stop. */
const LINES_MAX = 100;

function fill(store: Store, entries: number): void {
  for (let left = entries; left > 0; left -= 500) {
    store.append(Array.from({ length: Math.min(left, 500) }, (_, i) => sampled(i)));
  }
}

/** Both agents begin at the same moment, and each ends the other's session by its own. */
async function startedTogether(
  name: string,
  centreThere: CentreProcess,
  at: readonly string[],
  cloud: Record<string, string> = {},
): Promise<void> {
  const { one, device, there } = await joined(`${name}-one`, at, cloud);
  const copy = door(`${name}-copy`);
  const before = one.store();
  fill(before, COMMON);
  before.close();
  cpSync(one.data, copy.data, { recursive: true });
  const doors = [one, copy];
  const stores = doors.map((each) => each.store());
  const common = stores[0]?.log.head().seq ?? 0;
  const press = (): void => {
    for (const [i, store] of stores.entries()) store.append([pressed(`door-${i}`), sampled(i)]);
  };
  press();
  const agents = doors.map(({ data }) => startSync(["--data", data]));
  try {
    await eventually("the fork is found", async () =>
      (await there.logs().catch(() => [])).some(({ frozenAt }) => frozenAt !== null),
    );
    press();
    await eventually("neither goes on", () => doors.every(({ halted }) => halted() === "fork"));
    for (const { child, said } of agents) assert.is(child.exitCode, null, said());
  } finally {
    for (const each of agents) await each.stop();
  }

  const [stories, held, [log]] = await Promise.all([
    Promise.all(doors.map(({ exported }) => exported())),
    there.exported(),
    there.logs(),
  ]);
  assert.ok(held.length > common, "one of them got further than where they part");
  const first = stories.findIndex((story) => story[common] === held[common]);
  const whole = stories[first]?.slice(0, held.length) ?? [];
  // Compared as one text: of thousands of lines nobody wants to read the difference.
  assert.ok(held.join("\n") === whole.join("\n"), "all once and in order, and then one story");
  const [parted] = stores[1 - first]?.log.readAfter(common, 1) ?? [];
  const kept = await there.forks(log?.log ?? "");
  assert.ok(
    kept.some(({ seq, other }) => seq === common + 1 && other === parted?.hash),
    "and the other one beside it",
  );
  await there.verify();
  for (const [i, store] of stores.entries()) {
    assert.is(store.log.verify([]).fault, null);
    store.close();
    const lines = (agents[i]?.said() ?? "").trimEnd().split("\n");
    assert.is(agents[i]?.child.exitCode, 0, lines.join("\n"));
    assert.is(lines.filter((line) => line.includes(HALTED.fork)).length, 1, lines.join("\n"));
    assert.ok(lines.length < LINES_MAX, `${lines.length} lines`);
  }
  const told = centreThere
    .err()
    .split("\n")
    .filter((line) => line.includes(device));
  assert.is(told.filter((line) => line.includes("tells another story")).length, 1);
  assert.ok(told.length < LINES_MAX, `${told.length} lines`);
}

copying("started together, over a broker of our own: one story, and the other kept", async () => {
  await startedTogether("own", centre, centreAt);
});

if (needsMosquitto()) {
  copying("started together, over Mosquitto: one story, and the other kept", async () => {
    const broker = await startMosquitto();
    const at = ["--data", join(folder.path, "centre-mosquitto")];
    const cloud = { PORCHLIGHT_CLOUD_MQTT_URL: broker.url };
    const another = await startCentre(at, cloud);
    try {
      await startedTogether("mosquitto", another, at, cloud);
    } finally {
      await another.stop();
      await broker.stop();
    }
  });
}

copying.run();
