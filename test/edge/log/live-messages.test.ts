import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { LIVE_OUTBOX_MAX } from "../../../edge/log/live-messages.ts";
import { createLiveOutbox, LIVE_AGE_MAX_MS, type LiveRow } from "../../../edge/log/live-outbox.ts";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import { openStore } from "../../../edge/store/open-store.ts";
import { decodeMessage, ringSchema, visitorSchema } from "../../../shared/protocol/wire.ts";
import { CANARY_NAME, enrolled, erased, pressed, sampled, visit } from "../../support/facts.ts";
import { plainPages } from "../../support/plain-pages.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const live = suite("what a person waits for");

/** What waits in the store, as the agent reads it, at a time of its own. */
function waiting(at: TestStore, passedMs = 0, upMs = passedMs): readonly LiveRow[] {
  const { clock } = at.options;
  const { database, close } = openLog(at.options);
  try {
    return createLiveOutbox(database, {
      now: () => clock.now() + passedMs,
      monotonicMs: () => clock.monotonicMs() + upMs,
    }).read();
  } finally {
    close();
  }
}

function visitors(at: TestStore) {
  return waiting(at)
    .filter(({ channel }) => channel === "visitor")
    .map(({ payload }) => decodeMessage(visitorSchema, Buffer.from(payload)));
}

live("is written down with its entry, and says which one that is", () => {
  const at = testStore();
  const [cursor] = at.store.append([pressed("garden")]);
  const [row] = waiting(at);
  assert.is(row?.channel, "ring");
  const { at: time, ...message } = decodeMessage(ringSchema, Buffer.from(row?.payload ?? ""));
  const { log, seq } = at.store.log.head();
  assert.equal(message, { log, seq, type: "button.pressed", button: "garden" });
  assert.is(seq, cursor?.seq);
  assert.ok(Math.abs(time - Date.now()) < 60_000);
  at.remove();
});

live("is not there without its entry: both are written or neither", () => {
  const at = testStore();
  const bad = { ...pressed(), actor: "nobody" };
  assert.throws(() => at.store.log.append([pressed(), bad]), /an actor is/);
  assert.is(waiting(at).length, 0);
  at.remove();
});

live("tells a visit by its pseudonyms, and no name", () => {
  const at = testStore();
  const person = randomUUID();
  const id = randomUUID();
  at.store.append([enrolled(person, CANARY_NAME)]);
  at.store.append([...visit(id, person), sampled(1)]);
  const told = visitors(at);
  assert.equal(
    told.map(({ kind, outcome, person: who, score }) => [kind, outcome, who, score]),
    [
      ["started", null, null, null],
      ["recognised", "known", person, 0.8123],
      ["ended", "known", null, null],
    ],
  );
  assert.ok(told.every((message) => message.visit === id && message.name === undefined));
  assert.not.match(JSON.stringify(waiting(at)), "Canary");
  at.remove();
});

live("tells a name where the owner has released names, until the person is erased", () => {
  const at = testStore();
  at.store.close();
  const store = openStore({ ...at.options, liveNames: true });
  const person = randomUUID();
  store.append([enrolled(person, CANARY_NAME)]);
  store.append(visit(randomUUID(), person));
  assert.equal(
    visitors(at).map(({ name }) => name),
    [undefined, CANARY_NAME, undefined],
  );
  const found = (): boolean =>
    plainPages(logPath(at.options.folder), at.options.logKey).includes(CANARY_NAME);
  assert.ok(found(), "the search works");
  store.append([erased(person)]);
  assert.is(waiting(at).length, 0);
  assert.not(found(), "neither in log.db nor in its write-ahead log");
  store.close();
  at.remove();
});

live("is too old after a minute, by either clock, and after the machine was started again", () => {
  const at = testStore();
  at.store.append([pressed()]);
  const stale = (...passed: [number, number]): boolean | undefined =>
    waiting(at, ...passed)[0]?.stale;
  const minute = LIVE_AGE_MAX_MS + 1_000;
  assert.not(stale(0, 0));
  assert.not(stale(minute - 5_000, minute - 5_000));
  assert.ok(stale(minute, minute));
  assert.ok(stale(0, minute), "the wall clock was set back");
  assert.ok(stale(minute, 0), "the wall clock was set forward");
  assert.ok(stale(1_000, -1_000), "the monotonic clock began anew");
  at.remove();
});

live("is given up, oldest first, when nobody takes it", () => {
  const at = testStore();
  for (let i = 0; i < LIVE_OUTBOX_MAX + 20; i++) at.store.append([pressed(String(i))]);
  const rows = waiting(at);
  assert.is(rows.length, LIVE_OUTBOX_MAX);
  assert.match(rows[0]?.payload ?? "", '"button":"20"');
  const { entries } = at.store.log.verify([]);
  assert.is(entries, 1 + LIVE_OUTBOX_MAX + 20, "the log has them all");
  at.remove();
});

live.run();
