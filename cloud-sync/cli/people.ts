import { table } from "../../shared/cli/terminal.ts";
import { number, text } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createKeyring, type Keyring } from "../keyring/keyring.ts";
import { findSiteKey } from "../keyring/site-key.ts";
import type { Database } from "../postgres/database.ts";
import { type CentralPerson, listPeople } from "../queries/people.ts";
import type { Invocation, Verb } from "./verb.ts";

/** What was released, opened with the site's key where this machine has it. */
export async function keyringOf(
  { config }: Pick<Invocation, "config">,
  database: Database,
): Promise<Keyring> {
  return createKeyring({ database, site: await findSiteKey(config(), database) });
}

function rowOf({ subject, device, enrolledAt, erasedAt, name }: CentralPerson): string[] {
  return [
    subject.slice(0, 8),
    name ?? (erasedAt === null ? "(sealed)" : "(erased)"),
    enrolledAt === null ? "-" : dateOf(enrolledAt.getTime()),
    device.slice(0, 8),
  ];
}

export const peopleList: Verb = {
  name: "people list",
  usage: "[--device ID] [--limit N]",
  summary: "who is enrolled at which door; by name where the owner has released it",
  options: { device: { type: "string" }, limit: { type: "string" } },
  optionHelp: {
    "--device ID": "only of this device",
    "--limit N": "at most this many (default 100)",
  },
  example: "porchlight-cloud people list",
  operands: { min: 0, max: 0 },
  async run({ centre, config, values, terminal }) {
    const limit = Math.floor(number(values, "limit", { fallback: 100, min: 1, max: 10_000 }));
    const { database } = await centre();
    const { open } = await keyringOf({ config }, database);
    const device = text(values, "device");
    const people = await listPeople({ database, open }, { device, limit });
    terminal.data(people, table(["person", "name", "enrolled", "device"], people.map(rowOf)));
    return EXIT.ok;
  },
};
