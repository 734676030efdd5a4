import { randomUUID } from "node:crypto";
import { existsSync, statSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { createKeyOutbox } from "../../../edge/log/key-outbox.ts";
import { createLiveOutbox } from "../../../edge/log/live-outbox.ts";
import { openPersonal } from "../../../edge/log/open-entry.ts";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import { openAsItIs } from "../../../edge/sqlite/database.ts";
import { openVaultDatabase, vaultPath } from "../../../edge/vault/open-vault.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import type { AnyDraft } from "../../../shared/log/draft.ts";
import { knownEntry, PERSONAL_CLASSES, parseEntry } from "../../../shared/log/entry.ts";
import { captured, enrolled, erased, pressed, visit } from "../../support/facts.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const erasure = suite("erasing a person");
const CROPS = { biometric: { crops: [Buffer.from("a face").toString("base64")] } };

/** A decision of a visit, with its face under the visit's keys, as all of them are. */
function decided(id: string, person: string | null, revision: number): AnyDraft {
  const fact = visit(id, person)[1];
  if (fact?.type !== "visit.recognised") throw new Error("a visit is decided");
  return { ...fact, data: { ...fact.data, revision }, personal: CROPS };
}

function linked(id: string, person: string): AnyDraft {
  return { type: "visit.linked", actor: "cli:test", subject: id, data: { person, visit: id } };
}

/** How many sealed entries of this subject still open. */
function openable({ store }: TestStore, subject: string): number {
  return store.log.readAfter(0, 1_000).filter(({ body }) => {
    const entry = body === null ? null : knownEntry(parseEntry(body));
    if (entry === null || entry.subject !== subject || entry.sealed === null) return false;
    if (entry.type !== "visit.recognised" && entry.type !== "media.captured") return false;
    return openPersonal(entry as never, store.keyring) !== null;
  }).length;
}

function walBytes(path: string): number {
  return existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0;
}

for (const [how, facts] of [
  ["an enrolment from it", (id: string, person: string) => [linked(id, person)]],
  ["a later revision", (id: string, person: string) => [decided(id, person, 2)]],
  [
    "an earlier revision that another took back",
    (id: string, person: string) => [decided(id, person, 2), decided(id, null, 3)],
  ],
] as const) {
  erasure(`closes what was kept of a stranger's visit that is theirs by ${how}`, () => {
    const at = testStore();
    const [person, id, other] = [randomUUID(), randomUUID(), randomUUID()];
    at.store.append([enrolled(person, "Ana"), decided(id, null, 1), captured(id)]);
    at.store.append([decided(other, null, 1), ...facts(id, person)]);
    assert.ok(openable(at, id) >= 2);
    at.store.append([erased(person)]);
    assert.is(openable(at, id), 0);
    assert.is(openable(at, other), 1, "nobody else's");
    assert.equal(
      PERSONAL_CLASSES.map((each) => at.store.keyring.export(id, each)),
      [null, null, null],
    );
    assert.equal(at.store.media.ofVisit(id), []);
    assert.ok(at.store.erasing.isGone(person));
    at.store.rebuild();
    assert.is(openable(at.reopen() && at, id), 0);
    at.remove();
  });
}

erasure("reaches a visit that turns out to be theirs afterwards", () => {
  const at = testStore();
  const [person, id] = [randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "Ana"), decided(id, null, 1)]);
  at.store.append([erased(person)]);
  assert.is(openable(at, id), 1, "nothing says yet whose it is");
  const { personal: _, ...fact } = decided(id, person, 2);
  at.store.append([fact]);
  assert.is(openable(at, id), 0);
  assert.throws(() => at.store.append([decided(id, person, 3)]), /erased/);
  at.remove();
});

erasure("reaches what an earlier version has left, at the next start", () => {
  const at = testStore();
  const [person, id] = [randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "Ana"), decided(id, null, 1), linked(id, person)]);
  const key = at.store.keyring.export(id, "biometric");
  at.store.append([erased(person)]);
  const vault = openVaultDatabase(at.options, false);
  // As one that knew of no links has left it.
  vault.prepare("INSERT INTO subject_keys VALUES (?, 'biometric', ?)").run(id, key);
  vault.prepare("DELETE FROM erased_subjects WHERE subject = ?").run(id);
  vault.exec("DELETE FROM visit_people; DELETE FROM projections WHERE name = 'links'");
  assert.is(openable(at, id), 1);
  vault.close();
  at.reopen();
  assert.is(openable(at, id), 0);
  at.remove();
});

for (const [name, pathOf, keyOf] of [
  ["vault.db", vaultPath, ({ options }: TestStore) => options.vaultKey],
  ["log.db", logPath, ({ options }: TestStore) => options.logKey],
] as const) {
  erasure(`is not said to be done while somebody reads ${name} as it was, and is done then`, () => {
    const at = testStore();
    const person = randomUUID();
    at.store.append([enrolled(person, "Ana")]);
    const path = pathOf(at.options.folder);
    const reader = openAsItIs(path, keyOf(at));
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM sqlite_schema").get();
    at.store.append([erased(person)]);
    assert.not(at.store.keyring.holds(person));
    assert.not(at.store.erasing.finish(20));
    assert.not(at.store.erasing.isGone(person), "what the reader sees, others could read");
    assert.ok(walBytes(path) > 0);
    at.reopen();
    assert.equal(at.store.erasing.pending(), [person], "also after a start");
    reader.exec("COMMIT");
    reader.close();
    assert.ok(at.store.erasing.finish(20));
    assert.ok(at.store.erasing.isGone(person));
    assert.is(walBytes(path), 0);
    at.remove();
  });
}

erasure("removes every copy of both files, whole, half and repaired", () => {
  const at = testStore();
  const person = randomUUID();
  at.store.append([enrolled(person, "Ana")]);
  const copies = [logPath(at.options.folder), vaultPath(at.options.folder)].flatMap((path) =>
    ["0008", "0008.partial-77", "rebuild", "rebuild-wal"].map((end) => `${path}.before-${end}`),
  );
  // What a repair that was cut off has left.
  copies.push(`${vaultPath(at.options.folder)}.rebuilt`);
  for (const copy of copies) writeFileSync(copy, "a name");
  at.store.append([erased(person)]);
  assert.equal(copies.filter(existsSync), []);
  at.remove();
});

erasure("takes back what waits to be sent about them, and nothing of anybody else's", () => {
  const at = testStore();
  const [person, id, other] = [randomUUID(), randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "Ana")]);
  at.store.append([pressed(), ...visit(id, person), ...visit(other, null)]);
  const { database, close } = openLog(at.options);
  const waiting = () =>
    createLiveOutbox(database, systemClock)
      .read()
      .map(({ payload }) => payload);
  assert.is(waiting().length, 7);
  at.store.append([erased(person)]);
  assert.is(waiting().length, 4);
  assert.not(waiting().some((payload) => payload.includes(person) || payload.includes(id)));
  close();
  at.remove();
});

erasure("takes back keys of their visits that a site was given", () => {
  const at = testStore();
  const [person, id, other] = [randomUUID(), randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "Ana"), decided(id, null, 1), decided(other, null, 1)]);
  const { database, close } = openLog(at.options);
  const released = createKeyOutbox(database, systemClock);
  const key = { class: "biometric", site: "a site", wrapped: Buffer.from("wrapped") } as const;
  released.handOver([
    { ...key, subject: id },
    { ...key, subject: other },
  ]);
  at.store.append([linked(id, person)]);
  at.store.append([erased(person)]);
  const words = released.next(10).map(({ subject, wrapped }) => [subject, wrapped === null]);
  assert.equal(
    words.sort(),
    [
      [id, true],
      [other, false],
    ].sort(),
  );
  close();
  at.remove();
});

erasure("that a crash has cut off is finished at the next start", () => {
  const at = testStore();
  const [person, id] = [randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "Ana")]);
  at.store.append(visit(id, person));
  // As SIGKILL leaves it: the log has it, the vault has not; a copy and a message lie there.
  at.store.log.append([erased(person)]);
  const copy = `${logPath(at.options.folder)}.before-0008`;
  writeFileSync(copy, "a name");
  assert.not(at.store.erasing.isGone(person));
  at.reopen();
  assert.ok(at.store.erasing.isGone(person));
  assert.not(existsSync(copy));
  // And where it was killed once the keys were gone.
  const vault = openVaultDatabase(at.options, false);
  vault.prepare("INSERT INTO erasing VALUES (?)").run(person);
  vault.close();
  writeFileSync(copy, "a name");
  assert.not(at.store.erasing.isGone(person));
  at.reopen();
  assert.ok(at.store.erasing.isGone(person));
  assert.not(existsSync(copy));
  at.remove();
});

erasure.run();
