/** A store that takes a batch or nothing: finds the entries for which it takes nothing. */
import { systemCodeOf } from "../../../shared/core/errors.ts";
import type { Connection } from "../../postgres/database.ts";
import type { Pending } from "../projection.ts";
import type { Rejection, Written } from "../sink.ts";

/**
 * Writes a batch; when the store refuses what is in it, writes its halves, down to single entries.
 * `refusal` says why an entry is unacceptable, and null for any other failure: that one is thrown.
 */
export async function writeIsolating<T extends { readonly position: bigint }>(
  batch: readonly T[],
  write: (batch: readonly T[]) => Promise<void>,
  refusal: (error: unknown) => string | null,
): Promise<Written> {
  if (batch.length === 0) return { rejected: [] };
  try {
    await write(batch);
    return { rejected: [] };
  } catch (error) {
    const reason = refusal(error);
    if (reason === null) throw error;
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      return { rejected: [{ position: only.position, reason }] };
    }
  }
  const rejected: Rejection[] = [];
  const half = Math.ceil(batch.length / 2);
  for (const part of [batch.slice(0, half), batch.slice(half)]) {
    rejected.push(...(await writeIsolating(part, write, refusal)).rejected);
  }
  return { rejected };
}

/**
 * Data exceptions, constraints and program limits (PostgreSQL manual, appendix A): that entry will
 * never fit.
 */
export function refusalOf(error: unknown): string | null {
  const code = systemCodeOf(error) ?? "";
  return /^(2[23]|54)/.test(code) ? `the database refuses it (${code})` : null;
}

/** A batch for one transaction: what the database refuses of it is undone by itself. */
export function pendingOf<T extends { readonly position: bigint }>(
  { items, rejected }: { readonly items: readonly T[]; readonly rejected: readonly Rejection[] },
  writeItems: (connection: Connection, schema: string, items: readonly T[]) => Promise<void>,
): Pending {
  return {
    rejected,
    async write(connection, schema) {
      const writePart = async (part: readonly T[]): Promise<void> => {
        await connection.query("SAVEPOINT part");
        try {
          await writeItems(connection, schema, part);
        } catch (error) {
          if (refusalOf(error) !== null) await connection.query("ROLLBACK TO SAVEPOINT part");
          throw error;
        }
        await connection.query("RELEASE SAVEPOINT part");
      };
      return (await writeIsolating(items, writePart, refusalOf)).rejected;
    },
  };
}
