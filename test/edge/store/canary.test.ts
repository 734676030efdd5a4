import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import { openDatabase } from "../../../edge/sqlite/database.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { PERSONAL_CLASSES, parseEntry } from "../../../shared/log/entry.ts";
import { unseal } from "../../../shared/log/seal.ts";
import { filesIn } from "../../support/bytes.ts";
import { CROP, tracesIn } from "../../support/canary.ts";
import { storeProcess, writeOrder } from "../../support/child.ts";
import { json, porchlight } from "../../support/cli.ts";
import {
  CANARY_NAME,
  canaryFace,
  enrolled,
  erased,
  renamed,
  sampled,
  template,
  visit,
} from "../../support/facts.ts";
import { plainPages } from "../../support/plain-pages.ts";
import { rejects } from "../../support/rejects.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const canary = suite("a name and a face");
/** Searches every file of the store, its temporary folder and what a crash left behind. */
function assertUnreadable({ options }: TestStore): readonly string[] {
  const files = filesIn(options.folder);
  for (const [path, bytes] of files) assert.equal(tracesIn(bytes), [], path);
  return [...files.keys()];
}

function withCanary(): TestStore {
  const at = testStore();
  const person = randomUUID();
  at.store.append([
    enrolled(person, "somebody"),
    renamed(person, CANARY_NAME),
    template(person, canaryFace(), { crop: CROP }),
    ...visit(randomUUID(), person),
  ]);
  return at;
}

canary("lie in the vault and can be found there with its key: the search works", () => {
  const at = withCanary();
  const found = tracesIn(plainPages(vaultPath(at.options.folder), at.options.vaultKey));
  assert.ok(found.includes("the name"));
  assert.ok(found.includes("the face from byte 0"));
  at.remove();
});

canary(
  "stand in no file: neither while the store is open nor after, in no -wal and no -shm",
  () => {
    const at = withCanary();
    const open = assertUnreadable(at);
    for (const file of [
      "log/log.db",
      "log/log.db-wal",
      "vault/vault.db-wal",
      "vault/vault.db-shm",
    ]) {
      assert.ok(open.includes(file), file);
    }
    at.store.rebuild();
    assertUnreadable(at);
    at.store.close();
    assertUnreadable(at);
    at.remove();
  },
);

canary("stand in no file after the process was killed in the middle of writing them", async () => {
  const at = testStore();
  at.store.close();
  const temporary = join(at.options.folder, "temporary");
  mkdirSync(temporary);
  for (let kill = 0; kill < 4; kill++) {
    const before = ["env", `SQLITE_TMPDIR=${temporary}`];
    const child = storeProcess("write", writeOrder(at, "live"), before);
    await child.ready;
    child.go();
    while (child.lines.length === 0) await sleep(2);
    await sleep(60 * kill);
    child.process.kill("SIGKILL");
    await child.ended;
    const left = assertUnreadable(at);
    assert.ok(left.includes("vault/vault.db-wal"), "it was killed with the store open");
    assert.equal(
      left.filter((path) => path.startsWith("temporary/")),
      [],
    );
  }
  at.remove();
});

canary("stand nowhere in the log, even for who has its key", () => {
  const at = withCanary();
  const { folder, logKey } = at.options;
  const pages = plainPages(logPath(folder), logKey);
  assert.ok(pages.includes('"type":"person.renamed"'), "the pages were decrypted");
  assert.equal(tracesIn(pages), []);
  at.remove();
});

canary(
  "who holds the log key alone reads, appends and verifies, and opens nothing sealed",
  async () => {
    const at = withCanary();
    at.store.close();
    const { vaultKey: _, ...held } = at.options;
    const { log, close } = openLog(held);
    const entries = log.readAfter(0, 100).map(({ body }) => parseEntry(body ?? ""));
    const sealed = entries.filter((entry) => entry.sealed !== null);
    assert.is(sealed.length, 3);
    for (const { log: id, seq, type, subject, sealed: fields } of sealed) {
      for (const personalClass of PERSONAL_CLASSES) {
        const field = fields?.[personalClass];
        if (field === undefined) continue;
        const place = { log: id, seq, type, subject: subject ?? "", class: personalClass };
        await rejects(() => unseal(held.logKey, place, field), "seal.broken");
      }
    }
    log.append([sampled(1)]);
    const person = sealed[0]?.subject ?? "";
    log.append([erased(person)]);
    assert.throws(() => log.append([enrolled(randomUUID(), "x")]), /needs the vault key/);
    assert.is(log.verify([]).fault, null);
    const vault = { path: vaultPath(held.folder), key: held.logKey, mode: 0o600 } as const;
    const migrations = new URL("../../../edge/vault/migrations/", import.meta.url);
    await rejects(
      () => openDatabase({ ...vault, migrations, create: false, now: Date.now }),
      "store.key.wrong",
    );
    close();
    assert.is(at.reopen().gallery.people().length, 0, "what it appended is followed by the vault");
    at.remove();
  },
);

canary("the command line with the log key alone shows the log and not one name", async () => {
  const at = withCanary();
  at.store.close();
  const { folder, logKey } = at.options;
  const keyFile = join(folder, "log-key");
  writeFileSync(keyFile, logKey, { mode: 0o600 });
  const environment = { PORCHLIGHT_LOG_KEY_FILE: keyFile };
  const run = (...args: string[]) => porchlight([...args, "--data", folder], environment);
  const exported = await run("log", "export");
  assert.is(exported.out.trim().split("\n").length, 7, exported.err);
  assert.equal(tracesIn(Buffer.from(exported.out)), []);
  const verified = await run("log", "verify", "--json");
  assert.is(json<{ fault: unknown }>(verified).fault, null, verified.err);
  const people = await run("people", "list", "--json");
  assert.is(people.code, 78);
  assert.match(people.err, "vault-key");
  at.remove();
});

canary.run();
