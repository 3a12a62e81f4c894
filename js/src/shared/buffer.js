/** Reads what all our buffers have in common: four numbers, a header, and columns of numbers after it. */

/**
 * @param {DataView | undefined} view may begin at any byte
 * @param {number} wanted what kind it must be
 * @returns its header, the number beside it, and its columns one after the other; undefined where nothing was sent
 */
export function open(view, wanted) {
  if (!view?.byteLength) return undefined;
  const buffer = /** @type {ArrayBuffer} */ (view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  const [magic, version, length, n] = new Uint32Array(buffer, 0, 4);
  if (magic !== wanted || version !== 1) throw new Error("Script and package differ in version");
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 16, length)));
  let start = 16 + length;
  /** The next column, of any kind of numbers. @type {(Kind: any, count?: number) => any} */
  const take = (Kind, count = n) => {
    const from = start;
    start += Kind.BYTES_PER_ELEMENT * count;
    return new Kind(buffer.slice(from, start));
  };
  return { head, n, take };
}
