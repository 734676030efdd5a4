import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { visit } from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const visits = suite("the visits");

visits("keep who it was, when, for how long, and why it was decided so", () => {
  const at = testStore({ now: () => 1_790_000_000_000, monotonicMs: () => 1 });
  const [id, ada] = [randomUUID(), randomUUID()];
  const [started, recognised, ended] = visit(id, ada);
  assert.ok(started && recognised && ended);
  const shown = () => at.store.visits.list(1)[0];
  at.store.append([started]);
  assert.is(shown()?.camera, "door");
  assert.is(shown()?.startedAtMs, 1_790_000_000_000);
  assert.is(shown()?.clock, "synced");
  assert.is(shown()?.outcome, null, "not decided yet");
  at.store.append([recognised]);
  assert.is(shown()?.outcome, "known");
  assert.is(shown()?.person, ada);
  assert.is(shown()?.decidedSeq, 3);
  assert.is(recognised.type, "visit.recognised");
  if (recognised.type !== "visit.recognised") return;
  assert.equal(shown()?.decision, recognised.data.decision);
  assert.is(shown()?.endedAtMs, null);
  at.store.append([ended]);
  assert.is(shown()?.durationMs, 2_000);
  assert.is(shown()?.endedAtMs, 1_790_000_000_000);
  assert.equal(at.reopen().visits.list(1)[0], shown());
  at.remove();
});

visits("a later decision replaces an earlier one; both stand in the log", () => {
  const at = testStore();
  const [id, ada] = [randomUUID(), randomUUID()];
  const [started, unknown] = visit(id, null);
  const [, known] = visit(id, ada);
  assert.ok(started && unknown && known);
  at.store.append([started, unknown, known]);
  assert.is(at.store.visits.list(9).length, 1);
  assert.is(at.store.visits.find(id)?.outcome, "known");
  assert.is(at.store.visits.find(id)?.decidedSeq, 4);
  assert.is(at.store.log.readAfter(2, 2).filter(({ body }) => body?.includes(id)).length, 2);
  at.remove();
});

visits("are listed newest first, and counted", () => {
  const at = testStore();
  const ids = Array.from({ length: 5 }, () => randomUUID());
  for (const id of ids) at.store.append(visit(id, null));
  const listed = at.store.visits.list(3).map(({ id }) => id);
  assert.equal(listed, [...ids].reverse().slice(0, 3));
  assert.is(at.store.visits.count(), 5);
  at.remove();
});

visits("are found by their id or an unambiguous start of it, and by nothing else", () => {
  const at = testStore();
  const one = "aaaa1111-0000-4000-8000-000000000001";
  const other = "aaaa2222-0000-4000-8000-000000000002";
  at.store.append([...visit(one, null), ...visit(other, null)]);
  const { visits: known } = at.store;
  assert.is(known.find(one)?.id, one);
  assert.is(known.find("aaaa1")?.id, one);
  assert.is(known.find("aaaa2222-")?.id, other);
  assert.is(known.find("aaaa"), null, "both begin so");
  assert.is(known.find("bbbb"), null);
  for (const wrong of ["", "aaa", "%", "aaaa%", "AAAA1", `${one}0`, "aaaa1' OR 1=1"]) {
    assert.is(known.find(wrong), null, wrong);
  }
  at.remove();
});

visits("that have not ended are told apart, also after a restart", () => {
  const at = testStore();
  const [gone, here] = [randomUUID(), randomUUID()];
  at.store.append([...visit(gone, null), ...visit(here, null).slice(0, 2)]);
  const open = at.reopen().visits.open();
  assert.equal(
    open.map(({ id }) => id),
    [here],
  );
  const cut = { visit: here, reason: "interrupted", durationMs: null, frames: null } as const;
  const about = { type: "visit.ended", actor: "device", subject: here } as const;
  at.store.append([{ ...about, data: { ...cut, outcome: "unknown" } }]);
  assert.equal(at.store.visits.open(), []);
  assert.is(at.store.visits.find(here)?.durationMs, null);
  at.remove();
});

visits("that began or changed after an entry are told in that order, each once", () => {
  const at = testStore();
  const [one, other] = [randomUUID(), randomUUID()];
  const [startOne, ...restOne] = visit(one, null);
  assert.ok(startOne);
  at.store.append([startOne]);
  at.store.append(visit(other, null));
  const { seq } = at.store.log.head();
  assert.equal(at.store.visits.changedAfter(seq), []);
  at.store.append(restOne);
  const changed = (after: number): string[] =>
    at.store.visits.changedAfter(after).map(({ id }) => id);
  assert.equal(changed(seq), [one]);
  assert.equal(changed(0), [other, one]);
  at.remove();
});

visits.run();
