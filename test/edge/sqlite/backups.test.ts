import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { openDatabase } from "../../../edge/sqlite/database.ts";
import { removeBackups } from "../../../edge/sqlite/migrate.ts";
import { smallDisk } from "../../support/small-disk.ts";
import { suite } from "../../support/suite.ts";
import { Versions } from "../../support/versions.ts";

const migrating = suite("migrations and copies");

migrating("before the first of a run a copy is made: encrypted, private, and whole", () => {
  const at = new Versions();
  at.use("kept");
  assert.equal(at.copies(), [], "a new file has nothing to copy");
  at.add(2, "DROP TABLE facts", "CREATE TABLE facts (a TEXT)");
  at.add(3, "CREATE TABLE more (a TEXT)", "DROP TABLE more");
  at.open().close();
  assert.equal(at.copies(), ["some.db.before-0002"], "one copy a run, under the first number");
  const copy = `${at.path}.before-0002`;
  assert.is(statSync(copy).mode & 0o777, 0o600);
  const older = new Versions();
  const migrations = pathToFileURL(`${older.folder}/`);
  const { key } = at;
  const database = openDatabase({
    ...{ path: copy, key, migrations, create: false, now: () => 1 },
  });
  assert.equal(database.prepare("SELECT a FROM facts").pluck().all(), ["kept"]);
  database.close();
  at.open().close();
  assert.is(at.copies().length, 1, "no run, no copy");
  older.remove();
  at.remove();
});

migrating("a copy cut off half-way, or of an earlier run, is not taken for this run's", () => {
  const at = new Versions();
  at.use("kept");
  const copy = `${at.path}.before-0002`;
  writeFileSync(`${copy}.partial-${process.pid}`, "half");
  writeFileSync(copy, "of an earlier run");
  at.add(2, "DELETE FROM facts WHERE a = ''", "SELECT 1");
  at.open().close();
  assert.equal(at.copies(), ["some.db.before-0002"]);
  assert.ok(statSync(copy).size >= 4096);
  removeBackups(at.path);
  assert.equal(at.copies(), []);
  assert.ok(existsSync(at.path));
  at.remove();
});

migrating("that only add make no copy", () => {
  const at = new Versions();
  at.use("kept");
  at.add(2, "-- DROP nothing\nCREATE TABLE more (a TEXT); CREATE INDEX i ON more (a)", "SELECT 1");
  at.add(3, "ALTER TABLE facts ADD COLUMN b TEXT", "SELECT 1");
  at.open().close();
  assert.equal(at.copies(), []);
  at.add(4, "CREATE TABLE rest (a TEXT); UPDATE facts SET b = a", "SELECT 1");
  at.open().close();
  assert.equal(at.copies(), ["some.db.before-0004"]);
  at.remove();
});

migrating("go on without a copy where there is no room for one", () => {
  const disk = smallDisk(24);
  if (disk === null) return;
  const at = new Versions();
  const path = join(disk.path, "some.db");
  at.open(path).close();
  at.add(2, "DELETE FROM facts WHERE a = ''", "SELECT 1");
  at.open(path).close();
  assert.equal(readdirSync(disk.path), ["some.db"]);
  disk.remove();
  at.remove();
});

migrating("leave one copy for a month, and no halves of processes that are gone", () => {
  const at = new Versions();
  at.use("kept");
  const dead = spawnSync("true").pid;
  const day = 86_400;
  for (const [end, ageDays] of [
    ["0002", 40],
    ["0003", 20],
    [`0004.partial-${dead}`, 0],
    [`0004.partial-${process.pid}`, 0],
  ] as const) {
    const copy = `${at.path}.before-${end}`;
    writeFileSync(copy, "a copy");
    utimesSync(copy, 100 * day - ageDays * day, 100 * day - ageDays * day);
  }
  const open = (days: number) => at.open(at.path, () => days * day * 1_000).close();
  open(100);
  const half = `some.db.before-0004.partial-${process.pid}`;
  assert.equal(at.copies().sort(), ["some.db.before-0003", half]);
  open(111);
  assert.equal(at.copies(), [half]);
  at.remove();
});

migrating.run();
