import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import * as assert from "uvu/assert";
import { openPersonal } from "../../../edge/log/open-entry.ts";
import { openStore, type Store } from "../../../edge/store/open-store.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { type Clock, systemClock } from "../../../shared/core/clock.ts";
import type { Draft } from "../../../shared/log/draft.ts";
import { embeddingToBytes } from "../../../shared/log/embedding.ts";
import { type EntryOf, knownEntry, parseEntry } from "../../../shared/log/entry.ts";
import {
  enrolled,
  erased,
  randomEmbedding,
  renamed,
  seeded,
  template,
} from "../../support/facts.ts";
import { plainPages } from "../../support/plain-pages.ts";
import { rejects } from "../../support/rejects.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const keyring = suite("the keyring");

/** The name sealed in an entry, or null when its key is gone. */
function nameIn(store: Store, seq: number): string | null {
  const [stored] = store.log.readAfter(seq - 1, 1);
  const entry = knownEntry(parseEntry(stored?.body ?? ""));
  assert.is(entry?.type, "person.enrolled");
  return openPersonal(entry as EntryOf<"person.enrolled">, store.keyring)?.profile.name ?? null;
}

function seqOf(store: Store, draft: Draft<"person.enrolled">): number {
  const [cursor] = store.append([draft]);
  return cursor?.seq ?? 0;
}

keyring("makes keys durable before the entry they seal is in the log", () => {
  const ada = randomUUID();
  let seen: [keyIsThere: boolean, entries: number] | undefined;
  let watching = false;
  // The clock is asked while the entry is being composed: between the two.
  const clock: Clock = {
    ...systemClock,
    now() {
      if (!watching) return Date.now();
      watching = false;
      const other = openStore({ ...at.options, clock: systemClock });
      const place = {
        log: randomUUID(),
        seq: 1,
        type: "t",
        subject: ada,
        class: "profile",
      } as const;
      const sealed = other.keyring.seal(place, Buffer.from("x"));
      seen = [other.keyring.open(place, sealed)?.toString() === "x", other.log.head().seq];
      other.close();
      return Date.now();
    },
  };
  const at = testStore(clock);
  watching = true;
  at.store.append([enrolled(ada, "Ada")]);
  assert.equal(seen, [true, 1]);
  assert.is(at.store.log.head().seq, 2);
  at.remove();
});

keyring("an append that fails leaves a key without an entry, and the next one succeeds", () => {
  let broken = false;
  const now = (): number => {
    if (broken) throw new Error("no clock");
    return Date.now();
  };
  const at = testStore({ ...systemClock, now });
  const ada = randomUUID();
  broken = true;
  assert.throws(() => at.store.append([enrolled(ada, "Ada")]), /no clock/);
  broken = false;
  assert.is(at.store.log.head().seq, 1);
  assert.is(nameIn(at.store, seqOf(at.store, enrolled(ada, "Ada"))), "Ada");
  at.remove();
});

keyring("opens what it sealed after a restart, also what was sealed twice under one key", () => {
  const at = testStore();
  const ada = randomUUID();
  const first = seqOf(at.store, enrolled(ada, "Ada"));
  at.store.append([renamed(ada, "Ada L.")]);
  const store = at.reopen();
  assert.is(nameIn(store, first), "Ada");
  assert.is(store.gallery.person(ada)?.name, "Ada L.");
  at.remove();
});

keyring("a subject has a key of its own for each class", () => {
  const at = testStore();
  const [ada, bob] = [randomUUID(), randomUUID()];
  const { keyring: ring } = at.store;
  ring.ensure(ada, ["profile", "biometric"]);
  ring.ensure(bob, ["profile"]);
  const place = { log: randomUUID(), seq: 1, type: "t", subject: ada, class: "profile" } as const;
  const sealed = ring.seal(place, Buffer.from("x"));
  ring.destroy(ada, ["biometric"]);
  assert.is(ring.open(place, sealed)?.toString(), "x");
  assert.is(ring.open({ ...place, class: "biometric" }, sealed), null);
  assert.throws(() => ring.open({ ...place, subject: bob }, sealed), /does not open with its key/);
  at.remove();
});

keyring("erasing a person destroys their keys: what was sealed stays shut, for ever", async () => {
  const at = testStore();
  const [ada, bob] = [randomUUID(), randomUUID()];
  const [ofAda, ofBob] = [enrolled(ada, "Ada"), enrolled(bob, "Bob")].map((draft) =>
    seqOf(at.store, draft),
  );
  at.store.append([erased(ada)]);
  for (let start = 0; start < 3; start++) {
    const store = start === 0 ? at.store : at.reopen();
    assert.is(nameIn(store, ofAda ?? 0), null);
    assert.is(nameIn(store, ofBob ?? 0), "Bob");
    assert.ok(store.keyring.isErased(ada));
    assert.not(store.keyring.isErased(bob));
    await rejects(() => store.append([renamed(ada, "Ada again")]), "subject.erased");
    assert.is(store.log.verify([]).fault, null, "the chain covers ciphertext: it still verifies");
  }
  at.remove();
});

keyring("erasing leaves no byte of the person, not even for who has the key of the vault", () => {
  const at = testStore();
  const [ada, bob] = [randomUUID(), randomUUID()];
  const random = seeded(20_260_801);
  const face = randomEmbedding(random);
  const { vaultKey, folder } = at.options;
  const path = vaultPath(folder);
  at.store.append([
    enrolled(ada, "Canary Ada"),
    enrolled(bob, "Canary Bob"),
    ...Array.from({ length: 5 }, () => template(ada, face, { crop: Buffer.alloc(9_000, 7) })),
    template(bob, randomEmbedding(random)),
  ]);
  const traces = { name: "Canary Ada", face: embeddingToBytes(face).subarray(64, 128), id: ada };
  const before = plainPages(path, vaultKey);
  for (const [what, trace] of Object.entries(traces)) assert.ok(before.includes(trace), what);
  at.store.append([erased(ada)]);
  const after = plainPages(path, vaultKey);
  assert.not(after.includes(traces.name));
  assert.not(after.includes(traces.face));
  assert.is(statSync(`${path}-wal`).size, 0, "the write-ahead log is empty");
  assert.ok(after.includes("Canary Bob"));
  assert.is(at.store.gallery.person(ada), null);
  assert.is(at.store.gallery.templates(ada).length, 0);
  at.remove();
});

keyring.run();
