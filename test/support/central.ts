import { randomUUID } from "node:crypto";
import type { Arrival } from "../../cloud-sync/log/append.ts";
import {
  type ArchiveReader,
  type CentralLog,
  createCentralLog,
} from "../../cloud-sync/log/event-log.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import type { Link } from "../../shared/log/chain.ts";
import { type Cursor, GENESIS_HASH } from "../../shared/log/cursor.ts";
import type { Engine } from "./engines.ts";
import { batchOf, logOf, opened, visitLike } from "./links.ts";

/** A device with a log of so many entries, its first one opening it. */
export class Device {
  readonly device: string;
  readonly log: string;
  readonly links: Link[];

  constructor(count: number, newId: () => string = randomUUID) {
    this.device = newId();
    this.log = newId();
    const facts = Array.from({ length: count - 1 }, (_, i) => visitLike(i));
    this.links = logOf(this.log, [opened(this.device), ...facts]);
  }

  /** Entries from `first` up to `last`, as they arrive. */
  arrival(first = 1, last = this.links.length, links = this.links): Arrival {
    const batch = batchOf(this.log, links.slice(first - 1, last), links[first - 2]);
    return { device: this.device, batch };
  }

  /** Another history from `seq` on: the same device, restored or copied. */
  other(seq: number): Link[] {
    const before = this.links[seq - 2];
    const facts = Array.from({ length: this.links.length - seq + 1 }, (_, i) => visitLike(i + 500));
    return [...this.links.slice(0, seq - 1), ...logOf(this.log, facts, before)];
  }

  /** The place of an entry; the one before the first if there is none. */
  at(seq: number): Cursor {
    const link = this.links[seq - 1];
    return { log: this.log, seq, hash: link?.hash ?? GENESIS_HASH };
  }
}

/** What an export of this log prints. */
export async function lines(
  central: CentralLog,
  log: string,
  after = 0,
  archived?: ArchiveReader,
): Promise<string[]> {
  const all: string[] = [];
  for await (const page of central.export(log, after, archived)) all.push(...page);
  return all;
}

/** A central log on an engine, emptied before each test. */
export class Central {
  readonly #start: () => Promise<Engine>;
  #engine: Engine | undefined;
  #database: Database | undefined;
  #log: CentralLog | undefined;

  constructor(start: () => Promise<Engine>) {
    this.#start = start;
  }

  get database(): Database {
    if (this.#database === undefined) throw new Error("begin() comes first");
    return this.#database;
  }

  get log(): CentralLog {
    if (this.#log === undefined) throw new Error("begin() comes first");
    return this.#log;
  }

  async begin(): Promise<void> {
    this.#engine ??= await this.#start();
    this.#database = await this.#engine.fresh();
    this.#log = createCentralLog(this.#database);
    await this.#log.open();
  }

  async end(): Promise<void> {
    await this.#database?.close();
  }

  async stop(): Promise<void> {
    await this.#engine?.stop();
  }

  /** What has become of these, in a word each. */
  async kinds(...arrivals: readonly Arrival[]): Promise<string[]> {
    return (await this.log.append(arrivals)).map(({ kind }) => kind);
  }
}
