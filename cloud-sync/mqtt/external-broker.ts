/**
 * What devices publish, from a broker, and what we answer. The only home of mqtt in the centre.
 *
 * mqtt.js reads the next message of a connection when the handler of the last one is done, and a
 * PUBACK goes out then: a window that is full stops the reading, so the broker keeps the rest.
 */
import { Socket } from "node:net";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { invariant, messageOf, numericCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { filterOf, parseTopic, type Topic, topicOf } from "../../shared/protocol/wire.ts";
import type { DeviceBudget } from "../fairness/device-budget.ts";
import { createRefusals, type Refusals } from "./refusals.ts";
import {
  isMessage,
  MESSAGES,
  type MessageChannel,
  type Receiver,
  type Transport,
} from "./transport.ts";

export interface Broker {
  /** `mqtt://host:port`, `mqtts://`, `ws://` or `wss://`; without a password. */
  readonly url: string;
  /** PEM of the authority behind the broker's certificate; the system's when absent. */
  readonly ca?: string;
  /** PEM of our own certificate and key. */
  readonly certificate?: string;
  readonly key?: string;
  readonly username?: string;
  readonly password?: string;
}

export interface TransportOptions {
  readonly broker: Broker;
  /** Names the site among others on this broker: each of them hears everything once. */
  readonly site: string;
  /** Connections that listen; one more speaks. */
  readonly connections: number;
  /** Unique among all that connect to the broker. */
  readonly instance: string;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** What a device may send: it cannot be made to wait here, so what is more is dropped. */
  readonly budget?: Pick<DeviceBudget, "admits">;
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEPALIVE_S = 20;
/** In the buffers of one connection, of at most 1 MiB each, besides the window. */
const RECEIVE_MAXIMUM = 16;
/** Above the limit of a batch: longer ones are received, and answered with a nack. */
const PACKET_BYTES_MAX = 4 * 1024 * 1024;
/** Answers in flight, of 150 bytes: beyond that the broker has stalled, and devices ask again. */
const UNSENT_MAX = 10_000;
const BACKOFF = { firstMs: 100, maxMs: 10_000 } as const;
/** CONNACK: 1 in MQTT 3.1.1, 132 in MQTT 5. */
const UNSUPPORTED_VERSION = [1, 132];
/** SUBACK and DISCONNECT: shared subscriptions are not supported. */
const NO_SHARED = 158;
const SUBACK_FAILURE = 128;

export function createMqttTransport(options: TransportOptions): Transport {
  return new MqttTransport(options);
}

class MqttTransport implements Transport {
  readonly ready: Promise<void>;
  readonly #options: TransportOptions;
  readonly #standing = new Set<string>();
  #stands: () => void = () => undefined;
  #protocol: 4 | 5 = 5;
  /** MQTT 3.1.1 knows no shared subscriptions: there, one connection takes everything. */
  #shared = true;
  #receiver: Receiver | null = null;
  #speaker: MqttClient | null = null;
  #unsent = 0;
  readonly #refusals: Refusals;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#refusals = createRefusals(options.logger);
    this.ready = new Promise((resolve) => {
      this.#stands = resolve;
    });
  }

  attach(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  /** Connects, and reconnects whenever a connection ends. */
  async run(signal: AbortSignal): Promise<void> {
    const listeners = Array.from({ length: this.#options.connections }, (_, i) => `in-${i}`);
    await Promise.all(["out", ...listeners].map((name) => this.#keep(name, signal)));
  }

  publish(topic: Topic, payload: Buffer): void {
    if (this.#speaker?.connected !== true || this.#unsent >= UNSENT_MAX) {
      this.#options.logger.debug("answer dropped: too many unsent", { ...topic });
      return;
    }
    this.#unsent++;
    this.#speaker.publish(topicOf(topic), payload, { qos: 1 }, (error) => {
      this.#unsent--;
      this.#refusals.take(topic.channel, error ?? null);
    });
  }

  connected(): number {
    return this.#standing.size;
  }

  problem(): string | null {
    const wanted = this.#options.connections + 1;
    if (this.#standing.size >= wanted) return this.#refusals.problem();
    return `${this.#standing.size} of ${wanted} connections to the broker`;
  }

  async #keep(name: string, signal: AbortSignal): Promise<void> {
    const { broker, logger, random } = this.#options;
    const { host } = new URL(broker.url);
    for (let failures = 0; !signal.aborted; ) {
      let stood = false;
      const reason = await this.#session(name, signal, () => {
        stood = true;
        this.#standing.add(name);
        logger.info("connected to the broker", { host, name, protocol: this.#protocol });
        if (this.#standing.size > this.#options.connections) this.#stands();
      });
      this.#standing.delete(name);
      if (signal.aborted) return;
      if (reason === "again") continue;
      if (stood) failures = 0;
      const retryInMs = backoffMs(failures++, { ...BACKOFF, random });
      logger.warn("broker connection failed", { host, name, reason, retryInMs });
      await pause(retryInMs, signal);
    }
  }

  /** One connection, to its end; says why it ended, or "again" when it is to be tried otherwise. */
  async #session(name: string, signal: AbortSignal, stands: () => void): Promise<string> {
    const client = mqtt.connect(this.#options.broker.url, this.#connectOptions(name));
    // An answer does not wait until an earlier packet is acknowledged (Nagle's algorithm, RFC 896).
    if (client.stream instanceof Socket) client.stream.setNoDelay(true);
    let failure: unknown = new Error("the connection was closed");
    client.on("error", (error) => {
      failure = error;
    });
    client.on("disconnect", ({ reasonCode }) => {
      failure = Object.assign(new Error("the broker closed the connection"), { code: reasonCode });
    });
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    const cancel = (): void => void client.end(true);
    signal.addEventListener("abort", cancel, { once: true });
    const ending = new AbortController();
    const over = AbortSignal.any([signal, ending.signal]);
    client.handleMessage = (packet, done) => {
      // A message that found no room before the end is not acknowledged: it comes again.
      this.#receive(packet.topic, packet.payload, over).then(
        () => done(),
        () => client.end(true),
      );
    };
    client.once("connect", ({ properties }) => {
      if (properties?.sharedSubscriptionAvailable === false) this.#shared = false;
      this.#begin(name, client).then(stands, (error: unknown) => {
        failure = error;
        client.end(true);
      });
    });
    await closed;
    ending.abort();
    signal.removeEventListener("abort", cancel);
    if (this.#speaker === client) this.#speaker = null;
    client.end(true);
    return this.#otherWay(failure) ? "again" : messageOf(failure);
  }

  async #begin(name: string, client: MqttClient): Promise<void> {
    if (name === "out") {
      this.#speaker = client;
      this.#unsent = 0;
      return;
    }
    const shared = this.#shared && this.#protocol === 5;
    const first = name === "in-0";
    if (!shared && !first) return;
    const group = shared ? `$share/porchlight-${this.#options.site}/` : "";
    const filters = [`${group}${filterOf("log")}`];
    for (const [channel, delivery] of Object.entries(MESSAGES)) {
      const filter = filterOf(channel as MessageChannel); // a key, which Object.entries forgets
      if (first) filters.push(delivery === "broadcast" ? filter : `${group}${filter}`);
    }
    const granted = await client.subscribeAsync(filters, { qos: 1 });
    const refused = filters.find((_, i) => (granted[i]?.qos ?? SUBACK_FAILURE) >= SUBACK_FAILURE);
    if (refused === undefined) return;
    const code = granted.find(({ qos }) => qos >= SUBACK_FAILURE)?.qos;
    throw Object.assign(new Error(`the broker refuses the subscription ${refused}`), { code });
  }

  /** Whether what went wrong is a thing this broker does not have: then it is done without. */
  #otherWay(failure: unknown): boolean {
    const code = numericCodeOf(failure);
    if (this.#protocol === 5 && code !== undefined && UNSUPPORTED_VERSION.includes(code)) {
      this.#protocol = 4;
      return true;
    }
    const without = this.#shared && code === NO_SHARED;
    if (without) this.#shared = false;
    return without;
  }

  async #receive(topic: string, payload: Buffer | string, signal: AbortSignal): Promise<void> {
    const parsed = parseTopic(topic);
    if (parsed === null) return;
    const receiver = this.#receiver;
    invariant(receiver !== null, "a transport that runs has a receiver");
    const { device, channel } = parsed;
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    if (this.#options.budget?.admits(parsed, bytes.length) === false) return;
    if (channel === "log") await receiver.onBatch(device, bytes, signal, "shared");
    else if (isMessage(channel)) receiver.onMessage[channel](device, bytes);
  }

  #connectOptions(name: string): IClientOptions {
    const { broker, instance } = this.#options;
    const { ca, certificate, key, username, password } = broker;
    return {
      protocolVersion: this.#protocol,
      clientId: `porchlight-centre-${instance}-${name}`,
      // What was not acknowledged before the end of a session is resent by its device.
      clean: true,
      // We reconnect by ourselves; what mqtt.js would hold for it would be in memory, unbounded.
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: KEEPALIVE_S,
      ...(this.#protocol === 5 && {
        properties: { receiveMaximum: RECEIVE_MAXIMUM, maximumPacketSize: PACKET_BYTES_MAX },
      }),
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    };
  }
}
