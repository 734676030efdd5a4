import { messageOf, systemCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { startOf } from "../../shared/log/cursor.ts";
import type { Arrival, BatchOutcome } from "../log/append.ts";
import type { CentralLog } from "../log/event-log.ts";

export interface AppendParts {
  readonly log: Pick<CentralLog, "append" | "newest">;
  readonly logger: Logger;
}

/** One transaction for all; one each when something in it is more than the database can bear. */
export async function appendGroup(
  group: readonly Arrival[],
  parts: AppendParts,
  signal?: AbortSignal,
): Promise<readonly BatchOutcome[]> {
  const { log, logger } = parts;
  try {
    return await log.append(group, signal);
  } catch (error) {
    if (!isOfData(error)) throw error;
    const [only] = group;
    if (group.length > 1 || only === undefined) {
      const outcomes: BatchOutcome[] = [];
      for (const item of group) outcomes.push(...(await appendGroup([item], parts, signal)));
      return outcomes;
    }
    const { device, batch } = only;
    const reason = `the database refuses it: ${messageOf(error)}`;
    logger.error("batch rejected by the database", { device, log: batch.log, reason });
    const cursor = (await log.newest(device)) ?? startOf(batch.log);
    return [{ kind: "invalid", cursor, reason }];
  }
}

/**
 * Data exceptions and constraints (PostgreSQL manual, appendix A): another batch may pass. A row
 * that fits into no partition (23514) and a limit of the server (54) are ours, and no batch's fault.
 */
function isOfData(error: unknown): boolean {
  return /^(22|23(?!514))/.test(systemCodeOf(error) ?? "");
}
