import { deviceId, number } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createKeyring, type Keyring } from "../keyring/keyring.ts";
import { findSiteKey } from "../keyring/site-key.ts";
import type { Database } from "../postgres/database.ts";
import { type CentralPerson, listPeople } from "../queries/people.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

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

export const peopleList: Verb = verb({
  name: "people list",
  summary: "who is enrolled at which door; by name where the owner has released it",
  options: {
    device: deviceId("only of this device"),
    limit: number("N", "at most this many (default 100)", { fallback: 100, min: 1, max: 10_000 }),
  },
  example: "porchlight-cloud people list",
  operands: NO_OPERANDS,
  async run({ centre, config, values, terminal }) {
    const limit = values.limit;
    const { database } = await centre();
    const { open } = await keyringOf({ config }, database);
    const device = values.device;
    const people = await listPeople({ database, open }, { device, limit });
    terminal.data(people, table(["person", "name", "enrolled", "device"], people.map(rowOf)));
    return EXIT.ok;
  },
});
