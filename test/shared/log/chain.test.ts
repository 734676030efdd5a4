import * as assert from "uvu/assert";
import {
  canonicalEntry,
  canonicalJson,
  chainHash,
  isCanonical,
  seqOf,
} from "../../../shared/log/chain.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { entrySchema } from "../../../shared/log/entry.ts";
import { seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const canonical = suite("canonical JSON (RFC 8785)");

/** A double by its bits, as in RFC 8785, appendix B. */
function double(hex: string): number {
  return Buffer.from(hex, "hex").readDoubleBE(0);
}

canonical("writes numbers as RFC 8785, appendix B, has them", () => {
  const samples: readonly (readonly [string, string])[] = [
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ];
  for (const [bits, text] of samples) assert.is(canonicalJson(double(bits)), text, bits);
});

canonical("refuses NaN, infinity and what is no JSON value", () => {
  for (const bits of ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"]) {
    assert.throws(() => canonicalJson(double(bits)), /not allowed/);
  }
  assert.throws(() => canonicalJson(undefined), /a canonical value is a JSON value/);
});

canonical("sorts keys by UTF-16 code units, at every depth", () => {
  // RFC 8785, 3.2.3.
  const value = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const order = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name);
  assert.equal(order, [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
  ]);
  assert.is(canonicalJson({ b: [{ d: 1, c: 2 }], a: {} }), '{"a":{},"b":[{"c":2,"d":1}]}');
});

canonical("escapes as RFC 8785, 3.2.2, has it: short forms, lowercase hex, nothing else", () => {
  const value = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
    literals: [null, true, false],
  };
  assert.is(
    canonicalJson(value),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  assert.is(canonicalJson("\b\t\n\f\r\u007f\u2028"), '"\\b\\t\\n\\f\\r\u007f\u2028"');
});

canonical(
  "refuses a lone surrogate, in values and keys, and nothing that only looks like one",
  () => {
    for (const text of ["\ud800", "a\udc00", "\ud83d!", "\\\ud800", "\ude00\ud83d"]) {
      assert.throws(() => canonicalJson({ text }), /lone surrogates/, JSON.stringify(text));
      assert.throws(() => canonicalJson({ [text]: 1 }), /lone surrogates/, JSON.stringify(text));
    }
    assert.is(canonicalJson("\ud83d\ude00"), '"\ud83d\ude00"');
    assert.is(canonicalJson("\\ud800"), '"\\\\ud800"');
    assert.is(canonicalJson("\\\\ud800"), '"\\\\\\\\ud800"');
  },
);

canonical("knows canonical text from any other spelling of the same value", () => {
  assert.ok(isCanonical('{"a":1,"b":"é"}'));
  for (const other of [
    '{"b":"é","a":1}',
    '{"a": 1,"b":"é"}',
    '{"a":1.0,"b":"é"}',
    '{"a":1,"b":"\\u00e9"}',
    '{"a":1,"a":1,"b":"é"}',
    '{"a":1,"b":"é"',
    "",
  ]) {
    assert.not(isCanonical(other), other);
  }
});

canonical("what stands in order already is written as what has to be sorted first", () => {
  const random = seeded(8785);
  const texts = [
    "a",
    "b",
    "10",
    "9",
    "",
    "ä",
    "\ud83d\ude00",
    "\u0000",
    '"',
    "toJSON",
    "__proto__",
  ];
  const text = (): string => texts[Math.floor(random() * texts.length)] ?? "";
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth === 0 ? 4 : 6));
    if (kind === 0) return text();
    if (kind === 1) return random() < 0.5 ? Math.floor(random() * 1e6) : -random() / 1e9;
    if (kind === 2) return random() < 0.5;
    if (kind === 3) return null;
    const children = Array.from({ length: Math.floor(random() * 5) }, () => value(depth - 1));
    if (kind === 4) return children;
    return Object.fromEntries(children.map((child) => [text(), child]));
  };
  for (let i = 0; i < 3_000; i++) {
    const given = value(3);
    assert.is(canonicalJson(given), slowly(given));
    assert.is(canonicalJson(JSON.parse(slowly(given))), slowly(given));
  }
});

/** RFC 8785, word for word. */
function slowly(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(slowly).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, child]) => `${JSON.stringify(key)}:${slowly(child)}`).join(",")}}`;
}

canonical("an entry has the same canonical bytes by its short way", () => {
  const log = "7b0d1c1e-6a5e-4a57-9d5c-2f4d2f3a9b10";
  for (const [actor, data, sealed, subject] of [
    ["device", {}, null, null],
    ['cli:zoë"\\', { b: [1.5, "\u2028"], 'a"': { z: null, é: true } }, { profile: "YQ==" }, log],
    ["central:a", { n: 1e21 }, { media: "Yg==", biometric: "YQ==" }, log],
  ] as const) {
    const place = { at: 1.7e12, clock: "synced", log, monotonicMs: 0, seq: 7 };
    const entry = entrySchema.parse({ ...place, actor, data, sealed, subject, type: "a.b" });
    assert.is(canonicalEntry(entry), canonicalJson(entry));
  }
});

canonical.run();

const hashing = suite("the chain hash");

hashing("is SHA-256 over the raw previous hash and the UTF-8 bytes", () => {
  // printf '{"a":1}' after 32 zero bytes, and "é" after that: sha256sum (coreutils).
  const first = chainHash(GENESIS_HASH, '{"a":1}');
  assert.is(first, "b06a229070741292512e8760f470dd7a4c46ccfdf253df781d88dabe58c1ccb1");
  assert.is(
    chainHash(first, '{"b":"é"}'),
    "79ccf3cfad8b57711ea51d7678c108df870e8054f8f5b7649ef73924f03513d4",
  );
});

hashing("depends on every byte of both", () => {
  const hash = chainHash(GENESIS_HASH, '{"a":1}');
  assert.is.not(chainHash(GENESIS_HASH, '{"a":2}'), hash);
  assert.is.not(chainHash(`${"0".repeat(63)}1`, '{"a":1}'), hash);
  assert.is.not(chainHash(GENESIS_HASH, '{"a":1} '), hash);
});

hashing("the seq of an entry is read from its end, where no data can imitate it", () => {
  const data = '{"text":"\\"seq\\":7,\\"subject\\":null,\\"type\\":\\"a.b\\"}"}';
  assert.is(seqOf(`{"data":${data},"seq":3,"subject":null,"type":"a.b"}`), 3);
  assert.is(seqOf('{"data":{"seq":7,"subject":null,"type":"a.b"}}'), null);
  assert.is(seqOf("not an entry"), null);
});

hashing.run();
