import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { logPath } from "../../../edge/log/open-log.ts";
import { type Database, openDatabase } from "../../../edge/sqlite/database.ts";
import { migrateDown, readMigrations, removeBackups } from "../../../edge/sqlite/migrate.ts";
import { openStore } from "../../../edge/store/open-store.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { normalise } from "../../../shared/log/embedding.ts";
import { storeProcess } from "../../support/child.ts";
import { enrolled, PACK, sampled, template } from "../../support/facts.ts";
import { rejects } from "../../support/rejects.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const migrating = suite("migrations");
const OURS = ["log", "vault"].map((room) => ({
  room,
  folder: new URL(`../../../edge/${room}/migrations/`, import.meta.url),
}));

/** A database with migrations of its own, so that there can be a next version. */
class Versions {
  readonly #temp = tempFolder("migrate");
  readonly key = randomBytes(32);
  readonly path = join(this.#temp.path, "some.db");
  readonly folder = join(this.#temp.path, "migrations");

  constructor() {
    mkdirSync(this.folder);
    this.add(1, "CREATE TABLE facts (a TEXT)", "DROP TABLE facts");
  }

  add(number: number, up: string, down: string): void {
    const file = join(this.folder, `${String(number).padStart(4, "0")}-step`);
    writeFileSync(`${file}.sql`, `${up};\n`);
    writeFileSync(`${file}.down.sql`, `${down};\n`);
  }

  open(path = this.path): Database {
    const migrations = pathToFileURL(`${this.folder}/`);
    const { key } = this;
    return openDatabase({ path, key, migrations, create: true, now: () => 1 });
  }

  /** Opened and closed, with a fact in it. */
  use(fact: string): void {
    const database = this.open();
    database.prepare("INSERT INTO facts (a) VALUES (?)").run(fact);
    database.close();
  }

  copies(): string[] {
    return readdirSync(this.#temp.path).filter((file) => file.includes(".before-"));
  }

  remove(): void {
    this.#temp.remove();
  }
}

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
  at.add(2, "CREATE TABLE more (a TEXT)", "DROP TABLE more");
  at.open().close();
  assert.equal(at.copies(), ["some.db.before-0002"]);
  assert.ok(statSync(copy).size >= 4096);
  removeBackups(at.path);
  assert.equal(at.copies(), []);
  assert.ok(existsSync(at.path));
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
