import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { logPath } from "../../../edge/log/open-log.ts";
import { openAsItIs } from "../../../edge/sqlite/database.ts";
import { appendOrDrop } from "../../../edge/store/append-or-drop.ts";
import { createPatientAppend } from "../../../edge/store/patient-append.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { pressed, sampled } from "../../support/facts.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const waiting = suite("a store that cannot take an entry now");

waiting("gets it later, in order; what may be missing is dropped", async () => {
  const at = testStore();
  const { folder, logKey } = at.options;
  const other = openAsItIs(logPath(folder), logKey);
  const { logger, lines } = keepingLogger();
  const patient = createPatientAppend({ store: at.store, clock: systemClock, logger });
  assert.is(patient.append([pressed("first")]).length, 1);
  other.exec("BEGIN IMMEDIATE");
  assert.equal(patient.append([pressed("second")]), []);
  const telemetry = appendOrDrop({ store: at.store, logger: silentLogger }, "telemetry");
  assert.equal(telemetry([sampled(1)]), []);
  other.exec("ROLLBACK");
  assert.is(patient.append([pressed("third")]).length, 1, "with what had waited before it");
  patient.retry();
  const buttons = at.store.log
    .readAfter(1, 10)
    .map(({ body }) => JSON.parse(body ?? "").data.button);
  assert.equal(buttons, ["first", "second", "third"]);
  assert.is(lines.filter((line) => line.includes("store.busy")).length, 1, "told once");
  other.close();
  await sleep(0);
  at.remove();
});

waiting("is left in peace about a mistake of the program", () => {
  const at = testStore();
  const patient = createPatientAppend({
    store: at.store,
    clock: systemClock,
    logger: silentLogger,
  });
  assert.throws(() => patient.append([]), /1 to 1,000 drafts/);
  at.remove();
});

waiting.run();
