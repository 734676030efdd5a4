import { invariant } from "../../shared/core/errors.ts";

/**
 * The assignment of rows to columns with the greatest sum of fits; each is used once at most.
 * `fits[row][column]` is 0 where the two do not fit: such a pair is never made, and a row may stay
 * without a column. Gives the column of each row, or -1.
 *
 * Hungarian method with potentials (H. W. Kuhn, Naval Research Logistics 2, 1955), in O(n³).
 */
export function assign(fits: readonly (readonly number[])[]): number[] {
  const columns = fits[0]?.length ?? 0;
  // Each row has one more column to itself, which fits it not at all: it stays without one.
  const rowOf = leastCost(fits.length, columns + fits.length, (row, column) => {
    const fit = fits[row]?.[column] ?? 0;
    invariant(Number.isFinite(fit) && fit >= 0, "a fit is a number from 0 on");
    return -fit;
  });
  const columnOf = new Array<number>(fits.length).fill(-1);
  for (let column = 0; column < columns; column++) {
    const row = rowOf[column] ?? -1;
    if ((fits[row]?.[column] ?? 0) > 0) columnOf[row] = column;
  }
  return columnOf;
}

/** The row of each column, or -1, where all rows together cost least. Not more rows than columns. */
function leastCost(
  rows: number,
  columns: number,
  cost: (row: number, column: number) => number,
): number[] {
  // One place more than there are columns: the column that the row to be placed starts from.
  const start = columns;
  const rowPotential = new Float64Array(rows);
  const columnPotential = new Float64Array(columns + 1);
  const rowOf = new Array<number>(columns + 1).fill(-1);
  for (let row = 0; row < rows; row++) {
    rowOf[start] = row;
    const slack = new Float64Array(columns).fill(Number.POSITIVE_INFINITY);
    const from = new Int32Array(columns).fill(start);
    const reached = new Uint8Array(columns + 1);
    let column = start;
    while ((rowOf[column] ?? -1) >= 0) {
      reached[column] = 1;
      const owner = rowOf[column] ?? -1;
      let nearest = -1;
      for (let j = 0; j < columns; j++) {
        if (reached[j] === 1) continue;
        const reduced = cost(owner, j) - (rowPotential[owner] ?? 0) - (columnPotential[j] ?? 0);
        if (reduced < (slack[j] ?? 0)) {
          slack[j] = reduced;
          from[j] = column;
        }
        if (nearest < 0 || (slack[j] ?? 0) < (slack[nearest] ?? 0)) nearest = j;
      }
      const step = slack[nearest] ?? 0;
      for (let j = 0; j <= columns; j++) {
        if (reached[j] === 0) {
          if (j < columns) slack[j] = (slack[j] ?? 0) - step;
          continue;
        }
        const placed = rowOf[j] ?? -1;
        rowPotential[placed] = (rowPotential[placed] ?? 0) + step;
        columnPotential[j] = (columnPotential[j] ?? 0) - step;
      }
      column = nearest;
    }
    // The rows along the way each move on to the column that was found for them.
    while (column !== start) {
      const before = from[column] ?? start;
      rowOf[column] = rowOf[before] ?? -1;
      column = before;
    }
    rowOf[start] = -1;
  }
  return rowOf;
}
