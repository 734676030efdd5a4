import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { logPath } from "../../../edge/log/open-log.ts";
import { type Database, openDatabase } from "../../../edge/sqlite/database.ts";
import { migrateDown, readMigrations } from "../../../edge/sqlite/migrate.ts";
import { openStore } from "../../../edge/store/open-store.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { normalise } from "../../../shared/log/embedding.ts";
import { storeProcess } from "../../support/child.ts";
import { enrolled, PACK, sampled, template } from "../../support/facts.ts";
import { rejects } from "../../support/rejects.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { Versions } from "../../support/versions.ts";

const migrating = suite("migrations");
const OURS = ["log", "vault"].map((room) => ({
  room,
  folder: new URL(`../../../edge/${room}/migrations/`, import.meta.url),
}));

function schemaOf(database: Database): unknown[] {
  const sql = "SELECT type, name, sql FROM sqlite_schema WHERE name <> 'migrations' ORDER BY name";
  return database.prepare(sql).all();
}

function tables(database: Database): unknown[] {
  return database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all();
}

for (const { room, folder } of OURS) {
  migrating(`of the ${room} go up, and each goes down to what was there before`, () => {
    const temp = tempFolder("migrate");
    const path = join(temp.path, "some.db");
    const options = { path, key: randomBytes(32), migrations: folder } as const;
    const open = (): Database => openDatabase({ ...options, create: true, now: () => 1 });
    const database = open();
    const whole = schemaOf(database);
    for (const { number } of [...readMigrations(folder)].reverse()) {
      migrateDown(database, folder, number - 1);
      assert.is(database.prepare("SELECT count(*) FROM migrations").pluck().get(), number - 1);
    }
    assert.equal(schemaOf(database), []);
    database.close();
    const again = open();
    assert.equal(schemaOf(again), whole);
    again.close();
    temp.remove();
  });
}

migrating("the head a log once kept beside its entries is there again when that is undone", () => {
  const at = testStore();
  at.store.log.append([sampled(1), sampled(2)]);
  const old = at.store.log.head();
  const current = at.store.log.begin(randomUUID(), old);
  at.store.close();
  const log = OURS.find(({ room }) => room === "log");
  assert.ok(log);
  const { logKey: key, folder } = at.options;
  const options = { path: logPath(folder), key, migrations: log.folder } as const;
  const database = openDatabase({ ...options, create: false, now: () => 1 });
  migrateDown(database, log.folder, 1);
  const heads = database.prepare("SELECT uuid, head_seq, lower(hex(head_hash)) FROM logs").raw();
  assert.equal(heads.all(), [
    [old.log, old.seq, old.hash],
    [current.log, current.seq, current.hash],
  ]);
  database.close();
  assert.equal(at.reopen().log.head(), current);
  at.remove();
});

migrating(
  "undone and done again in a vault that was in use, it fills again from the log",
  async () => {
    const at = testStore();
    const person = randomUUID();
    const embedding = normalise(new Float32Array(16).fill(1));
    at.store.append([enrolled(person, "Ada"), template(person, embedding)]);
    const before = [at.store.gallery.people(), at.store.gallery.templates()];
    at.store.close();
    const vault = OURS.find(({ room }) => room === "vault");
    assert.ok(vault);
    const { vaultKey: key, folder } = at.options;
    const options = {
      path: vaultPath(folder),
      key,
      migrations: vault.folder,
    } as const;
    const database = openDatabase({ ...options, create: false, now: () => 1 });
    migrateDown(database, vault.folder, 1);
    database.close();
    const store = openStore(at.options);
    assert.equal([store.gallery.people(), store.gallery.templates()], before);
    assert.is((await store.gallery.nearest(PACK, embedding, 1)).length, 1);
    store.close();
    at.remove();
  },
);

migrating("a released migration that was edited is refused, and nothing of it is run", async () => {
  const at = new Versions();
  at.use("kept");
  at.add(1, "CREATE TABLE facts (a TEXT, b TEXT)", "DROP TABLE facts");
  at.add(2, "CREATE TABLE more (a TEXT)", "DROP TABLE more");
  const error = await rejects(() => at.open(), "store.schema.changed");
  assert.match(error.message, "migration 1");
  assert.match(error.hint ?? "", "reinstall");
  assert.equal(at.copies(), []);
  at.add(1, "CREATE TABLE facts (a TEXT)", "DROP TABLE facts");
  const database = at.open();
  assert.equal(tables(database), ["facts", "migrations", "more"]);
  database.close();
  at.remove();
});

migrating(
  "a newer program's breaking change is refused by an older one, others are not",
  async () => {
    for (const [first, breaking] of [
      ["--! breaking\n", true],
      ["", false],
    ] as const) {
      const at = new Versions();
      const older = new Versions();
      at.add(2, `${first}CREATE TABLE more (a TEXT)`, "DROP TABLE more");
      at.use("kept");
      const migrations = pathToFileURL(`${older.folder}/`);
      const { path, key } = at;
      const open = (): Database =>
        openDatabase({ path, key, migrations, create: false, now: () => 1 });
      if (breaking) await rejects(open, "store.schema.newer");
      else open().close();
      at.remove();
      older.remove();
    }
  },
);

migrating("one that fails leaves what was there, and the next try goes on from it", () => {
  const at = new Versions();
  at.use("kept");
  at.add(2, "CREATE TABLE more (a TEXT); INSERT INTO nowhere VALUES (1)", "DROP TABLE more");
  assert.throws(() => at.open(), /no such table: nowhere/);
  at.add(2, "CREATE TABLE more (a TEXT)", "DROP TABLE more");
  const database = at.open();
  assert.equal(tables(database), ["facts", "migrations", "more"]);
  assert.equal(database.prepare("SELECT a FROM facts").pluck().all(), ["kept"]);
  database.close();
  at.remove();
});

migrating("are done once when ten processes start at once, and none of them fails", async () => {
  const at = new Versions();
  at.use("kept");
  at.add(2, "ALTER TABLE facts ADD COLUMN b TEXT; UPDATE facts SET b = a || '!'", "SELECT 1");
  at.add(3, "INSERT INTO facts (a) SELECT a FROM facts", "SELECT 1");
  const { key, path, folder: migrations } = at;
  const order = { key: key.toString("hex"), path, migrations, create: false };
  const children = Array.from({ length: 10 }, () => storeProcess("open", order));
  await Promise.all(children.map(({ ready }) => ready));
  for (const { go } of children) go();
  for (const { ended, lines } of children) {
    const { code, err } = await ended;
    assert.is(code, 0, err);
    assert.equal(lines, ["opened"]);
  }
  const database = at.open();
  const facts = database.prepare("SELECT a, b FROM facts").raw().all();
  assert.equal(facts, [
    ["kept", "kept!"],
    ["kept", null],
  ]);
  database.close();
  assert.equal(at.copies(), ["some.db.before-0002"]);
  at.remove();
});

migrating.run();
