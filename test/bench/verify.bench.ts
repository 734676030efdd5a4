/**
 * How fast is a whole log read, decrypted, hashed and checked?
 * Expected: above 50,000 entries/s. Baseline: reading and decrypting the same rows, and no more.
 */
import { paired, quantile, report } from "../support/bench.ts";
import { sampled } from "../support/facts.ts";
import { testStore } from "../support/store.ts";

const ENTRIES = 50_000;
const BATCH = 1_000;

const { store, remove } = testStore();
for (let i = 0; i < ENTRIES; i += BATCH) {
  store.log.append(Array.from({ length: BATCH }, (_, j) => sampled(i + j)));
}
const times = await paired(
  async () => {
    if (store.log.verify([]).fault !== null) throw new Error("the log is whole");
  },
  async () => {
    for (let seq = 0; seq < ENTRIES; seq += BATCH) store.log.readAfter(seq, BATCH);
  },
  { rounds: 10, warmUp: 2 },
);
const rate = (samples: readonly number[]): number => (ENTRIES * 1000) / quantile(samples, 0.5);
report({
  bench: "verify",
  case: `${ENTRIES.toLocaleString("en")} entries`,
  metric: "rate",
  value: rate(times.ours),
  unit: "entries/s",
  baseline: rate(times.theirs),
});
remove();
