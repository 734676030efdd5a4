import * as assert from "uvu/assert";
import { deviceConfigSchema } from "../../../edge/config/schema.ts";
import { createUpkeep } from "../../../edge/daemon/housekeeping.ts";
import type { BufferUse } from "../../../edge/log/retention.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { sampled } from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const upkeep = suite("the upkeep of a store");
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const { signal } = new AbortController();

upkeep(
  "warns of wear over its budget, once a day, and puts its figures into telemetry",
  async () => {
    let nowMs = 0;
    const warnings: string[] = [];
    const at = testStore();
    const { round, metrics, takesTelemetry } = createUpkeep({
      mediaMaxMiB: () => 64,
      store: at.store,
      buffer: () => deviceConfigSchema.parse({ buffer: { writtenMiBPerDay: 100 } }).buffer,
      wear: { writtenBytes: () => 7, bytesPerDay: () => 101 * MIB },
      clock: { monotonicMs: () => nowMs },
      logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
    });
    for (let i = 0; i < 10; i++) await round(signal);
    assert.equal(warnings, ["more is written to the disk than its budget"]);
    nowMs += DAY_MS;
    await round(signal);
    assert.is(warnings.length, 2);
    const { bufferUsedBytes, ...figures } = metrics();
    assert.ok((bufferUsedBytes ?? 0) > 0);
    assert.equal(figures, {
      bufferFreeBytes: 0,
      diskFull: 0,
      mediaBytes: 0,
      storeWrittenBytes: 7,
      storeWrittenBytesPerDay: 101 * MIB,
    });
    assert.ok(takesTelemetry());
    at.remove();
  },
);

upkeep(
  "does a bounded part of a long work in each round, and says when nothing may go",
  async () => {
    const warnings: string[] = [];
    const at = testStore();
    at.store.append([sampled(1)]);
    let steps = 0;
    let done: "shed" | "over" = "shed";
    const use = (): BufferUse => ({ usedBytes: 600 * MIB, freeBytes: 0 });
    const { round } = createUpkeep({
      mediaMaxMiB: () => 64,
      store: {
        ...at.store,
        retention: {
          use,
          step() {
            steps++;
            return done;
          },
        },
      },
      buffer: () => deviceConfigSchema.parse({}).buffer,
      wear: { writtenBytes: () => null, bytesPerDay: () => null },
      clock: { monotonicMs: () => 0 },
      logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
    });
    await round(signal);
    assert.is(steps, 50);
    assert.equal(warnings, []);
    done = "over";
    await round(signal);
    assert.is(steps, 51);
    assert.equal(warnings, ["the log is over its budget, and nothing is left that may go"]);
    at.remove();
  },
);

upkeep.run();
