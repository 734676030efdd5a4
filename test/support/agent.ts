import { randomUUID } from "node:crypto";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { type OpenLog, openLog } from "../../edge/log/open-log.ts";
import { createMediaFiles, mediaFolder } from "../../edge/media/media-files.ts";
import { type AgentOptions, runAgent } from "../../edge/sync/agent.ts";
import { createPut } from "../../edge/sync/put.ts";
import { type Clock, systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { answerVerifier } from "../../shared/protocol/answer-proof.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import { deviceOf, logsOf } from "./device.ts";
import { sampled } from "./facts.ts";
import { feedOptions, serve } from "./feed.ts";
import { testStore } from "./store.ts";

/** A clock on which time passes so many times as fast: what takes 20 s without an answer is over soon. */
export function fasterClock(times: number): Clock {
  const startMs = systemClock.monotonicMs();
  const monotonicMs = (): number => startMs + (systemClock.monotonicMs() - startMs) * times;
  return { ...systemClock, monotonicMs };
}

/** A device whose real agent speaks to a real broker. */
export class AgentDevice {
  readonly at = testStore();
  readonly id: string;
  readonly #opened: OpenLog = openLog(this.at.options);
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  status: Parameters<AgentOptions["report"]>[0] | null = null;
  /** Why its sessions have ended, one after the other. */
  readonly reasons: string[] = [];
  readonly #clock: Clock;

  constructor(entries: number, clock: Clock = systemClock) {
    this.#clock = clock;
    this.id = deviceOf(this.#opened.reader);
    this.append(entries);
  }

  append(count: number): void {
    for (let left = count; left > 0; left -= 1_000) {
      const size = Math.min(left, 1_000);
      this.at.store.log.append(Array.from({ length: size }, (_, i) => sampled(i)));
    }
  }

  /** Starts the agent. It takes itself for `id`, whoever it is. */
  start(bundle: Omit<Bundle, "device" | "format">, id = this.id): void {
    this.#stop = new AbortController();
    this.status = null;
    this.#ended = this.#run(bundle, id, this.#stop.signal);
  }

  async #run(
    bundle: Omit<Bundle, "device" | "format">,
    id: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { folder } = this.at.options;
    const clock = this.#clock;
    const key = bundle.signing === undefined ? null : Buffer.from(bundle.signing, "base64");
    const verifier = key === null ? null : answerVerifier(key);
    const more = { device: id, clock, verifier: () => verifier };
    const feed = await serve(feedOptions(this.#opened, folder, more));
    try {
      await runAgent(
        {
          feed: feed.address,
          bundle: { format: 1, device: id, ...bundle },
          version: "test",
          objects: createMediaFiles({ folder: mediaFolder(folder), newId: randomUUID }),
          put: createPut({ ca: bundle.ca, local: true }),
          clock,
          logger: silentLogger,
          random: Math.random,
          report: (status) => {
            this.status = status;
            if (status.state === "waiting") this.reasons.push(status.reason ?? "");
          },
          alive: () => undefined,
          untilAcked: false,
        },
        signal,
      );
    } finally {
      await feed.close();
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** Entries that are not acknowledged, as they are written down, of the site of these answers. */
  lag(site = UNSIGNED_SITE): number {
    const { reader, database } = this.#opened;
    return reader.count(createAckedStore(database, site).read()?.cursor ?? reader.start());
  }

  /** A place of the current log, as it stands here. */
  place(seq: number): Cursor {
    const { reader } = this.#opened;
    const place = reader.find(reader.head().log, seq);
    if (place === null) throw new Error(`there is no entry ${seq}`);
    return place;
  }

  /** Each log as `log export` prints it here. */
  logs(): ReadonlyMap<string, readonly string[]> {
    return logsOf(this.#opened.reader);
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#opened.close();
    this.at.remove();
  }
}
