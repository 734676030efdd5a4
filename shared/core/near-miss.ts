/** A typo is at most this far from the word that was meant. */
const DISTANCE_MAX = 2;

/** The known word closest to what was typed, or null when none is close. */
export function nearMiss(typed: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = DISTANCE_MAX + 1;
  for (const word of known) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance < bestDistance && distance < word.length) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** ", did you mean …?" or nothing. */
export function didYouMean(typed: string, known: Iterable<string>): string {
  const word = nearMiss(typed, known);
  return word === null ? "" : `, did you mean ${word}?`;
}

/** Optimal string alignment distance: insert, delete, replace, swap neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replace, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
