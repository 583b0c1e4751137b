// Small networks and images as Python would write them, with numbers from a seed.

import { deflateSync } from "node:zlib";
import { generator } from "../src/chance";
import type { Images, NetworkData, Op } from "../src/data";
import { Model } from "../src/engine";

export type Tensors = Record<string, { shape: number[]; values: number[] }>;

/** A network with one snapshot for each of `all`, in float32. */
export async function network(ops: Op[], input: number[], classes: number, ...all: Tensors[]): Promise<Model> {
  const places: NetworkData["tensors"] = {};
  let offset = 0;
  for (const [name, { shape, values }] of Object.entries(all[0])) {
    places[name] = { shape, offset };
    offset += values.length;
  }
  const layers = ops.flatMap((op) => (op.kind === "hook" && op.name.startsWith("layer") ? [op.name] : []));
  const data = {
    name: "small",
    classes,
    input,
    layers,
    ops,
    steps: all.map((_, i) => i),
    tensors: places,
    weights: all.map((tensors) => ({ kind: "float32", numbers: packed(Object.values(tensors).flatMap((one) => one.values)), agreement: 1, logit: 0 })),
  } as unknown as NetworkData;
  const model = new Model(data);
  for (let snapshot = 0; snapshot < all.length; snapshot++) await model.load(snapshot);
  return model;
}

/** All first bytes, then all second ones …, deflated, in base64. */
function packed(values: number[]): string {
  const bytes = new Uint8Array(new Float32Array(values).buffer);
  const planes = Uint8Array.from(bytes, (_, i) => bytes[(i % values.length) * 4 + Math.floor(i / values.length)]);
  return deflateSync(planes).toString("base64");
}

/** Numbers between −1 and 1. */
export function numbers(count: number, seed: number): number[] {
  const random = generator(seed);
  return Array.from({ length: count }, () => Math.fround(2 * random() - 1));
}

export function tensors(shapes: Record<string, number[]>, seed: number): Tensors {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape], i) => [name, { shape, values: numbers(shape.reduce((a, b) => a * b, 1), 100 * seed + i) }]));
}

const hook = (name: string): Op => ({ kind: "hook", name });

/** Two convolutions with ReLU and pooling, then two linear layers; two snapshots. */
export function convolutional(): Promise<Model> {
  const ops: Op[] = [
    hook("input"),
    { kind: "conv2d", weight: "a.w", bias: "a.b", stride: [1, 1], padding: [1, 1] },
    hook("layers.0.hook_pre"),
    { kind: "relu" },
    hook("layers.0.hook_post"),
    { kind: "maxpool", kernel: [2, 2], stride: [2, 2], padding: [0, 0] },
    { kind: "conv2d", weight: "b.w", bias: null, stride: [2, 1], padding: [1, 0] },
    { kind: "gelu", approximate: "none" },
    hook("layers.1.hook_post"),
    { kind: "flatten" },
    { kind: "linear", weight: "c.w", bias: "c.b" },
    { kind: "tanh" },
    hook("layers.2.hook_post"),
    { kind: "linear", weight: "d.w", bias: "d.b" },
    hook("logits"),
  ];
  const shapes = { "a.w": [5, 1, 3, 3], "a.b": [5], "b.w": [6, 5, 3, 2], "c.w": [7, 6 * 2 * 3], "c.b": [7], "d.w": [4, 7], "d.b": [4] };
  return network(ops, [1, 8, 8], 4, tensors(shapes, 1), tensors(shapes, 2));
}

/** A dilated convolution, a block whose input is added to what it makes of it, one whose shortcut is a convolution, and a linear layer; two snapshots. */
export function residual(): Promise<Model> {
  const conv = (name: string, more: object = {}): Op => ({ kind: "conv2d", weight: `${name}.w`, bias: null, stride: [1, 1], padding: [1, 1], ...more });
  const ops: Op[] = [
    hook("input"),
    conv("a", { dilation: [2, 1], padding: [2, 1] }), // 1
    hook("layers.0"),
    { kind: "silu" },
    conv("b"), // 4
    { kind: "leakyrelu", slope: 0.2 },
    hook("layers.1"),
    conv("c"), // 7
    { kind: "add", with: 3 },
    { kind: "sigmoid" },
    hook("layers.2"), // 10
    conv("d", { stride: [2, 2] }),
    { kind: "relu" },
    { kind: "hook", name: "layers.3" },
    conv("e", { stride: [2, 2], padding: [0, 0], from: 10 }), // 14
    { kind: "add", with: 13 },
    hook("layers.4"),
    { kind: "avgpool", kernel: [], stride: [], padding: [0, 0] },
    { kind: "flatten" },
    { kind: "linear", weight: "f.w", bias: "f.b" },
    hook("logits"),
  ];
  const shapes = { "a.w": [3, 1, 3, 3], "b.w": [3, 3, 3, 3], "c.w": [3, 3, 3, 3], "d.w": [4, 3, 3, 3], "e.w": [4, 3, 1, 1], "f.w": [4, 4], "f.b": [4] };
  return network(ops, [1, 8, 8], 4, tensors(shapes, 3), tensors(shapes, 4));
}

export function images(count: number, side: number, classes: number, channels = 1): Images {
  const pixels = Float32Array.from(numbers(count * channels * side * side, 9), (v) => Math.max(0, v));
  return { count, channels, rows: side, cols: side, classes, labels: Array.from({ length: count }, (_, i) => i % classes), indices: Array.from({ length: count }, (_, i) => 2 * i), dataset: "test", pixels, opening: 0 };
}

/** The largest difference. */
export function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers and ${b.length}`);
  return Math.max(0, ...Array.from(a, (v, i) => Math.abs(v - b[i])));
}
