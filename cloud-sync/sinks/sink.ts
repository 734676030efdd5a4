/** What a sink is. The runner (runner.ts) owns order, batching, retry, breaker and cursor. */
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

/** Entries that were passed before and are rejected now, and why. */
export interface CaughtUp extends Written {
  readonly entries: readonly StoredEntry[];
}

/**
 * A projection of the central log into one store.
 * Resolved is accepted, listed is rejected, thrown is kept and tried again: there is no fourth.
 */
export interface Sink {
  /** Key of its durable cursor. Renaming a sink replays it from the first entry. */
  readonly name: string;
  /** The types of entries it has to be told of, where they are few; the others are passed over. */
  readonly types?: readonly string[];
  /** Connects and creates what it needs. Idempotent; throws if the store is unreachable. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Resolves once the batch is durable. Idempotent by (log, seq). Lists positions the store will
   * never accept. Types it does not know, and entries without a body, are passed over.
   */
  write(batch: readonly StoredEntry[], signal: AbortSignal): Promise<Written>;
  /** The last position durable in the store itself, where it can say so. */
  position?(): Promise<bigint>;
  /** Nothing up to there is missing: for a sink of some types that says its position. */
  passed?(position: bigint): Promise<void>;
  /** Forgets everything, before a replay from the first entry. Without it, writing again is enough. */
  reset?(): Promise<void>;
  /**
   * Follows what came in beside the log, in bounded steps; null when there was nothing. Asked when
   * no entry waits, twice a second; a step that failed is asked for again.
   */
  catchUp?(signal: AbortSignal): Promise<CaughtUp | null>;
  /** What the store needs from time to time: downsampling, retention. Not while a batch is written. */
  maintain?(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Rejections with the entries that they are about. */
export function withEntries(
  rejected: readonly Rejection[],
  batch: readonly StoredEntry[],
): readonly (Rejection & StoredEntry)[] {
  const entries = new Map(batch.map((entry) => [entry.position, entry]));
  return rejected.map(({ position, reason }) => {
    const entry = entries.get(position);
    invariant(entry !== undefined, "a sink rejects what it was given");
    return { ...entry, reason };
  });
}

/** A store that said when to come back. */
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
  const place = issue?.path.map(String).join(".") || "data";
  return `${place}: ${issue?.code ?? "does not fit"}`;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
}

/** A code, never a message: what a store says may hold what it was given. */
export function codeOf(error: unknown): string {
  if (error instanceof PorchlightError) return error.code;
  return systemCodeOf(error) ?? (error instanceof Error ? error.name : "unknown");
}
