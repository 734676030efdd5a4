/** Which device a log is of: it never changes, so it is asked once. */
import { z } from "zod";
import { invariant } from "../../../shared/core/errors.ts";
import type { Database } from "../../postgres/database.ts";

/** The devices of these logs. */
export type DevicesOf = (logs: readonly string[]) => Promise<ReadonlyMap<string, string>>;

const DEVICES = "SELECT log, device FROM logs WHERE log = ANY ($1::uuid[])";
const deviceRows = z.array(z.object({ log: z.string(), device: z.string() }));
/** A log has 72 characters here, with its device: 10 MB. Then they are asked for again. */
const KNOWN_MAX = 100_000;

export function createLogOwners(database: Pick<Database, "query">): DevicesOf {
  const known = new Map<string, string>();
  return async (logs) => {
    const wanted = [...new Set(logs)];
    const missing = wanted.filter((log) => !known.has(log));
    if (known.size + missing.length > KNOWN_MAX) known.clear();
    const asked = wanted.filter((log) => !known.has(log));
    const rows = asked.length === 0 ? [] : await database.query(DEVICES, [asked]);
    for (const { log, device } of deviceRows.parse(rows)) known.set(log, device);
    return new Map(
      wanted.map((log) => {
        const device = known.get(log);
        invariant(device !== undefined, "an entry's log has a row");
        return [log, device];
      }),
    );
  };
}
