import * as assert from "uvu/assert";
import {
  type ChainFault,
  canonicalJson,
  chainHash,
  type Link,
  verifyChain,
  verifyPages,
} from "../../../shared/log/chain.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { suite } from "../../support/suite.ts";

const faults = suite("verifyChain names the first bad entry and what is wrong with it");

interface Fact {
  readonly type: string;
  readonly data: string;
}

const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";
const TICK: Fact = { type: "telemetry.sampled", data: "{}" };

function bodyOf(seq: number, { type, data }: Fact): string {
  return (
    `{"actor":"device","at":1,"clock":"synced","data":${data},"log":"${LOG}","monotonicMs":1,` +
    `"sealed":null,"seq":${seq},"subject":null,"type":"${type}"}`
  );
}

/** A sound chain of these facts. */
function chain(facts: readonly Fact[], previous = GENESIS_HASH, first = 1): Link[] {
  let hash = previous;
  return facts.map((fact, i) => {
    const body = bodyOf(first + i, fact);
    hash = chainHash(hash, body);
    return { seq: first + i, hash, body };
  });
}

function at(links: readonly Link[], seq: number): Link {
  const link = links[seq - 1];
  if (link === undefined) throw new Error(`no entry ${seq}`);
  return link;
}

function headOf(links: readonly Link[], from = "the head") {
  const { seq, hash } = at(links, links.length);
  return { log: LOG, seq, hash, from };
}

function faultOf(links: readonly Link[], sound: readonly Link[]): ChainFault | null {
  return verifyChain(LOG, links, [headOf(sound)]).fault;
}

/** The links with one of them replaced. */
function replaced(links: readonly Link[], seq: number, change: Partial<Link>): Link[] {
  return links.map((link) => (link.seq === seq ? { ...link, ...change } : link));
}

const sound = chain(Array.from({ length: 9 }, () => TICK));

faults("a sound log has none, and its head and length are reported", () => {
  const report = verifyChain(LOG, sound, [headOf(sound)]);
  assert.is(report.fault, null);
  assert.is(report.entries, 9);
  assert.equal(report.head, { seq: 9, hash: at(sound, 9).hash });
  assert.is(verifyChain(LOG, [], []).head.hash, GENESIS_HASH);
});

faults("a changed body", () => {
  const body = bodyOf(4, { ...TICK, data: '{"x":1}' });
  const fault = faultOf(replaced(sound, 4, { body }), sound);
  assert.equal([fault?.seq, fault?.kind], [4, "changed"]);
  assert.match(fault?.detail ?? "", /its bytes hash to [0-9a-f]{12}…/);
});

faults("a body that is the same value in other bytes", () => {
  const body = at(sound, 4).body?.replace('"data"', ' "data"') ?? "";
  const fault = faultOf(replaced(sound, 4, { body }), sound);
  assert.equal([fault?.seq, fault?.kind], [4, "changed"]);
  assert.match(fault?.detail ?? "", /as an entry: /);
});

faults("a changed hash", () => {
  const hash = at(sound, 4).hash.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  assert.equal(faultOf(replaced(sound, 4, { hash }), sound)?.seq, 4);
  assert.is(faultOf(replaced(sound, 4, { hash }), sound)?.kind, "changed");
});

faults("a body that is no entry at all", () => {
  const fault = faultOf(replaced(sound, 4, { body: "[]" }), sound);
  assert.equal([fault?.seq, fault?.kind], [4, "changed"]);
});

faults("a consistent hash over a body that claims another seq", () => {
  const body = bodyOf(5, TICK);
  const forged: Link = { seq: 4, hash: chainHash(at(sound, 3).hash, body), body };
  const links = [...sound.slice(0, 3), forged];
  assert.is(verifyChain(LOG, links, []).fault?.seq, 4);
});

faults("an entry missing in the middle, its place empty or closed up", () => {
  const gone = sound.filter(({ seq }) => seq !== 5);
  const closedUp = gone.map((link, i) => ({ ...link, seq: i + 1 }));
  for (const links of [gone, closedUp]) {
    const fault = faultOf(links, sound);
    assert.equal([fault?.seq, fault?.kind], [5, "missing"]);
  }
});

faults("a missing tail, by a witness of the head", () => {
  const fault = faultOf(sound.slice(0, 6), sound);
  assert.equal([fault?.seq, fault?.kind], [7, "missing"]);
  assert.is(fault?.detail, "the head has 9 entries, the log ends at 6");
  assert.equal(faultOf([], sound)?.seq, 1);
});

faults("two entries that changed places, neighbours or far apart", () => {
  for (const [one, other] of [
    [3, 4],
    [2, 8],
  ] as const) {
    const links = sound.map((link): Link => {
      if (link.seq === one) return { ...at(sound, other), seq: one };
      if (link.seq === other) return { ...at(sound, one), seq: other };
      return link;
    });
    const fault = faultOf(links, sound);
    assert.equal([fault?.seq, fault?.kind], [one, "reordered"], `${one} and ${other}`);
    assert.is(fault?.detail, `entry ${other} stands in its place`);
  }
});

faults("a forged head: the whole tail rewritten, consistently, against a witness", () => {
  const start = sound.slice(0, 5);
  const tail = chain(
    Array.from({ length: 4 }, () => ({ type: "person.enrolled", data: "{}" })),
    at(start, 5).hash,
    6,
  );
  const forged = [...start, ...tail];
  assert.is(verifyChain(LOG, forged, [headOf(forged)]).fault, null, "alone it cannot be told");
  const report = verifyChain(LOG, forged, [
    headOf(forged),
    { ...at(sound, 7), log: LOG, from: "the vault" },
  ]);
  assert.equal([report.fault?.seq, report.fault?.kind], [7, "forged-head"]);
  assert.is(report.fault?.detail, "the vault has another hash for this entry");
});

faults("two witnesses of one place that disagree: the log cannot satisfy both", () => {
  const other = { log: LOG, seq: 7, hash: "a".repeat(64), from: "central" };
  for (const witnesses of [
    [{ ...at(sound, 7), log: LOG, from: "the vault" }, other],
    [other, { ...at(sound, 7), log: LOG, from: "the vault" }],
  ]) {
    const { fault } = verifyChain(LOG, sound, witnesses);
    assert.equal([fault?.seq, fault?.kind], [7, "forged-head"]);
    assert.match(fault?.detail ?? "", /central/);
  }
});

faults("a witness of another log says nothing about this one", () => {
  const other = { ...headOf(sound), log: LOG.replace("2", "3"), hash: "a".repeat(64), seq: 99 };
  assert.is(verifyChain(LOG, sound, [other]).fault, null);
});

faults("an emptied entry that nobody says was shed", () => {
  const fault = faultOf(replaced(sound, 4, { body: null }), sound);
  assert.equal([fault?.seq, fault?.kind], [4, "emptied"]);
});

const shedding = (from: number, to: number, more: object = {}): Fact => ({
  type: "buffer.shed",
  data: canonicalJson({ count: to - from + 1, from, to, ...more }),
});

faults("an emptied entry is fine when a later buffer.shed names it, and is counted", () => {
  const links = chain([...Array.from({ length: 6 }, () => TICK), shedding(2, 4)]);
  const emptied = links.map((link) =>
    link.seq >= 2 && link.seq <= 4 ? { ...link, body: null } : link,
  );
  const report = verifyChain(LOG, emptied, [headOf(links)]);
  assert.is(report.fault, null);
  assert.is(report.emptied, 3);
  const toomany = emptied.map((link) => (link.seq === 5 ? { ...link, body: null } : link));
  assert.equal(verifyChain(LOG, toomany, []).fault?.seq, 5);
});

faults("a buffer.shed with runs explains those alone, and not what was kept between them", () => {
  const runs = {
    count: 3,
    ranges: [
      [2, 3],
      [5, 5],
    ],
  };
  const links = chain([...Array.from({ length: 6 }, () => TICK), shedding(2, 5, runs)]);
  const without = (...seqs: number[]): Link[] =>
    links.map((link) => (seqs.includes(link.seq) ? { ...link, body: null } : link));
  assert.is(verifyChain(LOG, without(2, 3, 5), [headOf(links)]).fault, null);
  assert.is(verifyChain(LOG, without(2), []).fault, null, "elsewhere they may still be there");
  const { fault } = verifyChain(LOG, without(2, 3, 4, 5), []);
  assert.equal([fault?.seq, fault?.kind], [4, "emptied"]);
});

faults("a buffer.shed whose figures do not agree explains nothing", () => {
  const wrong = [
    { count: 2 },
    { count: 4 },
    {
      count: 2,
      ranges: [
        [2, 2],
        [4, 4],
        [6, 6],
      ],
    },
    {
      count: 3,
      ranges: [
        [3, 4],
        [2, 2],
      ],
    },
    {
      count: 4,
      ranges: [
        [2, 3],
        [3, 4],
      ],
    },
    { ranges: [[2, 4.5]] },
    { ranges: [] },
    {
      ranges: [
        [2, 3],
        [4, 9],
      ],
      count: 8,
    },
    { count: "3" },
    { to: 7, count: 6 },
  ];
  for (const more of wrong) {
    const links = chain([...Array.from({ length: 6 }, () => TICK), shedding(2, 4, more)]);
    const { fault } = verifyChain(LOG, replaced(links, 3, { body: null }), []);
    assert.equal([fault?.seq, fault?.kind], [3, "emptied"], JSON.stringify(more));
  }
});

faults("an emptied entry is not excused by an earlier buffer.shed", () => {
  const links = chain([TICK, shedding(1, 9), TICK, TICK]);
  const { fault } = verifyChain(LOG, replaced(links, 3, { body: null }), [headOf(links)]);
  assert.equal([fault?.seq, fault?.kind], [3, "emptied"]);
});

faults("a changed hash of an emptied entry shows in the next one", () => {
  const links = chain([...Array.from({ length: 6 }, () => TICK), shedding(3, 3)]);
  const forged = replaced(links, 3, { body: null, hash: "f".repeat(64) });
  assert.equal(verifyChain(LOG, forged, [headOf(links)]).fault?.seq, 4);
});

faults("page by page as in one go, wherever the pages end", async () => {
  const cases = [sound, sound.slice(0, 3), [], replaced(sound, 4, { body: null })];
  cases.push([...sound.slice(0, 2), ...sound.slice(3)], [at(sound, 2), at(sound, 1)]);
  for (const links of cases) {
    for (const size of [1, 2, 100]) {
      async function* pages(): AsyncGenerator<readonly Link[]> {
        for (let i = 0; i < links.length; i += size) yield links.slice(i, i + size);
      }
      const witnesses = [headOf(sound)];
      assert.equal(await verifyPages(LOG, pages(), witnesses), verifyChain(LOG, links, witnesses));
    }
  }
});

faults.run();
