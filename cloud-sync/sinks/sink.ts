/** What a sink is whose store is elsewhere. The runner owns order, batching, retry, breaker and cursor. */
import { invariant, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import type { StoredEntry } from "../log/event-log.ts";

/** An entry that a store will never accept, and why: no personal content in it. */
export interface Rejection {
  readonly position: bigint;
  readonly reason: string;
}

export interface Written {
  readonly rejected: readonly Rejection[];
}

/** An entry as it is kept among the rejects. */
export type RejectedEntry = Rejection & Pick<StoredEntry, "log" | "seq">;

/**
 * A projection of the central log into a store of another system. (One in our own PostgreSQL is a
 * Projection, projection.ts.) Resolved is accepted, listed is rejected, thrown is kept and retried:
 * there is no fourth.
 */
export interface Sink {
  /** Key of its durable cursor. Renaming a sink replays it from the first entry. */
  readonly name: string;
  /** Connects and creates what it needs. Idempotent; throws if the store is unreachable. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Resolves once the batch is durable. Idempotent by (log, seq). Lists positions the store will
   * never accept. Types it does not know, and entries without a body, are skipped.
   */
  write(batch: readonly StoredEntry[], signal: AbortSignal): Promise<Written>;
  close(): Promise<void>;
}

/** Rejections with the entries that they are about. */
export function withEntries(
  rejected: readonly Rejection[],
  batch: readonly StoredEntry[],
): readonly RejectedEntry[] {
  if (rejected.length === 0) return [];
  const entries = new Map(batch.map((entry) => [entry.position, entry]));
  return rejected.map(({ position, reason }) => {
    const entry = entries.get(position);
    invariant(entry !== undefined, "a sink rejects what it was given");
    return { position, reason, log: entry.log, seq: entry.seq };
  });
}

/** A store that is busy and said when to retry. */
export class StoreBusy extends PorchlightError {
  readonly afterMs: number;

  constructor(message: string, afterMs: number, hint: string) {
    super("sink.store.busy", message, { remedy: "retry", hint });
    this.afterMs = afterMs;
  }
}

/** Why an entry is rejected: the first fault, without the value that is wrong. */
export function faultOf(error: { readonly issues: readonly Issue[] }): string {
  const [issue] = error.issues;
  const place = issue?.path.map(placeOf).join(".") || "data";
  return `${place}: ${issue?.code ?? "does not fit"}`;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
}

/** A key that a device chose is no name of ours: not in a log, not in a terminal. */
function placeOf(key: PropertyKey): string {
  return /^[a-zA-Z0-9]{1,32}$/.test(String(key)) ? String(key) : "?";
}

/** The error's code, never its message: a store's message may quote what it was given. */
export function codeOf(error: unknown): string {
  if (error instanceof PorchlightError) return error.code;
  return systemCodeOf(error) ?? (error instanceof Error ? error.name : "unknown");
}
