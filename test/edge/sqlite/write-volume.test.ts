import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { createWriteVolume } from "../../../edge/sqlite/write-volume.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const wearing = suite("what the store writes to the disk");
const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

wearing("is what this kernel counts for the process", () => {
  const folder = tempFolder("wear");
  const { writtenBytes } = createWriteVolume({ clock: systemClock });
  const before = writtenBytes();
  const file = openSync(join(folder.path, "file"), "w");
  writeSync(file, Buffer.alloc(5 * MIB, 1));
  fsyncSync(file);
  closeSync(file);
  folder.remove();
  if (before === null) return; // no task accounting: then there is no figure either
  const written = (writtenBytes() ?? 0) - before;
  // Nothing, where the temporary folder lies in memory: then no card is worn.
  assert.ok(written === 0 || (written >= 5 * MIB && written < 8 * MIB), `${written}`);
});

wearing("is scaled to a day by the last day, and is no figure before an hour is over", () => {
  let nowMs = 0;
  let bytes = 1_000 * MIB;
  const clock = { monotonicMs: () => nowMs };
  const writeVolume = createWriteVolume({
    clock,
    readIo: () => `read_bytes: 7\nwrite_bytes: ${bytes}\n`,
  });
  assert.is(writeVolume.bytesPerDay(), null);
  const live = (hours: number, mibPerHour: number): number => {
    for (let minute = 0; minute < hours * 60; minute++) {
      nowMs += HOUR_MS / 60;
      bytes += Math.round((mibPerHour / 60) * MIB);
      writeVolume.bytesPerDay();
    }
    return Math.round((writeVolume.bytesPerDay() ?? 0) / MIB);
  };
  assert.is(live(1, 10), 240);
  assert.is(live(100, 10), 240);
  assert.is(live(48, 20), 480, "the day before the last is removed");
});

wearing("is no figure where the kernel does not count", () => {
  const writeVolume = createWriteVolume({ clock: { monotonicMs: () => 0 }, readIo: () => "" });
  assert.is(writeVolume.writtenBytes(), null);
  assert.is(writeVolume.bytesPerDay(), null);
});

wearing.run();
