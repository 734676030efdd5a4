import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import { logPath } from "../../../edge/log/open-log.ts";
import { type Database, openDatabase } from "../../../edge/sqlite/database.ts";
import {
  type ChainReport,
  canonicalJson,
  chainHash,
  type Witness,
} from "../../../shared/log/chain.ts";
import type { Cursor } from "../../../shared/log/cursor.ts";
import { sampled } from "../../support/facts.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const tampering = suite("somebody with the key of the log, an SQL prompt and");
const LOG_MIGRATIONS = new URL("../../../edge/log/migrations/", import.meta.url);

interface Tampered {
  readonly report: ChainReport;
  /** The head before, as somebody else may have noted it down. */
  readonly noted: Cursor;
}

/** A log of 20 entries, changed by SQL with the right key, as its own program then sees it. */
function tampered(change: (database: Database, at: TestStore) => void, known = false): Tampered {
  const at = testStore();
  at.store.log.append(Array.from({ length: 19 }, (_, i) => sampled(i)));
  const noted = at.store.log.head();
  const path = logPath(at.options.folder);
  const key = at.options.logKey;
  const options = { path, key, migrations: LOG_MIGRATIONS, mode: 0o660, create: false } as const;
  const database = openDatabase({ ...options, now: Date.now });
  change(database, at);
  const witnesses: Witness[] = known ? [{ ...noted, from: "a note" }] : [];
  const report = at.store.log.verify(witnesses);
  database.close();
  at.remove();
  return { report, noted };
}

function faultOf(change: (database: Database) => void, known = false): unknown[] {
  const { fault } = tampered(change, known).report;
  return [fault?.seq, fault?.kind];
}

function bodyOf(database: Database, position: number): string {
  const sql = "SELECT body FROM entries WHERE position = ?";
  return String(database.prepare(sql).pluck().get(position));
}

/** Hashes everything from here to the end anew: the best a forger can do. */
function rehash(database: Database, from: number): void {
  const rows = database.prepare("SELECT position, hash, body FROM entries ORDER BY position").all();
  const entries = rows as { position: number; hash: Buffer; body: string }[]; // as the table has it
  let previous = "0".repeat(64);
  for (const { position, hash, body } of entries) {
    previous = position < from ? hash.toString("hex") : chainHash(previous, body);
    const bytes = Buffer.from(previous, "hex");
    database.prepare("UPDATE entries SET hash = ? WHERE position = ?").run(bytes, position);
  }
}

tampering("no ill will: the log is whole", () => {
  const { report, noted } = tampered(() => undefined, true);
  assert.is(report.fault, null);
  assert.is(report.entries, 20);
  assert.equal(report.head, noted);
});

tampering("a changed body: the entry is named as changed", () => {
  const sql = `UPDATE entries SET body = replace(body, '"value":3', '"value":4') WHERE position = 5`;
  assert.equal(
    faultOf((database) => void database.exec(sql)),
    [5, "changed"],
  );
});

tampering("one changed bit anywhere in a body: the entry is named as changed", () => {
  const { report } = tampered((database) => {
    const body = bodyOf(database, 9);
    const flipped = `${body.slice(0, 20)}${String.fromCharCode(body.charCodeAt(20) ^ 1)}${body.slice(21)}`;
    database.prepare("UPDATE entries SET body = ? WHERE position = 9").run(flipped);
  });
  assert.equal([report.fault?.seq, report.fault?.kind], [9, "changed"]);
  assert.is(report.entries, 8, "what stands before it is sound");
});

tampering("a changed hash: the entry is named as changed", () => {
  const sql = "UPDATE entries SET hash = zeroblob(32) WHERE position = 12";
  assert.equal(
    faultOf((database) => void database.exec(sql)),
    [12, "changed"],
  );
});

tampering("a removed entry: the gap is named as missing", () => {
  assert.equal(
    faultOf((database) => void database.exec("DELETE FROM entries WHERE position = 7")),
    [7, "missing"],
  );
});

tampering("a removed entry whose followers moved up: it is named as missing", () => {
  const move = `DELETE FROM entries WHERE position = 7;
    UPDATE entries SET position = position - 1 WHERE position > 7`;
  assert.equal(
    faultOf((database) => void database.exec(move)),
    [7, "missing"],
  );
});

tampering("the first entry removed: entry 1 is named as missing", () => {
  assert.equal(
    faultOf((database) => void database.exec("DELETE FROM entries WHERE position = 1")),
    [1, "missing"],
  );
});

tampering("two entries in each other's place: the first is named as reordered", () => {
  const swap = `UPDATE entries SET position = -1 WHERE position = 7;
    UPDATE entries SET position = 7 WHERE position = 9;
    UPDATE entries SET position = 9 WHERE position = -1`;
  assert.equal(
    faultOf((database) => void database.exec(swap)),
    [7, "reordered"],
  );
});

tampering("the end cut off: whoever noted the head knows it", () => {
  const cut = (database: Database): void => {
    database.exec("DELETE FROM entries WHERE position > 15");
  };
  assert.equal(faultOf(cut), [undefined, undefined], "the log alone cannot know");
  assert.equal(faultOf(cut, true), [16, "missing"]);
});

tampering("another last entry, rightly chained: whoever noted the head knows it is forged", () => {
  const forge = (database: Database): void => {
    const body = bodyOf(database, 20).replace('"value":18', '"value":81');
    database.prepare("UPDATE entries SET body = ? WHERE position = 20").run(body);
    rehash(database, 20);
  };
  assert.equal(faultOf(forge), [undefined, undefined], "the log alone cannot know");
  assert.equal(faultOf(forge, true), [20, "forged-head"]);
});

tampering("a changed entry and every later hash made anew: whoever noted the head knows it", () => {
  const forge = (database: Database): void => {
    const body = bodyOf(database, 5).replace('"value":3', '"value":4');
    database.prepare("UPDATE entries SET body = ? WHERE position = 5").run(body);
    rehash(database, 5);
  };
  assert.equal(faultOf(forge), [undefined, undefined], "the log alone cannot know");
  assert.equal(faultOf(forge, true), [20, "forged-head"]);
});

tampering("an added entry, chained on with another seq inside: it is named", () => {
  const add = (database: Database): void => {
    const body = bodyOf(database, 20);
    database
      .prepare("INSERT INTO entries (position, hash, body) VALUES (21, ?, ?)")
      .run(Buffer.alloc(32), body);
    rehash(database, 21);
  };
  const [seq, kind] = faultOf(add);
  assert.is(seq, 21);
  assert.ok(kind === "missing" || kind === "changed" || kind === "reordered");
});

tampering("a body emptied without a word: it is named as emptied", () => {
  assert.equal(
    faultOf((database) => void database.exec("UPDATE entries SET body = NULL WHERE position = 6")),
    [6, "emptied"],
  );
});

tampering("a body emptied, as an entry after it says: that is what shedding is", () => {
  const shed = (database: Database): void => {
    database.exec("UPDATE entries SET body = NULL WHERE position BETWEEN 6 AND 8");
    const { log, ...rest } = JSON.parse(bodyOf(database, 20));
    const data = { bytes: 900, count: 3, from: 6, to: 8, types: ["telemetry.sampled"] };
    const body = canonicalJson({ ...rest, log, data, seq: 21, type: "buffer.shed" });
    database
      .prepare("INSERT INTO entries (position, hash, body) VALUES (21, ?, ?)")
      .run(Buffer.alloc(32), body);
    rehash21(database, body);
  };
  const { report } = tampered(shed);
  assert.is(report.fault, null);
  assert.is(report.emptied, 3);
  assert.is(report.entries, 21);
});

/** Only the last entry: the emptied ones have no bytes to hash. */
function rehash21(database: Database, body: string): void {
  const previous = database.prepare("SELECT hash FROM entries WHERE position = 20").pluck().get();
  const hash = createHash("sha256")
    .update(previous as Buffer) // the column is a BLOB of 32 bytes
    .update(body, "utf8")
    .digest();
  database.prepare("UPDATE entries SET hash = ? WHERE position = 21").run(hash);
}

tampering.run();
