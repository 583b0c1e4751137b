// Gradients by the chain rule through the same operations: of a unit with respect to the pixels, and of the logits with respect to a unit.

import type { Op } from "./data";
import { type Changes, erf, moments, type Model, NO_CHANGES, sigmoid, type Weights } from "./engine";

/** The output of every operation for one example; gradients are those of the unchanged network. */
export class Trace {
  readonly outputs: Float32Array[] = [];

  constructor(readonly model: Model, readonly pixels: Float32Array, readonly snapshot: number, changes: Changes = NO_CHANGES) {
    const room = model.room();
    model.run(pixels, 0, model.weights(snapshot), changes, room);
    model.data.ops.forEach((op, i) => {
      const own = op.kind === "hook" ? changes.get(op.name)?.size : op.kind !== "flatten";
      this.outputs.push(own ? room[i] : this.before(i));
    });
  }

  before(place: number): Float32Array {
    return this.outputs[this.model.inputs[place]] ?? this.pixels;
  }

  /** d(seed · output of operation `from`) / d(output of operation `to`); with `to` = -1, / d(pixels). */
  backward(from: number, seed: Float32Array, to: number): Float32Array {
    const { data, shapes, kernels, inputs } = this.model;
    const weights = this.model.weights(this.snapshot);
    const all = new Map([[from, seed]]);
    const give = (place: number, gradient: Float32Array) => {
      const other = all.get(place);
      all.set(place, other ? other.map((v, k) => v + gradient[k]) : gradient);
    };
    for (let i = from; i > to; i--) {
      const [op, gradient] = [data.ops[i], all.get(i)];
      if (!gradient) continue; // no way leads from it to the seed
      give(inputs[i], through(op, this.before(i), this.outputs[i], gradient, this.model.inShape(i), shapes[i], kernels[i], weights));
      if (op.kind === "add") give(op.with, gradient);
    }
    return all.get(to) ?? new Float32Array(to < 0 ? this.pixels.length : this.outputs[to].length);
  }

  /**
   * The gradient of a unit's pre-activation (for a channel, at its highest position) with respect to the pixels: the weights
   * of a first-layer unit, the effective pattern of a deeper one at this example.
   */
  pattern(hookPoint: string, unit: number): Float32Array {
    const { data, shapes } = this.model;
    let place = this.model.places.get(hookPoint)!;
    while (place > 0 && ["hook", "relu", "leakyrelu", "sigmoid", "silu", "tanh", "gelu"].includes(data.ops[place].kind)) place = this.model.inputs[place];
    const seed = new Float32Array(this.outputs[place].length);
    const each = seed.length / shapes[place][0];
    let best = unit * each;
    for (let i = best; i < (unit + 1) * each; i++) if (this.outputs[place][i] > this.outputs[place][best]) best = i;
    seed[best] = 1;
    return this.backward(place, seed, -1);
  }

  /** First-order change of each logit if the unit were ablated: [class]. Exact at the input of the last linear layer. */
  contributions(hookPoint: string, unit: number): Float32Array {
    return Float32Array.from({ length: this.model.data.classes }, (_, label) => this.contributionsTo(label, hookPoint)[unit]);
  }

  /** The same of one logit, for every unit: [unit]. */
  contributionsTo(label: number, hookPoint: string): Float32Array {
    const place = this.model.places.get(hookPoint)!;
    const final = this.outputs.length - 1;
    const seed = new Float32Array(this.outputs[final].length);
    seed[label] = 1;
    const [gradient, acts] = [this.backward(final, seed, place), this.outputs[place]];
    const each = acts.length / this.model.shapes[place][0];
    return Float32Array.from({ length: this.model.shapes[place][0] }, (_, unit) => {
      let sum = 0;
      for (let i = unit * each; i < (unit + 1) * each; i++) sum += gradient[i] * acts[i];
      return sum;
    });
  }
}

function through(
  op: Op, x: Float32Array, y: Float32Array, g: Float32Array, from: number[], to: number[], kernel: number[], weights: Weights,
): Float32Array {
  switch (op.kind) {
    case "hook":
    case "flatten":
    case "add":
      return g;
    case "normalize":
      return g.map((v) => v / op.std);
    case "relu":
      return g.map((v, i) => (x[i] > 0 ? v : 0));
    case "tanh":
      return g.map((v, i) => v * (1 - y[i] * y[i]));
    case "sigmoid":
      return g.map((v, i) => v * y[i] * (1 - y[i]));
    case "silu":
      return g.map((v, i) => v * (sigmoid(x[i]) + y[i] * (1 - sigmoid(x[i]))));
    case "leakyrelu":
      return g.map((v, i) => (x[i] > 0 ? v : op.slope * v));
    case "gelu":
      return g.map((v, i) => v * (op.approximate === "tanh" ? geluTanhSlope(x[i]) : geluSlope(x[i])));
    case "linear":
      return transposed(g, x.length, weights[op.weight]);
    case "conv2d":
      return convolvedBack(g, from, to, weights[op.weight], kernel, op.stride, op.padding, op.dilation);
    case "maxpool":
    case "avgpool":
      return pooledBack(x, y, g, from, to, op.kernel, op.stride, op.padding, op.kind === "maxpool");
    case "batchnorm": {
      const each = x.length / from[0];
      return g.map((v, i) => {
        const c = Math.floor(i / each);
        return (v * (op.weight ? weights[op.weight][c] : 1)) / Math.sqrt(weights[op.variance][c] + op.eps);
      });
    }
    case "layernorm":
      return normedBack(x, g, op.size, op.eps, op.weight ? weights[op.weight] : null);
  }
}

function geluSlope(x: number): number {
  return 0.5 * (1 + erf(x * Math.SQRT1_2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

function geluTanhSlope(x: number): number {
  const k = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(k * (x + 0.044715 * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

function transposed(g: Float32Array, inputs: number, weight: Float32Array): Float32Array {
  const found = new Float32Array(inputs);
  for (let unit = 0; unit < g.length; unit++) {
    if (g[unit] === 0) continue;
    for (let i = 0, w = unit * inputs; i < inputs; i++, w++) found[i] += g[unit] * weight[w];
  }
  return found;
}

function convolvedBack(
  g: Float32Array, from: number[], to: number[], weight: Float32Array, kernel: number[], stride: number[], padding: number[], [down, right]: number[] = [1, 1],
): Float32Array {
  const [channels, rows, cols] = from;
  const [out, rowsOut, colsOut] = to;
  const [kernelRows, kernelCols] = kernel;
  const found = new Float32Array(channels * rows * cols);
  for (let o = 0, at = 0; o < out; o++) {
    for (let r = 0; r < rowsOut; r++) {
      for (let k = 0; k < colsOut; k++, at++) {
        if (g[at] === 0) continue;
        for (let c = 0; c < channels; c++) {
          for (let kr = 0; kr < kernelRows; kr++) {
            const row = r * stride[0] + kr * down - padding[0];
            if (row < 0 || row >= rows) continue;
            for (let kc = 0; kc < kernelCols; kc++) {
              const col = k * stride[1] + kc * right - padding[1];
              if (col < 0 || col >= cols) continue;
              found[(c * rows + row) * cols + col] += g[at] * weight[((o * channels + c) * kernelRows + kr) * kernelCols + kc];
            }
          }
        }
      }
    }
  }
  return found;
}

function pooledBack(
  x: Float32Array, y: Float32Array, g: Float32Array, from: number[], to: number[], kernel: number[], stride: number[], padding: number[], max: boolean,
): Float32Array {
  const [channels, rows, cols] = from;
  const [, rowsOut, colsOut] = to;
  const found = new Float32Array(x.length);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let r = 0; r < rowsOut; r++) {
      for (let k = 0; k < colsOut; k++, at++) {
        let given = false;
        for (let i = 0; i < kernel[0]; i++) {
          const row = r * stride[0] + i - padding[0];
          if (row < 0 || row >= rows) continue;
          for (let j = 0; j < kernel[1]; j++) {
            const col = k * stride[1] + j - padding[1];
            if (col < 0 || col >= cols) continue;
            const place = (c * rows + row) * cols + col;
            if (!max) found[place] += g[at] / (kernel[0] * kernel[1]);
            else if (!given && x[place] === y[at]) {
              found[place] += g[at]; // of several highest the first, as torch does
              given = true;
            }
          }
        }
      }
    }
  }
  return found;
}

function normedBack(x: Float32Array, g: Float32Array, size: number, eps: number, weight: Float32Array | null): Float32Array {
  const found = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += size) {
    const { mean, deviation } = moments(x, start, size, eps);
    let [sum, along] = [0, 0];
    for (let i = 0; i < size; i++) {
      const v = g[start + i] * (weight ? weight[i] : 1);
      sum += v;
      along += (v * (x[start + i] - mean)) / deviation;
    }
    for (let i = 0; i < size; i++) {
      const v = g[start + i] * (weight ? weight[i] : 1);
      const scaled = (x[start + i] - mean) / deviation;
      found[start + i] = (v - sum / size - (scaled * along) / size) / deviation;
    }
  }
  return found;
}
