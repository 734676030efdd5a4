import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { ScoredPair } from "./verification.ts";

/** Two photos, as paths relative to the folder of people. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly same: boolean;
}

/** A million pairs of 40 bytes; the largest public test has a few hundred thousand. */
const PAIRS_MAX = 1_000_000;
/** Enough for FAR 0.1 % on five pairs; more only when there are more of the same person. */
const DIFFERENT_MIN = 5_000;
const SAME_MAX = 50_000;

/** Reads `a,b,same` lines; `same` is 1 or 0. A header is passed over. */
export function parsePairs(text: string): Pair[] {
  const pairs: Pair[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || (i === 0 && line === "a,b,same")) continue;
    const [a = "", b = "", same = "", more] = cellsOf(line);
    if (a === "" || b === "" || !/^[01]$/.test(same) || more !== undefined) {
      throw new PorchlightError("evaluate.pairs", `line ${i + 1} of the pairs is not a,b,same`, {
        exitCode: EXIT.usage,
        hint: "a line is person/1.jpg,person/2.jpg,1 (or 0); see: porchlight evaluate --help",
      });
    }
    if (pairs.length === PAIRS_MAX) {
      throw new PorchlightError("evaluate.pairs", `there are more than ${PAIRS_MAX} pairs`, {
        exitCode: EXIT.usage,
        hint: `take the first of them: head -n ${PAIRS_MAX} FILE`,
      });
    }
    pairs.push({ a, b, same: same === "1" });
  }
  return pairs;
}

/** Each pair with its score, nothing where a photo had no face: `a,b,same,score`. */
export function scoresCsv(pairs: readonly (Pair & ScoredPair)[]): string {
  const lines = pairs.map(({ a, b, same, score }) =>
    [cell(a), cell(b), same ? "1" : "0", score === null ? "" : score.toFixed(4)].join(","),
  );
  return `${["a,b,same,score", ...lines].join("\n")}\n`;
}

/**
 * All pairs of one person, and as many of two people (at least 5,000 where there are so many),
 * drawn with this seed. The same photos and seed give the same pairs.
 */
export function drawPairs(
  people: readonly { readonly person: string; readonly photos: readonly string[] }[],
  seed: number,
): Pair[] {
  const random = mulberry32(seed);
  const same = people.flatMap(({ photos }) =>
    photos.flatMap((a, i) => photos.slice(i + 1).map((b) => ({ a, b, same: true }))),
  );
  const kept = same.length <= SAME_MAX ? same : drawSome(same, SAME_MAX, random);
  return [...kept, ...drawDifferent(people, Math.max(kept.length, DIFFERENT_MIN), random)];
}

function drawDifferent(
  people: readonly { readonly person: string; readonly photos: readonly string[] }[],
  wanted: number,
  random: () => number,
): Pair[] {
  const photos = people.flatMap(({ person, photos: own }) =>
    own.map((photo) => ({ person, photo })),
  );
  const ownPairs = people.reduce((sum, each) => sum + pairsOf(each.photos.length), 0);
  const possible = pairsOf(photos.length) - ownPairs;
  // Few are listed and drawn from; of many, some are drawn until they differ.
  if (possible <= 4 * wanted) {
    const all = photos.flatMap((a, i) =>
      photos
        .slice(i + 1)
        .filter(({ person }) => person !== a.person)
        .map((b) => ({ a: a.photo, b: b.photo, same: false })),
    );
    return drawSome(all, wanted, random);
  }
  const drawn = new Map<number, Pair>();
  while (drawn.size < wanted) {
    const i = Math.floor(random() * photos.length);
    const j = Math.floor(random() * photos.length);
    const [a, b] = [photos[Math.min(i, j)], photos[Math.max(i, j)]];
    if (a === undefined || b === undefined || a.person === b.person) continue;
    const key = Math.min(i, j) * photos.length + Math.max(i, j);
    drawn.set(key, { a: a.photo, b: b.photo, same: false });
  }
  return [...drawn.values()];
}

function pairsOf(count: number): number {
  return (count * (count - 1)) / 2;
}

/** The first steps of a Fisher-Yates shuffle. */
function drawSome<T>(all: readonly T[], count: number, random: () => number): T[] {
  const rest = [...all];
  const wanted = Math.min(count, rest.length);
  for (let i = 0; i < wanted; i++) {
    const other = i + Math.floor(random() * (rest.length - i));
    const [a, b] = [rest[i], rest[other]];
    if (a === undefined || b === undefined) break;
    rest[i] = b;
    rest[other] = a;
  }
  return rest.slice(0, wanted);
}

/** T. Ettinger's mulberry32: 32 bits of state are plenty to draw photos. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Cells of a CSV line (RFC 4180); a file name may hold a comma or a quote. */
function cellsOf(line: string): string[] {
  const cells: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(quoted === undefined ? (plain ?? "").trim() : quoted.replaceAll('""', '"'));
  }
  return cells;
}

function cell(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
