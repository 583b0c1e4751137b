import { afterEach, describe, expect, test } from "vitest";
import type { Op } from "../src/data";
import { addProduct, apply, edited, highest, inWebAssembly, moments, softmax, type Weights } from "../src/engine";
import { compiled } from "../src/kernel";
import { apart, convolutional, images, network, numbers } from "./networks";

afterEach(() => void inWebAssembly());

/** One operation on a few numbers. */
function of(op: Op, x: number[], from: number[], to: number[], weights: Weights = {}, kernel: number[] = []): number[] {
  const y = new Float32Array(to.reduce((a, b) => a * b, 1));
  apply(op, Float32Array.from(x), y, from, to, kernel, weights);
  return [...y];
}

const f = (...values: number[]) => Float32Array.from(values);

describe.each([true, false])("in WebAssembly: %s", (wasm) => {
  test("a linear layer and a convolution by hand", () => {
    expect(inWebAssembly(wasm ? compiled() : null)).toBe(wasm);
    const linear: Op = { kind: "linear", weight: "w", bias: "b" };
    expect(of(linear, [1, 0, -2], [3], [2], { w: f(1, 2, 3, -1, 5, 0.5), b: f(10, 0) })).toEqual([5, -2]);
    const conv: Op = { kind: "conv2d", weight: "w", bias: null, stride: [1, 2], padding: [0, 1] };
    // Rows 1 2 3 / 4 5 6, a 2 × 2 kernel [[1, 10], [100, 1000]], a column of zeros on each side, every second column.
    expect(of(conv, [1, 2, 3, 4, 5, 6], [1, 2, 3], [1, 1, 2], { w: f(1, 10, 100, 1000) }, [2, 2])).toEqual([10 + 4000, 2 + 30 + 500 + 6000]);
  });

  test.each([
    [1, 1, [5, 4], [3, 3], [1, 1], [1, 1]],
    [3, 37, [6, 7], [3, 2], [2, 1], [1, 0]],
    [2, 66, [4, 4], [1, 1], [1, 1], [0, 0]],
    [4, 16, [5, 5], [5, 5], [1, 1], [2, 2]],
  ])("a convolution of %i channels into %i is the sum over its window", (channels, out, [rows, cols], kernel, stride, padding) => {
    expect(inWebAssembly(wasm ? compiled() : null)).toBe(wasm);
    const op: Op = { kind: "conv2d", weight: "w", bias: "b", stride, padding };
    const x = numbers(channels * rows * cols, 1).map((v, i) => (i % 3 && Math.floor(i / (rows * cols)) !== 1 ? v : 0)); // one channel is 0
    const [w, b] = [f(...numbers(out * channels * kernel[0] * kernel[1], 2)), f(...numbers(out, 3))];
    const [high, wide] = [rows, cols].map((n, i) => Math.floor((n + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
    const expected: number[] = [];
    for (let o = 0; o < out; o++) for (let r = 0; r < high; r++) for (let c = 0; c < wide; c++) {
      let sum = b[o];
      for (let k = 0; k < channels; k++) for (let i = 0; i < kernel[0]; i++) for (let j = 0; j < kernel[1]; j++) {
        const [row, col] = [r * stride[0] + i - padding[0], c * stride[1] + j - padding[1]];
        if (row >= 0 && row < rows && col >= 0 && col < cols) sum += x[(k * rows + row) * cols + col] * w[((o * channels + k) * kernel[0] + i) * kernel[1] + j];
      }
      expected.push(sum);
    }
    expect(apart(of(op, x, [channels, rows, cols], [out, high, wide], { w, b }, kernel), expected)).toBeLessThan(1e-5);
  });

  test.each([[1, 2, 2], [2, 4, 8], [3, 2, 14], [2, 6, 11], [2, 5, 9], [1, 28, 28]])("the maxima of 2 × 2 windows in %i maps of %i × %i, and ReLU", (channels, rows, cols) => {
    inWebAssembly(wasm ? compiled() : null);
    const x = numbers(channels * rows * cols, 5);
    const to = [channels, rows >> 1, cols >> 1];
    const at = (c: number, r: number, k: number) => x[(c * rows + r) * cols + k];
    const expected: number[] = [];
    for (let c = 0; c < channels; c++) for (let r = 0; r < to[1]; r++) for (let k = 0; k < to[2]; k++) expected.push(Math.max(at(c, 2 * r, 2 * k), at(c, 2 * r, 2 * k + 1), at(c, 2 * r + 1, 2 * k), at(c, 2 * r + 1, 2 * k + 1)));
    expect(of({ kind: "maxpool", kernel: [2, 2], stride: [2, 2], padding: [0, 0] }, x, [channels, rows, cols], to)).toEqual(expected);
    expect(apart(of({ kind: "relu" }, x, [x.length], [x.length]), x.map((v) => Math.max(0, v)))).toBe(0);
  });

  test("a product of some channels alone is their part of the whole", async () => {
    inWebAssembly(wasm ? compiled() : null);
    const model = await convolutional();
    const op = model.data.ops[6] as Op & { kind: "conv2d" };
    const [from, to, x] = [model.shapes[5], model.shapes[6], f(...numbers(5 * 16, 4))];
    const [whole, parts] = [new Float32Array(6 * 6), new Float32Array(6 * 6)];
    addProduct(op, x, 0, whole, from, to, [3, 2], model.weights(0));
    for (const [first, end] of [[0, 2], [2, 5]]) addProduct(op, x.subarray(16 * first, 16 * end), first, parts, from, to, [3, 2], model.weights(0));
    expect(apart(whole, parts)).toBeLessThan(1e-5);
  });
});

test("WebAssembly and TypeScript give the same logits", async () => {
  const [model, all] = [await convolutional(), images(20, 8, 4)];
  for (let i = 0; i < all.count; i++) {
    const [fast, slow] = [true, false].map((wasm) => {
      expect(inWebAssembly(wasm ? compiled() : null)).toBe(wasm);
      return model.forward(all.pixels.subarray(64 * i, 64 * i + 64), 1);
    });
    for (const [name, values] of slow) expect(apart(values, fast.get(name)!)).toBeLessThan(1e-5);
  }
});

test("functions of one number", () => {
  const x = [-2, -0, 0, 0.5, 3];
  const each = (op: Op) => of(op, x, [5], [5]);
  expect(each({ kind: "relu" })).toEqual([0, 0, 0, 0.5, 3]);
  expect(of({ kind: "relu" }, [-Infinity, -1e-40, 1e38], [3], [3])).toEqual([0, 0, Math.fround(1e38)]);
  expect(apart(each({ kind: "tanh" }), x.map(Math.tanh))).toBeLessThan(1e-7);
  expect(apart(each({ kind: "sigmoid" }), x.map((v) => 1 / (1 + Math.exp(-v))))).toBeLessThan(1e-7);
  expect(apart(each({ kind: "silu" }), x.map((v) => v / (1 + Math.exp(-v))))).toBeLessThan(1e-6);
  expect(apart(each({ kind: "leakyrelu", slope: 0.25 }), [-0.5, 0, 0, 0.5, 3])).toBe(0);
  expect(apart(each({ kind: "normalize", mean: 1, std: 2 }), [-1.5, -0.5, -0.5, -0.25, 1])).toBe(0);
  // x Φ(x), Φ(−2) = 0.0227501, Φ(0.5) = 0.6914625, Φ(3) = 0.9986501
  expect(apart(each({ kind: "gelu", approximate: "none" }), [-0.0455003, 0, 0, 0.3457312, 2.9959503])).toBeLessThan(1e-6);
  expect(apart(each({ kind: "gelu", approximate: "tanh" }), [-0.0454023, 0, 0, 0.345714, 2.9963627])).toBeLessThan(1e-6);
});

test("poolings", () => {
  const x = [1, 2, -3, 4, 5, 6, 7, -8, 9];
  const pool = (kind: "maxpool" | "avgpool", padding: number, to: number[]) => of({ kind, kernel: [2, 2], stride: [2, 2], padding: [padding, padding] }, x, [1, 3, 3], to);
  expect(pool("maxpool", 0, [1, 1, 1])).toEqual([5]);
  expect(pool("maxpool", 1, [1, 2, 2])).toEqual([1, 2, 7, 9]);
  expect(pool("avgpool", 1, [1, 2, 2])).toEqual([0.25, -0.25, 2.75, 3]); // padding counts
});

test("normalizations", () => {
  expect(moments(f(9, 1, 3), 1, 2, 0)).toEqual({ mean: 2, deviation: 1 });
  expect(of({ kind: "layernorm", weight: "w", bias: "b", eps: 0, size: 2 }, [1, 3, 0, 8], [4], [4], { w: f(2, 1), b: f(0, 10) })).toEqual([-2, 11, -2, 11]);
  const batch: Op = { kind: "batchnorm", weight: null, bias: null, mean: "m", variance: "v", eps: 0 };
  expect(of(batch, [1, 2, 3, 4], [2, 1, 2], [2, 1, 2], { m: f(1, 0), v: f(4, 16) })).toEqual([0, 0.5, 0.75, 1]);
});

test("interventions on a channel change every position of it and nothing else", () => {
  const change = (...given: Parameters<Map<number, never>["set"]>) => [...edited(f(1, 2, 3, 4), new Map([given]), [2, 1, 2], new Float32Array(4))];
  expect(change(1, { kind: "zero" } as never)).toEqual([1, 2, 0, 0]);
  expect(change(0, { kind: "scale", value: -2 } as never)).toEqual([-2, -4, 3, 4]);
  expect(change(0, { kind: "clamp", value: 7 } as never)).toEqual([7, 7, 3, 4]);
  expect(change(1, { kind: "patch", values: f(8, 9) } as never)).toEqual([1, 2, 8, 9]);
});

test("softmax sums to 1, also of large logits; the first of several highest", () => {
  expect(apart(softmax(f(1000, 1000 + Math.log(3))), [0.25, 0.75])).toBeLessThan(1e-4);
  expect(highest([1, 3, 3, 2])).toBe(1);
});

test("stored forms: float16, and int8 differences to the next snapshot", async () => {
  const model = await network([{ kind: "hook", name: "input" }, { kind: "flatten" }, { kind: "linear", weight: "w", bias: null }], [1, 1, 2], 1, { w: { shape: [1, 2], values: [0, 0] } });
  const { Model } = await import("../src/engine");
  const { deflateSync } = await import("node:zlib");
  const packed = (bytes: number[]) => deflateSync(Uint8Array.from(bytes)).toString("base64");
  const about = { agreement: 1, logit: 0 };
  const stored = new Model({
    ...model.data,
    steps: [0, 1],
    weights: [
      { kind: "difference", scales: { w: 0.5 }, numbers: packed([3, 256 - 2]), ...about },
      { kind: "float16", numbers: packed([0, 0, 0x3c, 0xc1]), ...about }, // low bytes, then high bytes: 0x3c00 is 1, 0xc100 is −2.5
    ],
  });
  await stored.load(0);
  await stored.load(1);
  expect([...stored.weights(1).w]).toEqual([1, -2.5]);
  expect([...stored.weights(0).w]).toEqual([2.5, -3.5]);
});
