import { expect, test } from "vitest";
import { Trace } from "../src/backward";
import type { Op } from "../src/data";
import { NO_CHANGES } from "../src/engine";
import { sourceName } from "../src/names";
import { biasOf, contribution, contributions, edgesAt, edgesOf, highestAt, linkInto, linkOutOf, linksOf, preActivation, stepsAfter, strikingAt, summedIn, unweighted, windowOf } from "../src/sums";
import { apart, convolutional, images, network, residual } from "./networks";

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

test("in a network with branches a link reads the layer before it, and ends before a sum", async () => {
  const model = await residual();
  expect(linksOf(model).map(({ place, from, to }) => [place, from, to])).toEqual([[1, -1, 0], [4, 0, 1], [7, 1, 2], [11, 2, 3], [14, 2, 4], [19, 4, 5]]);
  expect([0, 1, 2, 3, 4, 5].map((layer) => linkInto(model, layer)?.place ?? null)).toEqual([1, 4, null, 11, null, 19]);
  expect(linksOf(model).map((link) => stepsAfter(model, link, NO_CHANGES, 0))).toEqual([[3], [5], [], [12], [], []]);
});

test("a layer behind a sum that is no layer reads the layers that are summed", async () => {
  const linear = (name: string): Op => ({ kind: "linear", weight: name, bias: null });
  const ops: Op[] = [{ kind: "flatten" }, linear("a"), { kind: "hook", name: "layer.0" }, { kind: "sigmoid" }, { kind: "hook", name: "layer.1" }, { kind: "add", with: 2 }, linear("b"), { kind: "hook", name: "layer.2" }, linear("c"), { kind: "hook", name: "logits" }];
  const model = await network(ops, [1, 1, 2], 1, { a: { shape: [2, 2], values: [1, 2, -1, 0] }, b: { shape: [1, 2], values: [2, -3] }, c: { shape: [1, 1], values: [1] } });
  const trace = new Trace(model, Float32Array.of(4, 0.25), 0);
  const [, link] = linksOf(model);
  expect([link.parts, link.from, link.to, link.sources]).toEqual([[0, 1], 1, 2, 2]);
  const sums = [4.5, -4].map((value) => value + 1 / (1 + Math.exp(-value)));
  expect(apart(contributions(trace, link, 0), [2 * sums[0], -3 * sums[1]])).toBeLessThan(1e-5);
  expect(sourceName(model, link, 1)).toBe("unit 1 of layer.0 + unit 1 of layer.1");
  for (const layer of [0, 1]) {
    expect(linkOutOf(model, layer)).toBe(link);
    expect(edgesAt(trace, edgesOf(trace), { layer, unit: 1 }, 9).map(({ source, unit }) => [source, unit])).toEqual([[1, 0]]);
  }
  expect([unweighted(model), summedIn(model, 2)]).toEqual([[1], null]);
});

test("a layer that is a sum names what it is the sum of", async () => {
  const linear = (name: string): Op => ({ kind: "linear", weight: name, bias: null });
  const ops: Op[] = [{ kind: "flatten" }, linear("a"), { kind: "hook", name: "layer.0" }, { kind: "sigmoid" }, { kind: "hook", name: "layer.1" }, { kind: "add", with: 2 }, { kind: "hook", name: "layer.2" }, linear("c"), { kind: "hook", name: "logits" }];
  const model = await network(ops, [1, 1, 2], 1, { a: { shape: [2, 2], values: [1, 2, -1, 0] }, c: { shape: [1, 2], values: [1, 1] } });
  expect([0, 1, 2].map((layer) => summedIn(model, layer))).toEqual([null, null, [0, 1]]);
  expect(unweighted(model)).toEqual([1, 2]);
  expect(unweighted(await residual())).toEqual([]);
  expect(summedIn(await residual(), 4)).toEqual([]);
});

test("contributions and bias are the pre-activation, at every link, unit and position", async () => {
  const [models, all] = [[await convolutional(), await residual()], images(3, 8, 4)];
  for (let k = 0; k < 2 * all.count; k++) {
    const [model, i] = [models[k % 2], k >> 1];
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

test("the channels of an image are sources of a convolution, and its pixels those of a linear layer", async () => {
  const ops: Op[] = [{ kind: "conv2d", weight: "a", bias: null, stride: [1, 1], padding: [0, 0] }, { kind: "hook", name: "layer" }, { kind: "flatten" }, { kind: "linear", weight: "b", bias: null }];
  const conv = await network(ops, [3, 1, 2], 1, { a: { shape: [1, 3, 1, 2], values: [1, 2, 3, 4, 5, 6] }, b: { shape: [1, 1], values: [1] } });
  const trace = new Trace(conv, Float32Array.of(1, 0, 0, 1, 2, 1), 0);
  const [link] = linksOf(conv);
  expect([...contributions(trace, link, 0)]).toEqual([1, 4, 16]);
  expect([0, 1, 2].map((source) => sourceName(conv, link, source))).toEqual(["the red channel", "the green channel", "the blue channel"]);
  expect([...trace.pattern("layer", 0)]).toEqual([1, 2, 3, 4, 5, 6]);
  const flat = await network([{ kind: "flatten" }, { kind: "linear", weight: "a", bias: null }, { kind: "hook", name: "layer" }], [2, 1, 2], 1, { a: { shape: [1, 4], values: [1, 2, 3, 4] } });
  expect(sourceName(flat, linksOf(flat)[0], 3)).toBe("pixel in row 0, column 1 of channel 1 of the image");
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

test("a walk opens at the window whose products differ most, not at a uniform one", async () => {
  const ops: Op[] = [{ kind: "conv2d", weight: "a", bias: "b", stride: [1, 1], padding: [0, 0] }, { kind: "hook", name: "layer" }, { kind: "flatten" }, { kind: "linear", weight: "c", bias: null }];
  const model = await network(ops, [1, 1, 6], 1, { a: { shape: [1, 1, 1, 2], values: [2, 1] }, b: { shape: [1], values: [1] }, c: { shape: [1, 5], values: [1, 1, 1, 1, 1] } });
  const [link] = linksOf(model);
  const opens = (...pixels: number[]) => strikingAt(new Trace(model, Float32Array.from(pixels), 0), link, 0);
  expect(highestAt(new Trace(model, Float32Array.of(1, 1, 0.5, 0.5, 0.6, 0.6), 0), link, 0)).toBe(0);
  expect(opens(1, 1, 0.5, 0.5, 0.6, 0.6)).toBe(1);
  expect(opens(0, 0, 0, 0, 0, 0)).toBe(0);
});
