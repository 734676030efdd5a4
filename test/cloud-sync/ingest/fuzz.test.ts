import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import { z } from "zod";
import { createIngest, type Ingest } from "../../../cloud-sync/ingest/ingest.ts";
import { tryDecodeBatch } from "../../../cloud-sync/ingest/undecodable.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { canonicalJson, isCanonical } from "../../../shared/log/chain.ts";
import { startOf } from "../../../shared/log/cursor.ts";
import { entrySchema } from "../../../shared/log/entry.ts";
import { encodeBatch, PAYLOAD_BYTES_MAX } from "../../../shared/protocol/batch.ts";
import { Central, Device, lines } from "../../support/central.ts";
import { startFast } from "../../support/engines.ts";
import { seeded, seededId } from "../../support/facts.ts";
import { mutate, unpacked } from "../../support/mutate.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { referenceBatch } from "../../support/reference-batch.ts";
import { suite } from "../../support/suite.ts";

const fuzzing = suite("what nobody should send, into ingest");
const central = new Central(startFast);
const NEVER = new AbortController().signal;
const SEED = Number(process.env["PORCHLIGHT_TEST_SEED"] ?? 1);
/** Read beside a second, slow reader; */
const READ = 100_000;
/** and given to ingest over PostgreSQL: each dead letter is two statements of a millisecond. */
const PAYLOADS = 30_000;
/** Fewer messages of one device than its quota holds: whatever is refused must lie there. */
const PER_DEVICE = 500;
const ENTRIES = 24;
const BATCH = 4;
/** Of what is sent, the part that nobody has touched. */
const WHOLE_PART = 0.02;
/** Messages taken before the next commit. */
const AT_ONCE = 100;

/** Why a batch that can be read is refused: it is another log's, or its header is another batch's. */
const NOT_ITS_PLACE = /another device|does not open a log|does not follow what is here/;

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

function startIngest(): Ingest {
  return createIngest({
    log: central.log,
    answer: () => undefined,
    clock: { monotonicMs: () => Date.now() },
    random: Math.random,
    logger: silentLogger,
  });
}

async function drain(ingest: Ingest): Promise<void> {
  const work = async (): Promise<void> => {
    while (await ingest.commit());
  };
  await Promise.all([work(), work()]);
}

/** A device's batches as they may be sent: packed, or plain. */
function batchesOf({ log, links }: Device, random: () => number): Buffer[] {
  const starts = Array.from({ length: ENTRIES / BATCH }, (_, i) => i * BATCH);
  return starts.map((start) => {
    const before = links[start - 1];
    const previous = before === undefined ? startOf(log) : { log, ...before };
    const { payload } = encodeBatch(previous, links.slice(start, start + BATCH));
    return random() < 0.3 ? unpacked(payload) : payload;
  });
}

const letterRows = z.array(z.object({ payload: z.instanceof(Buffer), reason: z.string() }));

/** What was sent and is no batch is a dead letter; and no batch is one. */
async function deadLettersAre(device: string, sent: ReadonlyMap<string, boolean>): Promise<number> {
  const rows = await central.database.query(
    "SELECT payload, reason FROM dead_letters WHERE device = $1 AND seq IS NULL",
    [device],
  );
  const kept = new Set<string>();
  for (const { payload, reason } of letterRows.parse(rows)) {
    kept.add(digest(payload));
    const readable = sent.get(digest(payload));
    assert.ok(readable !== undefined, "only what was sent");
    // A batch that may be read, but not be taken in: another's log, or no opening.
    if (readable) assert.match(reason, NOT_ITS_PLACE);
  }
  for (const [id, readable] of sent)
    assert.ok(readable || kept.has(id), "a dead letter is missing");
  return rows.length;
}

const bodyRows = z.array(z.object({ log: z.string(), seq: z.bigint(), body: z.string() }));

/** Every body that is stored: read by the slow rules, not by those that let it in. */
async function bodiesAreEntries(): Promise<number> {
  const rows = await central.database.query(
    "SELECT log, seq, body FROM event_log WHERE body IS NOT NULL",
  );
  for (const { log, seq, body } of bodyRows.parse(rows)) {
    const entry = entrySchema.parse(JSON.parse(body));
    assert.ok(isCanonical(body) && canonicalJson(entry) === body, "canonical");
    assert.equal([entry.log, BigInt(entry.seq)], [log, seq]);
  }
  return rows.length;
}

async function logsHold(): Promise<void> {
  for (const { log, frozenAt } of await central.log.logs()) {
    assert.is((await central.log.verify(log, [])).fault, null, log);
    assert.is(frozenAt, null, `${log} is frozen`);
  }
}

fuzzing("of 100,000 damaged messages, those are batches that a second reader takes for one", () => {
  const random = seeded(SEED);
  let batches = 0;
  for (let read = 0; read < READ; ) {
    const own = batchesOf(new Device(ENTRIES, () => seededId(random)), random);
    for (let of = 0; of < PER_DEVICE; of++, read++) {
      const source = own[Math.floor(random() * own.length)] ?? Buffer.alloc(0);
      const payload = random() < WHOLE_PART ? source : mutate(source, random);
      const expected = referenceBatch(payload);
      const { batch } = tryDecodeBatch(payload);
      const hashes = batch?.entries.map(({ hash }) => hash.toString("hex"));
      assert.equal(hashes, expected?.hashes, `seed ${SEED}, message ${read}`);
      if (batch === null) continue;
      assert.equal([batch.log, batch.entries[0]?.seq], [expected?.log, expected?.seq]);
      batches++;
    }
  }
  assert.ok(batches > READ * WHOLE_PART && batches < READ / 2);
});

if (needsPostgres()) {
  fuzzing.after(() => central.stop());

  fuzzing(
    "30,000 damaged messages: what is no batch is kept aside, the rest is whole",
    async () => {
      const random = seeded(SEED);
      const newId = () => seededId(random);
      await central.begin();
      const ingest = startIngest();
      let letters = 0;
      for (let sentAll = 0; sentAll < PAYLOADS; ) {
        const [door, neighbour] = [new Device(ENTRIES, newId), new Device(ENTRIES, newId)];
        const own = batchesOf(door, random);
        const others = batchesOf(neighbour, random);
        const sent = new Map<string, boolean>();
        for (let of = 0; of < PER_DEVICE; of++, sentAll++) {
          const batch = own[Math.floor(random() * own.length)] ?? own[0];
          const other = others[Math.floor(random() * others.length)];
          const source = random() < 0.05 ? other : batch;
          if (source === undefined) continue;
          const payload = random() < WHOLE_PART ? source : mutate(source, random);
          sent.set(
            digest(payload.subarray(0, PAYLOAD_BYTES_MAX)),
            referenceBatch(payload) !== null,
          );
          await ingest.take(door.device, payload, NEVER);
          if (of % AT_ONCE === 0) await drain(ingest);
        }
        for (const payload of own) await ingest.take(door.device, payload, NEVER);
        await drain(ingest);
        letters += await deadLettersAre(door.device, sent);
        assert.equal(
          await lines(central.log, door.log),
          door.links.map(({ body }) => body),
        );
      }
      await logsHold();
      const entries = await bodiesAreEntries();
      assert.is(entries, (PAYLOADS / PER_DEVICE) * ENTRIES, "and no entry more than was made");
      assert.is(letters, ingest.stats().invalid, "nothing refused was dropped");
      assert.ok(letters > PAYLOADS / 2);
      await central.end();
    },
  );
}

fuzzing.run();
