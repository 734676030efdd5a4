import * as assert from "uvu/assert";
import { z } from "zod";
import { ACK_TIMEOUT_MS, createUplink, type Uplink } from "../../edge/feed/uplink.ts";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { type OpenLog, openLog } from "../../edge/log/open-log.ts";
import type { LogReader } from "../../edge/log/reader.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { lineOf } from "../../shared/log/chain.ts";
import type { Answer, Centre } from "./centre.ts";
import { sampled } from "./facts.ts";
import { type TestStore, testStore } from "./store.ts";

const openedSchema = z.object({ data: z.object({ device: z.string() }) });

/** A device with a log, its uplink, and a wire that keeps what was sent. */
export class Device {
  readonly at: TestStore = testStore();
  readonly #opened: OpenLog = openLog(this.at.options);
  readonly wire: Buffer[] = [];
  now = 0;
  uplink: Uplink = this.#start();

  #start(): Uplink {
    const { reader, database } = this.#opened;
    const clock = { now: () => this.now, monotonicMs: () => this.now };
    const store = createAckedStore(database, UNSIGNED_SITE);
    const common = { device: this.id(), verifier: null, logger: silentLogger };
    return createUplink({ reader, store, clock, ...common });
  }

  id(): string {
    return deviceOf(this.#opened.reader);
  }

  /** As after a kill: what was in memory is gone. */
  restart(): void {
    this.uplink = this.#start();
  }

  begin(window = 8): void {
    this.uplink.begin({ window, nonce: null, send: (payload) => this.wire.push(payload) });
  }

  append(count: number): void {
    for (let left = count; left > 0; left -= 500) {
      this.at.store.log.append(Array.from({ length: Math.min(left, 500) }, (_, i) => sampled(i)));
    }
  }

  pump(): void {
    while (this.uplink.pump());
  }

  hear(answer: Answer): void {
    if ("ack" in answer) this.uplink.onAck(answer.ack);
    else this.uplink.onNack(answer.nack);
  }

  /** Everything there is, without a fault. */
  settle(centre: Centre): void {
    this.begin();
    this.now += ACK_TIMEOUT_MS;
    for (let turn = 0; turn < 1_000 && this.uplink.lag() > 0; turn++) {
      this.now += 5_000;
      this.pump();
      for (const payload of this.wire.splice(0)) this.hear(centre.receive(payload));
    }
  }

  /** Each log as it is exported here. */
  logs(): ReadonlyMap<string, readonly string[]> {
    return logsOf(this.#opened.reader);
  }

  remove(): void {
    this.#opened.close();
    this.at.remove();
  }
}

/** Whether the centre holds each log of the device, byte for byte. */
export function same(device: Device, centre: Centre, note = ""): void {
  for (const [log, lines] of device.logs()) {
    // Compared as one text: of thousands of lines nobody wants to read the difference.
    assert.ok(centre.lines(log).join("\n") === lines.join("\n"), `${note} log ${log} differs`);
  }
}

/** Who a device says it is, in the first entry of its first log. */
export function deviceOf(reader: LogReader): string {
  const [first] = reader.after(reader.start(), 1).entries;
  return openedSchema.parse(JSON.parse(first?.body ?? "")).data.device;
}

/** Each log as it is exported. */
export function logsOf(reader: LogReader): ReadonlyMap<string, readonly string[]> {
  const logs = new Map<string, string[]>();
  let place = reader.start();
  for (;;) {
    const { entries } = reader.after(place, 1_000);
    const last = entries.at(-1);
    if (last === undefined) return logs;
    logs.set(last.log, (logs.get(last.log) ?? []).concat(entries.map(lineOf)));
    place = { log: last.log, seq: last.seq, hash: last.hash };
  }
}
