import { z } from "zod";
import { messageOf } from "../../shared/core/errors.ts";
import type { Database } from "./database.ts";

const stateSchema = z.object({ standby: z.boolean(), readonly: z.boolean(), tables: z.boolean() });
const STATE = `SELECT pg_is_in_recovery() AS standby,
  current_setting('transaction_read_only') = 'on' AS readonly,
  to_regclass('porchlight_migrations') IS NOT NULL AS tables`;

/** Why nothing can be written now, for a health check; null where it can. */
export async function databaseProblem(database: Database): Promise<string | null> {
  try {
    const [row] = await database.query(STATE);
    const { standby, readonly, tables } = stateSchema.parse(row);
    if (standby) return "a standby answers: nothing can be written";
    if (readonly) return "read-only: nothing can be written";
    return tables ? null : "the tables are missing: is it being restored?";
  } catch (error) {
    return messageOf(error);
  }
}
