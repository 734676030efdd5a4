/**
 * Does an entry cost the same when the log is long? Group commits of 10,000 entries into a central
 * log of 0.1, 1 and 10 million, which PostgreSQL 15 holds as ingest writes them.
 * Expected: flat within 20 %. Baseline of each: the first one. Needs 6 GB of disk.
 */
import { randomUUID } from "node:crypto";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import { startOf } from "../../shared/log/cursor.ts";
import { compressBatch, decodeBatch, encodeBatch } from "../../shared/protocol/batch.ts";
import { quantile, report } from "../support/bench.ts";
import { startServer } from "../support/engines.ts";
import { logOf, opened, visitLike } from "../support/links.ts";

const SIZES = [100_000, 1_000_000, 10_000_000] as const;
const ENTRIES = 1_000;
const BATCHES = 10;
const ROUNDS = 12;
/** Rows in one statement: it has 30 s. */
const STEP = 400_000;

/** A device's first batch. */
function arrival() {
  const [device, log] = [randomUUID(), randomUUID()];
  const facts = Array.from({ length: ENTRIES - 1 }, (_, i) => visitLike(i));
  const payload = compressBatch(
    encodeBatch(startOf(log), logOf(log, [opened(device), ...facts])).payload,
  );
  return { device, batch: decodeBatch(payload) };
}

/** Rows like those that are there, under logs of their own: as many as are missing. */
async function growTo(database: Database, size: number, have: number): Promise<void> {
  for (let left = size - have; left > 0; left -= STEP) {
    await database.query(
      `INSERT INTO event_log (log, seq, hash, body, type, at, subject, actor, received_at)
       SELECT gen_random_uuid(), seq, hash, body, type, at, subject, actor, received_at
       FROM (SELECT * FROM event_log ORDER BY position LIMIT 10000) AS sample,
         generate_series(1, $1::int) LIMIT $2::int`,
      [Math.ceil(Math.min(left, STEP) / 10_000), Math.min(left, STEP)],
    );
  }
  await database.query("ANALYZE event_log");
  await database.query("CHECKPOINT");
}

const engine = await startServer();
const database = await engine.fresh();
const log = createCentralLog(database);
await log.open();
let have = 0;
let first: number | null = null;
for (const size of SIZES) {
  if (have === 0) {
    await log.append(Array.from({ length: BATCHES }, arrival));
    have = BATCHES * ENTRIES;
  }
  await growTo(database, size, have);
  have = size;
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const arrivals = Array.from({ length: BATCHES }, arrival);
    const started = performance.now();
    await log.append(arrivals);
    times.push((performance.now() - started) * 1_000);
    have += BATCHES * ENTRIES;
  }
  const value = quantile(times, 0.5) / (BATCHES * ENTRIES);
  const of = { bench: "growth", case: `${size.toLocaleString("en")} entries in the log` };
  report({
    ...of,
    metric: "time of one more, in a group commit",
    value,
    unit: "µs",
    baseline: first,
  });
  first ??= value;
}
await database.close();
await engine.stop();
