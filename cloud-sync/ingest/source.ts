import type { Topic } from "../../shared/wire.ts";

/** Gives a batch to ingest. Resolves when it is in the window; throws when that is given up. */
export type Take = (device: string, payload: Buffer, signal: AbortSignal) => Promise<void>;

/** Where batches come from and answers go to: a broker, ours or another. */
export interface Source {
  /** Serves until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when it first receives. */
  readonly ready: Promise<void>;
  /** Sends at least once, unless a connection ends before: nobody may rely on it. */
  publish(topic: Topic, payload: Buffer): void;
  /** Connections that stand. */
  connected(): number;
}
