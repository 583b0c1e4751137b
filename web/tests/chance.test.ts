import { expect, test } from "vitest";
import { changing, choices, generator, pValue, probability, shuffled } from "../src/chance";

test("p-values count ties, and never fall below 1 / (1 + draws)", () => {
  expect(pValue(0.3, [0.1, 0.3, 0.5])).toBe(3 / 4);
  expect(pValue(0.3, [0.3 * (1 - 1e-13)])).toBe(1); // equal but for rounding
  expect(pValue(9, new Array<number>(10).fill(0))).toBe(1 / 11);
});

test("a p-value at its floor is a bound, rounded up, with the number of draws", () => {
  expect(probability(1 / 11, 10)).toBe("p ≤ 0.091 (10 draws)");
  expect(probability(1 / 2, 1)).toBe("p ≤ 0.5 (1 draw)");
  expect(probability(2 / 11, 10)).toBe("p = 0.182");
});

test.each([
  [[0.004, 0, 0.0004], "−0.4 to 0.0"],
  [[-0.004, 0, -0.0004], "0.0 to +0.4"],
  [[0.004, -0.001], "−0.4 to +0.1"],
  [[0.0004, -0.0001], "0.0 to 0.0"],
])("accuracy drops of random units as changes in points, with signs: %j", (drops, told) => {
  expect(changing(drops)).toBe(told);
});

test("numbers of sets", () => {
  expect([choices(5, 2), choices(128, 1), choices(4, 4), choices(3, 5), choices(52, 5)]).toEqual([10, 128, 1, 1, 2598960]);
});

test("random numbers are Mulberry32's, between 0 and 1 and spread evenly", () => {
  const random = generator(0);
  expect([random(), random()].map((v) => v * 2 ** 32)).toEqual([1144304738, 1416247]); // those of the algorithm in Python, from seed 0
  const many = Array.from({ length: 4000 }, random);
  expect(Math.min(...many)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...many)).toBeLessThan(1);
  expect(many.reduce((a, b) => a + b) / 4000).toBeCloseTo(0.5, 1);
});

test("a shuffle is a permutation, the same from the same seed", () => {
  for (let seed = 0; seed < 50; seed++) {
    const found = shuffled(seed, generator(seed));
    expect([...found].sort((a, b) => a - b)).toEqual(Array.from({ length: seed }, (_, i) => i));
    expect(shuffled(seed, generator(seed))).toEqual(found);
  }
  const first = Array.from({ length: 3000 }, (_, seed) => shuffled(3, generator(seed))[0]);
  for (const unit of [0, 1, 2]) expect(first.filter((v) => v === unit).length / 3000).toBeCloseTo(1 / 3, 1);
});
