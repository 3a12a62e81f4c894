import { describe, expect, it } from "vitest";
import { decode, fromHalf } from "../src/shared/wire.js";
import { pack } from "./fake_model.js";

describe("decode", () => {
  it.each([0, 1, 2, 3])("reads a view that begins at byte %d", (offset) => {
    const result = decode(pack({ offset, reference: [9, 5], density: [0.5, 0.25] }));
    const row = result?.rows.get(3);
    expect(row).toEqual({
      feature: 3,
      max: 4,
      mean: 3,
      tokens: 2,
      reference: 9,
      density: 0.5,
      label: "",
      positions: [1, 2],
      values: [2, 4],
    });
    expect(result?.at(2).map(({ row: { feature }, value }) => [feature, value])).toEqual([
      [3, 4],
      [7, 1],
    ]);
    expect(result?.at(0)).toEqual([]);
  });
  it("has nothing before the first run", () => {
    expect(decode(undefined)).toBeUndefined();
    expect(decode(new DataView(new ArrayBuffer(0)))).toBeUndefined();
  });
  it("refuses another version", () => {
    const data = pack();
    data.setUint32(4, 2, true);
    expect(() => decode(data)).toThrow("version");
  });
});

describe("float16", () => {
  it.each([
    [0x3c00, 1],
    [0x7800, 32768],
    [0x3555, 0.333251953125],
    [0x0001, 2 ** -24],
    [0xbc00, -1],
    [0, 0],
  ])("%d is %d", (bits, value) => {
    expect(fromHalf(bits)).toBe(value);
  });
});
