/** `store rebuild`: everything that is derived from the log is made again, also of a damaged vault. */
import { PorchlightError } from "../../shared/core/errors.ts";
import { parseEntry } from "../../shared/log/entry.ts";
import { ackedWitnesses } from "../log/acked.ts";
import { openLogDatabase } from "../log/open-log.ts";
import { createLogReader } from "../log/reader.ts";
import { verifyLog } from "../log/verify.ts";
import { explained } from "../sqlite/failure.ts";
import { type Salvaged, salvageVault } from "../vault/salvage.ts";
import { openStore, type Store, type StoreOptions } from "./open-store.ts";

export interface Rebuilt {
  readonly store: Store;
  /** Null where the vault was not damaged. */
  readonly salvaged: Salvaged | null;
}

const DAMAGED = ["store.damaged", "store.truncated", "store.failed"];
const PAGE_ENTRIES = 1_000;

/**
 * Opens the store, rebuilt. Whoever calls holds its lock, so that the log which is verified is the
 * log that is replayed. Throws `log.fault` where it is not whole, unless that is `unverified`.
 */
export function rebuildStore(
  options: StoreOptions,
  { unverified = false }: { readonly unverified?: boolean } = {},
): Rebuilt {
  if (!unverified) refuseFaulty(options);
  try {
    const store = openStore(options);
    try {
      store.rebuild();
      return { store, salvaged: null };
    } catch (error) {
      store.close();
      throw error;
    }
  } catch (error) {
    const known = explained(error);
    if (!(known instanceof PorchlightError) || !DAMAGED.includes(known.code)) throw error;
  }
  const salvaged = salvageVault(options, subjectsOf(options));
  return { store: openStore(options), salvaged };
}

/** What is derived from a log that was tampered with would be as false as it is. */
function refuseFaulty(options: StoreOptions): void {
  const database = openLogDatabase(options, false);
  try {
    const { fault } = verifyLog(database, ackedWitnesses(database));
    if (fault === null) return;
    const { log, seq, kind, detail } = fault;
    throw new PorchlightError(
      "log.fault",
      `entry ${seq} of the log ${log} is wrong (${kind}): ${detail}; nothing was rebuilt`,
      {
        hint: "see all that is wrong: porchlight log verify; to rebuild from it all the same: porchlight store rebuild --unverified",
      },
    );
  } finally {
    database.close();
  }
}

/** Everybody whom an entry of the log is about; what cannot be read names nobody. */
function subjectsOf(options: StoreOptions): ReadonlySet<string> {
  const database = openLogDatabase(options, false);
  const subjects = new Set<string>();
  try {
    const reader = createLogReader(database);
    for (let place = reader.start(); ; ) {
      const { entries } = reader.after(place, PAGE_ENTRIES);
      const last = entries.at(-1);
      if (last === undefined) return subjects;
      for (const { body } of entries) addSubject(subjects, body);
      place = { log: last.log, seq: last.seq, hash: last.hash };
    }
  } finally {
    database.close();
  }
}

function addSubject(subjects: Set<string>, body: string | null): void {
  if (body === null) return;
  try {
    const { subject } = parseEntry(body);
    if (subject !== null) subjects.add(subject);
  } catch {
    // It has no subject whose key could be looked for.
  }
}
