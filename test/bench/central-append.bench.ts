/**
 * What does the central log add to a bare COPY of the same rows on the same server: unpacking,
 * chain, heads, lock, partitions, two indexes? Group commits of 10 batches of 1,000 entries, four
 * of them on their way, so that one is unpacked while the server writes the other.
 * Expected: 0.5 of its rate (the broker between device and centre is not in it). Needs PostgreSQL.
 */
import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { BatchOutcome } from "../../cloud-sync/log/append.ts";
import { COPY_ROWS, copyRows } from "../../cloud-sync/log/copy-format.ts";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { startOf } from "../../shared/log/cursor.ts";
import { compressBatch, decodeBatch, encodeBatch } from "../../shared/protocol/batch.ts";
import { paired, quantile, report } from "../support/bench.ts";
import { type Engine, startOwn, startServer } from "../support/engines.ts";
import { logOf, opened, visitLike } from "../support/links.ts";
import { needsPostgres } from "../support/postgres.ts";

const BATCHES = 10;
const ENTRIES = 1_000;
const GROUPS = 4;
const ROUNDS = 8;
const WARM_UP = 3;

interface Sent {
  readonly device: string;
  readonly payload: Buffer;
}

/** A device's first batch: 1,000 visits, 370 bytes each. */
function sent(): Sent {
  const [device, log] = [randomUUID(), randomUUID()];
  const facts = Array.from({ length: ENTRIES - 1 }, (_, i) => visitLike(i));
  return {
    device,
    payload: compressBatch(
      encodeBatch(startOf(log), logOf(log, [opened(device), ...facts])).payload,
    ),
  };
}

async function measure(name: string, start: () => Promise<Engine>): Promise<void> {
  const engine = await start();
  const database = await engine.fresh();
  const log = createCentralLog(database);
  await log.open();
  await database.query("CREATE TABLE bare (LIKE event_log INCLUDING IDENTITY)");
  const groups = Array.from({ length: (ROUNDS + WARM_UP) * GROUPS }, () =>
    Array.from({ length: BATCHES }, sent),
  );
  const entries = groups[0]?.map(({ payload }) => decodeBatch(payload)) ?? [];
  const rows = copyRows(entries, BigInt(Date.now()) * 1_000n);
  const bare = COPY_ROWS.replace("event_log", "bare");
  let cpuUs = 0;
  const times = await paired(
    async () => {
      const before = process.cpuUsage();
      const commits: Promise<readonly BatchOutcome[]>[] = [];
      for (let group = 0; group < GROUPS; group++) {
        const arrivals = (groups.pop() ?? []).map(({ device, payload }) => ({
          device,
          batch: decodeBatch(payload),
        }));
        commits.push(log.append(arrivals));
        await turn();
      }
      const outcomes = (await Promise.all(commits)).flat();
      if (outcomes.some(({ kind }) => kind !== "appended")) throw new Error("all of it is new");
      const { user, system } = process.cpuUsage(before);
      cpuUs += user + system;
    },
    async () => {
      for (let group = 0; group < GROUPS; group++) {
        await database.transaction((connection) => connection.copyIn(bare, rows));
      }
    },
    { rounds: ROUNDS, warmUp: WARM_UP },
  );
  const rate = (samples: readonly number[]): number =>
    (GROUPS * BATCHES * ENTRIES * 1000) / quantile(samples, 0.5);
  report({
    bench: "central-append",
    case: `${name}, payload to commit`,
    metric: "rate",
    value: rate(times.ours),
    unit: "entries/s",
    baseline: rate(times.theirs),
  });
  report({
    bench: "central-append",
    case: `${name}, payload to commit`,
    metric: "CPU of Node per entry",
    value: cpuUs / ((ROUNDS + WARM_UP) * GROUPS * BATCHES * ENTRIES),
    unit: "µs",
    baseline: null,
  });
  await database.close();
  await engine.stop();
}

if (needsPostgres()) await measure("PostgreSQL 15", startServer);
await measure("PostgreSQL of our own", startOwn);
