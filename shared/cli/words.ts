/** ECMA-262, 21.4.1.1: no date is further from the epoch, ms; less a day for the time zone. */
const DATE_MAX_MS = 8.64e15 - 86_400_000;

/** "2026-11-23 08:17:41", in the device's time zone; what is no date is the number that it is. */
export function dateOf(ms: number): string {
  if (!(Math.abs(ms) <= DATE_MAX_MS)) return `${ms} ms`;
  const date = new Date(ms);
  const local = new Date(ms - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace("T", " ");
}

export function similarity(score: number | null): string {
  return score === null ? "-" : score.toFixed(4);
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

export function duration(ms: number | null): string {
  return ms === null ? "-" : `${(ms / 1000).toFixed(1)} s`;
}
