/**
 * A broker of our own, for a centre without servers. The only home of aedes: MQTT 3.1.1.
 *
 * A batch goes to ingest while its permission is looked at, which is before its PUBACK: that waits
 * until the window has taken it. Until then nothing more is read from that device: TCP holds it
 * back, and nothing piles up here.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Aedes, type AuthenticateError, type Client, type PublishPacket } from "aedes";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { parseTopic, type Topic, topicOf } from "../../shared/protocol/wire.ts";
import { isLoopback } from "../host/addresses.ts";
import { LimitedConnection } from "./packet-limit.ts";
import { mayPublish, maySubscribe } from "./topic-acl.ts";
import { isMessage, type Receiver, type Transport } from "./transport.ts";

export interface BrokerOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM of the certificate (with its chain) and its key; needed unless the host is loopback. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  /** When this password of the device was made; null when it is not good. */
  readonly authenticate: (device: string, password: string) => Promise<Date | null>;
  readonly logger: Logger;
}

export interface EmbeddedBroker extends Transport {
  /** Listens. Throws `broker.address` where that is not possible. */
  start(): Promise<void>;
  /** `mqtt://127.0.0.1:1883`, once it listens. */
  url(): string;
  /** Ends the session of a device that authenticated with a password older than this moment. */
  disconnect(device: string, before: Date): void;
}

/** A door each; a fleet has a broker with a cluster behind it. */
const CONNECTIONS_MAX = 2_000;
/** A batch of 1 MiB and its topic. A slightly longer one is received, and answered with a nack. */
const PACKET_BYTES_MAX = 1024 * 1024 + 64 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
/** aedes stores a message of QoS 2 before it passes it on. We use none. */
const QOS2_MAX = 1;
/**
 * Concurrent password checks: scrypt takes 16 MB and 50 ms each. A client beyond that is refused,
 * and retries.
 */
const AUTHENTICATIONS_MAX = 64;
/** CONNACK (MQTT 3.1.1, 3.2.2.3): server unavailable; bad user name or password. */
const UNAVAILABLE = 3;
const BAD_PASSWORD = 4;

export function createBroker(options: BrokerOptions): EmbeddedBroker {
  return new Broker(options);
}

class Broker implements EmbeddedBroker {
  readonly ready: Promise<void>;
  readonly #options: BrokerOptions;
  readonly #stopping = new AbortController();
  readonly #aedes: Aedes;
  readonly #server: Server;
  #receiver: Receiver | null = null;
  #listens: () => void = () => undefined;
  /** When the password was made that a client authenticated with. */
  readonly #letInBy = new WeakMap<Client, Date>();
  #authentications = 0;

  constructor(options: BrokerOptions) {
    const { host, tls } = options;
    invariant(
      tls !== null || isLoopback(host),
      "without TLS, only loopback connections are accepted",
    );
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#listens = resolve;
    });
    this.#aedes = new Aedes({
      id: "porchlight-centre",
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxInflightInbound: QOS2_MAX,
      authenticate: (client, username, password, done) => {
        void this.#authenticate(client, username, password).then((error) =>
          done(error, error === null),
        );
      },
      authorizePublish: (client, packet, done) => {
        void this.#publish(client, packet).then(done);
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, maySubscribe(deviceOf(client), subscription.topic) ? subscription : null);
      },
    });
    const accept = (socket: Socket): void => {
      socket.setNoDelay(true);
      this.#aedes.handle(new LimitedConnection(socket, PACKET_BYTES_MAX));
    };
    this.#server =
      tls === null
        ? createServer(accept)
        : createTlsServer({ cert: tls.certificate, key: tls.key }, accept);
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  attach(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  async start(): Promise<void> {
    invariant(this.#receiver !== null, "a broker that listens has a receiver");
    const { host, port } = this.#options;
    await this.#aedes.listen();
    for (const event of ["clientError", "connectionError"] as const) {
      this.#aedes.on(event, (client, error) => this.#lost(client, error));
    }
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
    this.#stopping.abort();
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    await new Promise<void>((done) => this.#aedes.close(() => done()));
    await closed;
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
    this.#aedes.publish(packet, (error) => {
      if (error) this.#options.logger.warn("answer not sent", { reason: error.message });
    });
  }

  connected(): number {
    return this.#aedes.connectedClients;
  }

  disconnect(device: string, before: Date): void {
    const client = this.#clients()[clientIdOf(device)];
    if (client === undefined) return;
    const madeAt = this.#letInBy.get(client);
    if (madeAt === undefined || madeAt < before) client.close();
  }

  #clients(): Readonly<Record<string, Client>> {
    // Not in aedes' types, though documented as the clients by their ids.
    return (this.#aedes as unknown as { clients: Record<string, Client> }).clients;
  }

  /** Null when it may be passed on, a batch having been taken. */
  async #publish(client: Client | null, { topic, payload }: PublishPacket): Promise<Error | null> {
    if (client === null || !mayPublish(deviceOf(client), topic)) {
      return new Error("not authorized: this topic is not this device's");
    }
    const parsed = parseTopic(topic);
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    const receiver = this.#receiver;
    if (parsed === null || receiver === null) return null;
    const { device, channel } = parsed;
    if (isMessage(channel)) receiver.onMessage[channel](device, bytes);
    if (channel !== "log") return null;
    const { signal } = this.#stopping;
    const { conn } = client;
    invariant(conn instanceof LimitedConnection, "aedes has the connections that it was given");
    return conn.holdDuring(receiver.onBatch(device, bytes, signal)).then(
      () => null,
      // Its connection ends without a PUBACK: the sender resends it.
      (error: unknown) => new Error("the batch was rejected", { cause: error }),
    );
  }

  /**
   * Null when authentication succeeds: the user is the device, and its client id says so as well.
   */
  async #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<AuthenticateError | null> {
    const device = username ?? "";
    // Another's client id would end that one's session [MQTT-3.1.4-2]; a free one, leave many behind.
    if (client.id !== clientIdOf(device) || password === undefined) return refusal(BAD_PASSWORD);
    if (this.#authentications >= AUTHENTICATIONS_MAX) return refusal(UNAVAILABLE);
    this.#authentications++;
    try {
      const good = await this.#options.authenticate(device, password.toString("utf8"));
      if (good === null) return refusal(BAD_PASSWORD);
      this.#letInBy.set(client, good);
      return null;
    } catch (error) {
      this.#options.logger.warn("authentication failed: password check unavailable", {
        device,
        reason: messageOf(error),
      });
      return refusal(UNAVAILABLE);
    } finally {
      this.#authentications--;
    }
  }

  #lost(client: Client, error: Error): void {
    const device = client.id === undefined || client.id === null ? null : deviceOf(client);
    this.#options.logger.info("client disconnected", { device, reason: error.message });
  }
}

const CLIENT = "porchlight-";

function clientIdOf(device: string): string {
  return `${CLIENT}${device}`;
}

/** The device of an authenticated client. */
function deviceOf({ id }: Client): string {
  return id.slice(CLIENT.length);
}

function refusal(returnCode: number): AuthenticateError {
  return Object.assign(new Error("authentication failed"), { returnCode });
}

function unusable(host: string, port: number, cause: Error): PorchlightError {
  return new PorchlightError("broker.address", `cannot listen on ${host}:${port}`, {
    hint: "choose another broker.port: porchlight-cloud config schema",
    cause,
  });
}
