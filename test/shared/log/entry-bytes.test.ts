import { isUtf8 } from "node:buffer";
import * as assert from "uvu/assert";
import { canonicalEntry, canonicalJson, isCanonical } from "../../../shared/log/chain.ts";
import { ENTRY_BYTES_MAX, type Entry, entrySchema } from "../../../shared/log/entry.ts";
import { type ReadEntry, readEntry } from "../../../shared/log/entry-bytes.ts";
import { seeded } from "../../support/facts.ts";
import { visitLike } from "../../support/links.ts";
import { suite } from "../../support/suite.ts";

const reading = suite("an entry read from its bytes");

const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";
const SUBJECT = "7d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c22";
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const MUTATIONS = 20_000;

function entry(more: Partial<Entry> = {}): Entry {
  return { ...visitLike(7), log: LOG, seq: 7, ...more };
}

function read(text: string | Buffer, seq = 7): ReadEntry {
  const bytes = Buffer.from(text);
  return readEntry(bytes, [0, bytes.length], Buffer.from(LOG), seq);
}

/** The same judgement by the schema and RFC 8785 alone. */
function allowed(bytes: Buffer): boolean {
  const text = bytes.toString("utf8");
  if (!isCanonical(text)) return false;
  const { data, success } = entrySchema.safeParse(JSON.parse(text));
  if (!success || data.log !== LOG || data.seq !== 7) return false;
  if (data.sealed === null) return true;
  return data.subject !== null && Object.keys(data.sealed).length > 0;
}

const SAMPLES: readonly Entry[] = [
  entry(),
  entry({
    actor: "cli:grace",
    sealed: { profile: "AAECAwQ=", biometric: "AAEC" },
    subject: SUBJECT,
  }),
  entry({ actor: 'central:o"hara\\é', clock: "unsynced", at: -5, subject: null }),
  entry({
    data: { "€": 1, "😀": [1e21, 1e-7, -0.5, 0], Ａ: { z: null, zz: true, a: [[], {}] }, "": "" },
  }),
  entry({
    data: { text: '\u0000\u001f\b\t\n\f\r"\\/\u007fé\u2028' },
    sealed: { media: "" },
    subject: SUBJECT,
  }),
  entry({ data: {}, at: Number.MAX_SAFE_INTEGER, monotonicMs: 0 }),
];

reading("gives the columns, and no fault, of whatever the device may write", () => {
  for (const sample of SAMPLES) {
    const { type, at, subject, actor } = sample;
    assert.equal(read(canonicalEntry(sample)), {
      columns: { type, at, subject, actor },
      fault: null,
    });
  }
});

const NORMAL = canonicalEntry(entry());
const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ["another seq", NORMAL.replace('"seq":7', '"seq":8'), /its seq is 8/],
  ["another log", NORMAL.replace(LOG, SUBJECT), /the id of this log/],
  ["one member more", NORMAL.replace('"sealed"', '"other":1,"sealed"'), /member sealed/],
  ["white space", NORMAL.replace('"at":', '"at": '), /number/],
  ["something behind it", `${NORMAL} `, /follows its end/],
  ["cut short", NORMAL.slice(0, -1), /its end/],
  [
    "members in another order",
    NORMAL.replace(/("durationMs":\d+),("frames":\d+)/, "$2,$1"),
    /not sorted/,
  ],
  ["a member twice", NORMAL.replace(/("frames":\d+)/, "$1,$1"), /twice/],
  ["1e3 for 1000", NORMAL.replace(/"frames":\d+/, '"frames":1e3'), /RFC 8785/],
  ["1.0 for 1", NORMAL.replace(/"frames":\d+/, '"frames":1.0'), /RFC 8785/],
  ["minus zero", NORMAL.replace(/"frames":\d+/, '"frames":-0'), /RFC 8785/],
  ["an escaped letter", NORMAL.replace("known", "\\u006bnown"), /does not need/],
  ["an escaped slash", NORMAL.replace("known", "\\/"), /does not need/],
  ["a lone surrogate", NORMAL.replace("known", "\\ud800"), /does not need/],
  ["a raw control character", NORMAL.replace("known", "\t"), /no end/],
  ["at that is no whole number", NORMAL.replace(/"at":\d+/, '"at":1.5'), /whole number/],
  ["at beyond what is exact", NORMAL.replace(/"at":\d+/, '"at":9007199254740992'), /whole number/],
  ["negative monotonicMs", NORMAL.replace(/"monotonicMs":\d+/, '"monotonicMs":-1'), /negative/],
  ["an unknown actor", NORMAL.replace('"device"', '"root"'), /actor is neither/],
  [
    "an unknown class",
    NORMAL.replace('"sealed":null', '"sealed":{"soul":"AA=="}'),
    /no known class/,
  ],
  ["nothing sealed", NORMAL.replace('"sealed":null', '"sealed":{}'), /no known class/],
  [
    "base64 without its padding",
    NORMAL.replace('"sealed":null', '"sealed":{"media":"AAE"}'),
    /base64/,
  ],
  ["a subject in capitals", NORMAL.replace(/"subject":"7d8e/, '"subject":"7D8E'), /lowercase/],
  ["a type that is one word", NORMAL.replace("visit.ended", "ended"), /words joined/],
  ["data that is a list", NORMAL.replace(/"data":\{[^}]*\}/, '"data":[]'), /not an object/],
  ["no text at all", "", /actor/],
];
for (const [what, text, fault] of WRONG) {
  reading(`names what is wrong with ${what}`, () => {
    assert.is.not(text, NORMAL);
    assert.match(read(text).fault ?? "", fault);
  });
}

reading("rejects sealed content without a subject", () => {
  const text = canonicalEntry(entry({ subject: null, sealed: { media: "AAEC" } }));
  assert.match(read(text).fault ?? "", /no subject/);
});

reading("nests 64 levels deep, and is never lost in the depth", () => {
  const nested = (depth: number): string =>
    NORMAL.replace(/"data":\{[^}]*\}/, `"data":{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  assert.is(read(nested(64)).fault, null);
  assert.match(read(nested(65)).fault ?? "", /deeper/);
  assert.match(read(nested(200_000)).fault ?? "", /deeper/);
});

reading("is as long as the device may write, and no longer", () => {
  const base = Buffer.byteLength(canonicalEntry(entry({ data: { a: "" } })));
  const full = (bytes: number): string =>
    canonicalEntry(entry({ data: { a: "x".repeat(bytes - base) } }));
  assert.is(read(full(ENTRY_BYTES_MAX)).fault, null);
  assert.match(read(full(ENTRY_BYTES_MAX + 1)).fault ?? "", /longer/);
});

/** Changes a few bytes: to others, to pieces of JSON, to nothing, to a repetition. */
function mutate(bytes: Buffer, random: () => number): Buffer {
  const pieces = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "-",
    "1e9",
    "null",
    " ",
    "\\u0000",
    "é",
    "é\\",
    "\n",
  ];
  let mutated = bytes;
  for (let times = 1 + Math.floor(random() * 2); times > 0; times--) {
    const at = Math.floor(random() * mutated.length);
    const cut = Math.floor(random() * 3);
    const piece = pieces[Math.floor(random() * pieces.length)] ?? "";
    const kind = random();
    const inserted =
      kind < 0.4
        ? Buffer.from(piece)
        : kind < 0.7
          ? Buffer.from([Math.floor(random() * 256)])
          : Buffer.alloc(0);
    mutated = Buffer.concat([mutated.subarray(0, at), inserted, mutated.subarray(at + cut)]);
  }
  return mutated;
}

reading(
  `${MUTATIONS} changed entries are judged as schema and RFC 8785 judge them, seed ${SEED}`,
  () => {
    const random = seeded(SEED);
    let sound = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const sample = SAMPLES[i % SAMPLES.length] ?? entry();
      const bytes = mutate(Buffer.from(canonicalEntry(sample)), random);
      // What is no text is refused before it is read (batch.ts).
      if (!isUtf8(bytes)) continue;
      const { fault } = read(bytes);
      const expected = allowed(bytes);
      if (expected) sound++;
      assert.is(fault === null, expected, `${fault}: ${bytes.toString("utf8")}`);
    }
    assert.ok(sound > 20, `${sound} changes harmed nothing`);
  },
);

reading(`random facts are always read, seed ${SEED}`, () => {
  const random = seeded(SEED);
  const texts = ["", "a", "é", "😀", "\u0001", '"', "\\", "\ufb33", "zz"];
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth > 4 ? 4 : 6));
    if (kind === 0) return texts[Math.floor(random() * texts.length)];
    if (kind === 1) return (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20);
    if (kind === 2) return Math.floor(random() * 2 ** 53);
    if (kind === 3) return [null, true, false][Math.floor(random() * 3)];
    const inner = Array.from({ length: Math.floor(random() * 4) }, () => value(depth + 1));
    if (kind === 4) return inner;
    return Object.fromEntries(
      inner.map((each, i) => [`${texts[i]}${Math.floor(random() * 9)}`, each]),
    );
  };
  for (let i = 0; i < 2_000; i++) {
    const text = canonicalEntry(entry({ data: { a: value(0), b: value(0) } }));
    assert.is(read(text).fault, null, text);
    assert.is(canonicalJson(JSON.parse(text)), text);
  }
});

reading.run();
