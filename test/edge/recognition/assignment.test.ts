import * as assert from "uvu/assert";
import { assign } from "../../../edge/recognition/assignment.ts";
import { seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const assigning = suite("the assignment of faces to visits");

/** The greatest sum of all ways there are, tried one by one. */
function best(fits: readonly (readonly number[])[], row = 0, used = new Set<number>()): number {
  const own = fits[row];
  if (own === undefined) return 0;
  const choices = own.flatMap((fit, column) => {
    if (fit === 0 || used.has(column)) return [];
    return [fit + best(fits, row + 1, new Set([...used, column]))];
  });
  return Math.max(best(fits, row + 1, used), ...choices);
}

assigning("has the greatest sum, uses each once and makes no pair that does not fit", () => {
  const random = seeded(3);
  for (let trial = 0; trial < 400; trial++) {
    const [rows, columns] = [1 + Math.floor(random() * 5), Math.floor(random() * 6)];
    const fits = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => (random() < 0.4 ? 0 : random() * 3)),
    );
    const columnOf = assign(fits);
    const pairs = columnOf.map((column, row) => fits[row]?.[column] ?? 0);
    const taken = columnOf.filter((column) => column >= 0);
    assert.is(columnOf.length, rows);
    assert.is(new Set(taken).size, taken.length, "no column twice");
    assert.is(pairs.filter((fit) => fit > 0).length, taken.length, "no pair without a fit");
    const sum = pairs.reduce((all, fit) => all + fit, 0);
    assert.ok(Math.abs(sum - best(fits)) < 1e-9, `trial ${trial}: ${sum} of ${best(fits)}`);
  }
});

assigning("of nothing is nothing", () => {
  assert.equal(assign([]), []);
  assert.equal(assign([[], []]), [-1, -1]);
});

assigning("gives up a good pair where both do better apart", () => {
  // Taken greedily, 5 + nothing.
  assert.equal(
    assign([
      [5, 4],
      [4, 0],
    ]),
    [1, 0],
  );
});

assigning.run();
