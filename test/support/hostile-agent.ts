import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createAckedStore } from "../../edge/log/acked.ts";
import { createKeyOutbox } from "../../edge/log/key-outbox.ts";
import { createLiveOutbox } from "../../edge/log/live-outbox.ts";
import { openLog } from "../../edge/log/open-log.ts";
import { createUploadedStore } from "../../edge/log/uploaded.ts";
import { placePublicKey } from "../../edge/vault/site-key.ts";
import { systemClock } from "../../shared/core/clock.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { type AnswerSigner, answerVerifier } from "../../shared/protocol/answer-proof.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import {
  DOWN_BYTES_MAX,
  type DownFrame,
  encodeFrame,
  FrameReader,
  readDown,
  type UpFrame,
} from "../../shared/protocol/feed.ts";
import { deviceOf, logsOf } from "./device.ts";
import { startTestFeed } from "./feed.ts";
import { mutate } from "./mutate.ts";
import { newSigner } from "./signer.ts";
import { testStore } from "./store.ts";
import { until } from "./until.ts";

/** A store that is served, and a site that it has joined. */
export class Door {
  readonly at = testStore();
  readonly signer: AnswerSigner = newSigner();
  readonly #opened = openLog(this.at.options);
  readonly device = deviceOf(this.#opened.reader);
  readonly path = join(this.at.options.folder, "feed", "feed.sock");
  readonly feed;
  readonly #agents: Socket[] = [];

  constructor() {
    const key = this.signer.publicKey.toString("base64");
    placePublicKey(join(this.at.options.folder, "vault", "site-signing-key"), key);
    this.feed = startTestFeed(this.at);
  }

  /** Everything that no agent may change. */
  state(): unknown {
    const { database, reader } = this.#opened;
    const { site } = answerVerifier(this.signer.publicKey);
    return {
      log: [...logsOf(reader)],
      acked: createAckedStore(database, site).read()?.cursor ?? null,
      uploaded: createUploadedStore(database, site).waiting(),
      keys: createKeyOutbox(database, systemClock).all(),
      live: createLiveOutbox(database, systemClock).read(),
      people: this.at.store.gallery.people(),
      visits: this.at.store.visits.list(100),
    };
  }

  acked(): Cursor | null {
    const { site } = answerVerifier(this.signer.publicKey);
    return createAckedStore(this.#opened.database, site).read()?.cursor ?? null;
  }

  place(seq: number): Cursor {
    const { reader } = this.#opened;
    const place = reader.find(reader.head().log, seq);
    if (place === null) throw new Error(`there is no entry ${seq}`);
    return place;
  }

  /** One that is let in; the daemon may not have noticed yet that the last one has gone. */
  async agent(): Promise<HostileAgent> {
    for (;;) {
      const socket = connect(this.path);
      socket.on("error", () => undefined);
      this.#agents.push(socket);
      const agent = new HostileAgent(socket);
      agent.say({ type: "hello", feed: 1, version: "test" });
      const closed = once(socket, "close").then(() => false);
      const welcomed = until("it is answered", () => agent.heard.length > 0).then(
        () => agent.heard[0]?.type === "welcome",
      );
      if (await Promise.race([welcomed, closed])) return agent;
      socket.destroy();
      await sleep(300);
    }
  }

  async remove(): Promise<void> {
    for (const agent of this.#agents) agent.destroy();
    await this.feed.stop();
    this.#opened.close();
    this.at.remove();
  }
}

/** One connection, and what came over it. */
export class HostileAgent {
  readonly socket: Socket;
  readonly heard: DownFrame[] = [];
  readonly batches: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader(DOWN_BYTES_MAX);
    socket.on("data", (chunk: Buffer) => {
      for (const raw of reader.push(chunk)) {
        const frame = readDown(raw);
        this.heard.push(frame);
        if (frame.type === "batch") this.batches.push(raw.body);
      }
    });
  }

  say(frame: UpFrame, body?: Buffer): void {
    this.socket.write(encodeFrame(frame, body));
  }

  /** As an honest agent does, up to the first batch; the nonce that is in it. */
  async begin(): Promise<string> {
    this.say({ type: "session", window: 8 });
    this.say({ type: "room", bytes: 100_000 });
    await until("a batch comes", () => this.batches.length > 0);
    const { nonce } = decodeBatch(this.batches[0] ?? Buffer.alloc(0));
    if (nonce === null) throw new Error("a signed answer is asked for");
    return nonce;
  }

  answer(channel: "ack" | "nack", message: unknown): void {
    this.say({ type: "heard", channel }, Buffer.from(JSON.stringify(message)));
  }

  /** Everything that was said before has been taken. */
  async settled(): Promise<void> {
    const before = this.batches.length;
    this.say({ type: "session", window: 8 });
    this.say({ type: "room", bytes: 100_000 });
    await until("another batch", () => this.batches.length > before);
  }
}

export async function withDoor(story: (door: Door) => Promise<void>): Promise<void> {
  const door = new Door();
  try {
    await door.feed.ready;
    await story(door);
  } finally {
    await door.remove();
  }
}

/** A hostile agent, for a moment: forged acks, frames that are none, wishes without an end. */
export async function intrude(path: string, random: () => number): Promise<void> {
  const socket = connect(path);
  socket.on("error", () => undefined);
  const cursor = { log: "11111111-2222-4333-8444-555555555555", seq: 9, hash: "ab".repeat(32) };
  const frames = [
    encodeFrame({ type: "hello", feed: 1, version: "none" }),
    encodeFrame({ type: "session", window: 64 }),
    encodeFrame({ type: "heard", channel: "ack" }, Buffer.from(JSON.stringify(cursor))),
    ...Array.from({ length: 50 }, () => encodeFrame({ type: "room", bytes: 786_432 })),
    ...Array.from({ length: 50 }, (_, position) =>
      encodeFrame({ type: "live.sent", position: position + 1 }),
    ),
  ];
  const whole = Buffer.concat(frames);
  socket.write(random() < 0.5 ? whole : mutate(whole, random));
  await sleep(random() * 200);
  socket.destroy();
}
