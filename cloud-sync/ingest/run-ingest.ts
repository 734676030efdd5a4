/** Ingest on a broker: what devices publish goes into the log, and the answers go back. */
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnswerSigner, Claim } from "../../shared/protocol/answer-proof.ts";
import { ackSchema, encodeMessage, nackSchema } from "../../shared/protocol/wire.ts";
import type { CentralLog } from "../log/event-log.ts";
import type { Transport } from "../mqtt/transport.ts";
import { type Answer, createIngest, type Ingest, type IngestOptions } from "./ingest.ts";
import { createPressure } from "./pressure.ts";

export interface IngestService {
  readonly ingest: Ingest;
  readonly transport: Transport;
  /** Whether a burst comes in: what can wait gives way to it. */
  busy(): boolean;
  /** Until the signal is aborted. Throws what is a mistake of the program, or `database.denied`. */
  run(signal: AbortSignal): Promise<void>;
}

export interface IngestServiceOptions {
  readonly log: CentralLog;
  /** Gives what it receives to `ingest.take`. */
  readonly transport: Transport;
  /** Signs the answers to batches that ask for it. */
  readonly signer: AnswerSigner;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly committed?: IngestOptions["committed"];
  readonly budget?: IngestOptions["budget"];
  readonly nonsense?: IngestOptions["nonsense"];
}

export function createIngestService(options: IngestServiceOptions): IngestService {
  const { log, transport, signer, clock, random, logger, committed, budget, nonsense } = options;
  const answer = (device: string, message: Answer): void =>
    answerOver({ transport, signer }, device, message);
  const pressure = createPressure(clock.monotonicMs);
  const ingest = createIngest({
    log,
    answer,
    clock,
    random,
    logger,
    committed(entries, ms) {
      pressure.committed(entries);
      committed?.(entries, ms);
    },
    ...(budget !== undefined && { budget }),
    ...(nonsense !== undefined && { nonsense }),
  });
  return {
    ingest,
    transport,
    busy: pressure.high,
    async run(signal) {
      // One that fails takes the other with it.
      const failed = new AbortController();
      const both = AbortSignal.any([signal, failed.signal]);
      const ended = [ingest.run(both), transport.run(both)];
      const results = await Promise.allSettled(
        ended.map((each) => each.finally(() => failed.abort())),
      );
      for (const result of results) if (result.status === "rejected") throw result.reason;
    },
  };
}

function answerOver(
  { transport, signer }: Pick<IngestServiceOptions, "transport" | "signer">,
  device: string,
  answer: Answer,
): void {
  const signed = (verdict: Claim["verdict"], { log, seq, hash }: Cursor) => {
    const { nonce } = answer;
    const claim = { device, verdict, cursor: { log, seq, hash } };
    // A device of an earlier version asks for no proof, and would not understand one.
    return nonce === null ? {} : { proof: signer.sign(claim, nonce) };
  };
  if ("ack" in answer) {
    const ack = { ...answer.ack, ...signed("ack", answer.ack) };
    transport.publish({ device, channel: "ack" }, encodeMessage(ackSchema, ack));
    return;
  }
  const nack = { ...answer.nack, ...signed(answer.nack.reason, answer.nack) };
  transport.publish({ device, channel: "nack" }, encodeMessage(nackSchema, nack));
}
