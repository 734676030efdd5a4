/** What happens to a device around it: half a first start, a second daemon, a card that dies. */
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { collect, json, porchlight, startDaemon, userEnvironment } from "../support/cli.ts";
import { needs, needsProgram } from "../support/needs.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { smallDisk } from "../support/small-disk.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

const trouble = suite("a device in trouble");
const folder = tempFolder("trouble");
trouble.after(() => folder.remove());
const CLI = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));
/** Of the calls at which a first start is cut off, one of so many. */
const CUT_STEP = 6;
const PAGES_TRIED = 6;

async function ran(args: readonly string[]): Promise<string> {
  const { code, out, err } = await porchlight(args);
  assert.is(code, 0, err);
  return out;
}

/** No error is a stack trace, and each says what to type next. */
function isTold(err: string): void {
  assert.not.match(err, /^ {4}at /m, err);
  assert.match(err, /porchlight|ls -l|mount/, err);
}

if (needsProgram("strace", "strace")) {
  trouble("a first start that is killed at any sync is finished by the next one", async () => {
    const syncs = Number(
      await (async () => {
        const trace = join(folder.path, "trace");
        const data = join(folder.path, "whole");
        const args = ["-f", "-e", "trace=fsync,fdatasync", "-o", trace, process.execPath, CLI];
        spawnSync("strace", [...args, "init", "--data", data], { env: userEnvironment() });
        return readFileSync(trace, "utf8").match(/f(data)?sync\(/g)?.length ?? 0;
      })(),
    );
    assert.ok(syncs > 10, `${syncs} syncs`);
    let half = 0;
    for (let cut = 1 + (Date.now() % CUT_STEP); cut <= syncs; cut += CUT_STEP) {
      const data = join(folder.path, `cut-${cut}`);
      const inject = `inject=fsync,fdatasync:signal=SIGKILL:when=${cut}`;
      const args = ["-f", "-e", inject, "-o", "/dev/null", process.execPath, CLI];
      spawnSync("strace", [...args, "init", "--data", data], { env: userEnvironment() });
      const before = await porchlight(["status", "--data", data]);
      if (before.code !== 0) {
        half++;
        isTold(before.err);
      }
      await ran(["init", "--if-missing", "--data", data]);
      await ran(["status", "--data", data]);
      await ran(["log", "verify", "--data", data]);
      // A second time it has nothing to do.
      const { seq } = json<{ log: { seq: number } }>(
        await porchlight(["status", "--json", "--data", data]),
      ).log;
      assert.match(await ran(["init", "--if-missing", "--data", data]), "the store is there");
      assert.is(seq, 1);
    }
    assert.ok(half > 1, "some were cut half way");
  });
}

trouble("one daemon a store: the second is told of the first, and changes nothing", async () => {
  const at = (name: string): string => join(folder.path, name);
  await writeScenes((await bundledPeople()).slice(0, 1), at("scenes"), 2);
  const config = at("two.yaml");
  const camera = `{kind: files, name: door, paths: [${at("scenes")}], loop: true, framesPerSecond: 4}`;
  writeFileSync(config, `data: ${at("two")}\nmodels: {threads: 1}\ncamera: ${camera}\n`);
  await ran(["init", "--config", config]);
  const first = startDaemon(["--config", config]);
  first.stdout?.resume();
  let said = "";
  first.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await until("it watches", () => said.includes('"watching"'));
  const second = await collect(startDaemon(["--config", config]));
  assert.is(second.code, 1);
  assert.match(second.err, `the store is in use by the daemon (pid ${first.pid})`);
  assert.match(second.err, "systemctl status porchlight");
  const rebuild = await porchlight(["store", "rebuild", "--config", config]);
  assert.is(rebuild.code, 1);
  assert.match(rebuild.err, `pid ${first.pid}`);
  first.kill("SIGTERM");
  await until("it ends", () => first.exitCode !== null);
  const types = (await ran(["log", "export", "--config", config]))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).type);
  assert.is(types.filter((type) => type === "daemon.started").length, 1);
  await ran(["store", "rebuild", "--config", config]);
});

trouble("a button is watched also where there is no camera", async () => {
  const data = join(folder.path, "button");
  const device = join(folder.path, "button-events");
  spawnSync("mkfifo", [device]);
  const config = join(folder.path, "button.yaml");
  writeFileSync(config, `data: ${data}\nbutton: {device: ${device}, name: door}\n`);
  await ran(["init", "--config", config]);
  const daemon = startDaemon(["--config", config]);
  let out = "";
  daemon.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  daemon.stderr?.resume();
  const event = Buffer.alloc(24);
  event.writeUInt16LE(1, 16);
  event.writeUInt16LE(28, 18);
  event.writeInt32LE(1, 20);
  const pipe = openSync(device, "r+");
  await until("a press is heard", () => {
    writeSync(pipe, event);
    return out.includes("button.pressed");
  });
  closeSync(pipe);
  daemon.kill("SIGTERM");
  await until("it ends", () => daemon.exitCode !== null);
  assert.is(daemon.exitCode, 0);
});

trouble("a damaged vault is told, hides no log, and is made again from log and keys", async () => {
  const data = join(folder.path, "damaged");
  const photos = join(folder.path, "photos");
  const [one, two] = await bundledPeople();
  if (one === undefined || two === undefined) throw new Error("the bundled photos show people");
  writePhotos([one, two], photos);
  await ran(["init", "--data", data]);
  for (const { name } of [one, two])
    await ran(["enroll", name, join(photos, name), "--data", data]);
  const names = async (): Promise<string[]> =>
    json<{ name: string }[]>(await porchlight(["people", "list", "--json", "--data", data])).map(
      ({ name }) => name,
    );
  assert.is((await names()).length, 2);
  const whole = `${data}-whole`;
  cpSync(data, whole, { recursive: true });
  const vault = join(data, "vault", "vault.db");
  const { size } = statSync(vault);
  const noise = Buffer.alloc(4_000, 0x5a);
  let told = 0;
  let rebuilt = 0;
  // Some pages all over the file, each in a copy of its own.
  const pages = Math.floor(size / 4_096);
  for (let page = 1; page < pages; page += Math.ceil(pages / PAGES_TRIED)) {
    cpSync(whole, data, { recursive: true, force: true });
    const file = openSync(vault, "r+");
    writeSync(file, noise, 0, noise.length, page * 4_096);
    closeSync(file);
    for (const verb of ["people list"]) {
      const answer = await porchlight([...verb.split(" "), "--data", data]);
      if (answer.code === 0) continue;
      told++;
      isTold(answer.err);
    }
    if (page === 1) {
      const doctor = await porchlight(["doctor", "--data", data]);
      assert.match(doctor.out, /model pack/, "doctor goes on");
      isTold(doctor.err + doctor.out);
    }
    assert.ok((await ran(["log", "export", "--data", data])).split("\n").length > 4);
    const rebuild = await porchlight(["store", "rebuild", "--data", data]);
    if (rebuild.code !== 0) {
      isTold(rebuild.err);
      continue;
    }
    rebuilt++;
    assert.is((await porchlight(["people", "list", "--data", data])).code, 0);
  }
  assert.ok(told > 0, "some pages are needed");
  assert.ok(rebuilt > 2, `${rebuilt} were made again`);
  assert.is((await names()).length, 2, "with everybody whose keys could be read");
});

trouble("a card that is read-only can be looked at, and takes nothing", async () => {
  const disk = smallDisk(16);
  if (disk === null) return;
  const data = join(disk.path, "data");
  await ran(["init", "--data", data]);
  await ran(["ring", "--data", data]);
  const remounted = spawnSync("mount", ["-o", "remount,ro", disk.path]).status === 0;
  if (needs(remounted, "a read-only disk", "run as root")) {
    for (const verb of [
      "log verify",
      "log export",
      "log tail",
      "status",
      "visits list",
      "people list",
    ]) {
      const answer = await porchlight([...verb.split(" "), "--data", data]);
      assert.is(answer.code, 0, `${verb}: ${answer.err}`);
    }
    for (const verb of ["ring", "store rebuild", "log renew --yes"]) {
      const answer = await porchlight([...verb.split(" "), "--data", data]);
      assert.is(answer.code, 1, verb);
      isTold(answer.err);
    }
    const daemon = spawn(process.execPath, [CLI, "start", "--data", data], {
      env: userEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { code, err } = await collect(daemon);
    assert.is.not(code, 0);
    assert.not.match(err, /^ {4}at /m, err);
  }
  disk.remove();
});

trouble.run();
