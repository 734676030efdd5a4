import { createHash, randomBytes, randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import {
  createReleasedKeys,
  KEYS_TIMEOUT_MS,
  type ReleasedKeys,
} from "../../../edge/feed/released-keys.ts";
import { createKeyOutbox, type KeyOutbox } from "../../../edge/log/key-outbox.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { decodeMessage, KEYS_MAX, keysSchema } from "../../../shared/protocol/wire.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const telling = suite("released keys, told by the agent");
const SITE = "a".repeat(64);

/** An agent's half, the rows it reads and what it has sent. */
class Teller {
  readonly #at = testStore();
  readonly #opened = openLog(this.#at.options);
  readonly sent: Buffer[] = [];
  readonly rows: KeyOutbox = createKeyOutbox(this.#opened.database, { now: () => this.now });
  now = 1_000;
  version = 0;
  keys: ReleasedKeys = this.#start();

  #start(): ReleasedKeys {
    const clock = { monotonicMs: () => this.now };
    const keys = createReleasedKeys({
      rows: this.rows,
      clock,
      random: () => 0.5,
      logger: silentLogger,
    });
    keys.begin((payload) => this.sent.push(payload));
    return keys;
  }

  handOver(count: number, site = SITE): void {
    this.version++;
    this.rows.handOver(
      Array.from({ length: count }, () => ({
        subject: randomUUID(),
        class: "profile",
        site,
        wrapped: randomBytes(80),
      })),
    );
  }

  pump(ms = 0): void {
    this.now += ms;
    this.keys.pump(this.version);
  }

  ack(payload: Buffer | undefined, refused?: "site" | "full"): void {
    assert.ok(payload);
    const sha256 = createHash("sha256").update(payload).digest("hex");
    this.keys.onAck(refused === undefined ? { sha256 } : { sha256, refused });
  }

  /** As after a kill. */
  restart(): void {
    this.keys = this.#start();
  }

  remove(): void {
    this.#opened.close();
    this.#at.remove();
  }
}

telling("one message at a time, and each key until the centre has committed it", () => {
  const teller = new Teller();
  teller.handOver(KEYS_MAX + 1);
  for (let i = 0; i < 10; i++) teller.pump(50);
  assert.is(teller.sent.length, 1);
  const [first] = teller.sent;
  assert.is(decodeMessage(keysSchema, first ?? Buffer.alloc(0)).keys.length, KEYS_MAX);
  teller.ack(first);
  teller.pump();
  assert.is(teller.sent.length, 2);
  teller.ack(teller.sent[1]);
  for (let i = 0; i < 10; i++) teller.pump(60_000);
  assert.is(teller.sent.length, 2);
  assert.is(teller.rows.waiting(), 0);
  teller.remove();
});

telling("what is not answered is told again: late, in the next session, after a kill", () => {
  const teller = new Teller();
  teller.handOver(1);
  teller.pump();
  teller.pump(KEYS_TIMEOUT_MS - 1);
  assert.is(teller.sent.length, 1);
  teller.pump(1);
  teller.pump(1_000);
  assert.is(teller.sent.length, 2, "when it has waited long enough");
  teller.keys.begin((payload) => teller.sent.push(payload));
  teller.pump(1_000);
  assert.is(teller.sent.length, 3, "in the next session");
  teller.restart();
  teller.pump();
  assert.is(teller.sent.length, 4, "after a kill");
  assert.ok(teller.sent.every((payload) => payload.equals(teller.sent[0] ?? Buffer.alloc(0))));
  teller.ack(teller.sent[0]);
  assert.is(teller.rows.waiting(), 0);
  teller.ack(teller.sent[0]);
  teller.remove();
});

telling("an answer to something else settles nothing", () => {
  const teller = new Teller();
  teller.handOver(1);
  teller.ack(Buffer.from("early"));
  teller.pump();
  teller.ack(Buffer.from("something else"));
  assert.is(teller.rows.waiting(), 1);
  teller.remove();
});

telling("what is refused stays, and is not told at every turn", () => {
  const teller = new Teller();
  teller.handOver(1);
  teller.pump();
  teller.ack(teller.sent[0], "site");
  assert.is(teller.rows.waiting(), 1);
  for (let i = 0; i < 10; i++) teller.pump(40);
  assert.is(teller.sent.length, 1);
  teller.pump(1_000);
  assert.is(teller.sent.length, 2);
  teller.remove();
});

telling("a message holds keys for one site, and what is taken back shows no key", () => {
  const teller = new Teller();
  teller.handOver(2, "b".repeat(64));
  teller.handOver(1);
  const [first] = teller.rows.all();
  assert.ok(first);
  teller.rows.revoke([first]);
  const told: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    teller.pump();
    const payload = teller.sent.pop();
    if (payload === undefined) break;
    const { site, keys } = decodeMessage(keysSchema, payload);
    told.push([site[0], keys.map(({ wrapped }) => wrapped !== null)]);
    teller.ack(payload);
  }
  const back = first.site?.[0];
  const expected =
    back === "b"
      ? [
          ["b", [true, false]],
          ["a", [true]],
        ]
      : [
          ["b", [true, true]],
          ["a", [false]],
        ];
  assert.equal(told, expected);
  teller.remove();
});

telling.run();
