import * as assert from "uvu/assert";
import { createIngestService } from "../../../cloud-sync/ingest/run-ingest.ts";
import type { Transport } from "../../../cloud-sync/mqtt/transport.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { startOf } from "../../../shared/log/cursor.ts";
import { answerVerifier, type Claim } from "../../../shared/protocol/answer-proof.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import {
  type Ack,
  ackSchema,
  type Nack,
  nackSchema,
  topicOf,
} from "../../../shared/protocol/wire.ts";
import { Central, Device as Log } from "../../support/central.ts";
import { startFast } from "../../support/engines.ts";
import { logOf, opened, visitLike } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { newSigner } from "../../support/signer.ts";
import { suite } from "../../support/suite.ts";

const signing = suite("signed answers");
const central = new Central(startFast);
const unaborted = new AbortController().signal;

/** An ingest, and what it publishes. */
function answering() {
  const signer = newSigner();
  const said: { readonly topic: string; readonly payload: Buffer }[] = [];
  const transport: Transport = {
    attach: () => undefined,
    publish: (topic, payload) => said.push({ topic: topicOf(topic), payload }),
    ready: Promise.resolve(),
    problem: () => null,
    connected: () => 1,
    run: async () => undefined,
  };
  const common = { clock: systemClock, random: Math.random, logger: silentLogger };
  const { ingest } = createIngestService({ log: central.log, transport, signer, ...common });
  return {
    verifier: answerVerifier(signer.publicKey),
    async answers(device: string, payload: Buffer): Promise<(typeof said)[number] | undefined> {
      await ingest.take(device, payload, unaborted);
      while (await ingest.commit());
      return said.pop();
    },
  };
}

function message(
  { log, links }: Pick<Log, "log" | "links">,
  [first, last]: readonly [number, number],
  nonce: string | null,
): Buffer {
  const before = links[first - 2];
  const previous = before === undefined ? startOf(log) : { log, ...before };
  return encodeBatch(previous, links.slice(first - 1, last), { nonce }).payload;
}

if (needsPostgres()) {
  signing.before.each(() => central.begin());
  signing.after.each(() => central.end());
  signing.after(() => central.stop());

  signing("each is signed for the nonce of its batch, and only where it has one", async () => {
    const { verifier, answers } = answering();
    const door = new Log(30);
    const { device } = door;
    const other = { ...door, links: logOf(door.log, [opened(device), visitLike(99)]) };
    const cases = [
      ["ack", message(door, [1, 10], "A".repeat(22)), "A", 10],
      ["ack", message(door, [1, 10], "B".repeat(22)), "B", 10],
      ["ack", message(door, [11, 12], null), null, 12],
      ["fork", message(other, [1, 2], "C".repeat(22)), "C", 12],
      ["fork", message(other, [1, 2], null), null, 12],
      ["invalid", Buffer.from("no batch"), null, 12],
    ] as const;
    for (const [verdict, payload, letter, seq] of cases) {
      const { topic, payload: answer } = (await answers(device, payload)) ?? {};
      const channel = verdict === "ack" ? "ack" : "nack";
      assert.is(topic, topicOf({ device, channel }));
      const read: Ack | Nack = (channel === "ack" ? ackSchema : nackSchema).parse(
        JSON.parse(String(answer)),
      );
      assert.is(read.seq, seq);
      if ("reason" in read) assert.is(read.reason, verdict);
      const { proof, log, hash } = read;
      assert.is(proof === undefined, letter === null);
      if (proof === undefined) continue;
      assert.is(proof.nonce, letter?.repeat(22));
      const claim: Claim = { device, verdict, cursor: { log, seq, hash } };
      assert.ok(verifier.verify(claim, proof), verdict);
    }
  });
}

signing.run();
