/**
 * The budget of a device and of a stranger: every limit at the centre's doors, and why that number.
 * docs/centre.md has the same table, with the metric that counts who went over.
 */
import type { Channel } from "../../shared/protocol/wire.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Messages of one channel: so many in a row, then so many a second, each at most so long. */
export interface MessageLimit {
  readonly burst: number;
  readonly perSecond: number;
  readonly bytesMax: number;
}

/**
 * Up-channels of a device. A log's window is 8 batches with an ack of 10 ms: 500 a second is more
 * than any; a status is one a second while it changes; a press of a button, a visit and a request of
 * an object are a person's doing; keys wait for their ack.
 */
export const MESSAGE_LIMITS: Readonly<Partial<Record<Channel, MessageLimit>>> = {
  log: { burst: 1_000, perSecond: 500, bytesMax: 2 * MIB },
  status: { burst: 30, perSecond: 3, bytesMax: 4 * KIB },
  ring: { burst: 100, perSecond: 10, bytesMax: 4 * KIB },
  visitor: { burst: 200, perSecond: 20, bytesMax: 4 * KIB },
  keys: { burst: 50, perSecond: 5, bytesMax: 64 * KIB },
  "upload/request": { burst: 200, perSecond: 20, bytesMax: 4 * KIB },
};

/**
 * Bytes of its log, unpacked and with 200 for each entry, that are committed for a device: 3,500
 * entries of 400 bytes at once, then (by default) 870 a second, 87 times what a busy door writes.
 * Sinks keep up with that, and the other devices are not slower for it.
 */
export const LOG_BURST_BYTES = 2 * MIB;
/**
 * In one group commit, what it may send in so many seconds, 64 KiB by default: what comes meanwhile
 * from another device waits for its end. 160 entries take about 4 ms; a larger batch is not divided.
 */
export const LOG_SHARE_S = 1 / 8;
/**
 * While no other device has sent anything for so long, it may have so many times as much: a month's
 * log of one door is then here in seconds.
 */
export const ALONE_MS = 1_000;
export const ALONE_FACTOR = 16;
/** What a batch costs of that budget besides its entries: statements and an answer. */
export const BATCH_BYTES = 4 * KIB;
/** What an undecodable batch costs of that budget, whatever its size: four a second. */
export const NONSENSE_BYTES = 128 * KIB;
/** Undecodable batches in a row before its session is ended: a broken program, or worse. */
export const NONSENSE_MAX = 50;
/** Waiting to be committed: twice the window of a device, and 8 batches of the largest size. */
export const LOG_WAITING_MAX = 32;
export const LOG_WAITING_BYTES = 8 * MIB;

/** MQTT packets of a connection, of any kind: batches, and an acknowledgement for each answer. */
export const PACKETS = { burst: 2_000, perSecond: 1_000 } as const;

/** Answers that a device has not acknowledged, or read: 16 times what it has in flight. */
export const ANSWERS_MAX = 128;
/** A device whose socket takes nothing for so long is disconnected; aedes waits a minute. */
export const DRAIN_TIMEOUT_MS = 5_000;

/** Before the password: a CONNECT has 400 bytes. */
export const CONNECT_BYTES_MAX = 4 * KIB;
/** CONNECT, and what an eager client sends after it. */
export const UNAUTHENTICATED_BYTES_MAX = 64 * KIB;
/** TLS handshake and CONNECT: seconds on a bad line. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** Unauthenticated connections of one address, and of all: beyond it the oldest is ended. */
export const UNAUTHENTICATED_PER_ADDRESS_MAX = 64;
export const UNAUTHENTICATED_MAX = 256;

/** Wrong passwords of one device from one address: a person's typing errors, then one in 10 s. */
export const LOGIN_FAILURES = { burst: 5, perSecond: 0.1 } as const;
/** Of one address, whatever the device: a site behind one router, then one a second. */
export const ADDRESS_FAILURES = { burst: 50, perSecond: 1 } as const;
/** A login that is refused unchecked is answered after this: whoever guesses on waits. */
export const REFUSAL_DELAY_MS = 1_000;
/** Logins of a device whose password was good before: an agent that reconnects backs off. */
export const RETURNS = { burst: 60, perSecond: 0.5 } as const;
/** Password checks at the same time, of all and of one address: scrypt takes 16 MB and 50 ms. */
export const AUTHENTICATIONS_MAX = 64;
export const AUTHENTICATIONS_PER_ADDRESS_MAX = 32;

/** Objects on their way: a device has two, and its lost connections. */
export const UPLOADS_PER_DEVICE_MAX = 4;
/** An upload that is slower than this after its first seconds makes room: 16 kbit/s. */
export const UPLOAD_BYTES_PER_S_MIN = 2 * KIB;
export const UPLOAD_GRACE_MS = 10_000;

/** Pairing codes of one address, right or wrong, and of all: a code has 40 bits, for 15 minutes. */
export const PAIRINGS_PER_ADDRESS = { burst: 10, perMs: 1 / 10_000 } as const;
export const PAIRINGS = { burst: 100, perMs: 1 / 1_000 } as const;

/** Connections of one address to an HTTP listener: a reverse proxy has fewer. */
export const HTTP_PER_ADDRESS_MAX = 256;

/** Devices that are remembered: beyond it the one that was quiet for the longest is forgotten. */
export const REMEMBERED_MAX = 100_000;
