import { expect, test } from "vitest";
import { Trace } from "../src/backward";
import { biasOf, contribution, contributions, edgesOf, highestAt, linkInto, linkOutOf, linksOf, preActivation, windowOf } from "../src/sums";
import { convolutional, images, network } from "./networks";

test("a unit's parts and bias by hand", async () => {
  const ops = [{ kind: "flatten" }, { kind: "linear", weight: "a", bias: "b" }, { kind: "relu" }, { kind: "hook", name: "layer" }, { kind: "linear", weight: "c", bias: null }, { kind: "hook", name: "logits" }] as const;
  const model = await network([...ops], [1, 1, 2], 2, {
    a: { shape: [2, 2], values: [1, 2, -1, 0] },
    b: { shape: [2], values: [0.5, 3] },
    c: { shape: [2, 2], values: [10, 1, -10, 0] },
  });
  const trace = new Trace(model, Float32Array.of(4, 0.25), 0);
  const [first, second] = linksOf(model);
  expect([...contributions(trace, first, 0)]).toEqual([4, 0.5]);
  expect([biasOf(trace, first, 0), preActivation(trace, first, 0, 0)]).toEqual([0.5, 5]);
  expect([...contributions(trace, second, 1)]).toEqual([-50, 0]); // unit 1 of the layer is 0: 3 − 4 < 0
  expect([linkInto(model, 0), linkOutOf(model, 0), linkInto(model, 1)]).toEqual([first, second, second]);
  expect(edgesOf(trace).map((edges) => edges.map(({ source, unit, value, share }) => [source, unit, value, share]))).toEqual([[[0, 0, 50, 1], [0, 1, -50, 1]]]);
});

test("contributions and bias are the pre-activation, at every link, unit and position", async () => {
  const [model, all] = [await convolutional(), images(3, 8, 4)];
  for (let i = 0; i < all.count; i++) {
    const trace = new Trace(model, all.pixels.subarray(64 * i, 64 * i + 64), i % 2);
    for (const link of linksOf(model)) {
      const [units, ...map] = model.shapes[link.place];
      for (let unit = 0; unit < units; unit++) {
        const positions = map.reduce((a, b) => a * b, 1);
        const highest = highestAt(trace, link, unit);
        for (let position = 0; position < positions; position++) {
          const whole = preActivation(trace, link, unit, position);
          expect(contributions(trace, link, unit, position).reduce((a, b) => a + b, biasOf(trace, link, unit))).toBeCloseTo(whole, 5);
          expect(whole).toBeLessThanOrEqual(preActivation(trace, link, unit, highest));
        }
      }
    }
  }
});

test("a window at the border reads zeros outside of the map", async () => {
  const [model, all] = [await convolutional(), images(1, 8, 4)];
  const trace = new Trace(model, all.pixels, 0);
  const [link] = linksOf(model);
  const { rows, cols, values, weights } = windowOf(trace, link, 3, 0, 0);
  expect([rows, cols]).toEqual([3, 3]);
  expect([...values]).toEqual([0, 0, 0, 0, all.pixels[0], all.pixels[1], 0, all.pixels[8], all.pixels[9]]);
  expect(contribution(trace, link, 3, 0, 0)).toBeCloseTo(values.reduce((sum, v, i) => sum + v * weights[i], 0), 6);
});
