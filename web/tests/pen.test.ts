import { expect, test } from "vitest";
import { centered, Ink, SIDE, usual } from "../src/pen";
import { generator } from "../src/chance";
import { apart } from "./networks";

test("strokes give the ink that they were drawn with", () => {
  const random = generator(3);
  const ink = new Ink();
  for (let stroke = 0; stroke < 3; stroke++) {
    ink.begin(SIDE * random(), SIDE * random());
    for (let i = 0; i < 20; i++) ink.to(SIDE * random(), SIDE * random());
  }
  expect(apart(Ink.of(ink.strokes).cells, ink.cells)).toBe(0);
  const as = { side: 20, row: 14, col: 14 };
  expect(centered(ink.cells, SIDE, 28, 28, as, ink.box)).toEqual(centered(ink.cells, SIDE, 28, 28, as)); // by the ink's box as by all cells
  ink.clear();
  expect([ink.strokes, ink.cells.some((v) => v !== 0), ink.box]).toEqual([[], false, null]);
});

test("a point near the last is no new point; one outside is moved to the border", () => {
  const ink = new Ink();
  expect(ink.to(5, 5)).toBe(false); // before any stroke
  ink.begin(100, 100);
  expect([ink.to(101, 101), ink.to(110, 100), ink.to(-50, 900)]).toEqual([false, true, true]);
  expect(ink.strokes).toEqual([[100, 100, 110, 100, 0, SIDE - 1]]);
});

test("wherever a stroke is drawn, and however large, it becomes one of the usual size with the usual center of mass", () => {
  const as = { side: 20, row: 14, col: 14 };
  for (const [x, y, size] of [[40, 40, 40], [150, 60, 100], [20, 30, 220]]) {
    const ink = new Ink();
    ink.begin(x, y);
    ink.to(x + size / 2, y + size);
    const found = centered(ink.cells, SIDE, 28, 28, as);
    const rows = Array.from({ length: 28 }, (_, r) => found.subarray(28 * r, 28 * r + 28).reduce((a, b) => a + b, 0));
    const mass = rows.reduce((a, b) => a + b, 0);
    expect(rows.filter((v) => v > 0).length).toBe(20);
    expect(Math.abs(rows.reduce((sum, v, r) => sum + v * r, 0) / mass - 14)).toBeLessThanOrEqual(0.5);
    expect(Math.max(...found)).toBeLessThanOrEqual(1);
  }
  expect(centered(new Float32Array(SIDE * SIDE), SIDE, 28, 28, as).some((v) => v !== 0)).toBe(false);
});

test("the usual size and center are the images' medians", () => {
  const pixels = new Float32Array(3 * 100);
  for (const [image, side] of [[0, 2], [1, 4], [2, 6]]) for (let r = 1; r <= side; r++) for (let c = 2; c < 2 + side; c++) pixels[100 * image + 10 * r + c] = 1;
  expect(usual({ count: 3, channels: 1, rows: 10, cols: 10, classes: 1, labels: [0, 0, 0], pixels, opening: 0, indices: [], dataset: "" })).toEqual({ side: 4, row: 2.5, col: 3.5 });
  const color = Float32Array.from({ length: 2 * pixels.length }, (_, i) => (i % 200 < 100 ? 0 : pixels[100 * Math.floor(i / 200) + (i % 100)])); // the second of two channels
  expect(usual({ count: 3, channels: 2, rows: 10, cols: 10, classes: 1, labels: [0, 0, 0], pixels: color, opening: 0, indices: [], dataset: "" })).toEqual({ side: 4, row: 2.5, col: 3.5 });
});
