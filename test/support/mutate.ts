import { gunzipSync, gzipSync } from "node:zlib";

/** Bytes that were a message, and what was done to them. */
export type Mutation = (payload: Buffer, random: () => number) => Buffer;

const NEST = 20_000;
const PLAIN_MAX = 4 * 1024 * 1024;
/** Every bit of it zero: a thousandth of its size as gzip. */
const BOMB = gzipSync(Buffer.alloc(PLAIN_MAX + 1), { level: 9 });
const DAMAGED = Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xff, 0xfe]);

const below = (random: () => number, most: number): number => Math.floor(random() * most);

/** As it was before it was packed. */
export function unpacked(payload: Buffer): Buffer {
  return payload[0] === 0x1f && payload[1] === 0x8b ? gunzipSync(payload) : payload;
}

/** At a random place of the plain text. */
function insert(payload: Buffer, random: () => number, bytes: Buffer): Buffer {
  const plain = unpacked(payload);
  const at = below(random, plain.length);
  return Buffer.concat([plain.subarray(0, at), bytes, plain.subarray(at)]);
}

function replaced(payload: Buffer, find: RegExp, by: (found: string) => string): Buffer {
  const text = unpacked(payload).toString("latin1");
  return Buffer.from(text.replace(find, by), "latin1");
}

/** What a line, a broker, a broken device and somebody with ill intent may do to a message. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  flip(payload, random) {
    const bytes = Buffer.from(payload);
    for (let times = 1 + below(random, 3); times > 0; times--) {
      const at = below(random, bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
    }
    return bytes;
  },
  flipPlain: (payload, random) => MUTATIONS["flip"]?.(unpacked(payload), random) ?? payload,
  cut: (payload, random) => payload.subarray(0, below(random, payload.length)),
  cutPlain(payload, random) {
    const plain = unpacked(payload);
    return plain.subarray(0, below(random, plain.length));
  },
  cutAndPacked: (payload, random) =>
    gzipSync(unpacked(payload).subarray(0, below(random, payload.length))),
  swap(payload, random) {
    const lines = unpacked(payload).toString("latin1").split("\n");
    const [a, b] = [below(random, lines.length), below(random, lines.length)];
    [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
    return Buffer.from(lines.join("\n"), "latin1");
  },
  twice(payload) {
    const plain = unpacked(payload);
    return Buffer.concat([plain, plain]);
  },
  wrongSeq: (payload, random) =>
    replaced(payload, /"seq":\d+/, () => `"seq":${below(random, 40) - 2}`),
  hugeSeq: (payload, random) =>
    replaced(payload, /"seq":\d+/, () => {
      const huge = ["9007199254740991", "9007199254740993", "1e308", "1e999", "-0", "1.5", "null"];
      return `"seq":${huge[below(random, huge.length)]}`;
    }),
  wrongHash: (payload, random) =>
    replaced(payload, /"(head|previous)":"../, (found) =>
      found.slice(0, -2).concat(below(random, 256).toString(16).padStart(2, "0")),
    ),
  otherLog: (payload, random) =>
    replaced(
      payload,
      /"log":"......../,
      () => `"log":"${below(random, 1e8).toString().padStart(8, "0")}`,
    ),
  manyLines: (payload, random) =>
    Buffer.concat([unpacked(payload), Buffer.alloc(1_001 + below(random, 500), "\n")]),
  bomb: () => BOMB,
  notText: (payload, random) => insert(payload, random, DAMAGED.subarray(0, 1 + below(random, 7))),
  zero: (payload, random) => insert(payload, random, Buffer.from([0])),
  zeroEscaped: (payload, random) => insert(payload, random, Buffer.from("\\u0000")),
  doubleKey: (payload) => replaced(payload, /^\{/, () => '{"seq":1,"seq":2,'),
  doubleKeyInside: (payload) => replaced(payload, /\n\{/, () => '\n{"actor":"device",'),
  prototype: (payload) => replaced(payload, /^\{/, () => '{"__proto__":{"seq":1},'),
  deep: (payload) => replaced(payload, /^\{/, () => `{"a":${"[".repeat(NEST)}${"]".repeat(NEST)},`),
  deepInside: (payload) =>
    replaced(payload, /"data":\{/, () => `"data":{"a":${"[".repeat(NEST)}${"]".repeat(NEST)},`),
  garbage(payload, random) {
    return Buffer.from(
      Array.from({ length: below(random, payload.length) }, () => below(random, 256)),
    );
  },
  nearlyGzip: (payload, random) =>
    Buffer.concat([Buffer.from([0x1f, 0x8b]), payload.subarray(0, below(random, payload.length))]),
  empty: () => Buffer.alloc(0),
};

/** These cost a hundred times what the others do: now and then is enough. */
const DEAR = ["bomb", "manyLines", "deep", "deepInside"];
const DEAR_PART = 0.002;
const NAMES = Object.keys(MUTATIONS).filter((name) => !DEAR.includes(name));

/** One of them, by chance. */
export function mutate(payload: Buffer, random: () => number): Buffer {
  const names = random() < DEAR_PART ? DEAR : NAMES;
  return MUTATIONS[names[below(random, names.length)] ?? "empty"]?.(payload, random) ?? payload;
}
