import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { canonicalJson } from "../../../shared/log/chain.ts";
import { answerVerifier } from "../../../shared/protocol/answer-proof.ts";
import {
  encodeFrame,
  FrameReader,
  readDown,
  readUp,
  upSchema,
} from "../../../shared/protocol/feed.ts";
import { ackSchema, decodeMessage } from "../../../shared/protocol/wire.ts";
import { newSigner } from "../../support/signer.ts";
import { suite } from "../../support/suite.ts";

const feed = suite("docs/feed.md");
const page = readFileSync(new URL("../../../docs/feed.md", import.meta.url), "utf8");

/** A test vector: the fenced block of the page with this info string. */
function vector(name: string) {
  const block = new RegExp(`^\`\`\`json feed ${name}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)?.[1];
  return JSON.parse(block ?? "no such block");
}

feed("the frames of the page are written and read as they stand there", () => {
  for (const name of ["frame", "answer"]) {
    const { frame, header, body } = vector(name);
    const bytes = Buffer.from(frame, "hex");
    assert.equal(encodeFrame(upSchema.parse(header), Buffer.from(body)), bytes);
    // In pieces of any length.
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new FrameReader(100);
      const found = [];
      for (let at = 0; at < bytes.length * 2; at += size) {
        found.push(...reader.push(Buffer.concat([bytes, bytes]).subarray(at, at + size)));
      }
      assert.is(found.length, 2);
      for (const raw of found) {
        assert.equal(readUp(raw), header);
        assert.is(raw.body.toString(), body);
      }
    }
  }
});

feed("what is longer than allowed is refused before it is collected", () => {
  for (const [header, body] of [
    [8 * 1024 + 1, 0],
    [2, 101],
    [0xffff_ffff, 0],
    [2, 0xffff_ffff],
  ]) {
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32BE(header ?? 0, 0);
    prefix.writeUInt32BE(body ?? 0, 4);
    assert.throws(() => [...new FrameReader(100).push(prefix)], /too long/);
  }
});

feed("a header of the other direction, of no type or with more in it is none", () => {
  for (const header of [{ type: "welcome" }, { type: "alive", more: 1 }, {}, [], null, "alive"]) {
    const raw = { header: Buffer.from(JSON.stringify(header)), body: Buffer.alloc(0) };
    assert.throws(() => readUp(raw), /malformed/);
  }
  const raw = { header: Buffer.from('{"type":"alive"}'), body: Buffer.alloc(0) };
  assert.throws(() => readDown(raw), /malformed/);
});

feed("the signed ack of the page is genuine, and nothing in it may be another", () => {
  const { publicKey, device, signed, ack } = vector("signed");
  const verifier = answerVerifier(Buffer.from(publicKey, "hex"));
  const { proof, ...cursor } = decodeMessage(ackSchema, Buffer.from(JSON.stringify(ack)));
  if (proof === undefined) throw new Error("it is signed");
  const { log, seq, hash } = cursor;
  const claim = { device, verdict: "ack", cursor } as const;
  assert.is(
    canonicalJson(["porchlight/v1/answer", proof.site, proof.nonce, device, "ack", log, seq, hash]),
    signed,
  );
  assert.ok(verifier.verify(claim, proof));
  const other = "11111111-2222-4333-8444-555555555555";
  for (const [wrong, its] of [
    [{ ...claim, device: other }, proof],
    [{ ...claim, verdict: "gap" }, proof],
    [{ ...claim, cursor: { ...cursor, log: other } }, proof],
    [{ ...claim, cursor: { ...cursor, seq: seq + 1 } }, proof],
    [{ ...claim, cursor: { ...cursor, hash: "cd".repeat(32) } }, proof],
    [claim, { ...proof, nonce: "A".repeat(22) }],
    [claim, { ...proof, site: "0".repeat(64) }],
    [claim, { ...proof, signature: `${"A".repeat(86)}==` }],
    [claim, newSigner().sign(claim, proof.nonce)],
  ] as const) {
    assert.not(verifier.verify(wrong, its), JSON.stringify([wrong, its]));
  }
});

feed.run();
