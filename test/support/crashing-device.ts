import { randomBytes, randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createUplink, type Uplink } from "../../edge/feed/uplink.ts";
import { type AckedStore, createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { createEventLog, type EventLog } from "../../edge/log/event-log.ts";
import {
  type LogOptions,
  type OpenLog,
  openLog,
  openLogDatabase,
} from "../../edge/log/open-log.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Answer } from "./centre.ts";
import { deviceOf, logsOf } from "./device.ts";
import { sampled } from "./facts.ts";
import { Crash, type Faults } from "./faults.ts";
import { tempFolder } from "./temp.ts";

const APPEND_MAX = 500;
const MEMORY = "/dev/shm";
const YEAR_MS = 365 * 86_400_000;

/** Migrated and empty: to copy it costs a tenth of what it costs to make one. */
export class DeviceTemplate {
  readonly key = randomBytes(32);
  /** In memory where there is such a folder: nothing here loses its power. */
  readonly #temp = tempFolder("device", existsSync(MEMORY) ? MEMORY : undefined);
  #made = 0;

  constructor() {
    mkdirSync(join(this.#temp.path, "empty", "log"), { recursive: true });
    const folder = join(this.#temp.path, "empty");
    openLogDatabase({ folder, logKey: this.key, ...LIVING }, true).close();
  }

  copy(): string {
    const folder = join(this.#temp.path, `device-${this.#made++}`);
    cpSync(join(this.#temp.path, "empty"), folder, { recursive: true });
    return folder;
  }

  remove(): void {
    this.#temp.remove();
  }
}

const LIVING = {
  clock: systemClock,
  clockState: () => "synced",
  newId: randomUUID,
} as const satisfies Partial<LogOptions>;

/**
 * A device as two processes over one real store: one appends, one has the uplink and a wire that
 * keeps what was sent. Each may end at any of its writes; then it opens the store anew. Its clocks
 * are ours.
 */
export class CrashingDevice {
  readonly wire: Buffer[] = [];
  readonly id: string;
  readonly #faults: Faults;
  readonly #options: LogOptions;
  #wallMs = 1_800_000_000_000;
  #monotonicMs = 0;
  #synced = true;
  #daemon: { readonly log: EventLog; close(): void };
  #agent: OpenLog;
  #uplink: Uplink;

  constructor(template: DeviceTemplate, faults: Faults, newId: () => string) {
    this.#faults = faults;
    this.#options = {
      folder: template.copy(),
      logKey: template.key,
      clock: { now: () => this.#wallMs, monotonicMs: () => this.#monotonicMs },
      clockState: () => (this.#synced ? "synced" : "unsynced"),
      newId,
    };
    const first = this.#openDaemon(false);
    first.log.begin(newId(), null);
    first.close();
    this.#daemon = this.#openDaemon();
    this.#agent = openLog(this.#options);
    this.#uplink = this.#startUplink();
    this.id = deviceOf(this.#agent.reader);
    this.begin();
  }

  get uplink(): Uplink {
    return this.#uplink;
  }

  /** So many facts, or fewer where the process has ended over them: then false. */
  append(count: number): boolean {
    return this.#asDaemon((log) => {
      for (let left = count; left > 0; left -= APPEND_MAX) {
        const facts = Array.from({ length: Math.min(left, APPEND_MAX) }, (_, i) => sampled(i));
        this.#faults.around("an append", () => log.append(facts));
      }
    });
  }

  /** A new log, as after a restored backup. */
  renew(): void {
    this.#asDaemon((log) => this.#faults.around("a new log", () => log.begin(this.id, log.head())));
  }

  /** A session begins. */
  begin(window = 8): void {
    this.#uplink.begin({ window, nonce: null, send: (payload) => this.wire.push(payload) });
  }

  pump(): void {
    this.#asAgent((uplink) => void uplink.pump());
  }

  /** Writes what is due; throws where the centre says nothing. */
  check(): void {
    this.#asAgent((uplink) => uplink.check());
  }

  hear(answer: Answer): void {
    this.#asAgent((uplink) => {
      if ("ack" in answer) uplink.onAck(answer.ack);
      else uplink.onNack(answer.nack);
    });
  }

  /** The agent is killed. */
  restart(): void {
    this.#agent.close();
    this.#agent = openLog(this.#options);
    this.#uplink = this.#startUplink();
    this.begin();
  }

  /** The machine starts again: without a battery its clock stands where it was made. */
  reboot(random: () => number): void {
    this.#monotonicMs = 0;
    this.#wallMs = Math.floor(random() * 60_000);
    this.#synced = false;
    this.#daemon.close();
    this.#daemon = this.#openDaemon();
    this.restart();
  }

  pass(ms: number): void {
    this.#monotonicMs += Math.floor(ms);
    this.#wallMs += Math.floor(ms);
  }

  /** The wall clock goes to 1970, years ahead or months back. */
  jump(random: () => number): void {
    const places = [0, this.#wallMs + random() * 30 * YEAR_MS, this.#wallMs - random() * YEAR_MS];
    this.#wallMs = Math.max(0, Math.floor(places[Math.floor(random() * places.length)] ?? 0));
    this.#synced = random() < 0.5;
  }

  /** Each log as it is exported here. */
  logs(): ReadonlyMap<string, readonly string[]> {
    return logsOf(this.#agent.reader);
  }

  /** Each place of a log, as it stands here. */
  places(log: string): Cursor[] {
    const count = this.logs().get(log)?.length ?? 0;
    return Array.from({ length: count }, (_, i) => this.#agent.reader.find(log, i + 1)).flatMap(
      (place) => place ?? [],
    );
  }

  close(): void {
    this.#daemon.close();
    this.#agent.close();
  }

  #openDaemon(mayEnd = true) {
    const database = openLogDatabase(this.#options, false);
    const announce = (): null => {
      if (mayEnd) this.#faults.at("between two entries of an append");
      return null;
    };
    const log = createEventLog({ database, announce, ...this.#options });
    return { log, close: () => void database.close() };
  }

  #startUplink(): Uplink {
    const { reader, database } = this.#agent;
    const durable = createAckedStore(database, UNSIGNED_SITE);
    const store: AckedStore = {
      ...durable,
      write: (acked) => this.#faults.around("what is acked", () => durable.write(acked)),
    };
    const common = { device: deviceOf(reader), verifier: null, logger: silentLogger };
    return createUplink({ reader, store, clock: this.#options.clock, ...common });
  }

  #asDaemon(work: (log: EventLog) => void): boolean {
    try {
      work(this.#daemon.log);
      return true;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#daemon.close();
      this.#daemon = this.#openDaemon();
      return false;
    }
  }

  #asAgent(work: (uplink: Uplink) => void): void {
    try {
      work(this.#uplink);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.restart();
    }
  }
}
