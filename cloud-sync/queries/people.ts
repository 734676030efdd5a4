/** People as the read models have them: pseudonymous, their profile as it was sealed. */
import { z } from "zod";
import type { SealPlace } from "../../shared/log/seal.ts";
import type { OpenPersonal } from "../keyring/keyring.ts";
import type { Database } from "../postgres/database.ts";
import { tableExists } from "./table-exists.ts";

export interface CentralPerson {
  readonly subject: string;
  readonly device: string;
  readonly enrolledAt: Date | null;
  readonly erasedAt: Date | null;
  /** Null: sealed, because it was not released to this site, or erased. */
  readonly name: string | null;
}

interface Row extends Omit<CentralPerson, "name"> {
  readonly profile: { readonly place: SealPlace; readonly sealed: string } | null;
}

const COLUMNS = `subject, device, enrolled_at, erased_at, profile, profile_log, profile_seq,
  profile_type FROM porchlight_read.people`;
const LIST = `SELECT ${COLUMNS} WHERE enrolled_at IS NOT NULL AND ($1::uuid IS NULL OR device = $1)
  ORDER BY enrolled_at, subject LIMIT $2`;
const NAMED = `SELECT ${COLUMNS}
  WHERE (device, subject) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))`;

const rows = z.array(
  z
    .object({
      subject: z.string(),
      device: z.string(),
      enrolled_at: z.date().nullable(),
      erased_at: z.date().nullable(),
      profile: z.string().nullable(),
      profile_log: z.string().nullable(),
      profile_seq: z.bigint().nullable(),
      profile_type: z.string().nullable(),
    })
    .transform(({ subject, device, enrolled_at, erased_at, ...row }): Row => {
      const { profile: sealed, profile_log: log, profile_seq: seq, profile_type: type } = row;
      const complete = sealed !== null && log !== null && seq !== null && type !== null;
      const place = complete && { log, seq: Number(seq), type, subject, class: "profile" as const };
      const profile = place === false || sealed === null ? null : { place, sealed };
      return { subject, device, enrolledAt: enrolled_at, erasedAt: erased_at, profile };
    }),
);
const profileSchema = z.object({ name: z.string() });

export interface PeopleOptions {
  readonly database: Pick<Database, "query">;
  readonly open: OpenPersonal;
}

/** In the order in which they were enrolled. */
export async function listPeople(
  { database, open }: PeopleOptions,
  { device, limit }: { readonly device?: string | undefined; readonly limit: number },
): Promise<readonly CentralPerson[]> {
  if (!(await tableExists(database, "people"))) return [];
  const people: CentralPerson[] = [];
  for (const row of rows.parse(await database.query(LIST, [device ?? null, limit]))) {
    people.push(await personOf(row, open));
  }
  return people;
}

/** A person as a device names them: two devices may use one pseudonym. */
export interface PersonOfDevice {
  readonly device: string;
  readonly person: string;
}

export function personKey({ device, person }: PersonOfDevice): string {
  return `${device} ${person}`;
}

/** The names of these, by `personKey`, where they were released. */
export async function namesOf(
  { database, open }: PeopleOptions,
  people: readonly PersonOfDevice[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  if (people.length === 0 || !(await tableExists(database, "people"))) return names;
  const columns = [people.map(({ device }) => device), people.map(({ person }) => person)];
  for (const row of rows.parse(await database.query(NAMED, columns))) {
    const { subject: person, device, name } = await personOf(row, open);
    if (name !== null) names.set(personKey({ device, person }), name);
  }
  return names;
}

async function personOf({ profile, ...person }: Row, open: OpenPersonal): Promise<CentralPerson> {
  const plain = profile === null ? null : await open(profile.place, profile.sealed);
  const name = plain === null ? null : profileSchema.parse(JSON.parse(plain.toString("utf8"))).name;
  return { ...person, name };
}
