/** Appends that a store in trouble does not lose: kept in memory, in order, until it takes them. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { explained } from "../sqlite/failure.ts";
import type { Store } from "./open-store.ts";

export interface PatientAppend {
  /** The places of the entries; none where they wait. Throws what no waiting mends. */
  append(drafts: readonly AnyDraft[]): readonly Cursor[];
  /** Tries again what waits. */
  retry(): void;
}

export interface PatientAppendParts {
  readonly store: Pick<Store, "append">;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
}

/** Hours of presses and visits; beyond it the oldest are dropped. */
const WAITING_MAX = 1_000;
/** A disk that stays full is told again this often. */
const TOLD_EVERY_MS = 60_000;

export function createPatientAppend({ store, clock, logger }: PatientAppendParts): PatientAppend {
  let waiting: (readonly AnyDraft[])[] = [];
  let dropped = 0;
  const told = new Map<string, number>();
  const tell = ({ code, message, hint }: PorchlightError): void => {
    const now = clock.monotonicMs();
    if (now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < TOLD_EVERY_MS) return;
    told.set(code, now);
    const facts = { code, hint, waiting: waiting.length, dropped };
    logger.error(`entry not written yet: ${message}`, facts);
  };
  const keep = (drafts: readonly AnyDraft[]): void => {
    waiting.push(drafts);
    dropped += Math.max(0, waiting.length - WAITING_MAX);
    waiting = waiting.slice(-WAITING_MAX);
  };
  const tried = (drafts: readonly AnyDraft[]): readonly Cursor[] | null => {
    try {
      return store.append(drafts);
    } catch (error) {
      const known = explained(error);
      if (!(known instanceof PorchlightError) || known.remedy !== "retry") throw error;
      tell(known);
      return null;
    }
  };
  const retry = (): void => {
    const before = waiting.length;
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (tried(next) === null) return;
      waiting.shift();
    }
    if (before === 0) return;
    logger.info("entries that waited are written", { entries: before, dropped });
    dropped = 0;
    told.clear();
  };
  return {
    append(drafts) {
      retry();
      const cursors = waiting.length > 0 ? null : tried(drafts);
      if (cursors === null) keep(drafts);
      return cursors ?? [];
    },
    retry,
  };
}
