/** Who a running PostgreSQL of our own belongs to: the process that holds a lock in it. */
import pg from "pg";
import { z } from "zod";

/** "porchown" as eight bytes. The lock ends with the connection, also when we are killed. */
const LOCK = "x'706f7263686f776e'::bigint";
/** A server this young may be another's, who has had no time to take the lock. */
const FRESH_S = 1;
const CONNECT_TIMEOUT_MS = 2_000;

const rowSchema = z.object({
  data: z.string(),
  postmaster: z.int(),
  owned: z.boolean(),
});

/** The answer of the socket. */
export type Ownership =
  | { readonly kind: "silent" }
  | { readonly kind: "taken" }
  | { readonly kind: "owned"; readonly postmaster: number; readonly session: pg.Client };

/**
 * Tries to become the owner of the server behind `url`, if it is on `data`: one folder, by each of
 * the names that a server may know it by.
 */
export async function own(
  url: string,
  data: readonly string[],
  started: number | null,
): Promise<Ownership> {
  const session = new pg.Client({
    connectionString: url,
    application_name: "porchlight-cloud owner",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A server that ends tells us here first; whoever holds the session hears its end.
  session.on("error", () => undefined);
  try {
    await session.connect();
    const { rows } = await session.query(
      `WITH server AS (
         SELECT current_setting('data_directory') AS data,
                split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS postmaster,
                extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS age)
       SELECT data, postmaster,
              CASE WHEN data = ANY($1) AND (postmaster = $2 OR age > ${FRESH_S})
                   THEN pg_try_advisory_lock(${LOCK}) ELSE false END AS owned
       FROM server`,
      [data, started],
    );
    const { owned, postmaster } = rowSchema.parse(rows[0]);
    if (owned) return { kind: "owned", postmaster, session };
    await session.end();
    return { kind: "taken" };
  } catch (error) {
    await session.end().catch(() => undefined);
    // Starting, stopping or gone: whoever asks looks again. A wrong statement is our mistake.
    if (error instanceof pg.DatabaseError && !/^(57P0|08)/.test(error.code ?? "")) throw error;
    if (error instanceof z.ZodError) throw error;
    return { kind: "silent" };
  }
}
