import { randomUUID } from "node:crypto";
import { chmodSync, cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { loadConfig } from "../../edge/config/load.ts";
import { logOptions } from "../../edge/config/options.ts";
import { signingKeyPath } from "../../edge/config/paths.ts";
import { createAckedStore } from "../../edge/log/acked.ts";
import { openLog } from "../../edge/log/open-log.ts";
import { readAnswerVerifier } from "../../edge/vault/site-key.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { json, porchlight } from "../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../support/cloud.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const restoring = suite("a device that was restored from an old backup");
const folder = tempFolder("restored");
chmodSync(folder.path, 0o755);
const centreAt = ["--data", join(folder.path, "centre")];
let centre: CentreProcess;
let doors = 0;

restoring.before(async () => {
  centre = await startCentre(centreAt);
});
restoring.after(async () => {
  await centre.stop();
  folder.remove();
});

/** A device that has joined the centre, with three presses there and then. */
async function door() {
  const data = join(folder.path, `door-${++doors}`);
  const at = ["--data", data];
  const run = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await porchlight([...words, ...at]);
    assert.is(code, 0, err);
    return out;
  };
  const ring = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await run("ring");
  };
  await run("init");
  const device: string = JSON.parse((await run("log", "export")).split("\n")[0] ?? "").data.device;
  const bundle = `${data}.bundle`;
  const added = await porchlightCloud(["devices", "add", device, "--out", bundle, ...centreAt]);
  assert.is(added.code, 0, added.err);
  await run("sync", "join", bundle);
  await ring(3);
  await run("sync", "run", "--until-acked");
  return {
    at,
    data,
    device,
    run,
    ring,
    backUp: () => cpSync(data, `${data}.backup`, { recursive: true }),
    restore() {
      rmSync(data, { recursive: true });
      cpSync(`${data}.backup`, data, { recursive: true });
    },
    /** As its feed writes it down when it has heard what the centre says. */
    halt(reason: string): void {
      const config = loadConfig({ file: undefined, data, environment: {} });
      const { database, close } = openLog(logOptions(config, {}, systemClock, randomUUID));
      const site = readAnswerVerifier(signingKeyPath(config))?.site;
      assert.ok(site, "it has joined a site that signs");
      createAckedStore(database, site).halt(reason);
      close();
    },
    /** Runs the agent to where it stops; its exit code, and why. */
    agent: () => porchlight(["sync", "run", "--until-acked", ...at]),
    exported: async (): Promise<string[]> =>
      (await run("log", "export", "--all")).trimEnd().split("\n"),
    inCentre: async (): Promise<string[]> => {
      const ran = await porchlightCloud(["log", "export", "--device", device, ...centreAt]);
      return ran.out.trimEnd().split("\n");
    },
  };
}

type Log = { log: string; seq: number; frozenAt: string | null; parent: { seq: number } | null };
async function logsOf(device: string): Promise<Log[]> {
  const listed = await porchlightCloud(["log", "list", "--device", device, ...centreAt, "--json"]);
  return json<Log[]>(listed);
}

restoring(
  "forks its log: it is frozen, both branches are kept, and a new log goes on",
  async () => {
    const one = await door();
    one.backUp();
    await one.ring(2);
    await one.run("sync", "run", "--until-acked");
    const before = await one.inCentre();
    one.restore();
    await one.ring(1);
    const other = (await one.exported()).at(-1) ?? "";
    const stopped = await one.agent();
    assert.is(stopped.code, 1, stopped.err);
    assert.match(stopped.err, "porchlight log renew");
    assert.equal(await one.inCentre(), before, "nothing of what was there has changed");
    const [frozen] = await logsOf(one.device);
    assert.ok(frozen?.frozenAt);
    const forks = await porchlightCloud(["log", "forks", frozen.log, ...centreAt, "--json"]);
    const [fork] = json<{ seq: number }[]>(forks);
    assert.is(fork?.seq, JSON.parse(other).seq);
    await one.run("log", "renew", "--yes");
    await one.ring(2);
    const went = await one.agent();
    assert.is(went.code, 0, went.err);
    const [, next] = await logsOf(one.device);
    assert.is(next?.parent?.seq, 4, "it follows the last entry that both have had");
    const [here, there] = [await one.exported(), new Set(await one.inCentre())];
    assert.ok(here.length > 5);
    assert.equal(
      here.filter((line) => !there.has(line)),
      [],
    );
    const verified = await porchlightCloud(["log", "verify", "--device", one.device, ...centreAt]);
    assert.is(verified.code, 0, verified.out);
    assert.is((await porchlight(["log", "verify", ...one.at])).code, 0);
  },
);

restoring(
  "with nothing new in it begins a new log at once, and loses nothing the centre has",
  async () => {
    const one = await door();
    one.backUp();
    await one.ring(2);
    await one.run("sync", "run", "--until-acked");
    const before = await one.inCentre();
    one.restore();
    await one.run("log", "renew", "--yes");
    await one.ring(1);
    const went = await one.agent();
    assert.is(went.code, 0, went.err);
    const after = await one.inCentre();
    assert.equal(after.slice(0, before.length), before);
    assert.is(after.length, before.length + 2, "the opening of the new log, and a press");
    const [old] = await logsOf(one.device);
    assert.is(old?.frozenAt, null);
  },
);

restoring("and was told what its earlier life had sent, goes on all the same", async () => {
  const one = await door();
  one.backUp();
  await one.ring(2);
  await one.run("sync", "run", "--until-acked");
  const before = await one.inCentre();
  one.restore();
  await one.ring(1);
  // As after an ack of more than there is here.
  one.halt("behind");
  await one.run("log", "renew", "--yes");
  await one.ring(1);
  const went = await one.agent();
  assert.is(went.code, 0, went.err);
  assert.equal((await one.inCentre()).slice(0, before.length), before);
});

restoring("a vault that is read anew knows every life of the log", async () => {
  const one = await door();
  const photos = await porchlight(["people", "list", ...one.at, "--json"]);
  assert.equal(json<unknown[]>(photos), []);
  await one.run("log", "renew", "--yes");
  await one.ring(1);
  await one.run("store", "rebuild");
  assert.is((await porchlight(["log", "verify", ...one.at])).code, 0);
  const went = await one.agent();
  assert.is(went.code, 0, went.err);
  assert.equal(await one.exported(), await one.inCentre());
});

restoring.run();
