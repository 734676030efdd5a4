/**
 * What does it cost to unpack a batch, follow its chain, check every entry and read its columns?
 * Expected: below 5 µs an entry of 400 bytes. Baseline: unzipping, hashing, JSON.parse and
 * JSON.stringify of the same lines, which is the least that a reader without a scanner does.
 */
import { hash, randomUUID } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { startOf } from "../../shared/log/cursor.ts";
import { compressBatch, decodeBatch, encodeBatch } from "../../shared/protocol/batch.ts";
import { paired, quantile, report } from "../support/bench.ts";
import { logOf, visitLike } from "../support/links.ts";

const ENTRIES = 1_000;
const BATCHES = 20;

const log = randomUUID();
const links = logOf(
  log,
  Array.from({ length: ENTRIES }, (_, i) => visitLike(i)),
);
const bytes = links.reduce((sum, { body }) => sum + (body?.length ?? 0), 0) / ENTRIES;
const payload = compressBatch(encodeBatch(startOf(log), links).payload);

const decode = async (): Promise<void> => {
  for (let i = 0; i < BATCHES; i++) decodeBatch(payload);
};
const least = async (): Promise<void> => {
  for (let i = 0; i < BATCHES; i++) {
    let previous = Buffer.alloc(32);
    for (const line of gunzipSync(payload).toString("utf8").split("\n").slice(1, -1)) {
      previous = Buffer.from(
        hash("sha256", Buffer.concat([previous, Buffer.from(line)]), "buffer"),
      );
      if (JSON.stringify(JSON.parse(line)) !== line) throw new Error("entries are canonical");
    }
  }
};
const perEntryUs = (samples: readonly number[]): number =>
  (quantile(samples, 0.5) * 1000) / (ENTRIES * BATCHES);

const decoding = await paired(decode, least, { rounds: 20, warmUp: 5 });
report({
  bench: "batch",
  case: `decode and verify, ${Math.round(bytes)} bytes each`,
  metric: "time per entry, p50",
  value: perEntryUs(decoding.ours),
  unit: "µs",
  baseline: perEntryUs(decoding.theirs),
});
const encode = async (): Promise<void> => {
  for (let i = 0; i < BATCHES; i++) compressBatch(encodeBatch(startOf(log), links).payload);
};
const encoding = await paired(encode, least, { rounds: 20, warmUp: 5 });
report({
  bench: "batch",
  case: `encode, gzip to ${((100 * payload.length) / (bytes * ENTRIES)).toFixed(0)} %`,
  metric: "time per entry, p50",
  value: perEntryUs(encoding.ours),
  unit: "µs",
  baseline: null,
});
