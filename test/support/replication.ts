import * as assert from "uvu/assert";
import { createIngest, type Ingest } from "../../cloud-sync/ingest/ingest.ts";
import { WAIT_MS } from "../../cloud-sync/ingest/reorder-buffer.ts";
import { type CentralLog, createCentralLog } from "../../cloud-sync/log/event-log.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { lines } from "./central.ts";
import type { Answer } from "./centre.ts";
import { CrashingDevice, type DeviceTemplate } from "./crashing-device.ts";
import { seededId } from "./facts.ts";
import { Crash, type Faults } from "./faults.ts";
import { faultyDatabase } from "./faulty-database.ts";

const NEVER = new AbortController().signal;

export interface ReplicationOptions {
  readonly template: DeviceTemplate;
  readonly database: Database;
  readonly faults: Faults;
  readonly random: () => number;
}

interface Posted {
  readonly device: string;
  readonly answer: Answer;
}

/**
 * A device and two instances of ingest over one real log; what is between them is ours. Each of
 * the three may end at any of its writes, and is begun anew with what was durable.
 */
export class Replication {
  readonly device: CrashingDevice;
  /** On their way to devices. */
  readonly answers: Posted[] = [];
  readonly #options: ReplicationOptions;
  /** As it is, for whoever looks at what is there. */
  readonly #log: CentralLog;
  readonly #instances: Ingest[];
  #nowMs = 0;

  constructor(options: ReplicationOptions) {
    this.#options = options;
    this.#log = createCentralLog(options.database);
    this.device = new CrashingDevice(options.template, options.faults, () =>
      seededId(options.random),
    );
    this.#instances = [this.#begin(), this.#begin()];
  }

  /** A message reaches an instance. */
  async arrive(payload: Buffer, at = 0, device = this.device.id): Promise<void> {
    await this.#instances[at]?.take(device, payload, NEVER);
  }

  /** One group commit of an instance; false when it had nothing to do. */
  async commit(at = 0): Promise<boolean> {
    try {
      return (await this.#instances[at]?.commit()) ?? false;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.kill(at);
      return true;
    }
  }

  /** The device hears an answer, which must be true at that time. */
  async hear({ device, answer }: Posted): Promise<void> {
    if (device !== this.device.id) return;
    if ("ack" in answer) await this.#isHeld(answer.ack);
    this.device.hear(answer);
  }

  kill(at: number): void {
    this.#instances[at] = this.#begin();
  }

  pass(ms: number): void {
    this.#nowMs += Math.floor(ms);
    this.device.pass(ms);
    try {
      this.device.check();
    } catch (error) {
      if (!(error instanceof PorchlightError)) throw error;
      this.device.begin();
    }
  }

  /** The centre as a backup of it was: some entries of its newest log are gone. */
  async restore(): Promise<void> {
    this.answers.splice(0);
    const newest = (await this.#log.logs()).findLast(({ device }) => device === this.device.id);
    if (newest === undefined || newest.seq < 2) return;
    const { log } = newest;
    const kept = 1 + Math.floor(this.#options.random() * (newest.seq - 1));
    await this.#options.database.transaction(async (connection) => {
      await connection.query("DELETE FROM event_log WHERE log = $1 AND seq > $2", [log, kept]);
      await connection.query(
        `UPDATE logs SET head_seq = $2,
           head_hash = (SELECT hash FROM event_log WHERE log = $1 AND seq = $2)
         WHERE log = $1`,
        [log, kept],
      );
    });
  }

  /**
   * All that is under way gets there, until the device has nothing left; faults or not. A centre
   * that was restored has nothing to say of it until the next entry comes.
   */
  async calm(): Promise<void> {
    while (!this.device.append(1));
    this.device.begin();
    for (let turn = 0; turn < 1_000; turn++) {
      this.pass(WAIT_MS * 5);
      for (let batch = 0; batch < 8; batch++) this.device.pump();
      for (const payload of this.device.wire.splice(0)) await this.arrive(payload);
      for (const at of this.#instances.keys()) while (await this.commit(at));
      for (const posted of this.answers.splice(0)) await this.hear(posted);
      const early = this.#instances.some((each) => each.stats().early > 0);
      if (this.device.uplink.lag() === 0 && !early) return;
    }
  }

  /** Each log of the device is in the centre, once and byte for byte, and its chain holds. */
  async isWhole(note: string): Promise<void> {
    assert.is(this.device.uplink.status().halted, null, note);
    assert.is(this.device.uplink.lag(), 0, note);
    for (const [log, expected] of this.device.logs()) {
      const held = await lines(this.#log, log);
      // Compared as one text: of thousands of lines nobody wants to read the difference.
      assert.ok(held.join("\n") === expected.join("\n"), `${note}: log ${log} differs`);
      assert.is((await this.#log.verify(log, [])).fault, null, note);
    }
  }

  #begin(): Ingest {
    const { database, faults, random } = this.#options;
    return createIngest({
      log: createCentralLog(faultyDatabase(database, faults)),
      answer: (device, answer) => {
        faults.at("before an answer");
        this.answers.push({ device, answer });
      },
      clock: { monotonicMs: () => this.#nowMs },
      random,
      logger: silentLogger,
    });
  }

  async #isHeld({ log, seq, hash }: { log: string; seq: number; hash: string }): Promise<void> {
    const found = await this.#options.database.query(
      "SELECT 1 FROM event_log WHERE log = $1 AND seq = $2 AND hash = $3",
      [log, seq, Buffer.from(hash, "hex")],
    );
    assert.is(found.length, 1, `an ack of ${seq} that is not in the database`);
  }
}
