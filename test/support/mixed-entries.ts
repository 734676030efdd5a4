import { randomUUID } from "node:crypto";
import { startOf } from "../../shared/log/cursor.ts";
import { compressBatch, encodeBatch } from "../../shared/protocol/batch.ts";
import { type Fact, logOf, opened } from "./links.ts";

/** A device's payloads as they come over the broker. */
export interface MixedDevice {
  readonly device: string;
  readonly payloads: readonly Buffer[];
}

const MINUTE_MS = 60_000;

/** Of ten entries six samples of eight figures, a visit in three, and a press: 460 bytes each. */
export function mixedDevice(entries: number, batch: number, lastMs: number): MixedDevice {
  const [device, log] = [randomUUID(), randomUUID()];
  const facts = [opened(device)];
  const start = lastMs - entries * MINUTE_MS;
  for (let i = 0; facts.length < entries; i++)
    facts.push(...tenFacts(i, start + i * 10 * MINUTE_MS));
  const links = logOf(log, facts.slice(0, entries));
  const payloads: Buffer[] = [];
  for (let from = 0; from < links.length; from += batch) {
    const before = links[from - 1];
    const previous = before === undefined ? startOf(log) : { log, ...before };
    const { payload } = encodeBatch(previous, links.slice(from, from + batch));
    payloads.push(compressBatch(payload));
  }
  return { device, payloads };
}

function tenFacts(i: number, at: number): Fact[] {
  const visit = randomUUID();
  const base = { actor: "device", clock: "synced", sealed: null } as const;
  const fact = (
    minute: number,
    type: string,
    data: Fact["data"],
    subject: string | null,
  ): Fact => ({
    ...base,
    at: at + minute * MINUTE_MS,
    monotonicMs: i * 600_000 + minute * MINUTE_MS,
    data,
    subject,
    type,
  });
  const samples = Array.from({ length: 6 }, (_, k) =>
    fact(k, "telemetry.sampled", { metrics: figures(i * 6 + k) }, null),
  );
  return [
    ...samples,
    fact(6, "visit.started", { camera: "door", visit }, visit),
    fact(7, "visit.recognised", { decision, revision: 1, visit }, visit),
    fact(8, "visit.ended", { ...ended, visit }, visit),
    fact(9, "button.pressed", { button: "front" }, null),
  ];
}

function figures(k: number): Record<string, number> {
  return {
    bufferedEntries: k % 100,
    cpuPercent: (k * 7) % 100,
    facesSeen: k % 5,
    framesPerSecond: 12 + (k % 7) / 4,
    inferenceMs: 30 + (k % 13) / 3,
    residentMiB: 190 + (k % 20),
    temperatureC: 41.5 + (k % 9),
    vaultMiB: 12 + k / 1_000,
  };
}

const decision = {
  frames: [],
  margin: null,
  outcome: "unknown",
  pack: "test@1",
  person: null,
  refused: {},
  runnerUp: null,
  score: 0.41,
  seen: 4,
  thresholds: { margin: 0.05, match: 0.5 },
};
const ended = { durationMs: 2_000, frames: 40, outcome: "unknown", reason: "absent" };
