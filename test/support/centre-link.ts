import mqtt, { type MqttClient } from "mqtt";
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

  constructor(url: string, credentials: { username?: string; password?: string } = {}) {
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
    if ("ack" in answer) this.#say(device, "ack", encodeMessage(ackSchema, answer.ack));
    else this.#say(device, "nack", encodeMessage(nackSchema, answer.nack));
  }

  #say(device: string, channel: "ack" | "nack", payload: Buffer): void {
    this.client.publish(topicOf({ device, channel }), payload, { qos: 1 });
  }
}
