import { table } from "../../shared/cli/terminal.ts";
import { number, text } from "../../shared/cli/verb.ts";
import { dateOf, duration, similarity } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/errors.ts";
import { type CentralVisit, listVisits } from "../sinks/visits.ts";
import type { Verb } from "./verb.ts";

const HEADER = ["visit", "began", "lasted", "device", "camera", "outcome", "who", "score", "delay"];

function rowOf(visit: CentralVisit): string[] {
  const { startedAt, durationMs, device, camera, outcome, person, score, delayMs } = visit;
  return [
    visit.visit.slice(0, 8),
    startedAt === null ? "-" : dateOf(startedAt.getTime()),
    duration(durationMs),
    device.slice(0, 8),
    camera ?? "-",
    outcome ?? "…",
    person?.slice(0, 8) ?? "",
    similarity(score),
    delayMs === null ? "-" : `${delayMs} ms`,
  ];
}

export const visitsList: Verb = {
  name: "visits list",
  usage: "[--device ID] [--limit N]",
  summary: "who was at which door, newest first, by pseudonym, and how long until we knew",
  options: { device: { type: "string" }, limit: { type: "string" } },
  optionHelp: {
    "--device ID": "only of this device",
    "--limit N": "at most this many (default 20)",
  },
  example: "porchlight-cloud visits list --limit 5",
  operands: { min: 0, max: 0 },
  async run({ centre, values, terminal }) {
    const limit = Math.floor(number(values, "limit", { fallback: 20, min: 1, max: 10_000 }));
    const { database } = await centre();
    const visits = await listVisits(database, { device: text(values, "device"), limit });
    terminal.data(visits, table(HEADER, visits.map(rowOf)));
    return EXIT.ok;
  },
};
