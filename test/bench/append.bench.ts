/**
 * What does the log add to a bare insert of the same bytes: same cipher, same pragmas, same table?
 * Expected: at least 0.8 of its rate (ratio of times at most 1.25), one by one and in groups of 100.
 * The fsync of one durable append takes most of its time; a group shows what our code costs.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openDatabase } from "../../edge/sqlite/database.ts";
import { paired, quantile, report } from "../support/bench.ts";
import { sampled, visit } from "../support/facts.ts";
import { testStore } from "../support/store.ts";
import { tempFolder } from "../support/temp.ts";

const MIGRATIONS = new URL("../../edge/log/migrations/", import.meta.url);
const GROUP = 100;
const CASES = [
  { name: "one durable entry", drafts: 1, turns: 100 },
  { name: `group of ${GROUP}`, drafts: GROUP, turns: 5 },
] as const;

const { store, remove } = testStore();
const folder = tempFolder("bench-append");
const bare = openDatabase({
  path: join(folder.path, "bare.db"),
  key: randomBytes(32),
  migrations: MIGRATIONS,
  create: true,
  now: Date.now,
});
const insert = bare.prepare("INSERT INTO entries (position, hash, body) VALUES (?, ?, ?)");
let position = 0;

const [, recognised] = visit("00000000-0000-4000-8000-000000000001", null);
if (recognised === undefined) throw new Error("a visit has a decision");
for (const { name, drafts, turns } of CASES) {
  const draft = drafts === 1 ? recognised : sampled(21.5);
  const batch = Array.from({ length: drafts }, () => draft);
  store.log.append([draft]);
  const last = store.log.readAfter(store.log.head().seq - 1, 1)[0];
  const body = last?.body ?? "";
  const hash = Buffer.from(last?.hash ?? "", "hex");
  const write = bare.transaction(() => {
    for (let i = 0; i < drafts; i++) insert.run(++position, hash, body);
  });
  const times = await paired(
    async () => {
      for (let turn = 0; turn < turns; turn++) store.log.append(batch);
    },
    async () => {
      for (let turn = 0; turn < turns; turn++) write.immediate();
    },
    { rounds: 30, warmUp: 5 },
  );
  const entries = drafts * turns;
  const rate = (samples: readonly number[]): number => (entries * 1000) / quantile(samples, 0.5);
  report({
    bench: "append",
    case: name,
    metric: `rate, ${Buffer.byteLength(body)} bytes each`,
    value: rate(times.ours),
    unit: "entries/s",
    baseline: rate(times.theirs),
  });
}
bare.close();
folder.remove();
remove();
