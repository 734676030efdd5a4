/** Visits as the read models have them: who a pseudonym is, is not known here. */
import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import { tableExists } from "./table-exists.ts";

export interface CentralVisit {
  readonly visit: string;
  readonly device: string;
  /** What its door is called, where it has a name. */
  readonly door: string | null;
  readonly camera: string | null;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly durationMs: number | null;
  /** Null while nothing is decided. */
  readonly outcome: string | null;
  readonly person: string | null;
  readonly score: number | null;
  readonly margin: number | null;
  /** From the door's clock to ours; wrong where one of them is. */
  readonly delayMs: number | null;
}

/** By what the table is indexed by, of one device or of all: a plan for each. */
function list(where: string): string {
  return `SELECT visit, device, (SELECT name FROM devices WHERE devices.device = visits.device) AS door, camera, started_at, ended_at, duration_ms,
      coalesce(end_outcome, outcome) AS outcome, person, score, margin, delay_ms
    FROM porchlight_read.visits ${where}
    ORDER BY coalesce(started_at, decided_at, ended_at) DESC LIMIT $1`;
}
const LIST = list("");
const LIST_OF = list("WHERE device = $2");

const integer = z.bigint().transform(Number).nullable();
const rows = z.array(
  z
    .object({
      visit: z.string(),
      device: z.string(),
      door: z.string().nullable(),
      camera: z.string().nullable(),
      started_at: z.date().nullable(),
      ended_at: z.date().nullable(),
      duration_ms: integer,
      outcome: z.string().nullable(),
      person: z.string().nullable(),
      score: z.number().nullable(),
      margin: z.number().nullable(),
      delay_ms: integer,
    })
    .transform(
      ({ started_at, ended_at, duration_ms, delay_ms, ...row }): CentralVisit => ({
        ...row,
        startedAt: started_at,
        endedAt: ended_at,
        durationMs: duration_ms,
        delayMs: delay_ms,
      }),
    ),
);

/** Newest first. */
export async function listVisits(
  database: Pick<Database, "query">,
  { device, limit }: { readonly device?: string | undefined; readonly limit: number },
): Promise<readonly CentralVisit[]> {
  if (!(await tableExists(database, "visits"))) return [];
  const found =
    device === undefined
      ? await database.query(LIST, [limit])
      : await database.query(LIST_OF, [limit, device]);
  return rows.parse(found);
}
