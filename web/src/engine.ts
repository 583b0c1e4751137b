// The forward pass on plain typed arrays: one example at a time, every hook point by name, with interventions.

import { decoded, type NetworkData, type Op } from "./data";
import { compiled, Kernel, turned, type Windows } from "./kernel";

/** An intervention on a unit (or on every position of a channel's map). */
export type Change = { kind: "zero" } | { kind: "scale"; value: number } | { kind: "clamp"; value: number } | { kind: "patch"; values: Float32Array };

/** hook point -> unit -> intervention. */
export type Changes = Map<string, Map<number, Change>>;

export type Weights = Record<string, Float32Array>;

export const NO_CHANGES: Changes = new Map();

/** What went into and came out of linear layers and convolutions, by operation index, in the pass of one image. */
export interface Known {
  into: (place: number) => Float32Array | undefined;
  out: (place: number) => Float32Array | undefined;
}

export class Model {
  /** The shape of each operation's output, for one example. */
  readonly shapes: number[][];
  /** Rows and columns of each convolution's kernel. */
  readonly kernels: number[][];
  /** What each operation reads: the index of another, or -1 for the pixels. */
  readonly inputs: number[];
  /** Whether all operations behind this one read nothing from before it, so that a pass can begin there. */
  readonly cuts: boolean[];
  /** The index of each hook point among the operations. */
  readonly places = new Map<string, number>();
  private readonly known: (Weights | undefined)[] = [];
  private readonly numbers: (Promise<Float32Array> | undefined)[] = [];

  constructor(readonly data: NetworkData) {
    this.inputs = data.ops.map((op, i) => op.from ?? i - 1);
    const read = data.ops.map((op, i) => Math.min(this.inputs[i], op.kind === "add" ? op.with : i));
    this.cuts = data.ops.map((_, place) => read.every((from, i) => i <= place || from >= place));
    this.shapes = shapesOf(data, this.inputs);
    this.kernels = data.ops.map((op) => (op.kind === "conv2d" ? data.tensors[op.weight].shape.slice(2) : []));
    data.ops.forEach((op, i) => op.kind === "hook" && this.places.set(op.name, i));
  }

  loaded(snapshot: number): boolean {
    return this.known[snapshot] !== undefined;
  }

  /** Unpacks the weights of a snapshot; every other method requires this first. */
  async load(snapshot: number): Promise<void> {
    const numbers = await this.numbersOf(snapshot);
    this.known[snapshot] ??= Object.fromEntries(
      Object.entries(this.data.tensors).map(([name, { shape, offset }]) => [name, numbers.subarray(offset, offset + shape.reduce((a, b) => a * b, 1))]),
    );
  }

  /** All of a snapshot's weights, one behind the other. */
  numbersOf(snapshot: number): Promise<Float32Array> {
    return (this.numbers[snapshot] ??= decoded(this.data, snapshot, () => this.numbersOf(snapshot + 1)));
  }

  /** Takes a snapshot's numbers, which were unpacked elsewhere. */
  take(snapshot: number, numbers: Float32Array): void {
    this.numbers[snapshot] = Promise.resolve(numbers);
  }

  get last(): number {
    return this.data.steps.length - 1;
  }

  shape(hookPoint: string): number[] {
    return this.shapes[this.places.get(hookPoint)!];
  }

  /** The number of units or channels at a hook point, and of values in each. */
  units(hookPoint: string): { count: number; each: number } {
    const [count, ...rest] = this.shape(hookPoint);
    return { count, each: rest.reduce((a, b) => a * b, 1) };
  }

  /** The shape of what an operation reads. */
  inShape(place: number): number[] {
    return this.shapes[this.inputs[place]] ?? this.data.input;
  }

  /** The operation that computes what an operation reads; -1 for the pixels. */
  source(place: number): number {
    let found = this.inputs[place];
    while (found >= 0 && passes(this.data.ops[found])) found = this.inputs[found];
    return found;
  }

  weights(snapshot: number): Weights {
    const found = this.known[snapshot];
    if (!found) throw new Error(`snapshot ${snapshot} is not loaded`);
    return found;
  }

  /** Output buffers for each operation, overwritten on every pass; what passes its input on gets one when it needs it. */
  room(): Float32Array[] {
    return this.shapes.map((shape, i) => (passes(this.data.ops[i]) ? NONE : new Float32Array(shape.reduce((a, b) => a * b, 1))));
  }

  /** The activations at every hook point, with the interventions applied. */
  forward(pixels: Float32Array, snapshot: number, changes: Changes = NO_CHANGES): Map<string, Float32Array> {
    const seen = new Map<string, Float32Array>();
    this.run(pixels, 0, this.weights(snapshot), changes, this.room(), seen);
    return seen;
  }

  /**
   * The logits, from the input `x` of operation `first` on. Where `known` has a linear layer's input and output for the unchanged image,
   * only the difference is multiplied. What is read from before `first`, which is not changed, must be known too.
   */
  run(
    x: Float32Array, first: number, weights: Weights, changes: Changes, room: Float32Array[], seen?: Map<string, Float32Array>, known?: Known,
  ): Float32Array {
    const ops = this.data.ops;
    const [given, values] = [x, new Array<Float32Array>(ops.length)];
    const read = (place: number) => {
      const found = place >= first ? values[place] : place === this.inputs[first] ? given : known?.out(place);
      if (!found) throw new Error(`the output of operation ${place} is not known`);
      return found;
    };
    for (let i = first; i < ops.length; i++) {
      const op = ops[i];
      x = i === first ? given : read(this.inputs[i]);
      if (op.kind === "hook") {
        const changed = changes.get(op.name);
        if (changed?.size) {
          if (room[i] === NONE) room[i] = new Float32Array(x.length);
          x = edited(x, changed, this.shapes[i], room[i]);
        }
        seen?.set(op.name, x);
      } else if (op.kind === "add") {
        const [y, other] = [room[i], read(op.with)];
        for (let k = 0; k < y.length; k++) y[k] = x[k] + other[k];
        x = y;
      } else if (!passes(op)) {
        const from = this.inShape(i);
        const [into, out] = [known?.into(i), known?.out(i)];
        if (into && out && (op.kind === "linear" || op.kind === "conv2d")) {
          room[i].set(out);
          addProduct(op, difference(x, into), 0, room[i], from, this.shapes[i], this.kernels[i], weights);
        } else apply(op, x, room[i], from, this.shapes[i], this.kernels[i], weights);
        x = room[i];
      }
      values[i] = x;
    }
    return x;
  }
}

const NONE = new Float32Array(0);

/** Whether an operation's output is its input, unless it is changed. */
function passes(op: Op): boolean {
  return op.kind === "hook" || op.kind === "flatten";
}

let differences = new Float32Array(0);

/** x − y, until the next call. */
function difference(x: Float32Array, y: Float32Array): Float32Array {
  if (differences.length < x.length) differences = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) differences[i] = x[i] - y[i];
  return differences.subarray(0, x.length);
}

export function edited(x: Float32Array, changed: Map<number, Change>, shape: number[], into: Float32Array): Float32Array {
  if (into !== x) into.set(x);
  const each = into.length / shape[0];
  for (const [unit, change] of changed) {
    const [start, end] = [unit * each, (unit + 1) * each];
    if (change.kind === "zero") into.fill(0, start, end);
    else if (change.kind === "clamp") into.fill(change.value, start, end);
    else if (change.kind === "scale") for (let i = start; i < end; i++) into[i] *= change.value;
    else into.set(change.values, start);
  }
  return into;
}

function shapesOf(data: NetworkData, inputs: number[]): number[][] {
  const shapes: number[][] = [];
  data.ops.forEach((op, i) => {
    const shape = shapes[inputs[i]] ?? data.input;
    if (op.kind === "avgpool" && !op.kernel.length) op.kernel = op.stride = shape.slice(1); // the whole map
    shapes.push(shapeAfter(op, shape, data));
  });
  return shapes;
}

function shapeAfter(op: Op, shape: number[], data: NetworkData): number[] {
  if (op.kind === "flatten") return [shape.reduce((a, b) => a * b, 1)];
  if (op.kind === "linear") return [data.tensors[op.weight].shape[0]];
  if (op.kind === "conv2d") {
    const [out, , rows, cols] = data.tensors[op.weight].shape;
    return [out, ...sides(shape, spanOf(op, [rows, cols]), op.stride, op.padding)];
  }
  if (op.kind === "maxpool" || op.kind === "avgpool") return [shape[0], ...sides(shape, op.kernel, op.stride, op.padding)];
  return shape;
}

/** Rows and columns of the map that a kernel spans. */
export function spanOf(op: Op & { kind: "conv2d" }, kernel: number[]): number[] {
  return kernel.map((side, k) => (op.dilation?.[k] ?? 1) * (side - 1) + 1);
}

function sides(shape: number[], kernel: number[], stride: number[], padding: number[]): number[] {
  return [0, 1].map((k) => Math.floor((shape[k + 1] + 2 * padding[k] - kernel[k]) / stride[k]) + 1);
}

export function apply(op: Op, x: Float32Array, y: Float32Array, from: number[], to: number[], kernel: number[], weights: Weights): void {
  switch (op.kind) {
    case "normalize":
      for (let i = 0; i < x.length; i++) y[i] = (x[i] - op.mean) / op.std;
      return;
    case "relu": {
      if (simd) return simd.relu(x, y);
      // By the sign bit: a branch on random signs takes five times as long.
      const [bits, into] = [new Int32Array(x.buffer, x.byteOffset, x.length), new Int32Array(y.buffer, y.byteOffset, y.length)];
      for (let i = 0; i < bits.length; i++) into[i] = bits[i] & ~(bits[i] >> 31);
      return;
    }
    case "tanh":
      for (let i = 0; i < x.length; i++) y[i] = Math.tanh(x[i]);
      return;
    case "sigmoid":
      for (let i = 0; i < x.length; i++) y[i] = sigmoid(x[i]);
      return;
    case "silu":
      for (let i = 0; i < x.length; i++) y[i] = x[i] * sigmoid(x[i]);
      return;
    case "leakyrelu":
      for (let i = 0; i < x.length; i++) y[i] = x[i] > 0 ? x[i] : op.slope * x[i];
      return;
    case "gelu":
      for (let i = 0; i < x.length; i++) y[i] = op.approximate === "tanh" ? geluTanh(x[i]) : 0.5 * x[i] * (1 + erf(x[i] * Math.SQRT1_2));
      return;
    case "linear":
    case "conv2d":
      return affine(op, x, y, from, to, kernel, weights);
    case "maxpool":
    case "avgpool":
      return pool(x, y, from, to, op.kernel, op.stride, op.padding, op.kind === "maxpool");
    case "batchnorm": {
      const each = x.length / from[0];
      const [mean, variance] = [weights[op.mean], weights[op.variance]];
      for (let i = 0; i < x.length; i++) {
        const c = Math.floor(i / each);
        const scaled = (x[i] - mean[c]) / Math.sqrt(variance[c] + op.eps);
        y[i] = scaled * (op.weight ? weights[op.weight][c] : 1) + (op.bias ? weights[op.bias][c] : 0);
      }
      return;
    }
    case "layernorm":
      for (let start = 0; start < x.length; start += op.size) {
        const { mean, deviation } = moments(x, start, op.size, op.eps);
        for (let i = 0; i < op.size; i++) {
          y[start + i] = ((x[start + i] - mean) / deviation) * (op.weight ? weights[op.weight][i] : 1) + (op.bias ? weights[op.bias][i] : 0);
        }
      }
      return;
  }
}

/** Mean, and the square root of variance + eps, of `size` numbers from `start`. */
export function moments(x: Float32Array, start: number, size: number, eps: number): { mean: number; deviation: number } {
  let [sum, squares] = [0, 0];
  for (let i = start; i < start + size; i++) sum += x[i];
  const mean = sum / size;
  for (let i = start; i < start + size; i++) squares += (x[i] - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / size + eps) };
}

function affine(op: Op & { kind: "linear" | "conv2d" }, x: Float32Array, y: Float32Array, from: number[], to: number[], kernel: number[], weights: Weights): void {
  const each = y.length / to[0];
  for (let o = 0; o < to[0]; o++) y.fill(op.bias ? weights[op.bias][o] : 0, o * each, (o + 1) * each);
  addProduct(op, x, 0, y, from, to, kernel, weights);
}

let simd: Kernel | null = null;

/** Whether products are computed in WebAssembly, from now on; with `code` null they are in TypeScript. */
export function inWebAssembly(code = compiled()): boolean {
  simd = code && (simd ?? new Kernel(code));
  return simd !== null;
}

/** By operation. */
const allWindows = new WeakMap<Op, Windows & { from: number[] }>();

function windowsOf(op: Op & { kind: "linear" | "conv2d" }, from: number[], to: number[], kernel: number[]): Windows & { from: number[] } {
  let found = allWindows.get(op);
  if (!found) {
    const linear = op.kind === "linear"; // as a convolution of maps of one pixel
    const [channels, height, width] = linear ? [from.reduce((a, b) => a * b, 1), 1, 1] : [from[0], from[1] + 2 * op.padding[0], from[2] + 2 * op.padding[1]];
    const [rows, cols] = linear ? [1, 1] : kernel;
    const positions = linear ? [0] : Array.from({ length: to[1] * to[2] }, (_, i) => Math.floor(i / to[2]) * op.stride[0] * width + (i % to[2]) * op.stride[1]);
    const each = rows * cols;
    const [down, right] = (linear ? null : op.dilation) ?? [1, 1];
    const terms = Array.from({ length: channels * each }, (_, i) => Math.floor(i / each) * height * width + Math.floor((i % each) / cols) * width * down + (i % cols) * right);
    found = { positions: Int32Array.from(positions), terms: Int32Array.from(terms), from: [channels, height, width] };
    allWindows.set(op, found);
  }
  return found;
}

let border = new Float32Array(0);

/** Maps with zeros around them, until the next call. */
function padded(x: Float32Array, [rows, cols]: number[], [top, left]: number[]): Float32Array {
  if (!top && !left) return x;
  const [height, width] = [rows + 2 * top, cols + 2 * left];
  const size = (x.length / (rows * cols)) * height * width;
  if (border.length < size) border = new Float32Array(size);
  border.fill(0, 0, size);
  for (let i = 0, at = top * width + left; i < x.length; at += 2 * top * width) {
    for (let r = 0; r < rows; r++, at += width) for (let c = 0; c < cols; c++, i++) border[at + c] = x[i];
  }
  return border.subarray(0, size);
}

const turns = new WeakMap<Float32Array, Float32Array>();
// Inputs of one position that are not 0, and the rows of the turned weights that they multiply.
let values = new Float32Array(0);
let rows = new Int32Array(0);

/**
 * Adds to `y` the product of a linear layer or convolution, without its bias, with `x`: the values of the inputs or channels from `first` on.
 * Channels of zeros are skipped: in the differences between two passes there are many.
 */
export function addProduct(
  op: Op & { kind: "linear" | "conv2d" }, x: Float32Array, first: number, y: Float32Array, from: number[], to: number[], sides: number[], weights: Weights,
): void {
  if (op.kind === "linear") return addWindows(op, x, first, y, from, to, sides, weights);
  const size = from[1] * from[2];
  for (let start = 0, end = 0; start < x.length; start = end) {
    for (end = start; end < x.length && !empty(x, end, end + size); end += size);
    if (end > start) addWindows(op, padded(x.subarray(start, end), from.slice(1), op.padding), first + start / size, y, from, to, sides, weights);
    else end += size;
  }
}

function empty(x: Float32Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (x[i] !== 0) return false;
  return true;
}

function addWindows(
  op: Op & { kind: "linear" | "conv2d" }, x: Float32Array, first: number, y: Float32Array, from: number[], to: number[], sides: number[], weights: Weights,
): void {
  const [weight, out, windows] = [weights[op.weight], to[0], windowsOf(op, from, to, sides)];
  const { positions, terms } = windows;
  const each = terms.length / windows.from[0];
  const inputs = (x.length / (windows.from[1] * windows.from[2])) * each;
  if (simd) return simd.add(weight, out, windows, x, first * each, inputs, y);
  let matrix = turns.get(weight);
  if (!matrix) {
    matrix = new Float32Array(weight.length);
    turned(weight, out, out, matrix);
    turns.set(weight, matrix);
  }
  if (values.length < inputs) [values, rows] = [new Float32Array(inputs), new Int32Array(inputs)];
  for (let position = 0; position < positions.length; position++) {
    let count = 0;
    for (let i = 0; i < inputs; i++) {
      const value = x[positions[position] + terms[i]];
      if (value === 0) continue;
      values[count] = value;
      rows[count++] = (first * each + i) * out;
    }
    if (count) accumulate(count, matrix, out, y, position, positions.length);
  }
}

/** Adds the weighted rows to y[start], y[start + apart], …: eight sums at a time, held in registers. */
function accumulate(count: number, weight: Float32Array, out: number, y: Float32Array, start: number, apart: number): void {
  const [v, w] = [values, rows];
  let o = 0;
  for (; o + 8 <= out; o += 8) {
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let n = 0; n < count; n++) {
      const value = v[n];
      const at = w[n] + o;
      a += value * weight[at];
      b += value * weight[at + 1];
      c += value * weight[at + 2];
      d += value * weight[at + 3];
      e += value * weight[at + 4];
      f += value * weight[at + 5];
      g += value * weight[at + 6];
      h += value * weight[at + 7];
    }
    const at = start + o * apart;
    y[at] += a;
    y[at + apart] += b;
    y[at + 2 * apart] += c;
    y[at + 3 * apart] += d;
    y[at + 4 * apart] += e;
    y[at + 5 * apart] += f;
    y[at + 6 * apart] += g;
    y[at + 7 * apart] += h;
  }
  for (; o < out; o++) {
    let sum = 0;
    for (let n = 0; n < count; n++) sum += v[n] * weight[w[n] + o];
    y[start + o * apart] += sum;
  }
}

function pool(
  x: Float32Array, y: Float32Array, from: number[], to: number[], kernel: number[], stride: number[], padding: number[], max: boolean,
): void {
  const [channels, rows, cols] = from;
  const [, rowsOut, colsOut] = to;
  let at = 0;
  if (max && kernel.join() === "2,2" && stride.join() === "2,2" && padding.join() === "0,0") {
    if (simd && rows % 2 === 0 && cols >= 8) return simd.pool(x, cols, y);
    for (let c = 0; c < channels; c++) {
      for (let r = 0; r < rowsOut; r++) {
        for (let k = 0, i = (c * rows + 2 * r) * cols; k < colsOut; k++, i += 2, at++) {
          y[at] = Math.max(Math.max(x[i], x[i + 1]), Math.max(x[i + cols], x[i + cols + 1]));
        }
      }
    }
    return;
  }
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < rowsOut; r++) {
      for (let k = 0; k < colsOut; k++, at++) {
        let found = max ? -Infinity : 0;
        for (let i = 0; i < kernel[0]; i++) {
          const row = r * stride[0] + i - padding[0];
          if (row < 0 || row >= rows) continue;
          for (let j = 0; j < kernel[1]; j++) {
            const col = k * stride[1] + j - padding[1];
            if (col < 0 || col >= cols) continue;
            const value = x[(c * rows + row) * cols + col];
            found = max ? (value > found ? value : found) : found + value;
          }
        }
        y[at] = max ? found : found / (kernel[0] * kernel[1]);
      }
    }
  }
}

/** Abramowitz & Stegun 7.1.26: within 1.5e-7. */
export function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

export function softmax(logits: Float32Array): Float32Array {
  const highest = Math.max(...logits);
  const found = logits.map((v) => Math.exp(v - highest));
  const sum = found.reduce((a, b) => a + b, 0);
  return found.map((v) => v / sum);
}

export function highest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
