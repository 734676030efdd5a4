import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import * as assert from "uvu/assert";
import {
  type Database,
  type DatabaseOptions,
  dataVersion,
  openDatabase,
} from "../../../edge/sqlite/database.ts";
import { filesIn } from "../../support/bytes.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const opening = suite("opening an encrypted file");
const LOG_MIGRATIONS = new URL("../../../edge/log/migrations/", import.meta.url);
const PAGE_BYTES = 4096;

interface Place extends DatabaseOptions {
  readonly folder: string;
  remove(): void;
}

/** A closed database with a page or two of its own in it. */
function place(): Place {
  const folder = tempFolder("database");
  const options: DatabaseOptions = {
    path: join(folder.path, "log.db"),
    key: randomBytes(32),
    migrations: LOG_MIGRATIONS,
    create: true,
    now: () => 1_780_000_000_000,
  };
  const database = openDatabase(options);
  insert(database, 40);
  database.close();
  return { ...options, create: false, folder: folder.path, remove: folder.remove };
}

function insert(database: Database, entries: number): void {
  const add = database.prepare("INSERT INTO entries (hash, body) VALUES (?, ?)");
  for (let i = 0; i < entries; i++) add.run(randomBytes(32), "x".repeat(1_000));
}

/** The error code for this file, which must be byte for byte what it was; so must its folder. */
async function refused(at: Place, code: string): Promise<void> {
  const before = filesIn(at.folder);
  const error = await rejects(() => openDatabase(at), code);
  assert.ok(error.hint !== undefined && error.hint.length > 10, "says what to do next");
  assert.match(error.message, at.path);
  assert.equal(filesIn(at.folder), before);
}

opening("with its key gives back what was written, and nobody else may read the file", () => {
  const at = place();
  const database = openDatabase(at);
  assert.is(database.prepare("SELECT count(*) FROM entries").pluck().get(), 40);
  assert.is(statSync(at.path).mode & 0o777, 0o600);
  assert.is(statSync(`${at.path}-wal`).mode & 0o777, 0o600);
  assert.is(statSync(`${at.path}-shm`).mode & 0o777, 0o600);
  database.close();
  at.remove();
});

opening(
  "a file is its owner's alone whatever the umask, with its -wal and -shm, also one of before",
  () => {
    const folder = tempFolder("database");
    const umask = process.umask(0);
    const path = join(folder.path, "log.db");
    const key = randomBytes(32);
    const shared = { path, key, migrations: LOG_MIGRATIONS, create: true, now: () => 0 } as const;
    const database = openDatabase({ ...shared });
    process.umask(umask);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      assert.is(statSync(file).mode & 0o777, 0o600, file);
      chmodSync(file, 0o660);
    }
    const again = openDatabase({ ...shared });
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      assert.is(statSync(file).mode & 0o777, 0o600, file);
    }
    again.close();
    database.close();
    folder.remove();
  },
);

opening("with another key fails as a wrong key", async () => {
  const at = place();
  await refused({ ...at, key: randomBytes(32) }, "store.key.wrong");
  at.remove();
});

opening("a plain SQLite file fails as a plain file, whatever the key", async () => {
  const at = place();
  const plain = join(at.folder, "plain.db");
  const database = new Sqlite(plain);
  database.exec("CREATE TABLE t (a)");
  database.close();
  await refused({ ...at, path: plain }, "store.plain");
  at.remove();
});

opening("a file cut in the middle of a page fails as cut short", async () => {
  const at = place();
  truncateSync(at.path, statSync(at.path).size - 1);
  await refused(at, "store.truncated");
  at.remove();
});

opening("a file cut at any page fails as cut short, down to nothing at all", async () => {
  const at = place();
  const whole = readFileSync(at.path);
  for (let pages = whole.length / PAGE_BYTES - 1; pages >= 0; pages--) {
    writeFileSync(at.path, whole.subarray(0, pages * PAGE_BYTES));
    await refused(at, "store.truncated");
  }
  at.remove();
});

opening("a file with a later page overwritten never gives wrong data", () => {
  const at = place();
  const bytes = readFileSync(at.path);
  bytes.fill(7, bytes.length - PAGE_BYTES);
  writeFileSync(at.path, bytes);
  const database = openDatabase(at);
  assert.throws(() => database.prepare("SELECT sum(length(body)) FROM entries").get());
  database.close();
  at.remove();
});

opening("a schema that a newer version made fails as newer, and names the way back", async () => {
  const at = place();
  const database = openDatabase(at);
  database
    .prepare("INSERT INTO migrations VALUES (99, 'other-chain', ?, 1, 0)")
    .run("0".repeat(64));
  database.close();
  await refused(at, "store.schema.newer");
  at.remove();
});

opening("a newer schema that older code may read is opened as it is", () => {
  const at = place();
  const database = openDatabase(at);
  database.prepare("INSERT INTO migrations VALUES (99, 'an-index', ?, 0, 0)").run("0".repeat(64));
  database.close();
  const again = openDatabase(at);
  assert.is(again.prepare("SELECT count(*) FROM entries").pluck().get(), 40);
  again.close();
  at.remove();
});

opening("a missing file fails as missing, and none is made", async () => {
  const at = place();
  const path = join(at.folder, "elsewhere.db");
  await refused({ ...at, path }, "store.missing");
  assert.not(existsSync(path));
  at.remove();
});

opening("a key of another length is a programmer error", () => {
  const at = place();
  assert.throws(() => openDatabase({ ...at, key: randomBytes(16) }), /a database key has 32 bytes/);
  at.remove();
});

opening("what was said is durable and deleted content is overwritten: the pragmas hold", () => {
  const at = place();
  const database = openDatabase(at);
  const pragma = (name: string): unknown => database.pragma(name, { simple: true });
  assert.is(pragma("journal_mode"), "wal");
  assert.is(pragma("synchronous"), 2, "FULL");
  assert.is(pragma("secure_delete"), 1);
  assert.is(pragma("temp_store"), 2, "MEMORY: nothing is spilled to a temporary file");
  assert.is(pragma("foreign_keys"), 1);
  database.close();
  at.remove();
});

opening("another connection's commit is noticed", () => {
  const at = place();
  const [one, other] = [openDatabase(at), openDatabase(at)];
  const before = dataVersion(one);
  assert.is(dataVersion(one), before);
  insert(other, 1);
  assert.is.not(dataVersion(one), before);
  one.close();
  other.close();
  at.remove();
});

opening.run();
