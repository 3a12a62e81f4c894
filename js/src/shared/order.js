/** Orders of a hundred thousand numbers within a frame or two: no comparing one by one. */

const SPAN = 2 ** 21;
const INFINITE = 0x7f800000;

/**
 * Rows by a column of numbers >= 0; equal ones by row, what is not a number as 0.
 * @param {Float32Array | Uint32Array} values at most 2^21
 * @param {boolean} down largest first
 */
export function orderOf(values, down) {
  // The bits of floats >= 0 are ordered as the floats are. With the row below them they make one number that is exact.
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const keys = new Float64Array(bits.length);
  for (let row = 0; row < keys.length; row++) {
    const size = bits[row] > INFINITE ? 0 : bits[row];
    keys[row] = (down ? INFINITE - size : size) * SPAN + row;
  }
  keys.sort();
  const order = new Uint32Array(keys.length);
  for (let at = 0; at < order.length; at++) order[at] = keys[at] % SPAN;
  return order;
}

/**
 * Rows by their label, those without one at the end by row.
 * @param {Record<string, string>} labels of rows
 * @param {number} n
 * @param {boolean} down last letter first
 */
export function orderByLabel(labels, n, down) {
  const named = Object.keys(labels)
    .map(Number)
    .filter((row) => row < n)
    .sort((a, b) => (down ? -1 : 1) * labels[a].localeCompare(labels[b]) || a - b);
  const order = Uint32Array.from({ length: n }, (_, row) => row).filter((row) => !(row in labels));
  return new Uint32Array([...named, ...order]);
}
