import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import type { Candidate } from "../../../edge/recognition/match.ts";
import { openStore } from "../../../edge/store/open-store.ts";
import {
  enrolled,
  erased,
  PACK,
  randomEmbedding,
  renamed,
  seeded,
  template,
  visit,
} from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const gallery = suite("the gallery");
const random = seeded(7);
const names = (found: readonly Candidate[]): string[] => found.map(({ person }) => person);

gallery("knows who was enrolled, by which name, since when, with how many templates", async () => {
  const at = testStore({ now: () => 1_790_000_000_000, monotonicMs: () => 1 });
  const ada = randomUUID();
  const face = randomEmbedding(random);
  const id = randomUUID();
  at.store.append([enrolled(ada, "Ada"), template(ada, face, { id })]);
  const { gallery: known } = at.store;
  const person = { id: ada, name: "Ada", enrolledAtMs: 1_790_000_000_000, templates: 1 };
  assert.equal(known.people(), [person]);
  assert.equal(known.person(ada), person);
  assert.is(known.person(randomUUID()), null);
  const [kept] = known.templates(ada);
  assert.is(kept?.id, id);
  assert.is(kept?.pack, PACK);
  assert.is(kept?.seq, 3, "the entry that holds its crop");
  assert.equal(await known.nearest(PACK, face, 5), [{ person: ada, template: id, score: 1 }]);
  at.remove();
});

gallery("two people may have one name, and a renamed person keeps templates and id", () => {
  const at = testStore();
  const [ada, other] = [randomUUID(), randomUUID()];
  at.store.append([enrolled(ada, "Ada"), enrolled(other, "Ada")]);
  at.store.append([template(ada, randomEmbedding(random))]);
  assert.is(at.store.gallery.named("Ada").length, 2);
  at.store.append([renamed(ada, "Ada Lovelace")]);
  assert.is(at.store.gallery.named("Ada").length, 1);
  assert.equal(
    at.store.gallery.named("Ada Lovelace").map(({ templates }) => templates),
    [1],
  );
  at.remove();
});

gallery("never compares templates of different packs, not even the same vector", async () => {
  const at = testStore();
  const [ada, bob] = [randomUUID(), randomUUID()];
  const face = randomEmbedding(random);
  at.store.append([
    ...[enrolled(ada, "Ada"), template(ada, face, { pack: "old@1" })],
    ...[enrolled(bob, "Bob"), template(bob, randomEmbedding(random), { pack: "new@1" })],
    ...[template(bob, randomEmbedding(random, 512), { pack: "large@1" })],
  ]);
  const { gallery: known } = at.store;
  assert.equal(names(await known.nearest("old@1", face, 9)), [ada]);
  assert.equal(names(await known.nearest("new@1", face, 9)), [bob]);
  assert.equal(names(await known.nearest("large@1", randomEmbedding(random, 512), 9)), [bob]);
  assert.equal(
    await known.nearest("never@1", face, 9),
    [],
    "a pack without templates knows nobody",
  );
  await known.nearest("large@1", face, 9).then(
    () => assert.unreachable("it has another dimension"),
    (error) => assert.match(String(error), "from the gallery's pack"),
  );
  at.remove();
});

gallery(
  "a template that does not fit its pack is passed over, and those after it are taken",
  async () => {
    const at = testStore();
    const ada = randomUUID();
    const face = randomEmbedding(random);
    at.store.append([enrolled(ada, "Ada"), template(ada, randomEmbedding(random))]);
    const short = template(ada, randomEmbedding(random, 64));
    const wrong = { ...short, data: { ...short.data, dimension: 128 } };
    at.store.append([short, wrong, template(ada, face)]);
    assert.is(at.store.gallery.templates().length, 2);
    const told: number[] = [];
    at.store.close();
    const store = openStore({ ...at.options, passedOver: (seq) => told.push(seq) });
    store.rebuild();
    assert.equal(told, [4, 5]);
    assert.is((await store.gallery.nearest(PACK, face, 1))[0]?.score, 1);
    store.close();
    at.remove();
  },
);

gallery(
  "who was erased is never matched again: at once, after a restart, after a rebuild",
  async () => {
    const at = testStore();
    const [ada, bob] = [randomUUID(), randomUUID()];
    const face = randomEmbedding(random);
    at.store.append([enrolled(ada, "Ada"), enrolled(bob, "Bob")]);
    at.store.append([template(ada, face), template(bob, randomEmbedding(random))]);
    assert.equal(names(await at.store.gallery.nearest(PACK, face, 9)), [ada, bob]);
    at.store.append([erased(ada)]);
    assert.equal(names(await at.store.gallery.nearest(PACK, face, 9)), [bob]);
    assert.equal(at.store.gallery.named("Ada"), []);
    const store = at.reopen();
    assert.equal(names(await store.gallery.nearest(PACK, face, 9)), [bob]);
    store.rebuild();
    assert.equal(names(await store.gallery.nearest(PACK, face, 9)), [bob]);
    assert.equal(store.gallery.templates(ada), []);
    at.remove();
  },
);

gallery("what another process enrols, adds or erases is matched against from then on", async () => {
  const at = testStore();
  const other = openStore(at.options);
  const ada = randomUUID();
  const face = randomEmbedding(random);
  const found = (): Promise<Candidate[]> => {
    at.store.catchUp();
    return at.store.gallery.nearest(PACK, face, 9);
  };
  assert.equal(await found(), []);
  other.append([enrolled(ada, "Ada"), template(ada, randomEmbedding(random))]);
  assert.is((await found()).length, 1);
  assert.ok(((await found())[0]?.score ?? 1) < 0.9);
  other.append([template(ada, face)]);
  assert.is((await found())[0]?.score, 1);
  other.append([erased(ada)]);
  assert.equal(await found(), []);
  other.close();
  at.remove();
});

gallery("a visit changes nothing in it", async () => {
  const at = testStore();
  const ada = randomUUID();
  const face = randomEmbedding(random);
  at.store.append([enrolled(ada, "Ada"), template(ada, face)]);
  const before = await at.store.gallery.nearest(PACK, face, 9);
  at.store.append(visit(randomUUID(), ada));
  assert.equal(await at.store.gallery.nearest(PACK, face, 9), before);
  at.remove();
});

gallery.run();
