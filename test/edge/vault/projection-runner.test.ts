import { randomUUID } from "node:crypto";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import { type Database, openDatabase } from "../../../edge/sqlite/database.ts";
import { openStore, type Store } from "../../../edge/store/open-store.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { canonicalJson, chainHash } from "../../../shared/log/chain.ts";
import { storeProcess, writeOrder } from "../../support/child.ts";
import {
  CANARY_NAME,
  enrolled,
  erased,
  PACK,
  randomEmbedding,
  renamed,
  sampled,
  seeded,
  template,
  visit,
} from "../../support/facts.ts";
import { rejects } from "../../support/rejects.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const projections = suite("the vault");
const VAULT_MIGRATIONS = new URL("../../../edge/vault/migrations/", import.meta.url);
const SEED = 41;

/** All that the vault tells of people, templates and visits, in an order of its own. */
async function told({ gallery, visits, latest }: Store): Promise<unknown> {
  const probe = randomEmbedding(seeded(SEED));
  return {
    people: gallery.people(),
    templates: gallery.templates(),
    nearest: await gallery.nearest(PACK, probe, 100),
    visits: visits.list(100),
    latest: latest.of("telemetry.sampled"),
  };
}

function rawVault({ options }: TestStore): Database {
  const { folder, vaultKey: key } = options;
  const path = vaultPath(folder);
  const database = { path, key, migrations: VAULT_MIGRATIONS, mode: 0o600, vectors: true } as const;
  return openDatabase({ ...database, create: false, now: Date.now });
}

/** Somebody stays, somebody is renamed, somebody is erased, and all have been at the door. */
function live(store: Store): void {
  const random = seeded(SEED + 1);
  const [ada, bob, eve] = [randomUUID(), randomUUID(), randomUUID()];
  for (const person of [ada, bob, eve]) {
    store.append([enrolled(person, `Name ${person.slice(0, 4)}`)]);
    store.append([template(person, randomEmbedding(random))]);
    store.append([template(person, randomEmbedding(random), { pack: "other@2" })]);
    store.append(visit(randomUUID(), person));
  }
  store.append([renamed(bob, "Bob"), erased(eve), sampled(7), ...visit(randomUUID(), null)]);
}

projections("emptied and read again from the log, it tells the same", async () => {
  const at = testStore();
  live(at.store);
  const before = await told(at.store);
  at.store.rebuild();
  assert.equal(await told(at.store), before);
  assert.equal(await told(at.reopen()), before);
  at.remove();
});

projections("read again, it knows what earlier lives of the log have told", async () => {
  const at = testStore();
  live(at.store);
  at.store.log.begin(randomUUID(), at.store.log.head());
  at.store.append([enrolled(randomUUID(), "Grace"), ...visit(randomUUID(), null)]);
  const before = await told(at.store);
  assert.ok(
    at.store.gallery.people().some(({ name }) => name === "Bob"),
    "of the earlier life",
  );
  at.store.rebuild();
  assert.equal(await told(at.store), before);
  assert.equal(await told(at.reopen()), before);
  at.remove();
});

projections(
  "with gallery, people and visits dropped behind its back, it tells the same again",
  async () => {
    const at = testStore();
    live(at.store);
    const before = await told(at.store);
    at.store.close();
    const raw = rawVault(at);
    raw.exec(`DROP TABLE gallery_1; DROP TABLE gallery_2; DELETE FROM templates; DELETE FROM people;
    DELETE FROM packs; DELETE FROM visits; DELETE FROM latest; DELETE FROM projections`);
    raw.close();
    const store = at.reopen();
    store.rebuild();
    assert.equal(await told(store), before);
    at.remove();
  },
);

projections("an entry given to it twice changes nothing", async () => {
  const at = testStore();
  live(at.store);
  const before = await told(at.store);
  at.store.close();
  const raw = rawVault(at);
  raw.exec("DELETE FROM projections");
  raw.close();
  assert.equal(await told(at.reopen()), before);
  at.remove();
});

projections("more entries than one batch are followed to the last", () => {
  const at = testStore();
  for (let i = 0; i < 3; i++) {
    at.store.log.append(Array.from({ length: 400 }, (_, j) => sampled(400 * i + j)));
  }
  const store = at.reopen();
  assert.is(store.latest.of("telemetry.sampled")?.data.metrics["value"], 1_199);
  assert.equal(store.followed(), store.log.head());
  at.remove();
});

projections(
  "killed after the log knew and before the vault did, it catches up at the next start",
  async () => {
    const at = testStore();
    const child = storeProcess("write", writeOrder(at, "appendOnly"));
    await child.ready;
    child.go();
    assert.is((await child.ended).code, "SIGKILL");
    assert.is(child.lines.length, 5, "the log has promised five entries");
    const { gallery, visits, log } = at.reopen();
    assert.is(log.head().seq, 6);
    assert.equal(
      gallery.people().map(({ name, templates }) => [name, templates]),
      [[CANARY_NAME, 1]],
    );
    assert.is(visits.list(9)[0]?.outcome, "known");
    at.remove();
  },
);

projections(
  "an erasure that only the log knew is done before the next start serves anything",
  () => {
    const at = testStore();
    const ada = randomUUID();
    at.store.append([enrolled(ada, "Ada")]);
    at.store.log.append([erased(ada)]);
    assert.is(at.store.gallery.people().length, 1, "not yet: as if killed here");
    const store = at.reopen();
    assert.is(store.gallery.people().length, 0);
    assert.ok(store.keyring.isErased(ada));
    at.remove();
  },
);

projections("a vault restored from a backup erases again whom the log says was erased", () => {
  const at = testStore();
  const ada = randomUUID();
  at.store.append([enrolled(ada, "Ada"), template(ada, randomEmbedding(seeded(SEED)))]);
  at.store.close();
  const path = vaultPath(at.options.folder);
  const backup = join(at.options.folder, "backup.db");
  copyFileSync(path, backup);
  at.reopen().append([erased(ada)]);
  at.store.close();
  copyFileSync(backup, path);
  const store = at.reopen();
  assert.is(store.gallery.people().length, 0);
  assert.ok(store.keyring.isErased(ada));
  at.remove();
});

projections("killed at any moment, it tells what the log says", async () => {
  const at = testStore();
  at.store.close();
  for (let kill = 0; kill < 4; kill++) {
    const child = storeProcess("write", writeOrder(at, "live"));
    await child.ready;
    child.go();
    while (child.lines.length === 0) await sleep(2);
    await sleep(60 * kill);
    child.process.kill("SIGKILL");
    await child.ended;
    const store = at.reopen();
    const followed = await told(store);
    assert.equal(store.followed(), store.log.head());
    store.rebuild();
    assert.equal(await told(store), followed);
    store.close();
  }
  at.remove();
});

projections("three processes that write at once do not get in each other's way", async () => {
  const at = testStore();
  const order = writeOrder(at, "live", 20);
  const children = [1, 2].map(() => storeProcess("write", order));
  await Promise.all(children.map(({ ready }) => ready));
  for (const { go } of children) go();
  let running = true;
  const ends = Promise.all(children.map(({ ended }) => ended)).then((all) => {
    running = false;
    return all;
  });
  for (let i = 0; running; i++) {
    at.store.append([sampled(i)]);
    at.store.catchUp();
    await sleep(1);
  }
  for (const { code, err } of await ends) assert.is(code, 0, err);
  assert.equal(at.store.followed(), at.store.log.head());
  assert.is(
    at.store.log.verify([at.store.followed()].map((c) => ({ ...c, from: "t" }))).fault,
    null,
  );
  assert.is(at.store.gallery.people().length, 20, "every other of 40 was erased");
  at.remove();
});

projections(
  "a log that was replaced by an older copy is noticed, also after it has grown again",
  async () => {
    const at = testStore();
    const path = logPath(at.options.folder);
    const backup = join(at.options.folder, "backup.db");
    at.store.append([sampled(1)]);
    at.store.close();
    copyFileSync(path, backup);
    at.reopen().append([sampled(2), sampled(3)]);
    at.store.close();
    copyFileSync(backup, path);
    const error = await rejects(() => openStore(at.options), "store.log.behind");
    assert.match(error.hint ?? "", "porchlight log verify");
    // The agent, which has no vault, goes on writing to what it finds.
    const agent = openLog(at.options);
    agent.log.append([sampled(4), sampled(5), sampled(6)]);
    assert.is(agent.log.verify([]).fault, null);
    agent.close();
    await rejects(() => openStore(at.options), "store.log.behind");
    at.remove();
  },
);

projections(
  "entries it cannot read or open are passed over and told, those after them followed",
  () => {
    const at = testStore();
    const ada = randomUUID();
    at.store.append([enrolled(ada, "Ada")]);
    const path = logPath(at.options.folder);
    const key = at.options.logKey;
    at.store.close();
    // Somebody with the key of the log chains on what no program of ours would write.
    const migrations = new URL("../../../edge/log/migrations/", import.meta.url);
    const raw = { path, key, migrations, mode: 0o660, create: false, now: Date.now } as const;
    const database = openDatabase(raw);
    const agent = openLog(at.options);
    let { seq, hash } = agent.log.head();
    const second = JSON.parse(agent.log.readAfter(1, 1)[0]?.body ?? "");
    const moved = { ...second, type: "person.renamed" };
    for (const entry of [moved, { ...second, data: { unheard: 1 } }, { nothing: "known" }]) {
      seq++;
      const body = canonicalJson({ ...entry, seq });
      hash = chainHash(hash, body);
      const bytes = Buffer.from(hash, "hex");
      database.prepare("INSERT INTO entries VALUES (?, ?, ?)").run(seq, bytes, body);
    }
    database.close();
    agent.close();
    const told: [number, string][] = [];
    const passedOver = (place: number, reason: unknown): void => {
      told.push([place, reason instanceof PorchlightError ? reason.code : "unreadable"]);
    };
    const store = openStore({ ...at.options, passedOver });
    store.append([renamed(ada, "Ada L.")]);
    assert.is(store.gallery.person(ada)?.name, "Ada L.");
    assert.ok(told.some(([place, code]) => place === 3 && code === "seal.broken"));
    assert.ok(told.some(([place, code]) => place === 5 && code === "unreadable"));
    store.close();
    at.remove();
  },
);

projections.run();
