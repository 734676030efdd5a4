/**
 * Pages of the central log for those that project it: what is in the database, what lies in the
 * archive alone, merged in the order of positions. Sinks that are level read the same page once.
 */
import type { CentralLog, EntryPage, StoredEntry } from "./event-log.ts";

/** Entries of months that left the database. */
export interface ArchivedPages {
  /** The last position of any such month; null when there is none. */
  lastPosition(): Promise<bigint | null>;
  /**
   * What there is after a position, and up to where nothing is missing; null where nothing is left.
   * Throws `archive.broken`; with `incomplete`, a month that cannot be read is left out instead.
   */
  after(position: bigint, limit: number, incomplete: boolean): Promise<ArchivedPage | null>;
}

export interface ArchivedPage {
  readonly entries: readonly StoredEntry[];
  readonly upTo: bigint;
}

export interface PageRequest {
  readonly limit: number;
  /** Of these types alone: then a page has those among the next positions. */
  readonly types?: readonly string[] | undefined;
  readonly incomplete?: boolean;
}

export interface LogPages {
  /** What comes after a position; `upTo` is null where nothing does. */
  next(position: bigint, request: PageRequest): Promise<EntryPage>;
  /** Asks again which months are in the archive alone: before a replay. */
  refresh(): void;
}

/** Positions looked at for each entry of a page, where some types alone are wanted. */
const PASSED_OVER = 10;
/** Pages that another sink may ask for next: 2,000 entries of a kB each are 2 MB. */
const PAGES_KEPT = 4;

export function createLogPages(
  log: Pick<CentralLog, "readAfter" | "readByType">,
  archived: ArchivedPages | null = null,
): LogPages {
  const kept = new Map<string, Promise<EntryPage>>();
  let away: Promise<bigint | null> | null = null;
  const read = async (position: bigint, request: PageRequest): Promise<EntryPage> => {
    away ??= archived?.lastPosition() ?? Promise.resolve(null);
    const last = await forgetting(away, () => {
      away = null;
    });
    const page =
      archived === null || last === null || position >= last
        ? null
        : await archived.after(position, request.limit, request.incomplete ?? false);
    if (page !== null) return merged(page, position, request);
    const { types, limit } = request;
    if (types !== undefined) return log.readByType(types, position, limit * PASSED_OVER);
    return pageOf(await log.readAfter(position, limit));
  };
  const merged = async (
    { entries, upTo }: ArchivedPage,
    position: bigint,
    { limit, types }: PageRequest,
  ): Promise<EntryPage> => {
    const stored = await log.readAfter(position, limit);
    const reach = stored.at(-1)?.position ?? upTo;
    const bound = reach < upTo ? reach : upTo;
    // A month that was restored meanwhile is in both.
    const all = new Map([...entries, ...stored].map((entry) => [entry.position, entry]));
    const wanted = [...all.values()].filter(
      (entry) =>
        entry.position <= bound && (types === undefined || types.includes(entry.type ?? "")),
    );
    return { entries: wanted.sort((a, b) => (a.position < b.position ? -1 : 1)), upTo: bound };
  };
  return {
    next(position, request) {
      const key = [position, request.limit, request.incomplete, request.types].join();
      const known = kept.get(key);
      if (known !== undefined) return known;
      const page = read(position, request);
      kept.set(key, page);
      const [oldest] = kept.keys();
      if (kept.size > PAGES_KEPT && oldest !== undefined) kept.delete(oldest);
      // What failed, and the end of the log, are asked for again.
      void page.then(
        ({ upTo }) => upTo === null && kept.delete(key),
        () => kept.delete(key),
      );
      return page;
    },
    refresh() {
      away = null;
      kept.clear();
    },
  };
}

function pageOf(entries: readonly StoredEntry[]): EntryPage {
  return { entries, upTo: entries.at(-1)?.position ?? null };
}

async function forgetting<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    forget();
    throw error;
  }
}
