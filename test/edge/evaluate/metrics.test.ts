import * as assert from "uvu/assert";
import { calibrate } from "../../../edge/evaluate/calibrate.ts";
import {
  identifyAll,
  type Look,
  planIdentification,
} from "../../../edge/evaluate/identification.ts";
import { drawPairs, parsePairs, scoresCsv } from "../../../edge/evaluate/pairs.ts";
import { detSvg } from "../../../edge/evaluate/plot.ts";
import { rateInWords, rateOf } from "../../../edge/evaluate/rate.ts";
import {
  curve,
  type ScoredPair,
  thresholdAt,
  verify,
} from "../../../edge/evaluate/verification.ts";
import { type Embedding, normalise } from "../../../shared/log/embedding.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const metrics = suite("figures of an evaluation");
const near = (found: number, expected: number, tolerance = 1e-4): void =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found}, not ${expected}`);

const pairs = (same: readonly (number | null)[], different: readonly (number | null)[]) => [
  ...same.map((score): ScoredPair => ({ same: true, score })),
  ...different.map((score): ScoredPair => ({ same: false, score })),
];

metrics("Wilson's interval agrees with published values", () => {
  // R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81/263, 15/148, 0/20, 1/29.
  for (const [count, of, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ] as const) {
    const rate = rateOf(count, of);
    near(rate.low, low);
    near(rate.high, high);
  }
  assert.ok(Number.isNaN(rateOf(0, 0).rate));
  assert.is(rateInWords(rateOf(0, 0)), "nothing to measure");
  assert.is(rateInWords(rateOf(5, 5)), "100.00 % (56.55–100.00; 5 of 5)");
});

metrics("a threshold lets no more than its share of strangers through", () => {
  const scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0];
  assert.is(thresholdAt(scores, 0.1), 0.8001);
  assert.is(thresholdAt(scores, 0.2), 0.7001);
  assert.is(thresholdAt(scores, 0.01), 0.9001, "one of ten is more than one of a hundred");
  assert.is(thresholdAt([0.5, 0.5, 0.5, 0.1], 0.25), 0.5001, "equal scores go together");
  assert.is(thresholdAt([-Infinity, -Infinity], 0.1), -1, "no faces, no false accepts");
});

metrics("verification is as counted by hand; a photo without a face is a miss", () => {
  const {
    points,
    pairs: counts,
    withoutScore,
    equalErrorRate,
  } = verify(
    pairs([0.9, 0.8, 0.7, 0.35, null], [0.6, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, null]),
    [0.1, 0.2, 0.01],
  );
  assert.equal(counts, { same: 5, different: 10 });
  assert.equal(withoutScore, { same: 1, different: 1 });
  assert.equal(
    points.map(({ threshold }) => threshold),
    [0.4001, 0.3001, 0.6001],
  );
  assert.equal(
    points.map(({ tar }) => tar.count),
    [3, 4, 3],
  );
  assert.equal(
    points.map(({ falseAccepts }) => falseAccepts.count),
    [1, 2, 0],
  );
  // At 0.35: 2 of 10 accepted, 1 of 5 missed. Both are 20 %.
  near(equalErrorRate, 0.2, 1e-9);
});

metrics("the equal error rate lies on the line between two points", () => {
  // From (far 0, miss 1/2) at 0.8 to (far 1/2, miss 1/2) at 0.6, to (1/2, 0) at 0.5.
  near(verify(pairs([0.8, 0.5], [0.6, 0.1])).equalErrorRate, 0.5, 1e-9);
  // From (0, 1/4) at 0.6 to (1/3, 1/4) at 0.55: they cross at 1/4.
  near(verify(pairs([0.9, 0.8, 0.6, 0.3], [0.55, 0.2, 0.1])).equalErrorRate, 0.25, 1e-9);
  assert.is(verify(pairs([0.9, 0.8], [0.2, 0.1])).equalErrorRate, 0);
  assert.is(verify(pairs([null], [null])).equalErrorRate, 1, "nothing found, nothing known");
});

metrics("accuracy judges each fold by the threshold of the other nine", () => {
  const apart = pairs(Array(10).fill(0.9), Array(10).fill(0.1));
  assert.equal(verify(apart).accuracy.count, 20);
  near(verify(apart).accuracy.deviation, 0, 1e-12);
  // One of ten same pairs is lost to every threshold that the other folds would choose.
  const one = pairs([0.05, ...Array(9).fill(0.9)], Array(10).fill(0.1));
  assert.equal(verify(one).accuracy.count, 19);
  // Fold accuracies 0.5 and nine times 1: mean 0.95, deviation sqrt(0.225 / 9).
  near(verify(one).accuracy.deviation, Math.sqrt((0.45 ** 2 + 9 * 0.05 ** 2) / 9), 1e-9);
  // Seven right answers lie in the majority's "always different" when scores say nothing.
  const blind = pairs(Array(10).fill(null), Array(20).fill(null));
  assert.is(verify(blind).accuracy.count, 20);
});

metrics("the curve starts strict and never turns back", () => {
  const points = curve(pairs([0.9, 0.7, 0.7], [0.7, 0.2, null]));
  assert.equal(
    points.map(({ threshold, tar, far }) => [threshold, tar * 3, far * 3].map(Math.fround)),
    [
      [0.9, 1, 0],
      [0.7, 3, 1],
      [0.2, 3, 2],
    ].map((row) => row.map(Math.fround)),
  );
  const svg = detSvg(points, { title: "<a & b>", threshold: 0.7 });
  assert.match(svg, /^<svg [^>]*\n[^>]*>/);
  assert.match(svg, /&lt;a &amp; b>/);
  assert.match(svg, /<polyline points="[\d., ]+"/);
  assert.not.match(svg, /NaN|undefined|Infinity/);
});

metrics("pairs are read with quotes and line ends, and a wrong line is named", async () => {
  const text = 'a,b,same\r\nx/1.jpg,x/2.jpg,1\r\n"o, dear/1.jpg","a ""b""/1.jpg",0\r\n\r\n';
  assert.equal(parsePairs(text), [
    { a: "x/1.jpg", b: "x/2.jpg", same: true },
    { a: "o, dear/1.jpg", b: 'a "b"/1.jpg', same: false },
  ]);
  for (const line of ["a,b", "a,b,2", "a,b,1,9", ",b,1"]) {
    const error = await rejects(() => parsePairs(`x,y,1\n${line}`), "evaluate.pairs");
    assert.match(error.message, /^line 2 /);
    assert.is(error.exitCode, 64);
  }
  const written = scoresCsv([
    { a: 'x, "y".jpg', b: "z.jpg", same: true, score: 0.5 },
    { a: "p", b: "q", same: false, score: null },
  ]);
  assert.is(written, 'a,b,same,score\n"x, ""y"".jpg",z.jpg,1,0.5000\np,q,0,\n');
});

metrics("pairs are drawn once each, with a seed, and never a photo with itself", () => {
  const people = ["a", "b", "c"].map((person) => ({
    person,
    photos: [1, 2, 3].map((n) => `${person}/${n}`),
  }));
  const drawn = drawPairs(people, 1);
  assert.is(drawn.filter(({ same }) => same).length, 9);
  assert.is(drawn.filter(({ same }) => !same).length, 27);
  for (const { a, b, same } of drawn) assert.is(a[0] === b[0], same);
  const crowd = Array.from({ length: 300 }, (_, i) => ({
    person: `${i}`,
    photos: [1, 2].map((n) => `${i}/${n}`),
  }));
  const some = drawPairs(crowd, 7);
  assert.is(some.length, 300 + 5_000);
  assert.is(new Set(some.map(({ a, b }) => [a, b].sort().join())).size, some.length);
  assert.equal(drawPairs(crowd, 7), some);
  assert.not.equal(drawPairs(crowd, 8), some);
});

/** A direction in a plane of an 8-dimensional space, degrees. */
const facing = (degrees: number): Embedding => {
  const angle = (degrees * Math.PI) / 180;
  return normalise(Float32Array.of(Math.cos(angle), Math.sin(angle), 0, 0, 0, 0, 0, 0));
};

metrics("identification counts the known, the wrong, the ambiguous and the let in", async () => {
  const people = ["ada", "stranger", "bob", "alone"].map((person) => ({
    person,
    photos: (person === "alone" ? [1] : [1, 2, 3, 4]).map((n) => `${person}/${n}`),
  }));
  const plan = planIdentification(people, { photosEach: 1, gallerySize: 10 });
  assert.equal([...(plan.galleries[0]?.keys() ?? [])], ["ada", "bob"]);
  assert.is(plan.known.length, 6);
  assert.is(plan.strangers.length, 5);
  const degrees: Record<string, number | null> = {
    "ada/1": 0,
    "ada/2": 5,
    "ada/3": 88,
    "ada/4": 44,
    "bob/1": 90,
    "bob/2": 91,
    "bob/3": null,
    "bob/4": 200,
    "stranger/1": 3,
    "stranger/2": 180,
    "stranger/3": 270,
    "stranger/4": null,
    "alone/1": 225,
  };
  const looks = new Map(
    Object.entries(degrees).map(([photo, angle]): [string, Look] => {
      const embedding = angle === null ? null : facing(angle);
      const person = photo.split("/")[0] ?? "";
      const usable = embedding !== null;
      return [photo, { photo, person, embedding, usable, quality: 1 }];
    }),
  );
  const rules = { thresholds: { match: 0.7, margin: 0.05 }, dimension: 8 };
  const found = await identifyAll(plan, looks, rules);
  assert.equal(
    [found.known, found.wrongPerson, found.ambiguous, found.unusable].map(({ count }) => count),
    [2, 1, 1, 1],
  );
  assert.equal([found.known.of, found.falseAccepts.count, found.falseAccepts.of], [6, 1, 5]);
  const small = planIdentification(people, { photosEach: 3, gallerySize: 1 });
  assert.is(small.galleries.length, 2);
  assert.is(
    (await identifyAll(small, looks, rules)).falseAccepts.of,
    10,
    "each stranger at both doors",
  );
});

/** People whose photos are all alike to their own, and at random angles to the others'. */
function crowdOf(count: number, each: number): { person: string; embeddings: Embedding[] }[] {
  let state = 12_345;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Array.from({ length: count }, (_, i) => {
    const own = Array.from({ length: 32 }, random);
    const embeddings = Array.from({ length: each }, () =>
      normalise(Float32Array.from(own, (value) => value + random() * 0.2)),
    );
    return { person: `${i}`, embeddings };
  });
}

metrics("a larger gallery or a smaller chance asks for a higher threshold", async () => {
  const people = crowdOf(120, 3);
  const at = (far: number, templates: number, thresholdMin = 0) =>
    calibrate(people, { far, templates, thresholdMin });
  const single = at(0.01, 1);
  near(single.farOfOne, 0.01, 1e-12);
  assert.is(single.basis, "measured");
  const twenty = at(0.01, 20);
  near(twenty.farOfOne, 1 - 0.99 ** 0.05, 1e-12);
  assert.ok(twenty.match > single.match);
  const strict = at(1e-4, 20);
  assert.is(strict.basis, "tail");
  assert.ok(strict.match > twenty.match && strict.match < 1);
  assert.is(at(0.1, 1, 0.9).match, 0.9);
  assert.is(at(0.1, 1, 0.9).basis, "the pack's own");
  // What was asked for is what comes out, on people it has not seen.
  const all = crowdOf(240, 3).slice(120);
  const scores = all.flatMap((a, i) =>
    all
      .slice(i + 1)
      .flatMap((b) =>
        a.embeddings.flatMap((x) =>
          b.embeddings.map((y) => x.reduce((sum, v, k) => sum + v * (y[k] ?? 0), 0)),
        ),
      ),
  );
  const share = scores.filter((score) => score >= single.match).length / scores.length;
  assert.ok(share > 0.005 && share < 0.02, `${share}`);
  await rejects(
    () => calibrate(crowdOf(3, 3), { far: 0.01, templates: 1, thresholdMin: 0 }),
    "evaluate.calibrate.few",
  );
});

metrics.run();
