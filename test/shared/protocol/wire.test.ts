import * as assert from "uvu/assert";
import {
  ackSchema,
  CHANNELS,
  decodeMessage,
  encodeMessage,
  filterOf,
  nackSchema,
  parseTopic,
  topicOf,
  uploadGrantSchema,
} from "../../../shared/protocol/wire.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const wire = suite("the wire");

const DEVICE = "c0a80101-0000-4000-8000-00000000d00f";
const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";

wire("every channel of a device has a topic, which says it again", () => {
  for (const channel of Object.keys(CHANNELS)) {
    const topic = `porchlight/v1/${DEVICE}/${channel}`;
    const parsed = parseTopic(topic);
    assert.equal(parsed, { device: DEVICE, channel });
    if (parsed !== null) assert.is(topicOf(parsed), topic);
  }
  assert.is(filterOf("log"), "porchlight/v1/+/log");
});

wire("what is no topic of ours is told apart", () => {
  const others = [
    "",
    `porchlight/v1/${DEVICE}`,
    `porchlight/v1/${DEVICE}/`,
    `porchlight/v1/${DEVICE}/nothing`,
    `porchlight/v1/${DEVICE}/toString`,
    `porchlight/v1/${DEVICE}/log/more`,
    `porchlight/v2/${DEVICE}/log`,
    `porchlight/v1/${DEVICE.toUpperCase()}/log`,
    "porchlight/v1/+/log",
    `x/porchlight/v1/${DEVICE}/log`,
  ];
  for (const topic of others) assert.is(parseTopic(topic), null, topic);
});

wire("nobody who is no UUID has a topic: it could be another's, or a wildcard", async () => {
  for (const device of ["+", "#", `${DEVICE}/log`, "../x", ""]) {
    await rejects(() => topicOf({ device, channel: "ack" }), "wire.invalid");
  }
});

wire("an acknowledgement and a refusal come out as they went in", () => {
  const ack = { log: LOG, seq: 12, hash: "a".repeat(64) };
  assert.equal(decodeMessage(ackSchema, encodeMessage(ackSchema, ack)), ack);
  const nack = { ...ack, seq: 0, reason: "gap" } as const;
  assert.equal(decodeMessage(nackSchema, encodeMessage(nackSchema, nack)), nack);
});

wire("a message that is another, too long or no JSON is refused", async () => {
  const bad = [
    "",
    "{}",
    "[]",
    "nonsense",
    JSON.stringify({ log: LOG, seq: -1, hash: "a".repeat(64) }),
  ];
  for (const text of [...bad, `"${"x".repeat(70_000)}"`]) {
    const error = await rejects(() => decodeMessage(ackSchema, Buffer.from(text)), "wire.invalid");
    assert.is(error.remedy, "reject");
  }
});

wire("a grant leads by TLS or to the own machine, and a text that is no address is refused", () => {
  const grant = { sha256: "ab".repeat(32), headers: {}, expiresAt: 1 };
  const takes = (url: string): boolean => uploadGrantSchema.safeParse({ ...grant, url }).success;
  for (const url of ["https://s3.example/a", "http://127.0.0.1:9/a", "http://[::1]/a"]) {
    assert.ok(takes(url), url);
  }
  for (const url of [
    "",
    "nowhere",
    "http://",
    "http://192.0.2.1/a",
    "http://objects:7070/a",
    "ftp://h/",
  ]) {
    assert.not.ok(takes(url), url);
  }
});

wire.run();
