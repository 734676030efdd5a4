/** Names of WAL segments: timeline, and where in the log, of 16 MiB each. */

const SEGMENT = /^[0-9A-F]{24}$/;
/** Segments of 16 MiB in 4 GiB. */
const IN_ONE = 256n;

export function isSegment(name: string): boolean {
  return SEGMENT.test(name);
}

/** Its place in the log, whatever the timeline. */
export function placeOf(segment: string): bigint {
  const [log, part] = [segment.slice(8, 16), segment.slice(16)];
  return BigInt(`0x${log}`) * IN_ONE + BigInt(`0x${part}`);
}

/** The first place from `first` on that nothing is kept of; null where `kept`, from there, has no hole. */
export function holeIn(first: string, kept: readonly string[]): bigint | null {
  const places = new Set(kept.filter(isSegment).map(placeOf));
  for (let at = placeOf(first), left = places.size; left > 0; at++, left--) {
    if (!places.has(at)) return at;
  }
  return null;
}
