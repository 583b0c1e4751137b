// A change to units of one layer, computed from what it adds to the output of the next linear layer. Exact, because that layer is linear.

import type { Op } from "./data";
import { addProduct, apply, type Changes, edited, type Model, type Weights } from "./engine";

/** One changed unit at the layer's input: fixed values, or a multiple of the original. */
interface Part {
  unit: number;
  values: Float32Array | null;
  factor: number;
}

export interface Shift {
  /** The linear layer's index among the operations. */
  place: number;
  /** Values per unit at the layer's input. */
  each: number;
  parts: Part[];
}

/** The changes to the first changed layer as a shift of the next linear layer's output; null if an operation between them mixes units. */
export function shiftOf(model: Model, changes: Changes): Shift | null {
  const { ops } = model.data;
  const first = Math.min(...[...changes.keys()].map((name) => model.places.get(name)!));
  const pools: number[] = [];
  let place = first + 1;
  for (; place < ops.length; place++) {
    const op = ops[place];
    if (model.inputs[place] !== place - 1) return null;
    if (op.kind === "linear" || op.kind === "conv2d") break;
    if (op.kind === "maxpool" || op.kind === "avgpool") pools.push(place);
    else if (op.kind !== "flatten" && !(op.kind === "hook" && !changes.has(op.name))) return null;
  }
  const hook = ops[first];
  if (place === ops.length || hook.kind !== "hook" || !model.cuts[place]) return null; // what it changes is read further on, too
  const shape = model.shapes[first];
  const each = model.shapes[place - 1].reduce((a, b) => a * b, 1) / shape[0];
  const parts: Part[] = [];
  for (const [unit, change] of changes.get(hook.name)!) {
    if (change.kind === "scale") {
      if (change.value < 0 && pools.length) return null; // the highest becomes the lowest
      parts.push({ unit, values: null, factor: change.value });
    } else {
      const alone = new Float32Array(shape.slice(1).reduce((a, b) => a * b, 1));
      let values = edited(alone, new Map([[0, change]]), [1], alone);
      let sides = [1, ...shape.slice(1)];
      for (const pool of pools) {
        const after = [1, ...model.shapes[pool].slice(1)];
        const pooled = new Float32Array(after.reduce((a, b) => a * b, 1));
        apply(ops[pool], values, pooled, sides, after, [], {});
        [values, sides] = [pooled, after];
      }
      parts.push({ unit, values, factor: 0 });
    }
  }
  return { place, each, parts };
}

/** Adds the shift to `out`, the linear layer's output for one image; `into` is the layer's input. */
export function shifted(model: Model, shift: Shift, into: Float32Array, out: Float32Array, weights: Weights, room: Float32Array): void {
  const op = model.data.ops[shift.place] as Op & { kind: "linear" | "conv2d" };
  const flat = op.kind === "linear"; // a layer's inputs are counted one by one, a convolution's by channel
  for (const { unit, values, factor } of shift.parts) {
    const start = unit * shift.each;
    for (let k = 0; k < shift.each; k++) room[k] = values ? values[k] - into[start + k] : (factor - 1) * into[start + k];
    addProduct(op, room, flat ? start : unit, out, model.shapes[shift.place - 1], model.shapes[shift.place], model.kernels[shift.place], weights);
  }
}
