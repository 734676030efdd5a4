import { randomUUID } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import type { BufferPolicy } from "../../../edge/log/retention.ts";
import type { Clock } from "../../../shared/core/clock.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import type { AnyDraft } from "../../../shared/log/draft.ts";
import { ENTRY_DATA, parseEntry } from "../../../shared/log/entry.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import { Centre } from "../../support/centre.ts";
import { captured, enrolled, pressed, sampled, seeded, visit } from "../../support/facts.ts";
import { needsProgram } from "../../support/needs.ts";
import { python } from "../../support/python.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const retention = suite("a log over its budget");
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const VERIFIER = fileURLToPath(new URL("./verify.py", import.meta.url));
const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const POLICY: BufferPolicy = { maxMiB: 512, maxDays: 10_000, shed: ["telemetry", "media"] };

/** Telemetry as it is, 20 figures: about 700 bytes an entry. */
function telemetry(random: () => number): AnyDraft {
  const names = Array.from({ length: 20 }, (_, i) => `someFigureOfTheDoor${i}`);
  const metrics = Object.fromEntries(names.map((name) => [name, random() * 1_000]));
  return { ...sampled(0), data: { metrics } };
}

/** Days of a doorbell: telemetry, and now and then a visit, a press and a snapshot. */
function write(at: TestStore, entries: number, random: () => number): void {
  for (let i = 0; i < entries; i += 50) {
    const id = randomUUID();
    const rest = Array.from({ length: 45 }, () => telemetry(random));
    at.store.append([...rest, ...visit(id, null), captured(id), pressed()]);
  }
}

/** Steps until there is nothing more to do; how many it took. */
function settle(at: TestStore, policy: Partial<BufferPolicy>, wanted = 0): number {
  for (let steps = 0; steps < 10_000; steps++) {
    if (at.store.retention.step({ ...POLICY, ...policy }, wanted) !== "shed") return steps;
  }
  throw new Error("it never ends");
}

function emptied(at: TestStore) {
  return at.store.log.readAfter(0, 1_000_000).filter(({ body }) => body === null);
}

/** How many entries of each type still have their content. */
function kept(at: TestStore): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { body } of at.store.log.readAfter(0, 1_000_000)) {
    if (body === null) continue;
    const { type } = parseEntry(body);
    counts[type] = (counts[type] ?? 0) + 1;
  }
  return counts;
}

retention(`gives up telemetry, then media, and nothing else (SEED=${SEED})`, () => {
  const at = testStore();
  const person = randomUUID();
  at.store.append([enrolled(person, "somebody"), ...visit(randomUUID(), person)]);
  write(at, 10_000, seeded(SEED));
  const before = kept(at);
  settle(at, { maxMiB: 6 });
  const some = kept(at);
  assert.ok((some["telemetry.sampled"] ?? 0) > 0, "no more than is needed");
  assert.ok((some["telemetry.sampled"] ?? 0) < (before["telemetry.sampled"] ?? 0));
  assert.is(some["media.captured"], before["media.captured"], "media come second");
  settle(at, { maxMiB: 0 });
  const least = kept(at);
  const gone = Object.keys(before).filter((type) => least[type] === undefined);
  assert.equal(gone.sort(), ["media.captured", "telemetry.sampled"]);
  for (const [type, count] of Object.entries(before)) {
    if (!gone.includes(type)) assert.is(least[type], count, type);
  }
  assert.is(at.store.retention.step({ ...POLICY, maxMiB: 0 }), "over", "and says so");
  assert.is(at.store.log.verify([]).fault, null);
  at.remove();
});

retention("says exactly what is missing, and one entry more would be tampering", () => {
  const at = testStore();
  write(at, 3_000, seeded(1));
  settle(at, { maxMiB: 1 });
  const all = at.store.log.readAfter(0, 1_000_000);
  const missing = new Set(emptied(at).map(({ seq }) => seq));
  const said = new Set<number>();
  let bytes = 0;
  for (const { body } of all) {
    if (body === null || !body.endsWith('"type":"buffer.shed"}')) continue;
    const data = ENTRY_DATA["buffer.shed"].parse(parseEntry(body).data);
    bytes += data.bytes;
    for (const [from, to] of data.ranges ?? [[data.from, data.to]]) {
      for (let seq = from; seq <= to; seq++) said.add(seq);
    }
  }
  assert.equal([...said].sort(), [...missing].sort());
  assert.ok(bytes > missing.size * 500 && bytes < missing.size * 1_200, `${bytes} bytes`);
  const { database, close } = openLog(at.options);
  const between = all.find(({ seq, body }) => body?.includes('"type":"visit.') && seq > 100);
  database.prepare("UPDATE entries SET body = NULL WHERE position = ?").run(between?.seq);
  const { fault } = at.store.log.verify([]);
  assert.equal([fault?.seq, fault?.kind], [between?.seq, "emptied"]);
  close();
  at.remove();
});

retention("a verifier written from the page finds it whole", () => {
  if (!needsProgram("python3", "python3")) return;
  const at = testStore();
  write(at, 3_000, seeded(2));
  settle(at, { maxMiB: 1 });
  const path = join(at.options.folder, "export.jsonl");
  const lines = at.store.log.readAfter(0, 1_000_000).map(lineOf);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  const { seq, hash } = at.store.log.head();
  const { status, stdout, stderr } = python(VERIFIER, [path, "--head", `${seq}:${hash}`]);
  assert.is(status, 0, stdout + stderr);
  const sheds = lines.filter((line) => line.endsWith('"type":"buffer.shed"}'));
  assert.ok(sheds.some((line) => line.includes('"ranges"')));
  at.remove();
});

retention("uses its pages again: month after month the file does not grow", () => {
  const at = testStore();
  const random = seeded(3);
  const path = logPath(at.options.folder);
  const sizes: number[] = [];
  for (let month = 0; month < 8; month++) {
    for (let day = 0; day < 10; day++) {
      write(at, 1_000, random);
      settle(at, { maxMiB: 12 });
    }
    sizes.push(statSync(path).size);
    assert.ok(at.store.retention.use().usedBytes <= 12 * MIB, "within the budget");
  }
  assert.ok(Math.max(...sizes) <= 14 * MIB, `${sizes.map((size) => size / MIB)} MiB`);
  assert.is(sizes.at(-1), sizes.at(-4), "no byte more");
  assert.is(at.store.log.verify([]).fault, null);
  at.remove();
});

retention("makes free pages on a disk that is full, whatever the budget says", () => {
  const at = testStore();
  write(at, 5_000, seeded(4));
  settle(at, {}, MIB);
  assert.ok(at.store.retention.use().freeBytes >= MIB);
  assert.ok((kept(at)["telemetry.sampled"] ?? 0) > 0, "no more than is needed");
  at.remove();
});

retention("gives up what is too old, and asks a clock only that was set", () => {
  let nowMs = Date.UTC(2026, 8, 1);
  let state: "synced" | "unsynced" = "synced";
  let upMs = 0;
  const clock: Clock = { now: () => nowMs, monotonicMs: () => upMs };
  const at = testStore(clock, () => state);
  for (let day = 0; day < 20; day++) {
    at.store.append([sampled(day), pressed()]);
    nowMs += DAY_MS;
  }
  // It woke up in the past, and was not told better for three entries.
  state = "unsynced";
  const then = nowMs;
  nowMs = Date.UTC(2020, 0, 1);
  at.store.append([sampled(100), sampled(101), sampled(102)]);
  settle(at, { maxDays: 5 });
  assert.is(emptied(at).length, 0, "nobody knows what is old");
  state = "synced";
  nowMs = then;
  upMs += 3_600_000;
  settle(at, { maxDays: 5 });
  assert.is(emptied(at).length, 15);
  assert.is(kept(at)["telemetry.sampled"], 8, "five young ones, and three that follow them");
  assert.is(kept(at)["button.pressed"], 20);
  at.remove();
});

retention("travels as places and hashes, and the vault goes on without it", () => {
  const at = testStore();
  const person = randomUUID();
  at.store.append([enrolled(person, "somebody")]);
  write(at, 2_000, seeded(5));
  const visits = at.store.visits.count();
  settle(at, { maxMiB: 0 });
  at.reopen().rebuild();
  assert.is(at.store.visits.count(), visits);
  assert.is(at.store.gallery.people().length, 1);
  assert.ok(at.store.latest.of("buffer.shed") !== null);
  const { reader, close } = openLog(at.options);
  const centre = new Centre();
  for (let place = reader.start(); ; ) {
    const { previous, entries } = reader.after(place, 1_000);
    if (entries.length === 0) break;
    const { payload, last } = encodeBatch(previous, entries);
    assert.ok("ack" in centre.receive(payload));
    place = last;
  }
  const lines = at.store.log.readAfter(0, 1_000_000).map(lineOf);
  assert.equal(centre.lines(at.store.log.head().log), lines);
  close();
  at.remove();
});

retention("leaves a log that is closed as it is: nothing could say there what is missing", () => {
  const at = testStore();
  write(at, 1_000, seeded(6));
  at.store.log.begin(randomUUID(), at.store.log.head());
  write(at, 1_000, seeded(7));
  settle(at, { maxMiB: 0 });
  assert.is(at.store.log.verify([]).fault, null);
  const { database, close } = openLog(at.options);
  const gone = database.prepare("SELECT min(position) FROM entries WHERE body IS NULL").pluck();
  assert.ok(Number(gone.get()) > 1_000);
  close();
  at.remove();
});

retention.run();
