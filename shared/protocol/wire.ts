/** What device and centre say to each other over MQTT, apart from the batches (batch.ts). */
import { z } from "zod";
import { checkedUrl } from "../core/checked-url.ts";
import { PorchlightError } from "../core/errors.ts";
import { plainLine, printableText } from "../core/printable.ts";
import { cursorSchema, hashSchema } from "../log/cursor.ts";
import { OUTCOMES, PERSONAL_CLASSES, subjectSchema } from "../log/entry.ts";
import { WRAPPED_BYTES } from "../log/site-key.ts";

/*
 *     porchlight/v1/<device>/<channel>          <device>: a UUID in lowercase
 */
const PREFIX = "porchlight/v1";
const DEVICE = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/** Channels and who publishes there: `up` the device, `down` the centre. */
export const CHANNELS = {
  log: "up",
  ack: "down",
  nack: "down",
  ring: "up",
  visitor: "up",
  status: "up",
  keys: "up",
  "keys/ack": "down",
  "upload/request": "up",
  "upload/grant": "down",
} as const;

export type Channel = keyof typeof CHANNELS;

export interface Topic {
  readonly device: string;
  readonly channel: Channel;
}

const TOPIC = new RegExp(`^${PREFIX}/(${DEVICE})/(.+)$`);

export function topicOf({ device, channel }: Topic): string {
  const topic = `${PREFIX}/${device}/${channel}`;
  // A device that is no UUID could name another's topic, or a wildcard.
  if (parseTopic(topic) === null) throw invalid(`${JSON.stringify(device)} is no device's id`);
  return topic;
}

/** The topic filter for one channel of every device. */
export function filterOf(channel: Channel): string {
  return `${PREFIX}/+/${channel}`;
}

/** Null when it is not one of our topics. */
export function parseTopic(topic: string): Topic | null {
  const [, device, channel] = TOPIC.exec(topic) ?? [];
  if (device === undefined || channel === undefined || !isChannel(channel)) return null;
  return { device, channel };
}

function isChannel(channel: string): channel is Channel {
  return Object.hasOwn(CHANNELS, channel);
}

/** 16 random bytes in base64url: chosen by the daemon for one session, repeated in its answers. */
export const nonceSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{22}$/, "expected 16 bytes in base64url");

/** The site's signature under an answer: answer-proof.ts. */
export const proofSchema = z.strictObject({
  /** SHA-256 of the site's public signing key. */
  site: hashSchema,
  nonce: nonceSchema,
  /** Ed25519, 64 bytes. */
  signature: z.base64().length(88),
});
export type Proof = z.infer<typeof proofSchema>;

/** Central has committed everything of this log up to here. Signed where the batch has a nonce. */
export const ackSchema = z.strictObject({ ...cursorSchema.shape, proof: proofSchema.optional() });
export type Ack = z.infer<typeof ackSchema>;

/**
 * Central has this log up to the cursor, and what came does not follow. `gap`: send again from
 * there. `fork`: it knows another entry in the next place, and takes nothing more of this log.
 * `invalid`: what came was not a batch; it is kept for a person to look at.
 */
export const nackSchema = z.strictObject({
  ...cursorSchema.shape,
  reason: z.enum(["gap", "fork", "invalid"]),
  proof: proofSchema.optional(),
});
export type Nack = z.infer<typeof nackSchema>;

/** Of the program at the other end. */
const versionSchema = printableText(64);

/**
 * Retained; the last will says `offline`. `acked` and `lag` are what the device knows: the entries
 * it holds that are not acknowledged yet. `halted` says why it sends no more of its log.
 */
export const statusSchema = z.discriminatedUnion("state", [
  z.strictObject({ state: z.literal("offline"), version: versionSchema }),
  z.strictObject({
    state: z.literal("online"),
    version: versionSchema,
    acked: cursorSchema,
    lag: z.int().min(0),
    halted: printableText(500).nullable(),
  }),
]);

/** The entry that a message of the live lane is about: a receiver knows by it what it has seen. */
const about = { log: z.uuid().lowercase(), seq: z.int().min(1), at: z.int() };

/** A press of the button. The log has the same. */
export const ringSchema = z.strictObject({
  ...about,
  type: z.literal("button.pressed"),
  button: printableText(64),
});

/** A visit has started, was recognised or has ended. What is not decided yet is null. */
export const visitorSchema = z.strictObject({
  ...about,
  type: z.enum(["visit.started", "visit.recognised", "visit.ended"]),
  kind: z.enum(["started", "recognised", "ended"]),
  visit: subjectSchema,
  outcome: z.enum(OUTCOMES).nullable(),
  /** Pseudonymous: who it is stands in the vault of the device. */
  person: subjectSchema.nullable(),
  score: z.number().nullable(),
  /** Only where the owner has released names (`sync.live.names`). */
  name: printableText(200).optional(),
});
export type Visitor = z.infer<typeof visitorSchema>;

/** Keys in a message, of 220 bytes each: 22 kB delay no live notification. */
export const KEYS_MAX = 100;

const wrappedKey = z
  .base64()
  .refine((text) => Buffer.from(text, "base64").length === WRAPPED_BYTES, "80 bytes");

/** Keys that the owner has released to the site, wrapped for it (wrap.ts), or has taken back. */
export const keysSchema = z.strictObject({
  /** What they are wrapped for: SHA-256 of the site's public key. */
  site: hashSchema,
  keys: z
    .array(
      z.strictObject({
        subject: subjectSchema,
        class: z.enum(PERSONAL_CLASSES),
        /** A later word about the same key has a higher one: whatever comes late changes nothing. */
        number: z.int().min(1),
        /** Null: taken back, or destroyed. */
        wrapped: wrappedKey.nullable(),
      }),
    )
    .min(1)
    .max(KEYS_MAX)
    .refine(
      (keys) => new Set(keys.map((key) => `${key.subject} ${key.class}`)).size === keys.length,
      "each key once",
    ),
});
export type KeysMessage = z.infer<typeof keysSchema>;

/**
 * The centre has committed the message whose payload has this SHA-256; or it takes nothing of it:
 * `site`, for its key is another one, or `full`, for it holds too many of this device.
 */
export const keysAckSchema = z.strictObject({
  sha256: hashSchema,
  refused: z.enum(["site", "full"]).optional(),
});
export type KeysAck = z.infer<typeof keysAckSchema>;

/** Maximum size of an object: a snapshot is 200 kB, a clip of ten seconds a few MB. */
export const UPLOAD_BYTES_MAX = 8 * 1024 * 1024;

/** May this object be uploaded, which the entry at (log, seq) has announced? */
export const uploadRequestSchema = z.strictObject({
  log: z.uuid().lowercase(),
  seq: z.int().min(1),
  sha256: hashSchema,
  bytes: z.int().min(1).max(UPLOAD_BYTES_MAX),
});
export type UploadRequest = z.infer<typeof uploadRequestSchema>;

/** Uploads are sealed, but what stands in a grant would let anybody on the way use it. */
/** Whether a device sends anything there: by TLS, unless it is its own machine. */
export function isSafeUrl(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(hostname);
}

const safeUrl = checkedUrl(/^https?$/).refine(isSafeUrl, "https, unless it is this machine");

const HEADERS_MAX = 16;

/**
 * The answer: where these bytes may be put, once and soon, with exactly these headers; or they are
 * `held` already; or they are not wanted. `unannounced` may change when the log has arrived.
 */
export const uploadGrantSchema = z.union([
  z.strictObject({
    sha256: hashSchema,
    url: safeUrl,
    headers: z
      .record(z.string().regex(/^[a-z0-9-]{1,64}$/), printableText(1_024))
      .refine((headers) => Object.keys(headers).length <= HEADERS_MAX, "too many headers"),
    /** By the clock of the centre, ms since the epoch. */
    expiresAt: z.int(),
  }),
  z.strictObject({ sha256: hashSchema, held: z.literal(true) }),
  z.strictObject({ sha256: hashSchema, refused: z.enum(["unannounced"]) }),
]);
export type UploadAnswer = z.infer<typeof uploadGrantSchema>;

/** An ack is 130 bytes; what is much longer is something else. */
export const MESSAGE_BYTES_MAX = 64 * 1024;

export function encodeMessage<S extends z.ZodType>(schema: S, message: z.infer<S>): Buffer {
  return Buffer.from(JSON.stringify(schema.parse(message)));
}

/** A small message, checked. Throws `wire.invalid` (remedy `reject`). */
export function decodeMessage<S extends z.ZodType>(schema: S, payload: Buffer): z.infer<S> {
  if (payload.length > MESSAGE_BYTES_MAX) throw invalid(`${payload.length} bytes are too many`);
  const result = schema.safeParse(jsonOf(payload));
  if (result.success) return result.data;
  throw invalid(plainLine(z.prettifyError(result.error)), result.error);
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString("utf8"));
  } catch (cause) {
    throw invalid("it is not JSON", cause);
  }
}

export function invalid(what: string, cause?: unknown): PorchlightError {
  return new PorchlightError("wire.invalid", `malformed message: ${what}`, {
    remedy: "reject",
    hint: "both ends speak porchlight/v1: compare their versions",
    cause,
  });
}
