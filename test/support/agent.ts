import { createAckedStore } from "../../edge/log/acked.ts";
import { createLiveOutbox } from "../../edge/log/live-outbox.ts";
import { type OpenLog, openLog } from "../../edge/log/open-log.ts";
import { dataVersion } from "../../edge/sqlite/database.ts";
import { type AgentOptions, runAgent } from "../../edge/sync/agent.ts";
import { createPut } from "../../edge/sync/put.ts";
import { createUplink } from "../../edge/sync/uplink.ts";
import { type Clock, systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import { deviceOf, logsOf } from "./device.ts";
import { sampled } from "./facts.ts";
import { keysOf } from "./released.ts";
import { testStore } from "./store.ts";
import { uploadsOf } from "./uploads.ts";

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
    const { reader, database } = this.#opened;
    this.#stop = new AbortController();
    const common = { clock: this.#clock, logger: silentLogger };
    const uplink = createUplink({ reader, store: createAckedStore(database), ...common });
    const { folder } = this.at.options;
    const uploads = uploadsOf(this.#opened, folder, { put: createPut({ ca: bundle.ca }) });
    this.#ended = runAgent(
      {
        ...common,
        uploads,
        keys: keysOf(database),
        bundle: { format: 1, device: id, ...bundle },
        version: "test",
        uplink,
        live: createLiveOutbox(database, systemClock),
        logVersion: () => dataVersion(database),
        random: Math.random,
        report: (status) => {
          this.status = status;
          if (status.state === "waiting") this.reasons.push(status.reason ?? "");
        },
        alive: () => undefined,
        untilAcked: false,
      },
      this.#stop.signal,
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  lag(): number {
    const { reader, database } = this.#opened;
    return reader.count(createAckedStore(database).read()?.cursor ?? reader.start());
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
