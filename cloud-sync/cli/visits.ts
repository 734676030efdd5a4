import { deviceId, number } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { dateOf, duration, similarity } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { namesOf, personKey } from "../queries/people.ts";
import { type CentralVisit, listVisits } from "../queries/visits.ts";
import { keyringOf } from "./people.ts";
import { type Verb, verb } from "./verb.ts";

const HEADER = ["visit", "began", "lasted", "door", "camera", "outcome", "who", "score", "delay"];

type Named = CentralVisit & { readonly name: string | null };

function rowOf(visit: Named): string[] {
  const { startedAt, durationMs, device, door, camera, outcome, person, score, delayMs } = visit;
  return [
    visit.visit.slice(0, 8),
    startedAt === null ? "-" : dateOf(startedAt.getTime()),
    duration(durationMs),
    door ?? device.slice(0, 8),
    camera ?? "-",
    outcome ?? "…",
    visit.name ?? person?.slice(0, 8) ?? "",
    similarity(score),
    delayMs === null ? "-" : `${delayMs} ms`,
  ];
}

export const visitsList: Verb = verb({
  name: "visits list",
  summary:
    "who was at which door, newest first, by name where it was released, and how long until we knew",
  options: {
    device: deviceId("only of this device"),
    limit: number("N", "at most this many (default 20)", { fallback: 20, min: 1, max: 10_000 }),
  },
  example: "porchlight-cloud visits list --limit 5",
  operands: NO_OPERANDS,
  async run({ centre, config, values, terminal }) {
    const limit = values.limit;
    const { database } = await centre();
    const found = await listVisits(database, { device: values.device, limit });
    const people = found.flatMap(({ device, person }) =>
      person === null ? [] : [{ device, person }],
    );
    const { open } = await keyringOf({ config }, database);
    const names = await namesOf({ database, open }, people);
    const visits = found.map((visit) => ({
      ...visit,
      name: names.get(personKey({ ...visit, person: visit.person ?? "" })) ?? null,
    }));
    terminal.data(visits, table(HEADER, visits.map(rowOf)));
    return EXIT.ok;
  },
});
