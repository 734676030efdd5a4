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

/** Entries that were skipped before and are rejected now, and why. */
export interface CaughtUp extends Written {
  readonly entries: readonly StoredEntry[];
}

/**
 * A projection of the central log into one store.
 * Resolved is accepted, listed is rejected, thrown is kept and retried: there is no fourth.
 */
export interface Sink {
  /** Key of its durable cursor. Renaming a sink replays it from the first entry. */
  readonly name: string;
  /** The types of entries that it reads, where they are few; the others are skipped. */
  readonly types?: readonly string[];
  /** Connects and creates what it needs. Idempotent; throws if the store is unreachable. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Resolves once the batch is durable. Idempotent by (log, seq). Lists positions the store will
   * never accept. Types it does not know, and entries without a body, are skipped.
   */
  write(batch: readonly StoredEntry[], signal: AbortSignal): Promise<Written>;
  close(): Promise<void>;
}

/** A store that can say how far it has come. */
export interface Positioned {
  /** The last position durable in the store itself. */
  position(): Promise<bigint>;
  /** Nothing up to there is missing: for a sink of some types. */
  advanceTo?(position: bigint): Promise<void>;
}

/** A store that rewriting does not repair: everything is deleted before a replay. */
export interface Resettable {
  reset(): Promise<void>;
}

/** A projection that subject keys change, also after their entries. */
export interface FollowsKeys {
  /**
   * One bounded step; null when nothing has changed. Called when no entry waits, twice a second; a
   * step that failed is called for again.
   */
  catchUp(signal: AbortSignal): Promise<CaughtUp | null>;
}

/** A store that needs work from time to time: downsampling, retention. */
export interface Maintained {
  /** Never while a batch is written. */
  maintain(signal: AbortSignal): Promise<void>;
}

/** A sink with whichever of these powers it has. */
export type AnySink = Sink & Partial<Positioned & Resettable & FollowsKeys & Maintained>;

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
  const place = issue?.path.map(String).join(".") || "data";
  return `${place}: ${issue?.code ?? "does not fit"}`;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
}

/** The error's code, never its message: a store's message may quote what it was given. */
export function codeOf(error: unknown): string {
  if (error instanceof PorchlightError) return error.code;
  return systemCodeOf(error) ?? (error instanceof Error ? error.name : "unknown");
}
