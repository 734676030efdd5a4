import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKeyOutbox, type QueuedKey } from "../../../edge/log/key-outbox.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { WAITING_KEYS_MAX } from "../../../edge/store/key-release.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { PERSONAL_CLASSES } from "../../../shared/log/entry.ts";
import { siteIdOf } from "../../../shared/log/site-key.ts";
import { unwrapKey } from "../../../shared/log/wrap.ts";
import { enrolled, erased, randomEmbedding, seeded, template } from "../../support/facts.ts";
import { newSite, release } from "../../support/released.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const releasing = suite("what the owner releases to a site");
const DEVICE = randomUUID();

/** A store with people in it, and the log as its agent sees it. */
function door(people = 1) {
  const at = testStore();
  const ids = Array.from({ length: people }, () => randomUUID());
  for (const id of ids) {
    const face = randomEmbedding(seeded(1));
    at.store.append([enrolled(id, "somebody"), template(id, face)]);
  }
  const opened = openLog(at.options);
  const rows = createKeyOutbox(opened.database, systemClock);
  return {
    at,
    ids,
    rows,
    database: opened.database,
    remove() {
      opened.close();
      at.remove();
    },
  };
}

const named = (rows: readonly QueuedKey[]): string[] =>
  rows.map((row) => `${row.class} ${row.wrapped === null ? "back" : "there"}`).sort();

releasing("is nothing, unless it says so and a site is known", async () => {
  const { at, rows, remove } = door();
  const site = newSite();
  await release(at.store, DEVICE, [], site.publicKey);
  await release(at.store, DEVICE, PERSONAL_CLASSES, null);
  assert.equal(rows.all(), []);
  remove();
});

releasing("is a key of each class and person, which only the site can open", async () => {
  const { at, ids, rows, remove } = door();
  const [subject = ""] = ids;
  const site = newSite();
  await release(at.store, DEVICE, ["biometric"], site.publicKey);
  const [only, ...others] = rows.next(10);
  assert.equal(others, []);
  assert.ok(only?.wrapped);
  assert.equal(
    [only.subject, only.class, only.site],
    [subject, "biometric", siteIdOf(site.publicKey)],
  );
  const place = { device: DEVICE, subject, class: "biometric" } as const;
  const key = at.store.keyring.export(subject, "biometric");
  assert.ok(key?.equals(await unwrapKey(site.privateKey, place, only.wrapped)));
  await release(at.store, DEVICE, ["biometric", "profile"], site.publicKey);
  assert.equal(named(rows.next(10)), ["biometric there", "profile there"]);
  remove();
});

releasing("grows with whoever is enrolled later, and is handed over once", async () => {
  const { at, rows, remove } = door();
  const { publicKey } = newSite();
  assert.is((await release(at.store, DEVICE, ["profile"], publicKey)).handedOver, 1);
  rows.settle(rows.next(10));
  at.store.append([enrolled(randomUUID(), "another")]);
  assert.is((await release(at.store, DEVICE, ["profile"], publicKey)).handedOver, 1);
  rows.settle(rows.next(10));
  assert.is((await release(at.store, DEVICE, ["profile"], publicKey)).handedOver, 0);
  assert.is((await release(at.reopen(), DEVICE, ["profile"], publicKey)).handedOver, 0);
  remove();
});

releasing("a class that is released no longer is taken back, delivered or not", async () => {
  const { at, rows, remove } = door();
  const { publicKey } = newSite();
  await release(at.store, DEVICE, ["profile", "biometric"], publicKey);
  rows.settle(rows.next(1));
  await release(at.store, DEVICE, [], publicKey);
  assert.equal(named(rows.next(10)), ["biometric back", "profile back"]);
  rows.settle(rows.next(10));
  assert.equal(rows.all(), []);
  await release(at.store, DEVICE, ["biometric"], publicKey);
  assert.equal(named(rows.next(10)), ["biometric there"]);
  remove();
});

releasing("a later word has a higher number, also after a clock that goes back", async () => {
  const { at, rows, database, remove } = door();
  const [site, other] = [newSite(), newSite()];
  await release(at.store, DEVICE, ["profile"], site.publicKey);
  const [first] = rows.next(1);
  await release(at.store, DEVICE, ["profile"], other.publicKey);
  const [second] = rows.next(1);
  assert.is(second?.site, siteIdOf(other.publicKey));
  assert.ok(first && second && second.number > first.number);
  rows.settle([first]);
  assert.is(rows.waiting(), 1, "what was replaced while it was told is told anew");
  const past = createKeyOutbox(database, { now: () => 0 });
  past.revoke([second]);
  assert.ok((past.next(1)[0]?.number ?? 0) > second.number);
  remove();
});

releasing("erasing takes what waits, at once and whoever erases", async () => {
  const { at, ids, rows, remove } = door(2);
  const [gone = "", kept = ""] = ids;
  const { publicKey } = newSite();
  await release(at.store, DEVICE, PERSONAL_CLASSES, publicKey);
  at.store.append([erased(gone)]);
  const of = (subject: string) => named(rows.next(10).filter((row) => row.subject === subject));
  assert.equal(of(gone), ["biometric back", "profile back"]);
  assert.equal(of(kept), ["biometric there", "profile there"]);
  await release(at.store, DEVICE, PERSONAL_CLASSES, publicKey);
  assert.equal(of(gone), ["biometric back", "profile back"]);
  remove();
});

releasing("who joins anew has everything handed over again", async () => {
  const { at, rows, remove } = door();
  const { publicKey } = newSite();
  await release(at.store, DEVICE, ["profile"], publicKey);
  rows.settle(rows.next(10));
  rows.requeueAll();
  assert.is((await release(at.store, DEVICE, ["profile"], publicKey, 1)).handedOver, 1);
  remove();
});

releasing("more than the agent can take waits where it is", async () => {
  const { at, rows, remove } = door();
  const { publicKey } = newSite();
  const people = Array.from({ length: WAITING_KEYS_MAX + 50 }, () => randomUUID());
  for (const id of people) at.store.keyring.ensure(id, ["media"]);
  await release(at.store, DEVICE, ["media"], publicKey);
  assert.is(rows.waiting(), WAITING_KEYS_MAX);
  rows.settle(rows.next(WAITING_KEYS_MAX));
  await release(at.store, DEVICE, ["media"], publicKey);
  assert.is(rows.waiting(), 50);
  remove();
});

releasing.run();
