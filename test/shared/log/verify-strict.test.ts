import * as assert from "uvu/assert";
import { chainHash, type Link, verifyChain } from "../../../shared/log/chain.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { suite } from "../../support/suite.ts";

const strict = suite("verifyChain reads entries as strictly as the centre");
const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";

function bodyOf(seq: number): string {
  return (
    `{"actor":"device","at":1,"clock":"synced","data":{},"log":"${LOG}","monotonicMs":1,` +
    `"sealed":null,"seq":${seq},"subject":null,"type":"telemetry.sampled"}`
  );
}

const sound: Link[] = [];
for (let seq = 1; seq <= 4; seq++) {
  const body = bodyOf(seq);
  sound.push({ seq, hash: chainHash(sound.at(-1)?.hash ?? GENESIS_HASH, body), body });
}

strict(
  "what is rightly hashed and no entry of this log, as strictly as the centre reads it",
  () => {
    const fourth = bodyOf(4);
    const bodies: Readonly<Record<string, string>> = {
      "not canonical": fourth.replace('"at":1,', '"at": 1,'),
      "members in another order": fourth.replace(
        '"actor":"device","at":1',
        '"at":1,"actor":"device"',
      ),
      "a doubled member": fourth.replace('"at":1,', '"at":1,"at":1,'),
      "a doubled member in its data": fourth.replace('"data":{}', '"data":{"x":1,"x":2}'),
      "an eleventh member": fourth.replace(',"type"', ',"tag":1,"type"'),
      "another log": fourth.replace(LOG, LOG.replace("2", "3")),
      "no JSON at all": "this is no entry",
      "an empty text": "",
      "a time with a fraction": fourth.replace('"at":1,', '"at":1.5,'),
      "a lone surrogate": fourth.replace('"data":{}', '"data":{"x":"\\ud800"}'),
      "a subject in capitals": fourth.replace('"subject":null', `"subject":"${LOG.toUpperCase()}"`),
      "sealed content of nobody": fourth.replace('"sealed":null', '"sealed":{"profile":"AAAA"}'),
      "something behind its end": `${fourth} `,
    };
    for (const [what, body] of Object.entries(bodies)) {
      const hash = chainHash(sound[2]?.hash ?? "", body);
      const fault = verifyChain(LOG, [...sound.slice(0, 3), { seq: 4, hash, body }], []).fault;
      assert.equal([fault?.seq, fault?.kind], [4, "invalid"], what);
      assert.match(fault?.detail ?? "", /^as an entry: ./, what);
    }
  },
);

strict.run();
