/**
 * Points as line protocol:
 *
 *     measurement,tag=value,tag=value field=1.5,field=2 1790000000000000042
 *
 * A comma, a space and (but for measurements) an equals sign in a name are escaped by a backslash.
 * There is no way to say a line break, and none to say a backslash that would not mean something
 * elsewhere: such a point is refused.
 */
import type { Point } from "../metrics/points.ts";

/** Two entries of one millisecond are two points: the last six digits tell them apart. */
const NS_PER_MS = 1_000_000n;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const UNSAYABLE = /[\u0000-\u001f\u007f\\]/;

/** Null when a name in it cannot be encoded. */
export function lineOf({ measurement, device, tags, fields, at, seq }: Point): string | null {
  const labels = Object.entries({ device, ...tags }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = [...labels.flat(), ...Object.keys(fields)];
  if (names.some((name) => name === "" || UNSAYABLE.test(name))) return null;
  const series = [
    measurement,
    ...labels.map(([key, value]) => `${escaped(key)}=${escaped(value)}`),
  ];
  const values = Object.entries(fields).map(([field, value]) => `${escaped(field)}=${value}`);
  const time = BigInt(at) * NS_PER_MS + (BigInt(seq) % NS_PER_MS);
  return `${series.join(",")} ${values.join(",")} ${time}`;
}

function escaped(name: string): string {
  return name.replace(/[,= ]/g, "\\$&");
}
