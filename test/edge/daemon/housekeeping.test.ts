import * as assert from "uvu/assert";
import { deviceConfigSchema } from "../../../edge/config/schema.ts";
import { createHousekeeping } from "../../../edge/daemon/housekeeping.ts";
import type { BufferUse } from "../../../edge/log/retention.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { sampled } from "../../support/facts.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const housekeeping = suite("the housekeeping of a store");
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const { signal } = new AbortController();

housekeeping(
  "warns of wear over its budget, once a day, and puts its figures into telemetry",
  async () => {
    let nowMs = 0;
    const warnings: string[] = [];
    const at = testStore();
    const { round, metrics, acceptsSheddable } = createHousekeeping({
      store: at.store,
      config: () => deviceConfigSchema.parse({ buffer: { writtenMiBPerDay: 100 } }),
      writeVolume: { writtenBytes: () => 7, bytesPerDay: () => 101 * MIB },
      clock: { monotonicMs: () => nowMs },
      logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
    });
    for (let i = 0; i < 10; i++) await round(signal);
    assert.equal(warnings, ["disk write volume over budget"]);
    nowMs += DAY_MS;
    await round(signal);
    assert.is(warnings.length, 2);
    const { bufferUsedBytes, ...stats } = metrics();
    assert.ok((bufferUsedBytes ?? 0) > 0);
    assert.equal(stats, {
      bufferFreeBytes: 0,
      diskFull: 0,
      mediaBytes: 0,
      cropBytes: 0,
      storeWrittenBytes: 7,
      storeWrittenBytesPerDay: 101 * MIB,
    });
    assert.ok(acceptsSheddable());
    at.remove();
  },
);

housekeeping(
  "does a bounded part of a long work in each round, and says when nothing may go",
  async () => {
    const warnings: string[] = [];
    const at = testStore();
    at.store.append([sampled(1)]);
    let steps = 0;
    let done: "shed" | "over" = "shed";
    const use = (): BufferUse => ({ usedBytes: 600 * MIB, freeBytes: 0 });
    const { round } = createHousekeeping({
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
      config: () => deviceConfigSchema.parse({}),
      writeVolume: { writtenBytes: () => null, bytesPerDay: () => null },
      clock: { monotonicMs: () => 0 },
      logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
    });
    await round(signal);
    assert.is(steps, 50);
    assert.equal(warnings, ["log near its budget: the oldest will be shed"], "before it hurts");
    done = "over";
    await round(signal);
    assert.is(steps, 51);
    assert.equal(warnings.slice(1), ["log over budget: nothing left to shed"]);
    at.remove();
  },
);

housekeeping.run();
