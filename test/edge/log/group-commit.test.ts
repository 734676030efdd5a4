import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createGroupCommit, type GroupCommit } from "../../../edge/log/group-commit.ts";
import type { AnyDraft } from "../../../shared/log/draft.ts";
import { sampled } from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const grouping = suite("a group commit");

interface Recorded {
  readonly group: GroupCommit;
  readonly groups: (readonly AnyDraft[])[];
  readonly failures: unknown[];
}

function recorded(maxWaitMs: number, append?: (drafts: readonly AnyDraft[]) => void): Recorded {
  const groups: (readonly AnyDraft[])[] = [];
  const failures: unknown[] = [];
  const group = createGroupCommit({
    append: append ?? ((drafts) => void groups.push(drafts)),
    maxWaitMs,
    maxDrafts: 3,
    failed: (error) => void failures.push(error),
  });
  return { group, groups, failures };
}

grouping("writes a group when it is full, and keeps the order", () => {
  const { group, groups } = recorded(60_000);
  const drafts = [1, 2, 3, 4].map(sampled);
  for (const draft of drafts) group.add(draft);
  assert.equal(groups, [drafts.slice(0, 3)]);
  group.close();
  assert.equal(groups, [drafts.slice(0, 3), drafts.slice(3)]);
});

grouping("writes a group when it is old enough, also when nothing follows", async () => {
  const { group, groups } = recorded(20);
  group.add(sampled(1));
  group.add(sampled(2));
  assert.is(groups.length, 0);
  await sleep(80);
  assert.is(groups.length, 1);
  assert.is(groups[0]?.length, 2);
  group.close();
  assert.is(groups.length, 1, "nothing is written twice, and no empty group");
});

grouping("a failure of the timer is told, and those that come later are written", async () => {
  let broken = true;
  const written: number[] = [];
  const { group, failures } = recorded(10, (drafts) => {
    if (broken) throw new Error("disk full");
    written.push(drafts.length);
  });
  group.add(sampled(1));
  await sleep(60);
  assert.match(String(failures[0]), "disk full");
  broken = false;
  group.add(sampled(2));
  group.flush();
  assert.equal(written, [1]);
});

grouping("is one transaction: one sync for all of its entries, which follow each other", () => {
  const at = testStore();
  const group = createGroupCommit({
    append: at.store.append,
    maxWaitMs: 60_000,
    maxDrafts: 100,
    failed: () => undefined,
  });
  for (let i = 0; i < 99; i++) group.add(sampled(i));
  assert.is(at.store.log.head().seq, 1, "they wait for company");
  group.add(sampled(99));
  assert.is(at.store.log.head().seq, 101);
  assert.is(at.store.log.verify([]).fault, null);
  group.close();
  at.remove();
});

grouping.run();
