import { expect, test } from "vitest";
import { type Block, CLASSES, GAP, inRow, LABEL, LEAST, stacked, spaced } from "../src/fit";

const NETWORKS: Record<string, Block[]> = {
  mlp: [{ count: 128, side: 1 }, { count: 64, side: 1 }],
  cnn: [{ count: 16, side: 28 }, { count: 32, side: 14 }, { count: 64, side: 1 }],
  small: [{ count: 4, side: 28 }, { count: 8, side: 14 }, { count: 16, side: 1 }],
  linear: [],
  deep: Array.from({ length: 12 }, () => ({ count: 64, side: 1 })),
};
const wide = (columns: number, pitch: number) => Math.max(LABEL, columns * pitch);

for (const [name, blocks] of Object.entries(NETWORKS)) {
  for (const [width, height] of [[770, 195], [900, 270], [1600, 500], [600, 195]]) {
    test(`${name} in ${width} × ${height}`, () => {
      const { blocks: found, over } = inRow(blocks, width, height);
      const all = found.reduce((sum, one) => sum + wide(one.columns, one.pitch) + GAP, CLASSES);
      expect(over).toBe(Math.max(0, all - width));
      found.forEach(({ pitch, columns }, i) => {
        expect(pitch).toBeGreaterThanOrEqual(LEAST);
        expect(Math.ceil(blocks[i].count / columns) * pitch).toBeLessThanOrEqual(Math.max(height, pitch));
      });
    });
  }
}

test("the demo's networks fit where two stand on one screen; a deep one lies wider than its row", () => {
  expect(inRow(NETWORKS.mlp, 777, 195).over).toBe(0);
  expect(inRow(NETWORKS.cnn, 777, 195).over).toBe(0);
  expect(inRow(NETWORKS.deep, 777, 195).over).toBeGreaterThan(0);
});

test("more room makes larger tiles, and a column as many in a line as fit", () => {
  const [small] = inRow(NETWORKS.cnn, 777, 195).blocks;
  const [large] = inRow(NETWORKS.cnn, 1200, 500).blocks;
  expect(large.pitch).toBeGreaterThan(small.pitch);
  for (const [i, { pitch, columns }] of stacked(NETWORKS.cnn, 336).entries()) {
    expect(pitch * columns).toBeLessThanOrEqual(336);
    expect(columns).toBe(Math.min(NETWORKS.cnn[i].count, Math.floor(336 / pitch)));
  }
});

test("labels that would touch are left out, but the first and the last", () => {
  const at = (width: number) => (step: number) => (width * Math.asinh(step)) / Math.asinh(3752);
  expect(spaced([0, 1, 10, 100, 1000, 3752], at(900))).toEqual([0, 1, 10, 100, 1000, 3752]);
  expect(spaced([0, 1, 10, 100, 1000, 3752], at(220))).toEqual([0, null, 10, 100, null, 3752]);
});
