import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { openPlain } from "../../../edge/sqlite/database.ts";
import { storeFailure } from "../../../edge/sqlite/failure.ts";
import { lockStore } from "../../../edge/sqlite/lock.ts";
import type { PorchlightError } from "../../../shared/core/errors.ts";
import { smallDisk } from "../../support/small-disk.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const failing = suite("what SQLite's codes mean");

function meaningOf(work: () => unknown): PorchlightError | null {
  try {
    work();
  } catch (error) {
    return storeFailure(error);
  }
  return null;
}

function table(path: string) {
  const database = openPlain(path);
  database.exec("CREATE TABLE t (x BLOB)");
  const insert = database.prepare("INSERT INTO t VALUES (?)");
  for (let i = 0; i < 50; i++) insert.run(Buffer.alloc(4_000, i));
  return database;
}

failing("another writer, a file that may not be written, a page that is none, a full disk", () => {
  const folder = tempFolder("failure");
  const path = join(folder.path, "a.db");
  const [one, two] = [table(path), openPlain(path)];
  one.exec("BEGIN IMMEDIATE");
  const busy = meaningOf(() => two.exec("BEGIN IMMEDIATE"));
  assert.equal([busy?.code, busy?.remedy], ["store.busy", "retry"]);
  assert.match(busy?.hint ?? "", "fuser");
  one.exec("ROLLBACK");
  one.pragma("query_only = ON");
  const readonly = meaningOf(() => one.exec("DELETE FROM t"));
  assert.equal([readonly?.code, readonly?.remedy], ["store.readonly", "stop"]);
  one.close();
  two.close();
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(8_192, 0xa5), 0, 8_192, 4_096 * 5);
  closeSync(file);
  const broken = openPlain(path);
  const damaged = meaningOf(() => broken.prepare("SELECT sum(length(x)) FROM t").get());
  assert.equal([damaged?.code, damaged?.remedy], ["store.damaged", "stop"]);
  assert.match(damaged?.hint ?? "", "porchlight store rebuild");
  broken.close();
  const disk = smallDisk(1);
  if (disk !== null) {
    const small = openPlain(join(disk.path, "b.db"));
    small.exec("CREATE TABLE t (x BLOB)");
    const fill = small.prepare("INSERT INTO t VALUES (zeroblob(100000))");
    const full = meaningOf(() => {
      for (let i = 0; i < 50; i++) fill.run();
    });
    assert.equal([full?.code, full?.remedy], ["disk.full", "retry"]);
    small.close();
    disk.remove();
  }
  folder.remove();
});

failing("what is no failure of the files keeps its own words", () => {
  const folder = tempFolder("failure");
  const database = table(join(folder.path, "a.db"));
  const wrong = (): void => void database.exec("SELECT nothing FROM nowhere");
  assert.throws(wrong);
  assert.is(meaningOf(wrong), null);
  assert.is(storeFailure(new Error("database is locked")), null);
  assert.is(storeFailure("SQLITE_BUSY"), null);
  database.close();
  folder.remove();
});

failing("one holds the lock of a store, is named, and lets go however it ends", async () => {
  const folder = tempFolder("lock");
  const path = join(folder.path, "lock");
  const module = new URL("../../../edge/sqlite/lock.ts", import.meta.url).href;
  const program = `import { lockStore } from ${JSON.stringify(module)};
lockStore(${JSON.stringify(path)}, "the daemon"); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const held = (() => {
    try {
      lockStore(path, "me").release();
      return "";
    } catch (error) {
      return String(error);
    }
  })();
  assert.match(held, `in use by the daemon (pid ${child.pid})`);
  child.kill("SIGKILL");
  await once(child, "close");
  const mine = lockStore(path, "me");
  assert.throws(
    () => lockStore(path, "another"),
    new RegExp(`in use by me \\(pid ${process.pid}\\)`),
  );
  mine.release();
  lockStore(path, "me").release();
  folder.remove();
});

failing.run();
