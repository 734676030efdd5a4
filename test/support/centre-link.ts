import mqtt, { type MqttClient } from "mqtt";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnswerSigner, Claim } from "../../shared/protocol/answer-proof.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import {
  ackSchema,
  encodeMessage,
  filterOf,
  nackSchema,
  parseTopic,
  topicOf,
} from "../../shared/protocol/wire.ts";
import { Centre } from "./centre.ts";

/** The centre's side of the wire: what arrives is classified and answered. */
export class CentreLink {
  readonly centre = new Centre();
  readonly client: MqttClient;
  /** Says nothing any more, as a centre whose database hangs. */
  mute = false;
  status = "";
  /** What a device last said that it knows to be acknowledged. */
  acked = 0;
  batches = 0;

  readonly #signer: AnswerSigner | null;

  /** `signer`: of the site; without one it answers as a centre of an earlier version. */
  constructor(
    url: string,
    credentials: { username?: string; password?: string } = {},
    signer: AnswerSigner | null = null,
  ) {
    this.#signer = signer;
    this.client = mqtt.connect(url, { ...credentials, reconnectPeriod: 50 });
    this.client.on("connect", () => {
      this.client.subscribe([filterOf("log"), filterOf("status")], { qos: 1 });
    });
    this.client.on("message", (topic, payload) => this.#hear(topic, payload));
  }

  #hear(topic: string, payload: Buffer): void {
    const { device, channel } = parseTopic(topic) ?? {};
    if (channel === "status") {
      const { state, acked } = JSON.parse(String(payload));
      this.status = state;
      this.acked = acked?.seq ?? this.acked;
    }
    if (channel !== "log" || device === undefined) return;
    this.batches++;
    if (this.mute) return;
    const answer = this.centre.receive(payload);
    const { nonce } = decodeBatch(payload);
    const proof = (verdict: Claim["verdict"], { log, seq, hash }: Cursor) =>
      nonce === null || this.#signer === null
        ? {}
        : { proof: this.#signer.sign({ device, verdict, cursor: { log, seq, hash } }, nonce) };
    if ("ack" in answer) {
      const ack = { ...answer.ack, ...proof("ack", answer.ack) };
      this.#say(device, "ack", encodeMessage(ackSchema, ack));
      return;
    }
    const nack = { ...answer.nack, ...proof(answer.nack.reason, answer.nack) };
    this.#say(device, "nack", encodeMessage(nackSchema, nack));
  }

  #say(device: string, channel: "ack" | "nack", payload: Buffer): void {
    this.client.publish(topicOf({ device, channel }), payload, { qos: 1 });
  }
}
