/** One MQTT session of this device. The only home of mqtt on it. */
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from "mqtt";
import {
  invariant,
  messageOf,
  numericCodeOf,
  PorchlightError,
  systemCodeOf,
} from "../../shared/core/errors.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import { PacketScanner } from "../../shared/protocol/packet-scanner.ts";
import { type Channel, parseTopic, topicOf } from "../../shared/protocol/wire.ts";
import { PACKET_OVERHEAD_BYTES } from "./packet-room.ts";

export interface Link {
  /** 5 where the broker has it, else 4 (MQTT 3.1.1). */
  readonly protocol: 4 | 5;
  /** QoS 1 messages the broker takes before it has acknowledged one (MQTT 5, 3.2.2.3.3). */
  readonly receiveMaximum: number;
  /** Bytes of a packet that the broker takes (MQTT 5, 3.2.2.3.6); null where it does not say. */
  readonly packetMax: number | null;
  /**
   * Resolves at the broker's PUBACK, which is no ack of the centre. Throws `sync.packet` where the
   * broker would not take a packet so long, `sync.publish.refused` where it says so.
   */
  publish(channel: Channel, payload: Buffer, retain?: boolean): Promise<void>;
  /** Why the session ended; settles exactly once. */
  readonly ended: Promise<PorchlightError>;
  /** Sends DISCONNECT, so that the last will is not sent, and waits until the socket is closed. */
  close(): Promise<void>;
}

export interface LinkOptions {
  readonly bundle: Bundle;
  /**
   * The last will: published, retained, when the session ends without DISCONNECT; null for a mere
   * attempt.
   */
  readonly will: Buffer | null;
  /** Channels to listen on. */
  readonly channels: readonly Channel[];
  /** The same, where the broker lets us: an older centre does not know them. */
  readonly optional?: readonly Channel[];
  readonly message: (channel: Channel, payload: Buffer) => void;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Timeout of DISCONNECT, for a broker that hangs. */
const DISCONNECT_MS = 1_000;
/** The broker is asked whether it still lives this often; no answer ends the session. */
const KEEPALIVE_S = 20;
/** The broker keeps acks for a device that is away this long; then they are asked for again. */
const SESSION_EXPIRY_S = 3_600;
/**
 * In-flight limit where an MQTT 3.1.1 broker states none: that of the smallest one we know (aedes:
 * 100).
 */
const RECEIVE_MAXIMUM_UNKNOWN = 20;
/** Larger messages from the centre than any it has reason to send. */
const PACKET_BYTES_MAX = 1024 * 1024;
/** CONNACK: 1 in MQTT 3.1.1, 132 in MQTT 5. */
const UNSUPPORTED_VERSION = [1, 132];

/** Connects and subscribes. Throws `sync.connect` (remedy `retry`) or `sync.refused` (`stop`). */
export async function openLink(options: LinkOptions, signal: AbortSignal): Promise<Link> {
  try {
    return await open(options, 5, signal);
  } catch (error) {
    const code = error instanceof PorchlightError ? numericCodeOf(error.cause) : undefined;
    if (code === undefined || !UNSUPPORTED_VERSION.includes(code)) throw error;
    return await open(options, 4, signal);
  }
}

async function open(options: LinkOptions, protocol: 4 | 5, signal: AbortSignal): Promise<Link> {
  const { bundle, channels, message } = options;
  const { device } = bundle;
  const client = mqtt.connect(bundle.url, connectOptions(options, protocol));
  // A press does not wait until an earlier packet is acknowledged (Nagle's algorithm, RFC 896).
  if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  const scanner = new PacketScanner(PACKET_BYTES_MAX);
  client.stream.on("data", (chunk: Buffer) => {
    if (!scanner.accepts(chunk)) client.stream.destroy(new Error("an MQTT packet is too long"));
  });
  let end: (reason: PorchlightError) => void = () => undefined;
  const ended = new Promise<PorchlightError>((resolve) => {
    end = resolve;
  });
  let failure: unknown;
  client.on("error", (error) => {
    failure = error;
  });
  client.on("disconnect", ({ reasonCode }) => {
    failure ??= new Error(`the broker ended the session (reason ${reasonCode ?? "unknown"})`);
  });
  client.on("close", () => {
    end(connectionError(bundle, failure ?? new Error("the connection was closed")));
    client.end(true);
  });
  client.on("message", (topic, payload) => {
    const parsed = parseTopic(topic);
    if (parsed?.device === device) message(parsed.channel, payload);
  });
  const cancel = (): void => void client.end(true);
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const connack = await connected(client, ended);
    const packetMax = connack.properties?.maximumPacketSize ?? null;
    const topics = channels.map((channel) => topicOf({ device, channel }));
    if (topics.length > 0) await client.subscribeAsync(topics, { qos: 1 });
    for (const channel of options.optional ?? []) await listenIfAllowed(client, device, channel);
    return {
      protocol,
      receiveMaximum: connack.properties?.receiveMaximum ?? limitOf(protocol),
      packetMax,
      async publish(channel, payload, retain = false) {
        invariant(client.connected, "nothing is published without a session");
        const topic = topicOf({ device, channel });
        const bytes = payload.length + PACKET_OVERHEAD_BYTES;
        if (packetMax !== null && bytes > packetMax) throw tooLong(bundle, bytes, packetMax);
        try {
          await client.publishAsync(topic, payload, { qos: 1, retain });
        } catch (error) {
          throw publishError(bundle, topic, error);
        }
      },
      ended,
      async close() {
        if (client.connected) {
          client.end();
          await Promise.race([ended, sleep(DISCONNECT_MS, undefined, { ref: false })]);
        }
        client.end(true);
      },
    };
  } catch (error) {
    client.end(true);
    throw error instanceof PorchlightError ? error : connectionError(bundle, error);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function listenIfAllowed(
  client: MqttClient,
  device: string,
  channel: Channel,
): Promise<void> {
  try {
    await client.subscribeAsync(topicOf({ device, channel }), { qos: 1 });
  } catch (error) {
    // A refusal ends nothing (MQTT 3.1.1, 3.9.3; MQTT 5, 3.9.3); whatever else may be wrong does.
    if (!client.connected) throw error;
  }
}

function connectOptions({ bundle, will }: LinkOptions, protocol: 4 | 5): IClientOptions {
  const { device, ca, certificate, key, username, password } = bundle;
  return {
    protocolVersion: protocol,
    clientId: `porchlight-${device}`,
    clean: false,
    // Who reconnects, and when, is decided by the agent: a session is never taken up again here,
    // and what the library still held of it is read from the log once more.
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: KEEPALIVE_S,
    ...(protocol === 5 && {
      properties: { sessionExpiryInterval: SESSION_EXPIRY_S, maximumPacketSize: PACKET_BYTES_MAX },
    }),
    ...(will !== null && {
      will: { topic: topicOf({ device, channel: "status" }), payload: will, qos: 1, retain: true },
    }),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

function limitOf(protocol: 4 | 5): number {
  // MQTT 5, 3.2.2.3.3: a broker that names no limit takes 65,535.
  return protocol === 5 ? 65_535 : RECEIVE_MAXIMUM_UNKNOWN;
}

function connected(client: MqttClient, ended: Promise<PorchlightError>): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    client.once("connect", resolve);
    ended.then(reject, reject);
  });
}

/** What OpenSSL says of a certificate at a time that is wrong, or was. */
const CLOCK = /CERT_NOT_YET_VALID|CERT_HAS_EXPIRED|not yet valid|has expired/;
/** Bad credentials and unknown certificates do not mend themselves; all else may. */
const REFUSED = [4, 5, 134, 135, 138, 140];

function connectionError({ url }: Bundle, cause: unknown): PorchlightError {
  const { host } = new URL(url);
  const code = numericCodeOf(cause);
  if (code !== undefined && REFUSED.includes(code)) {
    return new PorchlightError(
      "sync.refused",
      `${host} refused this device: authentication failed`,
      {
        remedy: "stop",
        hint: "get a new bundle: porchlight-cloud devices rotate, then: porchlight sync join BUNDLE",
        cause,
      },
    );
  }
  const reason = messageOf(cause);
  return new PorchlightError("sync.connect", `no connection to ${host}: ${reason}`, {
    remedy: "retry",
    hint: CLOCK.test(`${systemCodeOf(cause)} ${reason}`)
      ? "see whether this machine's clock is right: timedatectl; else the certificate has to be renewed"
      : "see whether the broker runs and the address is right: porchlight sync status",
    cause,
  });
}

function tooLong({ url }: Bundle, bytes: number, max: number): PorchlightError {
  const { host } = new URL(url);
  return new PorchlightError(
    "sync.packet",
    `the broker ${host} takes packets of ${max} bytes, and one entry needs ${bytes}`,
    {
      remedy: "retry",
      hint: `raise its limit (Mosquitto: max_packet_size) to ${bytes} or more: what follows waits until then`,
    },
  );
}

/** PUBACK with a reason from here on is a refusal (MQTT 5, 3.4.2.1). */
const PUBACK_REFUSAL = 128;

/** MQTT 3.1.1 has no word for it: there, no answer of the centre ever comes. */
function publishError(bundle: Bundle, topic: string, cause: unknown): unknown {
  const code = numericCodeOf(cause);
  if (code === undefined || code < PUBACK_REFUSAL) return cause;
  const { host } = new URL(bundle.url);
  return new PorchlightError(
    "sync.publish.refused",
    `the broker ${host} refuses what is published on ${topic} (${code} ${messageOf(cause)})`,
    {
      remedy: "retry",
      hint: "its access rules are those of: porchlight-cloud devices acl",
      cause,
    },
  );
}

/** Errors of the machine's own network: the broker has never heard of the attempt. */
const NETWORK_DOWN = /^(ENETUNREACH|ENETDOWN|EHOSTUNREACH|EAI_AGAIN|ENOTFOUND|ETIMEDOUT)$/;

export function isNetworkDown({ cause }: PorchlightError): boolean {
  return NETWORK_DOWN.test(systemCodeOf(cause) ?? "") || /connack timeout/i.test(messageOf(cause));
}
