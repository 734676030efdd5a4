import { randomUUID } from "node:crypto";
import { createIngestService, type IngestService } from "../../cloud-sync/ingest/run-ingest.ts";
import type { CentralLog } from "../../cloud-sync/log/event-log.ts";
import { type Broker, createMqttTransport } from "../../cloud-sync/mqtt/external-broker.ts";
import type { OnBatch } from "../../cloud-sync/mqtt/transport.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { createLogger, type Logger } from "../../shared/core/logger.ts";
import type { AnswerSigner } from "../../shared/protocol/answer-proof.ts";
import type { Topic } from "../../shared/protocol/wire.ts";
import { receiverOf } from "./receiver.ts";
import { newSigner } from "./signer.ts";

/** A logger that keeps what it is told, `warn` and above. */
export function keepingLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { logger: createLogger({ level: "warn", now: () => 0, write }), lines };
}

/** An ingest that runs on a broker, to be stopped and started like a process. */
export class RunningIngest {
  readonly service: IngestService;
  readonly signer: AnswerSigner = newSigner();
  readonly logged = keepingLogger();
  /** Where messages beside the log came from. */
  readonly heard: Topic[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(log: CentralLog, broker: Broker, connections = 2, site = "test") {
    const { logger } = this.logged;
    const instance = randomUUID();
    const random = Math.random;
    const transport = createMqttTransport({ broker, connections, instance, site, random, logger });
    const { signer } = this;
    const clock = systemClock;
    this.service = createIngestService({ log, transport, signer, random, clock, logger });
    const batch: OnBatch = (...each) => this.service.ingest.take(...each);
    transport.attach(receiverOf(batch, (topic) => void this.heard.push(topic)));
    this.#ended = this.service.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
