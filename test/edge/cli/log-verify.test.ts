import { randomBytes } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Database, openAsItIs } from "../../../edge/sqlite/database.ts";
import { chainHash } from "../../../shared/log/chain.ts";
import { json, porchlight, type Ran } from "../../support/cli.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const verifying = suite("log verify, all lives and who was asked");
const folder = tempFolder("log-verify");
/** A store of two lives, each of some entries. */
const SOUND = join(folder.path, "sound");
const ENTRIES_EACH = 4;

interface Report {
  readonly entries: number;
  readonly head: { readonly log: string; readonly seq: number; readonly hash: string };
  readonly lives: readonly { readonly log: string; readonly entries: number }[];
  readonly fault: { readonly log: string; readonly seq: number; readonly kind: string } | null;
  readonly witnesses: readonly { readonly from: string; readonly seq: number }[];
  readonly unheard: readonly { readonly from: string; readonly reason: string }[];
}

/** Opens log.db of a store with its key, as somebody would who has both. */
function changed(data: string, change: (database: Database) => void): void {
  const key = Buffer.from(readFileSync(join(data, "keys/log-key"), "utf8").trim(), "hex");
  const database = openAsItIs(join(data, "log/log.db"), key);
  change(database);
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.close();
}

/** Entries rightly chained onto the end. */
function chainOn(database: Database, bodyOf: (seq: number, log: string) => string): void {
  const life = "SELECT uuid, first_position AS first FROM logs ORDER BY id DESC LIMIT 1";
  const { uuid, first } = database.prepare(life).get() as { uuid: string; first: number }; // one row
  const last = "SELECT position, hash FROM entries ORDER BY position DESC LIMIT 1";
  const head = database.prepare(last).get() as { position: number; hash: Buffer }; // never empty
  const body = bodyOf(head.position + 2 - first, uuid);
  const hash = Buffer.from(chainHash(head.hash.toString("hex"), body), "hex");
  database.prepare("INSERT INTO entries VALUES (?, ?, ?)").run(head.position + 1, hash, body);
}

function sampled(seq: number, log: string): string {
  return (
    `{"actor":"device","at":1790000000000,"clock":"synced","data":{"metrics":{"x":${seq}}},` +
    `"log":"${log}","monotonicMs":1,"sealed":null,"seq":${seq},"subject":null,` +
    `"type":"telemetry.sampled"}`
  );
}

let copies = 0;
/** A copy of the sound store, for a test to spoil. */
function copy(): string {
  const data = join(folder.path, `copy-${++copies}`);
  cpSync(SOUND, data, { recursive: true });
  return data;
}

const run = (data: string, ...args: string[]): Promise<Ran> =>
  porchlight([...args, "--data", data]);
const verified = async (data: string, ...args: string[]): Promise<Report> =>
  json<Report>(await run(data, "log", "verify", "--json", ...args));

verifying.before(async () => {
  assert.is((await run(SOUND, "init")).code, 0);
  const fill = (): void =>
    changed(SOUND, (database) => {
      for (let i = 1; i < ENTRIES_EACH; i++) chainOn(database, sampled);
    });
  fill();
  assert.is((await run(SOUND, "log", "renew", "--yes")).code, 0);
  fill();
  // The vault follows, and is a witness from now on.
  assert.is((await run(SOUND, "people", "list")).code, 0);
});
verifying.after(() => folder.remove());

verifying(
  "a sound store of two lives is whole, and the vault is named as its witness",
  async () => {
    const ran = await run(SOUND, "log", "verify");
    assert.is(ran.code, 0, ran.err);
    assert.match(ran.out, /whole: 8 entries in 2 lives/);
    assert.match(ran.out, /witnesses +the vault \(entry 4\)/);
    const { lives, witnesses } = await verified(SOUND);
    assert.equal(
      lives.map(({ entries }) => entries),
      [ENTRIES_EACH, ENTRIES_EACH],
    );
    assert.is(witnesses.length, 1);
  },
);

verifying(
  "a changed entry of an earlier life is named, and nothing is rebuilt from it",
  async () => {
    const data = copy();
    changed(data, (database) => {
      database.exec(`UPDATE entries SET body = replace(body, '"x":3', '"x":4') WHERE position = 3`);
    });
    const { fault, lives } = await verified(data);
    assert.equal([fault?.log, fault?.seq, fault?.kind], [lives[0]?.log, 3, "changed"]);
    const rebuilt = await run(data, "store", "rebuild");
    assert.is(rebuilt.code, 1);
    assert.match(rebuilt.err, /entry 3 of the log [0-9a-f-]{36} is wrong \(changed\)/);
    assert.match(rebuilt.err, /store rebuild --unverified/);
    assert.is((await run(data, "store", "rebuild", "--unverified")).code, 0);
    const synced = await run(data, "sync", "verify");
    assert.is(synced.code, 1);
    assert.match(synced.out, /entry 3 of the log [0-9a-f-]{36} is wrong/);
  },
);

verifying("a parent that is not as the next life names it, and a life that is gone", async () => {
  const cut = copy();
  changed(cut, (database) => database.exec("DELETE FROM entries WHERE position = 4"));
  const whole = await verified(cut);
  assert.equal([whole.fault?.seq, whole.fault?.kind], [1, "invalid"]);
  assert.is(whole.fault?.log, whole.lives[1]?.log);
  const gone = copy();
  changed(gone, (database) => {
    database.exec(
      "DELETE FROM entries WHERE position <= 4; DELETE FROM logs WHERE first_position = 1",
    );
  });
  assert.is((await verified(gone)).fault?.kind, "invalid");
});

verifying(
  "a head noted before a renewal still holds, with its log or without; a false one not",
  async () => {
    const { lives } = await verified(SOUND);
    let hash = "";
    changed(SOUND, (database) => {
      const stored = database.prepare("SELECT hash FROM entries WHERE position = 3").pluck().get();
      hash = (stored as Buffer).toString("hex"); // the column is a BLOB
    });
    const [first, second] = lives.map(({ log }) => log);
    for (const head of [`${first}:3:${hash}`, `3:${hash}`]) {
      assert.is((await verified(SOUND, "--head", head)).fault, null, head);
    }
    for (const [head, kind] of [
      [`${second}:3:${hash}`, "forged-head"],
      [`${first}:3:${"0".repeat(64)}`, "forged-head"],
      [`${first}:5:${hash}`, "missing"],
      [`${"0".repeat(8)}-0000-4000-8000-${"0".repeat(12)}:3:${hash}`, "missing"],
    ] as const) {
      assert.is((await verified(SOUND, "--head", head)).fault?.kind, kind, head);
    }
  },
);

verifying("a cut end is found by the vault; without it, it is said who was not asked", async () => {
  const data = copy();
  changed(data, (database) => database.exec("DELETE FROM entries WHERE position > 6"));
  assert.is((await verified(data)).fault?.kind, "missing");
  const damaged = copy();
  writeFileSync(join(damaged, "vault/vault.db"), randomBytes(40_960));
  const keyless = copy();
  rmSync(join(keyless, "keys/vault-key"));
  for (const [place, reason] of [
    [damaged, /./],
    [keyless, /key is not here/],
  ] as const) {
    const report = await verified(place);
    assert.is(report.fault, null);
    assert.equal(report.witnesses, []);
    assert.match(report.unheard[0]?.reason ?? "", reason);
    const { out, code } = await run(place, "log", "verify");
    assert.is(code, 0);
    assert.match(out, /witnesses +none: an end that was cut off would not be seen/);
    assert.match(out, /not asked +the vault: /);
  }
});

verifying("what a site has acknowledged is a witness", async () => {
  const data = copy();
  const { head } = await verified(data);
  const acked = (database: Database, site: string, hash: string): void => {
    const sql = "INSERT OR REPLACE INTO site_acked VALUES (?, ?, ?, ?, 1)";
    database.prepare(sql).run(site, head.log, head.seq, hash);
  };
  changed(data, (database) => acked(database, "ab".repeat(32), head.hash));
  const { witnesses, fault } = await verified(data);
  assert.is(fault, null);
  assert.ok(witnesses.some(({ from }) => from === "the centre abababababababab"));
  changed(data, (database) => acked(database, "", "0".repeat(64)));
  assert.is((await verified(data)).fault?.kind, "forged-head");
});

verifying("an entry that is none is named, and log tail shows its place", async () => {
  const data = copy();
  changed(data, (database) => chainOn(database, () => "this is no entry"));
  const { fault } = await verified(data);
  assert.equal([fault?.seq, fault?.kind], [5, "invalid"]);
  const tail = await run(data, "log", "tail", "-n", "2");
  assert.is(tail.code, 0, tail.err);
  assert.match(tail.out, /5 {2}\(no entry: porchlight log verify\)/);
  const far = copy();
  const late = (seq: number, log: string): string =>
    sampled(seq, log).replace("1790000000000", "9000000000000000");
  changed(far, (database) => chainOn(database, late));
  assert.is((await verified(far)).fault, null);
  const shown = await run(far, "log", "tail", "-n", "1");
  assert.is(shown.code, 0, shown.err);
  assert.match(shown.out, /9000000000000000 ms/);
});

verifying.run();
