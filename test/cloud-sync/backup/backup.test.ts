/** The embedded centre backed up while it is written to, and made again as it was at a time. */
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { holeIn } from "../../../cloud-sync/backup/segments.ts";
import { createVessel } from "../../../cloud-sync/backup/vessel.ts";
import { createFolderStore } from "../../../cloud-sync/objects/folder.ts";
import { json, porchlight } from "../../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../../support/cloud.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const parts = suite("what a backup is made of");
const backups = suite("a backup of the embedded centre");
const folder = tempFolder("backup");

parts("is sealed under its name: no other name, key or byte opens it", async () => {
  const at = join(folder.path, "vessel");
  const [key, other] = [randomBytes(32), randomBytes(32)];
  const objects = createFolderStore({ folder: at, newId: () => "x" });
  const vessel = createVessel(objects, key);
  await vessel.open();
  const content = Buffer.from("a secret of somebody ".repeat(50));
  await vessel.put("backup/a", content);
  await vessel.put("backup/b", Buffer.alloc(0));
  assert.ok((await vessel.get("backup/a")).equals(content));
  assert.is((await vessel.get("backup/b")).length, 0);
  const file = join(at, "backup", "a");
  const bytes = readFileSync(file);
  assert.not(bytes.includes("secret of somebody"));
  copyFileSync(file, join(at, "backup", "c"));
  await rejects(() => vessel.get("backup/c"), "backup.damaged");
  await rejects(() => createVessel(objects, other).get("backup/a"), "backup.damaged");
  for (const place of [0, 5, 20, bytes.length - 1]) {
    const torn = Buffer.from(bytes);
    torn[place] = (torn[place] ?? 0) ^ 1;
    writeFileSync(file, torn);
    await rejects(() => vessel.get("backup/a"), "backup.damaged");
  }
  await rejects(() => vessel.get("backup/none"), "backup.missing");
});

parts("has a log without a hole, also where a segment begins another 4 GiB", () => {
  const first = "0000000100000000000000FE";
  const kept = ["FE", "FF"].map((part) => `0000000100000000000000${part}`);
  assert.is(holeIn(first, [...kept, "000000010000000100000000"]), null);
  assert.is(holeIn(first, [...kept, "000000010000000100000001"]), 256n);
  assert.is(holeIn(first, ["0000000100000000000000FF"]), 254n);
});

const data = join(folder.path, "centre");
const place = join(folder.path, "backups");
const variables = { PORCHLIGHT_CLOUD_BACKUP_FOLDER: place };
const door = ["--data", join(folder.path, "door")];
const cloud = (...words: string[]) => porchlightCloud([...words, "--data", data], variables);
let centre: CentreProcess;
let device = "";

async function ring(times: number): Promise<void> {
  for (let i = 0; i < times; i++) assert.is((await porchlight(["ring", ...door])).code, 0);
  assert.is((await porchlight(["sync", "run", "--until-acked", ...door])).code, 0);
}

async function entriesIn(centreData: string): Promise<number> {
  const words = ["log", "list", "--json", "--data", centreData];
  const [log] = json<{ seq: number }[]>(await porchlightCloud(words, variables));
  return log?.seq ?? 0;
}

backups.before(async () => {
  const unset = await porchlightCloud(["backup", "create", "--data", data]);
  assert.is(unset.code, 78);
  assert.match(unset.err, "backup.folder");
  centre = await startCentre(["--data", data], variables);
  assert.is((await porchlight(["init", ...door])).code, 0);
  const { out } = await porchlight(["log", "export", ...door]);
  device = JSON.parse(out.split("\n")[0] ?? "").data.device;
  const bundle = join(folder.path, "bundle");
  assert.is((await cloud("devices", "add", device, "--out", bundle)).code, 0);
  assert.is((await porchlight(["sync", "join", bundle, ...door])).code, 0);
});
backups.after(async () => {
  await centre.stop();
  folder.remove();
});

backups("taken while a door writes is restored as it was at a time, and to its end", async () => {
  await ring(1);
  const writing = ring(3);
  const made = await cloud("backup", "create", "--json");
  assert.is(made.code, 0, made.err);
  await writing;
  const before = await entriesIn(data);
  const at = new Date().toISOString();
  await sleep(1_500);
  await ring(2);
  const after = await entriesIn(data);
  assert.is(after, before + 2);
  // The second one closes the segment that has them; and the log that follows it is shipped.
  const second = await cloud("backup", "create", "--json");
  assert.is(second.code, 0, second.err);
  const verified = await cloud("backup", "verify", "--json");
  assert.is(verified.code, 0, verified.err);

  const key = { PORCHLIGHT_CLOUD_BACKUP_KEY: join(data, "keys/backup.key") };
  const restore = (name: string, ...more: string[]) => {
    const words = ["backup", "restore", "--yes", ...more, "--data", join(folder.path, name)];
    return porchlightCloud(words, { ...variables, ...key });
  };
  const [{ id } = { id: "" }] = json<{ id: string }[]>(await cloud("backup", "list", "--json"));
  const then = await restore("then", "--at", at);
  assert.is(then.code, 0, then.err);
  assert.is(await entriesIn(join(folder.path, "then")), before);
  const now = await restore("now", "--id", id);
  assert.is(now.code, 0, now.err);
  assert.is(await entriesIn(join(folder.path, "now")), after);
  const whole = await porchlightCloud(["log", "verify", "--data", join(folder.path, "now")]);
  assert.is(whole.code, 0, whole.err);
  for (const name of ["site.key", "signing.key", "backup.key"]) {
    assert.ok(existsSync(join(folder.path, "now/keys", name)), name);
  }
  const early = await restore("early", "--at", "2020-01-01T00:00:00Z");
  assert.is(early.code, 2);
  const full = await restore("now");
  assert.is(full.code, 1);
  assert.match(full.err, "is not empty");
  const late = await restore("late", "--at", new Date(Date.now() + 86_400_000).toISOString());
  assert.is(late.code, 1);
  assert.match(late.err, "backup list");
  assert.equal(readdirSync(join(folder.path, "late")), [], "nothing half is left");
});

backups("that lacks or changes anything is told", async () => {
  const bases = readdirSync(join(place, "backup/base")).sort();
  const part = join(place, "backup/base", bases.at(-1) ?? "", "part-000001");
  const whole = readFileSync(part);
  writeFileSync(part, whole.subarray(0, -1));
  const torn = await cloud("backup", "verify");
  assert.is(torn.code, 1);
  assert.match(torn.err, "part-000001");
  rmSync(part);
  assert.match((await cloud("backup", "verify")).err, "is not in");
  writeFileSync(part, whole);
  const wal = join(place, "backup/wal");
  const listed = json<{ firstWal: string }[]>(await cloud("backup", "list", "--json"));
  const first = listed[0]?.firstWal ?? "";
  const bytes = readFileSync(join(wal, first));
  rmSync(join(wal, first));
  const hole = await cloud("backup", "verify", "--id", bases[0] ?? "");
  assert.is(hole.code, 1);
  assert.match(hole.err, /missing|hole/);
  writeFileSync(join(wal, first), bytes);
  assert.is((await cloud("backup", "verify")).code, 0);
});

backups("is nothing that anybody else can read", async () => {
  const { out } = await porchlight(["log", "export", ...door]);
  const entry = (out.split("\n")[1] ?? "").slice(20, 60);
  await until("there is something", () => existsSync(join(place, "backup/wal")));
  for (const name of readdirSync(place, { recursive: true, encoding: "utf8" })) {
    if (name.split("/").length < 3) continue;
    const path = join(place, name);
    if (!/part|manifest|[0-9A-F]{24}$/.test(name)) continue;
    const bytes = readFileSync(path);
    assert.is(bytes.subarray(0, 4).toString(), "PLB1", name);
    assert.not(bytes.includes(entry) || bytes.includes(device), name);
  }
  assert.not.match(centre.err(), readFileSync(join(data, "keys/backup.key"), "utf8").trim());
});

parts.run();
backups.run();
