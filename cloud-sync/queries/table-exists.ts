import { z } from "zod";
import type { Database } from "../postgres/database.ts";

const existsRow = z.tuple([z.object({ exists: z.boolean() })]);

/** Whether a table of the read models is there: they are made by the first centre that runs. */
export async function tableExists(
  database: Pick<Database, "query">,
  table: "media" | "people" | "visits",
): Promise<boolean> {
  const found = "SELECT to_regclass($1) IS NOT NULL AS exists";
  const [{ exists }] = existsRow.parse(await database.query(found, [`porchlight_read.${table}`]));
  return exists;
}
