import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { type Link, lineOf } from "../../../shared/log/chain.ts";
import { startOf } from "../../../shared/log/cursor.ts";
import {
  BATCH_ENTRIES_MAX,
  type Batch,
  compressBatch,
  decodeBatch,
  encodeBatch,
  PAYLOAD_BYTES_MAX,
  PLAIN_BYTES_MAX,
} from "../../../shared/protocol/batch.ts";
import { seeded } from "../../support/facts.ts";
import { logOf, visitLike } from "../../support/links.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const batches = suite("a batch");

const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const MUTATIONS = 5_000;

function links(count: number): Link[] {
  return logOf(
    LOG,
    Array.from({ length: count }, (_, i) => visitLike(i)),
  );
}

function shed(link: Link | undefined): Link {
  if (link === undefined) throw new Error("there is such an entry");
  return { ...link, body: null };
}

/** What was decoded, as the links that were encoded. */
function linksOf({ entries }: Batch): Link[] {
  return entries.map(({ seq, hash, body }) => ({
    seq,
    hash: hash.toString("hex"),
    body: body?.toString("utf8") ?? null,
  }));
}

/** A batch of these lines, whatever is in them. */
function plainBatch(header: object, lines: readonly string[]): Buffer {
  return Buffer.from(`${[JSON.stringify(header), ...lines].join("\n")}\n`);
}

function headerOf(all: readonly Link[], more: object = {}): object {
  return { log: LOG, seq: 1, previous: "0".repeat(64), head: all.at(-1)?.hash, ...more };
}

batches("comes out as it went in, byte for byte, also from the middle of a log", () => {
  const all = links(50);
  for (const first of [0, 20]) {
    const before = all[first - 1];
    const previous = before === undefined ? startOf(LOG) : { log: LOG, ...before };
    const { payload, last } = encodeBatch(previous, all.slice(first));
    const packed = compressBatch(payload);
    assert.is(packed.readUInt16BE(0), 0x1f8b);
    const batch = decodeBatch(packed);
    assert.equal(decodeBatch(payload), batch, "compressed or not");
    assert.is(batch.nonce, null);
    assert.equal(linksOf(batch), all.slice(first));
    assert.is(batch.log, LOG);
    assert.is(batch.previous.toString("hex"), previous.hash);
    assert.equal(last, { log: LOG, seq: 50, hash: all[49]?.hash });
    assert.is(batch.entries[0]?.columns?.type, "visit.ended");
  }
});

batches("is plain when gzip does not pay", () => {
  const short = logOf(LOG, [{ ...visitLike(0), data: {}, subject: null }]);
  assert.is(compressBatch(encodeBatch(startOf(LOG), short).payload)[0], 0x7b);
  const sealed = { media: randomBytes(2_000).toString("base64") };
  const { payload } = encodeBatch(startOf(LOG), logOf(LOG, [{ ...visitLike(0), sealed }]));
  assert.is(compressBatch(payload).readUInt16BE(0), 0x1f8b, "base64 packs to three quarters");
});

batches("carries the nonce of its session, and one that is none makes it no batch", () => {
  const nonce = "AAECAwQFBgcICQoLDA0ODw";
  const { payload } = encodeBatch(startOf(LOG), links(3), { nonce });
  assert.is(decodeBatch(payload).nonce, nonce);
  for (const wrong of ["", "short", `${nonce}A`, "AAECAwQFBgcICQoLDA0OD=", 7, null]) {
    const text = payload.toString().replace(JSON.stringify(nonce), JSON.stringify(wrong));
    assert.throws(() => decodeBatch(Buffer.from(text)), /no header/);
  }
});

batches("carries emptied entries as their place, and the chain goes on behind them", () => {
  const all = links(10).map((link, i) => (i === 3 || i === 9 ? shed(link) : link));
  const batch = decodeBatch(encodeBatch(startOf(LOG), all).payload);
  assert.equal(linksOf(batch), all);
  assert.is(batch.entries[3]?.columns, null);
  assert.is(batch.entries[3]?.fault, null);
});

batches("holds 1,000 entries and no more", () => {
  const all = links(BATCH_ENTRIES_MAX + 1);
  const { payload, last } = encodeBatch(startOf(LOG), all);
  assert.is(last.seq, BATCH_ENTRIES_MAX);
  assert.is(decodeBatch(payload).entries.length, BATCH_ENTRIES_MAX);
  assert.throws(() => decodeBatch(plainBatch(headerOf(all), all.map(lineOf))), /too many entries/);
});

batches("ends before it is too large for a broker, and the largest entry fits", () => {
  const data = { noise: randomBytes(375_000).toString("base64") };
  const all = logOf(LOG, [visitLike(0), { ...visitLike(1), data }, { ...visitLike(2), data }]);
  const { payload, last } = encodeBatch(startOf(LOG), all);
  assert.is(last.seq, 2);
  assert.ok(payload.length < PAYLOAD_BYTES_MAX);
  assert.is(decodeBatch(payload).entries.length, 2);
});

batches("that unpacks to more than its limit is refused before it does", () => {
  const bomb = gzipSync(Buffer.alloc(200 * PLAIN_BYTES_MAX, 0x20), { level: 9 });
  assert.ok(bomb.length < PAYLOAD_BYTES_MAX);
  const before = process.memoryUsage().rss;
  assert.throws(() => decodeBatch(bomb), /larger than/);
  assert.ok(process.memoryUsage().rss - before < 8 * PLAIN_BYTES_MAX);
  assert.throws(() => decodeBatch(Buffer.alloc(PAYLOAD_BYTES_MAX + 1)), /too many/);
});

const ALL = links(3);
const LINES = ALL.map(lineOf);
const HEADER = headerOf(ALL);
const EMPTIED = `{"hash":"${ALL[1]?.hash}","seq":2}`;
const WRONG: readonly (readonly [string, Buffer, RegExp])[] = [
  ["nothing", Buffer.alloc(0), /no header/],
  ["no header", Buffer.from(`${LINES[0]}\n`), /no header/],
  ["a header alone", plainBatch(HEADER, []), /no entry/],
  ["one member more in the header", plainBatch({ ...HEADER, more: 1 }, LINES), /no header/],
  ["a log that is no UUID", plainBatch(headerOf(ALL, { log: "x" }), LINES), /no header/],
  ["seq 0", plainBatch(headerOf(ALL, { seq: 0 }), LINES), /no header/],
  ["no end of its last line", plainBatch(HEADER, LINES).subarray(0, -1), /no end/],
  ["a line missing", plainBatch(HEADER, LINES.slice(1)), /another hash/],
  ["lines in another order", plainBatch(HEADER, [...LINES].reverse()), /another hash/],
  [
    "another previous hash",
    plainBatch(headerOf(ALL, { previous: "1".repeat(64) }), LINES),
    /another hash/,
  ],
  [
    "another seq for an emptied entry",
    plainBatch(HEADER, [LINES[0] ?? "", EMPTIED.replace("2}", "3}")]),
    /neither/,
  ],
  [
    "an emptied entry of another form",
    plainBatch(HEADER, [EMPTIED.replace(',"seq"', ', "seq"')]),
    /neither/,
  ],
  ["half a gzip", gzipSync(plainBatch(HEADER, LINES)).subarray(0, -20), /unexpected end/],
];
for (const [what, payload, message] of WRONG) {
  batches(`with ${what} is refused`, async () => {
    const error = await rejects(() => decodeBatch(payload), "wire.invalid");
    assert.is(error.remedy, "reject");
    assert.match(error.message, message);
  });
}

batches(
  "with an entry that the device has hashed but that is none: the others are not held up",
  () => {
    const facts = [visitLike(0), '{"nonsense":true}', visitLike(2), visitLike(3)];
    const bad = logOf(LOG, facts);
    const { entries } = decodeBatch(encodeBatch(startOf(LOG), bad).payload);
    assert.equal(
      entries.map(({ fault }) => fault === null),
      [true, false, true, true],
    );
    assert.match(entries[1]?.fault ?? "", /actor/);
    assert.is(entries[1]?.body?.toString(), '{"nonsense":true}');
  },
);

batches("in which one entry is no UTF-8 keeps the others", () => {
  const [first] = links(1);
  const broken = Buffer.from(first?.body ?? "");
  broken[broken.indexOf("known")] = 0xff;
  const own = createHash("sha256").update(Buffer.alloc(32)).update(broken).digest("hex");
  const [next] = logOf(LOG, [visitLike(2)], { seq: 1, hash: own });
  const header = JSON.stringify({ ...headerOf([]), head: next?.hash });
  const lines = [Buffer.from(`${header}\n`), broken, Buffer.from(`\n${next?.body}\n`)];
  const { entries } = decodeBatch(Buffer.concat(lines));
  assert.match(entries[0]?.fault ?? "", /UTF-8/);
  assert.is(entries[1]?.fault, null);
});

/** Entries of `all` that a changed batch still gave as something else. */
function otherwise(all: readonly Link[], payload: Buffer): number[] {
  try {
    return linksOf(decodeBatch(payload))
      .filter((link) => link.body !== all[link.seq - 1]?.body)
      .map(({ seq }) => seq);
  } catch (error) {
    if (!(error instanceof PorchlightError)) throw error;
    assert.is(error.code, "wire.invalid");
    return [];
  }
}

batches(`changed anywhere is refused, or is what the device has hashed, seed ${SEED}`, () => {
  const random = seeded(SEED);
  // The hash of an emptied entry is believed: only what follows it is vouched for by the head.
  for (const emptied of [0, 3]) {
    const all = links(5).map((link) => (link.seq === emptied ? shed(link) : link));
    for (let i = 0; i < MUTATIONS; i++) {
      const plain = plainBatch(headerOf(all), all.map(lineOf));
      const payload = i % 2 === 0 ? plain : gzipSync(plain, { level: 1 });
      for (let times = 1 + Math.floor(random() * 3); times > 0; times--) {
        payload[Math.floor(random() * payload.length)] = Math.floor(random() * 256);
      }
      const cut = random() < 0.2 ? Math.floor(random() * payload.length) : payload.length;
      const changed = otherwise(all, payload.subarray(0, cut));
      const wrong = changed.filter((seq) => seq > emptied);
      assert.equal(wrong, [], payload.toString("base64"));
    }
  }
});

batches.run();
