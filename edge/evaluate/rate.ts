/** How often, of how many, and between which bounds the true rate lies with 95 % confidence. */
export interface Rate {
  readonly count: number;
  readonly of: number;
  /** count / of; NaN of nothing. */
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

/** The normal distribution's 97.5 % quantile: 95 % lie within it on both sides. */
const Z = 1.959964;

/**
 * The score interval of E. B. Wilson, Journal of the American Statistical Association 22 (1927):
 * unlike the textbook one it stays within 0..1 and says something when the count is 0.
 */
export function rateOf(count: number, of: number): Rate {
  if (of === 0) return { count, of, rate: Number.NaN, low: 0, high: 1 };
  const rate = count / of;
  const square = Z * Z;
  const centre = (rate + square / (2 * of)) / (1 + square / of);
  const spread =
    (Z / (1 + square / of)) * Math.sqrt((rate * (1 - rate)) / of + square / (4 * of * of));
  return {
    count,
    of,
    rate,
    low: count === 0 ? 0 : centre - spread,
    high: count === of ? 1 : centre + spread,
  };
}

/** "99.05 % (98.52–99.39; 1981 of 2000)" */
export function rateInWords({ count, of, rate, low, high }: Rate): string {
  if (of === 0) return "nothing to measure";
  const percent = (value: number): string => (value * 100).toFixed(2);
  return `${percent(rate)} % (${percent(low)}–${percent(high)}; ${count} of ${of})`;
}
