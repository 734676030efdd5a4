import { spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { logPath } from "../../../edge/log/open-log.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { sqlcipherPython } from "../../support/python.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const foreign = suite("a SQLCipher 4 tool of another author");
const program = sqlcipherPython();

/** Opens a file as any SQLCipher user would, and prints one value of it. */
const READER = `
import sys, sqlcipher3
path, key, sql = sys.argv[1:]
db = sqlcipher3.connect(path)
db.execute(f"PRAGMA key = \\"x'{key}'\\"")
print(db.execute("PRAGMA integrity_check").fetchone()[0], db.execute(sql).fetchone()[0])
`;

function read(path: string, key: Uint8Array, sql: string): string {
  const hex = Buffer.from(key).toString("hex");
  const ran = spawnSync(program ?? "", ["-c", READER, path, hex, sql], { encoding: "utf8" });
  return ran.status === 0 ? ran.stdout.trim() : ran.stderr;
}

function withAda(): TestStore {
  const at = testStore();
  const subject = randomUUID();
  const personal = { profile: { name: "Ada" } };
  at.store.append([{ type: "person.enrolled", actor: "cli:test", subject, data: {}, personal }]);
  return at;
}

foreign("opens both files with their raw keys, while they are in use and after", () => {
  if (program === null) return;
  const at = withAda();
  const { folder, logKey, vaultKey } = at.options;
  const reads = (): void => {
    assert.is(read(logPath(folder), logKey, "SELECT count(*) FROM entries"), "ok 2");
    assert.is(read(logPath(folder), logKey, "SELECT first_position FROM logs"), "ok 1");
    assert.is(read(vaultPath(folder), vaultKey, "SELECT name FROM people"), "ok Ada");
  };
  reads();
  at.store.close();
  reads();
  at.remove();
});

foreign("opens neither with the other's key, or with a key of its own", () => {
  if (program === null) return;
  const at = withAda();
  at.store.close();
  const { folder, logKey, vaultKey } = at.options;
  const sql = "SELECT 1";
  assert.match(read(logPath(folder), vaultKey, sql), "file is not a database");
  assert.match(read(vaultPath(folder), logKey, sql), "file is not a database");
  assert.match(read(vaultPath(folder), randomBytes(32), sql), "file is not a database");
  at.remove();
});

foreign.run();
