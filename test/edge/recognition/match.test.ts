import * as assert from "uvu/assert";
import {
  type Candidate,
  decide,
  EVIDENCE_LIMIT,
  type Evidence,
} from "../../../edge/recognition/match.ts";
import { seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const matching = suite("a decision");
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const thresholds = { match: 0.5, margin: 0.05 };

/** A look at which these people score so, best first; each by a template of its own. */
function look(scores: Record<string, number>, quality = 0.9): Evidence {
  const candidates = Object.entries(scores)
    .map(([person, score]): Candidate => ({ person, score, template: `of ${person}` }))
    .sort((a, b) => b.score - a.score);
  return { quality, candidates };
}

matching("without a usable look is unusable, never unknown", () => {
  assert.equal(decide([], thresholds), {
    ...{ outcome: "unusable", person: null, score: null, runnerUp: null, margin: null },
  });
});

matching("with nobody enrolled is unknown, and there is no score", () => {
  const verdict = decide([look({}), look({})], thresholds);
  assert.is(verdict.outcome, "unknown");
  assert.is(verdict.score, null);
  assert.is(verdict.runnerUp, null);
});

matching("below the threshold is unknown, however far the next person is behind", () => {
  const verdict = decide([look({ ada: 0.4999, bob: -0.2 })], thresholds);
  assert.is(verdict.outcome, "unknown");
  assert.is(verdict.person, null);
  assert.is(verdict.score, 0.4999, "and says how near it was");
  assert.equal(verdict.runnerUp, { person: "bob", score: -0.2 });
});

matching("exactly at the threshold is known", () => {
  const verdict = decide([look({ ada: 0.5 })], thresholds);
  assert.is(verdict.outcome, "known");
  assert.is(verdict.person, "ada");
});

matching("too little ahead of the next person is ambiguous, and names nobody", () => {
  const verdict = decide([look({ ada: 0.8, bob: 0.7501 })], thresholds);
  assert.is(verdict.outcome, "ambiguous");
  assert.is(verdict.person, null);
  assert.is(verdict.score, 0.8);
  assert.is(verdict.margin, 0.0499);
  assert.equal(verdict.runnerUp, { person: "bob", score: 0.7501 });
});

matching("exactly the margin ahead is known", () => {
  const verdict = decide([look({ ada: 0.8, bob: 0.75 })], thresholds);
  assert.is(verdict.outcome, "known");
  assert.is(verdict.margin, 0.05);
});

matching("with one person enrolled needs no margin", () => {
  const verdict = decide([look({ ada: 0.5 })], { match: 0.5, margin: 1 });
  assert.is(verdict.outcome, "known");
  assert.is(verdict.margin, null);
});

matching("is the mean of the looks: one lucky look does not make somebody known", () => {
  const lucky = decide([look({ ada: 0.9 }), look({ ada: 0.2 }), look({ ada: 0.2 })], thresholds);
  assert.is(lucky.outcome, "unknown");
  assert.is(lucky.score, 0.4333);
  const steady = decide([look({ ada: 0.6 }), look({ ada: 0.5 })], thresholds);
  assert.is(steady.outcome, "known");
});

matching("two people who take turns at being nearest are ambiguous", () => {
  const looks = [look({ ada: 0.8, bob: 0.6 }), look({ bob: 0.8, ada: 0.6 })];
  assert.is(decide(looks, thresholds).outcome, "ambiguous");
});

matching("somebody missing from a look counts there like the last who is in it", () => {
  const looks = [look({ ada: 0.9, bob: 0.3 }), look({ bob: 0.55, eve: 0.5 })];
  const verdict = decide(looks, thresholds);
  assert.is(verdict.score, 0.7, "ada: (0.9 + 0.5) / 2");
  assert.is(verdict.person, "ada");
});

matching("uses the best looks by quality and no more than its limit, in whatever order", () => {
  const good = Array.from({ length: EVIDENCE_LIMIT }, () => look({ ada: 0.7 }, 0.9));
  const poor = Array.from({ length: 20 }, () => look({ bob: 0.99 }, 0.1));
  const verdict = decide([...poor, ...good], thresholds);
  assert.is(verdict.person, "ada");
  assert.equal(decide([...good, ...poor], thresholds), verdict);
});

matching("follows from the numbers it gives: whoever reads them later comes to the same", () => {
  const random = seeded(SEED);
  for (let i = 0; i < 2_000; i++) {
    const looks = Array.from({ length: 1 + Math.floor(random() * 7) }, () =>
      look({ ada: random(), bob: random(), eve: random() * 0.5 }, random()),
    );
    const { outcome, person, score, runnerUp, margin } = decide(looks, thresholds);
    const lead = Math.round(((score ?? 0) - (runnerUp?.score ?? 0)) * 10_000) / 10_000;
    const expected =
      (score ?? 0) < thresholds.match
        ? "unknown"
        : lead < thresholds.margin
          ? "ambiguous"
          : "known";
    const told = `SEED=${SEED}, round ${i}`;
    assert.is(outcome, expected, told);
    assert.is(person === null, outcome !== "known", told);
    assert.ok(margin === null || margin === lead, told);
  }
});

matching.run();
