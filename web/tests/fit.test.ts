import { expect, test } from "vitest";
import { apart, type Block, CLASSES, GAP, inRow, LABEL, LEAST, stacked, spaced } from "../src/fit";

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

test("a network that lies wider than its row has tiles as large as its labels and the height allow", () => {
  const small = Array.from({ length: 9 }, () => ({ count: 8, side: 16 }));
  const { blocks, over } = inRow(small, 777, 400);
  expect(over).toBe(9 * (LABEL + GAP) + CLASSES - 777);
  for (const { pitch, columns } of blocks) {
    expect(columns * pitch).toBeLessThanOrEqual(LABEL);
    expect(pitch).toBeGreaterThanOrEqual(48);
  }
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

test("labels of a map stand apart and inside, and stay where there is room", () => {
  const label = (x: number, y: number) => ({ text: "", x, y, width: 40 });
  expect(apart([label(50, 50), label(200, 50)], 16, 300, 200).map(({ x, y }) => [x, y])).toEqual([[50, 50], [200, 50]]);
  expect(apart([label(50, 100.1), label(50, 100.2)], 16, 300, 200).map(({ y }) => y)).toEqual([100.1, 116.1]); // 116.1 − 100.1 < 16
  const many = apart([label(100, 60), label(110, 62), label(95, 64), label(2, 199), label(10, 198), label(295, -5)], 16, 300, 200);
  many.forEach((a, i) => {
    expect(a.x - a.width / 2).toBeGreaterThanOrEqual(0);
    expect(a.x + a.width / 2).toBeLessThanOrEqual(300);
    expect(a.y).toBeGreaterThanOrEqual(8);
    expect(a.y).toBeLessThanOrEqual(192);
    many.slice(0, i).forEach((b) => expect(Math.abs(a.y - b.y) >= 16 || Math.abs(a.x - b.x) >= 40).toBe(true));
  });
});
