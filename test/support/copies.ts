/** Two devices with one identity, as a card that was copied makes them. */
import { randomUUID } from "node:crypto";
import { cpSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readStatus } from "../../edge/agent/status-file.ts";
import { loadConfig } from "../../edge/config/load.ts";
import { storeOptions } from "../../edge/config/options.ts";
import { syncStatusPath } from "../../edge/config/paths.ts";
import { openStore, type Store } from "../../edge/store/open-store.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { HALTED } from "../../shared/protocol/feed.ts";
import { startSync } from "./agent-process.ts";
import { json, porchlight } from "./cli.ts";
import { type CentreProcess, porchlightCloud } from "./cloud.ts";
import { pressed, sampled } from "./facts.ts";
import { until } from "./until.ts";

/** Entries that both copies have, and nothing of which the centre has seen. */
const COMMON = 3_000;
/** Lines of an agent whose sessions are ended by its copy's, again and again, until both stop. */
const LINES_MAX = 100;

/** Both agents begin at the same moment, and each ends the other's session by its own. */
export async function startedTogether(place: Place, centre: CentreProcess): Promise<void> {
  const { one, device, there } = await joined(place);
  const copy = door(`${one.data}-copy`);
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
    await until("the fork is found", async () =>
      (await there.logs().catch(() => [])).some(({ frozenAt }) => frozenAt !== null),
    );
    press();
    await until("neither goes on", () => doors.every(({ halted }) => halted() === "fork"));
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
  const told = centre
    .err()
    .split("\n")
    .filter((line) => line.includes(device));
  assert.is(told.filter((line) => line.includes("log fork detected")).length, 1);
  assert.ok(told.length < LINES_MAX, `${told.length} lines`);
}

function fill(store: Store, entries: number): void {
  for (let left = entries; left > 0; left -= 500) {
    store.append(Array.from({ length: Math.min(left, 500) }, (_, i) => sampled(i)));
  }
}

/** A door whose folder is this one. */
export function door(data: string) {
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

/** Where a device lies, and its centre. */
export interface Place {
  readonly folder: string;
  readonly name: string;
  /** Words and variables that name the centre. */
  readonly at: readonly string[];
  readonly cloud?: Record<string, string>;
}

/** A device that has joined. */
export async function joined({ folder, name, at, cloud = {} }: Place) {
  const one = door(join(folder, name));
  await one.run("init");
  const [opening = ""] = await one.exported();
  const device: string = JSON.parse(opening).data.device;
  const there = centreOf(device, at, cloud);
  const bundle = `${one.data}.bundle`;
  await there.add(bundle);
  await one.run("sync", "join", bundle);
  return { one, device, there };
}
