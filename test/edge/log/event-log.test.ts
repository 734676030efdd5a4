import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { clockState } from "../../../edge/host/clock-state.ts";
import { APPEND_LIMIT, type StoredEntry } from "../../../edge/log/event-log.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { chainHash, isCanonical } from "../../../shared/log/chain.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { ENTRY_DATA, type Entry, parseEntry } from "../../../shared/log/entry.ts";
import { enrolled, sampled, visit } from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const appending = suite("the log");

function entriesOf(stored: readonly StoredEntry[]): Entry[] {
  return stored.map(({ body }) => parseEntry(body ?? ""));
}

appending("numbers its entries 1, 2, 3 … without a gap, each hashed over the one before", () => {
  const at = testStore();
  const { log } = at.store;
  const cursors = [...log.append([sampled(1)]), ...log.append([sampled(2), sampled(3)])];
  assert.equal(
    cursors.map(({ seq }) => seq),
    [2, 3, 4],
  );
  let previous = GENESIS_HASH;
  for (const { seq, hash, body } of log.readAfter(0, 10)) {
    assert.ok(isCanonical(body ?? ""), "the stored bytes are canonical JSON");
    assert.is(hash, chainHash(previous, body ?? ""));
    assert.is(parseEntry(body ?? "").seq, seq);
    previous = hash;
  }
  assert.equal(log.head(), cursors.at(-1));
  assert.is(log.head().hash, previous);
  at.remove();
});

appending("a draft that is not allowed leaves nothing of its group, and no gap", () => {
  const at = testStore();
  const { log } = at.store;
  const before = log.head();
  const wrong = { ...sampled(1), data: { metrics: {}, name: "Ada" } };
  assert.throws(() => log.append([sampled(1), wrong, sampled(2)]), /[Uu]nrecognized key/);
  assert.throws(() => log.append([{ ...sampled(1), actor: "nobody" }]));
  assert.throws(() => log.append([sampled(Number.NaN)]));
  assert.throws(() => log.append([{ ...enrolled("Ada", "Ada") }]), "a subject is an id");
  const loud = randomUUID().toUpperCase();
  assert.throws(() => log.append([{ ...sampled(1), subject: loud }]), "an id is in lowercase");
  assert.equal(log.head(), before);
  assert.is(log.append([sampled(3)])[0]?.seq, before.seq + 1);
  at.remove();
});

appending("takes 1 to 1,000 facts at once", () => {
  const at = testStore();
  const { log } = at.store;
  assert.throws(() => log.append([]), /1 to 1,000/);
  const many = Array.from({ length: APPEND_LIMIT + 1 }, (_, i) => sampled(i));
  assert.throws(() => log.append(many), /1 to 1,000/);
  assert.is(log.append(many.slice(1)).length, APPEND_LIMIT);
  assert.is(log.head().seq, APPEND_LIMIT + 1);
  at.remove();
});

appending("an entry says when it was, by both clocks, and whether the wall clock was set", () => {
  let nowMs = 1_790_000_000_000;
  const at = testStore({ now: () => nowMs++, monotonicMs: () => 4_711 });
  const [, , third] = entriesOf([
    ...at.store.log.readAfter(0, 9),
    ...at.store.log.append([sampled(1), sampled(2)]).flatMap(() => at.store.log.readAfter(2, 1)),
  ]);
  assert.is(third?.monotonicMs, 4_711);
  assert.ok((third?.at ?? 0) > 1_790_000_000_000);
  assert.is(third?.clock, "synced");
  at.remove();
});

appending("a clock that goes back changes the time of an entry, never its place", () => {
  let now = 1_000_000;
  const at = testStore({ now: () => (now -= 1_000), monotonicMs: () => 1 });
  for (const value of [1, 2]) at.store.log.append([sampled(value)]);
  const entries = entriesOf(at.store.log.readAfter(0, 9));
  assert.equal(
    entries.map(({ seq }) => seq),
    [1, 2, 3],
  );
  assert.ok((entries[0]?.at ?? 0) > (entries[2]?.at ?? 0));
  assert.is(at.store.log.verify([]).fault, null);
  at.remove();
});

appending("a clock that stands before this software existed is unsynced, trusted or not", () => {
  assert.is(clockState("trust", Date.UTC(1970, 0, 1)), "unsynced");
  assert.is(clockState("trust", Date.UTC(2025, 11, 31)), "unsynced");
  assert.is(clockState("trust", Date.UTC(2026, 7, 1)), "synced");
  assert.is(clockState("detect", Date.UTC(1970, 0, 1)), "unsynced");
});

appending("readAfter gives what follows a place, oldest first, and no more than asked for", () => {
  const at = testStore();
  const { log } = at.store;
  log.append([sampled(1), sampled(2), sampled(3), sampled(4)]);
  const seqs = (seq: number, limit: number): number[] =>
    log.readAfter(seq, limit).map((stored) => stored.seq);
  assert.equal(seqs(0, 100), [1, 2, 3, 4, 5]);
  assert.equal(seqs(2, 2), [3, 4]);
  assert.equal(seqs(5, 9), []);
  assert.equal(seqs(99, 9), []);
  assert.is(log.readAfter(0, 1)[0]?.log, log.head().log);
  at.remove();
});

appending("begun anew it counts from 1, names its parent, and both lives verify", () => {
  const at = testStore();
  const { log } = at.store;
  log.append([sampled(1), sampled(2)]);
  const parent = log.head();
  const first = log.begin(randomUUID(), parent);
  assert.is(first.seq, 1);
  assert.is.not(first.log, parent.log);
  const [opened] = entriesOf(log.readAfter(0, 1));
  assert.is(opened?.type, "store.opened");
  assert.equal(ENTRY_DATA["store.opened"].parse(opened?.data).parent, parent);
  assert.is(log.append([sampled(3)])[0]?.seq, 2);
  const { entries, fault, lives } = log.verify([]);
  assert.is(fault, null);
  assert.is(entries, 5);
  assert.equal(
    lives.map(({ log: id, entries: count }) => [id, count]),
    [
      [parent.log, 3],
      [first.log, 2],
    ],
  );
  at.remove();
});

appending("the first entry of a new store has no parent", () => {
  const at = testStore();
  const [opened] = entriesOf(at.store.log.readAfter(0, 1));
  assert.is(opened?.type, "store.opened");
  assert.is(opened?.actor, "device");
  assert.is(ENTRY_DATA["store.opened"].parse(opened?.data).parent, null);
  at.remove();
});

appending("two processes share one order: what one appends the other reads and continues", () => {
  const at = testStore();
  const { vaultKey: _, ...held } = at.options;
  const agent = openLog(held);
  for (let i = 0; i < 5; i++) {
    const [mine] = at.store.log.append([sampled(i)]);
    const [theirs] = agent.log.append([sampled(i)]);
    assert.is(theirs?.seq, (mine?.seq ?? 0) + 1);
  }
  assert.equal(agent.log.head(), at.store.log.head());
  assert.is(agent.log.verify([]).fault, null);
  agent.close();
  at.remove();
});

appending("a visit's facts say who and when, and their sealed part says nothing", () => {
  const at = testStore();
  const person = randomUUID();
  const id = randomUUID();
  const [started] = visit(id, person);
  assert.ok(started);
  const seal = { biometric: { crops: [Buffer.from("a face").toString("base64")] } };
  const [, recognised] = visit(id, person);
  assert.is(recognised?.type, "visit.recognised");
  if (recognised?.type !== "visit.recognised") return;
  at.store.append([started, { ...recognised, personal: seal }]);
  const [entry] = entriesOf(at.store.log.readAfter(2, 1));
  assert.equal(Object.keys(entry?.sealed ?? {}), ["biometric"]);
  assert.is(Buffer.from(entry?.sealed?.biometric ?? "", "base64").includes("a face"), false);
  assert.is(entry?.subject, id);
  at.remove();
});

appending.run();
