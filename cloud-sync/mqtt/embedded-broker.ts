/**
 * A broker of our own, for a centre without servers. The only home of aedes: MQTT 3.1.1.
 *
 * A batch goes to ingest while its permission is looked at, which is before its PUBACK: that waits
 * until the window has taken it. Until then nothing more is read from that device: TCP holds it
 * back, and nothing piles up here.
 */
import { setMaxListeners } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, Server as TlsServer } from "node:tls";
import { Aedes, type Client, type PublishPacket } from "aedes";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { plainLine } from "../../shared/core/printable.ts";
import { pause } from "../../shared/core/retry.ts";
import { parseTopic, type Topic, topicOf } from "../../shared/protocol/wire.ts";
import type { DeviceBudget } from "../fairness/device-budget.ts";
import {
  CONNECT_BYTES_MAX,
  CONNECT_TIMEOUT_MS,
  DRAIN_TIMEOUT_MS,
  PACKETS,
  UNAUTHENTICATED_BYTES_MAX,
} from "../fairness/limits.ts";
import { createUnauthenticated } from "../fairness/unauthenticated.ts";
import { isLoopback } from "../host/addresses.ts";
import { type Authenticate, createLogin, deviceOf, type Login } from "./login.ts";
import { LimitedConnection } from "./packet-limit.ts";
import { type BrokerStats, createSessions } from "./sessions.ts";
import { mayPublish, maySubscribe } from "./topic-acl.ts";
import { isMessage, type Receiver, type Transport } from "./transport.ts";

export interface BrokerOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM of the certificate (with its chain) and its key; needed unless the host is loopback. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  /** When this password of the device was made; null when it is not good. */
  readonly authenticate: Authenticate;
  /** Whether this password was good before: then looking at it again costs nothing. */
  readonly isKnown?: (device: string, password: string) => boolean;
  /** What a device may send before it has to wait; as much as it likes where there is none. */
  readonly budget?: Pick<DeviceBudget, "charge">;
  readonly logger: Logger;
}

export interface EmbeddedBroker extends Transport {
  /** Listens. Throws `broker.address` where that is not possible. */
  start(): Promise<void>;
  /** `mqtt://127.0.0.1:1883`, once it listens. */
  url(): string;
  /** New connections get this certificate. Throws where it is none. */
  renew(tls: Pair): void;
  /** Ends the sessions of a device that authenticated with a password older than this moment. */
  disconnect(device: string, before?: Date): void;
  stats(): BrokerStats;
  /** Ends every session, and listens no more. Safe to call twice. */
  stop(): Promise<void>;
}

type Pair = NonNullable<BrokerOptions["tls"]>;

/** A door each; a fleet has a broker with a cluster behind it. */
const CONNECTIONS_MAX = 2_000;
/** A batch of 1 MiB and its topic. A slightly longer one is received, and answered with a nack. */
const PACKET_BYTES_MAX = 1024 * 1024 + 64 * 1024;
const PACKET_LIMITS = {
  bytesMax: PACKET_BYTES_MAX,
  connectMax: CONNECT_BYTES_MAX,
  unauthenticatedMax: UNAUTHENTICATED_BYTES_MAX,
  packets: PACKETS,
};
/** aedes stores a message of QoS 2 before it passes it on. We use none. */
const QOS2_MAX = 1;
export function createBroker(options: BrokerOptions): EmbeddedBroker {
  return new Broker(options);
}

class Broker implements EmbeddedBroker {
  readonly ready: Promise<void>;
  readonly #options: BrokerOptions;
  readonly #stopping = new AbortController();
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #sessions = createSessions();
  readonly #unauthenticated = createUnauthenticated();
  readonly #login: Login;
  #receiver: Receiver | null = null;
  #listens: () => void = () => undefined;
  #stopped: Promise<void> | undefined;
  #unacknowledgedEnded = 0;

  constructor(options: BrokerOptions) {
    const { host, tls, authenticate, isKnown = () => false, logger } = options;
    invariant(
      tls !== null || isLoopback(host),
      "without TLS, only loopback connections are accepted",
    );
    this.#options = options;
    // Each connection that is held waits for it.
    setMaxListeners(CONNECTIONS_MAX, this.#stopping.signal);
    this.#login = createLogin({
      authenticate,
      isKnown,
      sessions: this.#sessions,
      checking: this.#unauthenticated.remove,
      signal: this.#stopping.signal,
      logger,
    });
    this.ready = new Promise((resolve) => {
      this.#listens = resolve;
    });
    this.#aedes = this.#createAedes();
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server =
      tls === null
        ? createServer(accept)
        : createTlsServer(
            { cert: tls.certificate, key: tls.key, handshakeTimeout: CONNECT_TIMEOUT_MS },
            accept,
          );
    // Of a TLS server too: this is the TCP connection, before its handshake.
    this.#server.on("connection", (socket: Socket) => this.#unauthenticated.add(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  attach(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  async start(): Promise<void> {
    invariant(this.#receiver !== null, "a broker that listens has a receiver");
    const { host, port } = this.#options;
    await this.#aedes.listen();
    await new Promise<void>((done, failed) => {
      this.#server.once("error", (cause) => failed(unusable(host, port, cause)));
      this.#server.listen({ host, port }, done);
    });
    this.#listens();
  }

  url(): string {
    const address = this.#server.address();
    invariant(typeof address === "object" && address !== null, "a broker that listens has a port");
    const { host, tls } = this.#options;
    const name = host.includes(":") ? `[${host}]` : host;
    return `${tls === null ? "mqtt" : "mqtts"}://${name}:${address.port}`;
  }

  async run(signal: AbortSignal): Promise<void> {
    if (!signal.aborted) {
      await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
    }
    await this.stop();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  renew({ certificate, key }: Pair): void {
    if (this.#server instanceof TlsServer) {
      this.#server.setSecureContext({ cert: certificate, key });
    }
  }

  publish(topic: Topic, payload: Buffer): void {
    const packet: PublishPacket = {
      cmd: "publish",
      topic: topicOf(topic),
      payload,
      qos: 1,
      retain: false,
      dup: false,
    };
    // Straight to its session: an answer to one that does not read is in nobody else's way.
    if (this.#sessions.send(topic.device, packet)) return;
    this.#unacknowledgedEnded++;
    const { device } = topic;
    this.#options.logger.warn("session ended: answers are not acknowledged", { device });
  }

  connected(): number {
    return this.#sessions.count();
  }

  problem(): string | null {
    return this.#server.listening ? null : "our own broker does not listen";
  }

  disconnect(device: string, before?: Date): void {
    this.#sessions.disconnect(device, before);
  }

  stats(): BrokerStats {
    return {
      loginsRefused: this.#login.refused(),
      unauthenticatedEnded: this.#unauthenticated.ended(),
      unacknowledgedEnded: this.#unacknowledgedEnded,
    };
  }

  #createAedes(): Aedes {
    const aedes = new Aedes({
      id: "porchlight-centre",
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: DRAIN_TIMEOUT_MS,
      maxInflightInbound: QOS2_MAX,
      preConnect: (_, packet, done) => {
        // Nothing is kept for one that is away: what it was not sent it asks for [MQTT-3.2.2-3].
        packet.clean = true;
        done(null, true);
      },
      authenticate: (client, username, password, done) => {
        this.#login.check(client, username, password).then(
          (error) => {
            if (error === null) this.#letIn(client);
            done(error, error === null);
          },
          (error: Error) => client.close(() => this.#lost(client, error)),
        );
      },
      authorizePublish: (client, packet, done) => {
        // Nobody listens to what devices send but the receiver: there is nothing to be kept.
        packet.retain = false;
        this.#publish(client, packet).then(done, (error: Error) => done(error));
      },
      authorizeSubscribe: (client, subscription, done) => {
        const may = maySubscribe(deviceOf(client), subscription.topic);
        if (may) this.#sessions.listens(client, subscription.topic, subscription.qos);
        done(null, may ? subscription : null);
      },
    });
    aedes.on("ack", (_, client) => this.#sessions.acknowledged(client));
    aedes.on("unsubscribe", (topics, client) => this.#sessions.listensNoMore(client, topics));
    for (const event of ["clientError", "connectionError"] as const) {
      aedes.on(event, (client, error) => this.#lost(client, error));
    }
    return aedes;
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    const conn = new LimitedConnection(socket, PACKET_LIMITS);
    const client = this.#aedes.handle(conn);
    conn.once("close", () => this.#sessions.end(client));
  }

  #letIn({ conn }: Client): void {
    invariant(conn instanceof LimitedConnection, "aedes has the connections that it was given");
    conn.authenticated();
  }

  async #end(): Promise<void> {
    this.#stopping.abort();
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    await new Promise<void>((done) => this.#aedes.close(() => done()));
    this.#unauthenticated.endAll();
    await closed;
  }

  /** Null when it may be passed on, a batch having been taken. */
  async #publish(client: Client | null, { topic, payload }: PublishPacket): Promise<Error | null> {
    const parsed = parseTopic(topic);
    if (client === null || parsed === null || !mayPublish(deviceOf(client), topic)) {
      return new Error("not authorized: this topic is not this device's");
    }
    const { conn } = client;
    invariant(conn instanceof LimitedConnection, "aedes has the connections that it was given");
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    const { signal } = this.#stopping;
    const waitMs = this.#options.budget?.charge(parsed, bytes.length) ?? 0;
    if (waitMs === "long") return null;
    if (waitMs > 0) await conn.holdDuring(pause(waitMs, signal));
    const { device, channel } = parsed;
    const receiver = this.#receiver;
    if (receiver === null) return null;
    if (isMessage(channel)) receiver.onMessage[channel](device, bytes);
    if (channel !== "log") return null;
    return conn.holdDuring(receiver.onBatch(device, bytes, signal)).then(
      () => null,
      // Its connection ends without a PUBACK: the sender resends it.
      (error: unknown) => new Error("the batch was rejected", { cause: error }),
    );
  }

  #lost(client: Client, error: Error): void {
    const device = client.id === undefined || client.id === null ? null : deviceOf(client);
    const reason = plainLine(error.message);
    this.#options.logger.debug("client disconnected", { device, reason });
  }
}

function unusable(host: string, port: number, cause: Error): PorchlightError {
  return new PorchlightError("broker.address", `cannot listen on ${host}:${port}`, {
    hint: "choose another broker.port: porchlight-cloud config schema",
    cause,
  });
}
