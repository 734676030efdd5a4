import type { CurvePoint } from "./verification.ts";

export interface PlotOptions {
  readonly title: string;
  /** A threshold to mark on the curve. */
  readonly threshold: number;
}

const WIDTH = 640;
const HEIGHT = 480;
const MARGIN = { left: 70, right: 20, top: 40, bottom: 60 };
/** Both axes reach from here to 1. */
const FAR_MIN = 1e-4;
const MISS_MIN = 1e-3;

/**
 * The detection error trade-off (A. Martin et al., Eurospeech 1997) as SVG: false accepts to the
 * right and misses upwards, both logarithmic; lower left is better.
 */
export function detSvg(points: readonly CurvePoint[], { title, threshold }: PlotOptions): string {
  const line = points
    .filter(({ far }) => far > 0)
    .map(({ far, tar }) => `${x(far).toFixed(1)},${y(1 - tar).toFixed(1)}`);
  const marked = points.findLast((point) => point.threshold >= threshold);
  const dot =
    marked === undefined
      ? ""
      : `<circle cx="${x(marked.far).toFixed(1)}" cy="${y(1 - marked.tar).toFixed(1)}" r="4"/>` +
        `<text x="${(x(marked.far) + 8).toFixed(1)}" y="${(y(1 - marked.tar) - 8).toFixed(1)}">` +
        `match ${threshold}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"`,
    ` font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${MARGIN.left}" y="24" font-size="14">${escapeXml(title)}</text>`,
    ...decades(FAR_MIN).map((far) => vertical(far)),
    ...decades(MISS_MIN).map((miss) => horizontal(miss)),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 16}" text-anchor="middle">false accept rate</text>`,
    `<text transform="translate(18 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">`,
    `miss rate</text>`,
    `<polyline points="${line.join(" ")}" fill="none" stroke="#0a58ca" stroke-width="2"/>`,
    `<g fill="#b02a37">${dot}</g>`,
    `</svg>\n`,
  ].join("\n");
}

/** Column of a false accept rate, px. */
function x(far: number): number {
  const part = 1 - Math.log10(Math.max(far, FAR_MIN)) / Math.log10(FAR_MIN);
  return MARGIN.left + part * (WIDTH - MARGIN.left - MARGIN.right);
}

/** Row of a miss rate, px. */
function y(miss: number): number {
  const part = Math.log10(Math.max(miss, MISS_MIN)) / Math.log10(MISS_MIN);
  return MARGIN.top + part * (HEIGHT - MARGIN.top - MARGIN.bottom);
}

function decades(smallest: number): number[] {
  const count = Math.round(-Math.log10(smallest));
  return Array.from({ length: count + 1 }, (_, i) => 10 ** -i);
}

function vertical(far: number): string {
  const at = x(far).toFixed(1);
  const foot = HEIGHT - MARGIN.bottom;
  return (
    `<path d="M${at} ${MARGIN.top}V${foot}" stroke="#ddd"/>` +
    `<text x="${at}" y="${foot + 18}" text-anchor="middle">${percent(far)}</text>`
  );
}

function horizontal(miss: number): string {
  const at = y(miss).toFixed(1);
  return (
    `<path d="M${MARGIN.left} ${at}H${WIDTH - MARGIN.right}" stroke="#ddd"/>` +
    `<text x="${MARGIN.left - 6}" y="${at}" dy="4" text-anchor="end">${percent(miss)}</text>`
  );
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(1))} %`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
