import * as assert from "uvu/assert";
import {
  coreOf,
  type Member,
  majorityOf,
  mostDifferent,
  TEMPLATES_PER_PERSON_MAX,
  unlike,
} from "../../../edge/recognition/person-likeness.ts";
import { type Embedding, normalise } from "../../../shared/log/embedding.ts";
import { randomEmbedding, seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const likeness = suite("the faces of one person");
const random = seeded(23);
const [ADA, BOB] = [randomEmbedding(random), randomEmbedding(random)];

/** A look at a face that differs from it by so much noise. */
function look(of: Embedding, noise: number): Embedding {
  const other = randomEmbedding(random);
  return normalise(of.map((value, i) => value + noise * (other[i] ?? 0)));
}

function member(embedding: Embedding, quality = 0.5, name: string | null = null): Member {
  return { template: String(random()), name, embedding, quality };
}

likeness("that most are like each other are the person, and the rest are somebody else", () => {
  const own = [0.3, 0.4, 0.5].map((noise) => member(look(ADA, noise)));
  const wrong = [0.3, 0.4].map((noise) => member(look(BOB, noise)));
  assert.equal(coreOf([...wrong, ...own], 0.6), own);
  assert.equal(majorityOf([...wrong, ...own], 0.6), own);
  for (const each of wrong) assert.match(unlike(each, own, 0.6) ?? "", /similarity -?0\.\d{3}/);
  assert.is(unlike(member(look(ADA, 0.5)), own, 0.6), null);
  assert.equal(majorityOf([...wrong, ...own.slice(1)], 0.6), [], "two and two");
});

likeness("that are copies count once; of too many, the worse of the two most alike goes", () => {
  const there = Array.from({ length: TEMPLATES_PER_PERSON_MAX - 2 }, () => member(look(ADA, 0.9)));
  const base = look(ADA, 0.9);
  const [good, worse] = [member(base, 0.9), member(look(base, 0.2), 0.3)];
  const full = [...there, good, worse];
  const copy = member(look(good.embedding, 0.02), 0.8, "copy.jpg");
  assert.equal(
    mostDifferent(full, [copy]).spare.map(({ refusal }) => refusal),
    ["same photo again"],
  );
  const fresh = member(look(ADA, 0.9), 0.7, "fresh.jpg");
  const { kept, spare } = mostDifferent(full, [fresh]);
  assert.is(kept.length, TEMPLATES_PER_PERSON_MAX);
  assert.ok(kept.includes(fresh) && kept.includes(good));
  assert.is(spare[0]?.member, worse);
  const redundant = member(look(base, 0.19), 0.1, "again.jpg");
  const again = mostDifferent(kept, [redundant]);
  assert.is(again.spare[0]?.member, redundant, "one that adds nothing replaces nothing");
  assert.equal(again.kept, kept);
});

likeness.run();
