/**
 * What the daemon and the agent say to each other over the feed, a Unix socket: docs/feed.md. One
 * frame after another in each direction, each of them
 *
 *     uint32 BE  bytes of the header
 *     uint32 BE  bytes of the body, often 0
 *     header     JSON in UTF-8: an object with the member `type`
 *     body       as the type says
 *
 * For the daemon whatever comes through it is a stranger's.
 */
import { z } from "zod";
import { printableText } from "../core/printable.ts";
import { cursorSchema, hashSchema } from "../log/cursor.ts";
import { PLAIN_BYTES_MAX, SEND_BYTES_MAX } from "./batch.ts";
import { decodeMessage, invalid, MESSAGE_BYTES_MAX } from "./wire.ts";

export const FEED_VERSION = 1;
const PREFIX_BYTES = 8;
const HEADER_BYTES_MAX = 8 * 1024;

/** Longest frames: up, a message of the centre; down, a batch that is not compressed. */
export const UP_BYTES_MAX = MESSAGE_BYTES_MAX;
export const DOWN_BYTES_MAX = PLAIN_BYTES_MAX;
/** Channels that the agent listens on, and passes on. */
export const HEARD_CHANNELS = ["ack", "nack", "upload/grant", "keys/ack"] as const;

/** Why nothing is sent any more until a person has looked at it, and begun a new log. */
export const HALTED = {
  fork: "log fork: the centre holds another entry in this place; sync is halted",
  invalid: "the centre keeps rejecting a batch; sync is halted",
  behind: "the centre is ahead of this log: was an old backup restored here? sync is halted",
} as const;
export type Halt = keyof typeof HALTED;

/** From the agent. */
export const upSchema = z.discriminatedUnion("type", [
  /** The first frame. */
  z.strictObject({
    type: z.literal("hello"),
    feed: z.int().min(1),
    version: printableText(64),
  }),
  /** A session with the broker begins; it takes so many batches before an answer. */
  z.strictObject({ type: z.literal("session"), window: z.int().min(1).max(64) }),
  /** One batch of at most so many bytes may come. */
  z.strictObject({ type: z.literal("room"), bytes: z.int().min(1).max(SEND_BYTES_MAX) }),
  /** Body: a message of the centre. */
  z.strictObject({ type: z.literal("heard"), channel: z.enum(HEARD_CHANNELS) }),
  /** The broker has this live message. */
  z.strictObject({ type: z.literal("live.sent"), position: z.int().min(1) }),
  /** The HTTP status of a PUT; null: the object is there no longer. */
  z.strictObject({
    type: z.literal("put.done"),
    sha256: hashSchema,
    status: z.int().min(100).max(599).nullable(),
  }),
  /** No answer came. */
  z.strictObject({
    type: z.literal("put.failed"),
    sha256: hashSchema,
    reason: printableText(512),
  }),
  z.strictObject({ type: z.literal("alive") }),
]);
export type UpFrame = z.infer<typeof upSchema>;

/** From the daemon. */
export const downSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("welcome"), feed: z.int().min(1), device: z.uuid() }),
  /** The last frame: why the daemon ends the connection. */
  z.strictObject({
    type: z.literal("refused"),
    code: printableText(100),
    message: printableText(2_000),
  }),
  /** The centre gives no answers any more: the session with the broker is to be ended. */
  z.strictObject({
    type: z.literal("silent"),
    message: printableText(2_000),
    hint: printableText(2_000),
  }),
  /** Body: a batch (batch.ts), not compressed. */
  z.strictObject({ type: z.literal("batch") }),
  /** Body: what is to be published. */
  z.strictObject({ type: z.literal("publish"), channel: z.enum(["keys", "upload/request"]) }),
  /** Body: what is to be published at once. */
  z.strictObject({
    type: z.literal("live"),
    channel: z.enum(["ring", "visitor"]),
    position: z.int().min(1),
  }),
  /** A sealed object is to be brought there. */
  z.strictObject({
    type: z.literal("put"),
    sha256: hashSchema,
    url: printableText(4_096),
    headers: z.record(printableText(64), printableText(1_024)),
  }),
  z.strictObject({
    type: z.literal("progress"),
    acked: cursorSchema,
    ackedAtMs: z.int().nullable(),
    /** Entries that are not acknowledged, and live messages that wait. */
    lag: z.int().min(0),
    live: z.int().min(0),
    inFlight: z.int().min(0),
    halted: z.literal(["fork", "invalid", "behind"] satisfies Halt[]).nullable(),
  }),
]);
export type DownFrame = z.infer<typeof downSchema>;
export type Progress = Extract<DownFrame, { type: "progress" }>;

const NO_BODY = Buffer.alloc(0);

export function encodeFrame(header: UpFrame | DownFrame, body: Buffer = NO_BODY): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(text.length, 0);
  prefix.writeUInt32BE(body.length, 4);
  return Buffer.concat([prefix, text, body]);
}

/** A frame whose header is not checked yet. */
export interface RawFrame {
  readonly header: Buffer;
  readonly body: Buffer;
}

export const readUp = ({ header }: RawFrame): UpFrame => decodeMessage(upSchema, header);
export const readDown = ({ header }: RawFrame): DownFrame => decodeMessage(downSchema, header);

/** Cuts a stream of bytes into frames. Holds no more than one frame and one chunk of the stream. */
export class FrameReader {
  readonly #bodyMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bodyMax: number) {
    this.#bodyMax = bodyMax;
  }

  /** Frames that this chunk completes. Throws `wire.invalid` where one is longer than allowed. */
  *push(chunk: Buffer): Generator<RawFrame> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < PREFIX_BYTES) return;
      const prefix = this.#peek(PREFIX_BYTES);
      const header = prefix.readUInt32BE(0);
      const body = prefix.readUInt32BE(4);
      if (header > HEADER_BYTES_MAX || body > this.#bodyMax) {
        throw invalid(`a frame of ${header} + ${body} bytes is too long`);
      }
      const whole = PREFIX_BYTES + header + body;
      if (this.#bytes < whole) return;
      const frame = this.#take(whole);
      const start = PREFIX_BYTES + header;
      yield { header: frame.subarray(PREFIX_BYTES, start), body: frame.subarray(start) };
    }
  }

  #peek(count: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= count) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #take(count: number): Buffer {
    const joined = this.#peek(count);
    const rest = joined.subarray(count);
    this.#chunks[0] = rest;
    if (rest.length === 0) this.#chunks.shift();
    this.#bytes -= count;
    return joined.subarray(0, count);
  }
}
