// A unit's pre-activation as the sum of what it reads: each weight times an activation, and the bias.

import type { Trace } from "./backward";
import type { Op } from "./data";
import { type Changes, type Model, moments } from "./engine";

/** A linear layer or convolution between what the page draws as neighbors. */
export interface Link {
  /** Its place among the operations. */
  place: number;
  /** The layer whose units it reads; -1 for the pixels. */
  from: number;
  /** The layers whose sum it reads, if that is shown by none: `from` is the last of them. Otherwise `from` alone, or none. */
  parts: number[];
  /** The first layer that shows its outputs; the number of layers for the classes. */
  to: number;
  /** Units of `from`, or pixels. */
  sources: number;
}

const known = new WeakMap<Model, Link[]>();

export function linksOf(model: Model): Link[] {
  if (!known.has(model)) known.set(model, found(model));
  return known.get(model)!;
}

function found(model: Model): Link[] {
  const { ops, layers } = model.data;
  const hooks = layers.map((layer) => model.places.get(layer)!);
  return ops.flatMap((op, place) => {
    if (op.kind !== "linear" && op.kind !== "conv2d") return [];
    const read = back(model, model.inputs[place], (at) => hooks.includes(at));
    const parts = summed(model, read, hooks);
    if (read >= 0 && !parts) return []; // of what is not shown
    const to = hooks.filter((hook) => hook < place).length;
    const from = Math.max(-1, ...(parts ?? []));
    const sources = from >= 0 ? model.units(layers[from]).count : op.kind === "conv2d" ? model.data.input[0] : size(model.inShape(place));
    return [{ place, from, parts: parts ?? [], to, sources }];
  });
}

/** The layers that a value is the sum of, unit by unit; null if other values take part in it. */
function summed(model: Model, place: number, hooks: number[]): number[] | null {
  if (hooks.includes(place)) return [hooks.indexOf(place)];
  const op = model.data.ops[place];
  if (op?.kind !== "add") return null;
  const parts = [model.inputs[place], op.with].map((one) => summed(model, back(model, one, (at) => hooks.includes(at)), hooks));
  const all = [...new Set(parts.flatMap((own) => own ?? []))].sort((a, b) => a - b);
  return parts.every(Boolean) && all.every((layer) => model.shapes[hooks[layer]][0] === model.shapes[place][0]) ? all : null;
}

/** The layers from whose sum a layer's units are computed without weights, none if what is summed is not shown; null for other layers. */
export function summedIn(model: Model, layer: number): number[] | null {
  const hooks = model.data.layers.map((name) => model.places.get(name)!);
  const place = back(model, model.inputs[hooks[layer]], () => false);
  return model.data.ops[place]?.kind === "add" ? (summed(model, place, hooks) ?? []) : null;
}

/** The layers whose units are computed without weights between units, from one or two layers: by a sum, an activation function, a normalization, or pooling. */
export function unweighted(model: Model): number[] {
  const hooks = model.data.layers.map((name) => model.places.get(name)!);
  return hooks.flatMap((hook, layer) => {
    const place = back(model, model.inputs[hook], (at) => hooks.includes(at));
    if (linksOf(model).some((link) => link.to === layer)) return []; // weights lead to what is summed
    return hooks.includes(place) || model.data.ops[place]?.kind === "add" ? [layer] : [];
  });
}

/** From an operation back along what each reads, to the first for which `found` holds or that mixes units; -1 at the pixels. */
function back(model: Model, place: number, found: (place: number) => boolean): number {
  while (place >= 0 && !found(place) && !["linear", "conv2d", "add"].includes(model.data.ops[place].kind)) place = model.inputs[place];
  return place;
}

/** The link that computes a layer's units (or the classes); null for a layer before any. */
export function linkInto(model: Model, layer: number): Link | null {
  const end = layer < model.data.layers.length ? model.places.get(model.data.layers[layer])! : model.data.ops.length - 1;
  const place = back(model, end, () => false);
  return linksOf(model).find((link) => link.place === place) ?? null;
}

/** The link that reads a layer's units. */
export function linkOutOf(model: Model, layer: number): Link | null {
  return linksOf(model).find((link) => link.parts.includes(layer)) ?? null;
}

/** The position of a unit's highest pre-activation in its map; 0 for a unit without a map. */
export function highestAt(trace: Trace, link: Link, unit: number): number {
  const own = outputs(trace, link, unit);
  let best = 0;
  for (let i = 1; i < own.length; i++) if (own[i] > own[best]) best = i;
  return best;
}

/** Where a unit's map is worth a look: the largest sum of |weight × (value − mean of its window)| over all sources. It is 0 where a window is uniform. */
export function strikingAt(trace: Trace, link: Link, unit: number): number {
  let [best, most] = [0, 0];
  for (let position = mapSize(trace.model, link.place); position-- > 0; ) {
    let size = 0;
    for (let source = 0; source < link.sources; source++) {
      const { weights, values } = windowOf(trace, link, unit, source, position);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      for (let i = 0; i < weights.length; i++) size += Math.abs(weights[i] * (values[i] - mean));
    }
    if (size >= most) [best, most] = [position, size];
  }
  return best;
}

function outputs(trace: Trace, { place }: Link, unit: number): Float32Array {
  const each = mapSize(trace.model, place);
  return trace.outputs[place].subarray(unit * each, (unit + 1) * each);
}

/** The output of a link for a unit at a position: all contributions and the bias. */
export function preActivation(trace: Trace, link: Link, unit: number, position: number): number {
  return outputs(trace, link, unit)[position];
}

export function biasOf(trace: Trace, { place }: Link, unit: number): number {
  const op = linear(trace.model, place);
  return op.bias ? trace.model.weights(trace.snapshot)[op.bias][unit] : 0;
}

/** One source's part of a sum: weights and activations in pairs. A convolution reads 0 outside of the map. */
export interface Window {
  rows: number;
  cols: number;
  weights: Float32Array;
  values: Float32Array;
}

/** What a unit reads of one source: a pair for a unit or a pixel, a map of pairs for a flattened map, a kernel's window for a channel. */
export function windowOf(trace: Trace, link: Link, unit: number, source: number, position: number): Window {
  const { model } = trace;
  const op = linear(model, link.place);
  const [x, weight] = [trace.before(link.place), model.weights(trace.snapshot)[op.weight]];
  if (op.kind === "linear") {
    const each = x.length / link.sources;
    const start = unit * x.length + source * each;
    const map = link.from >= 0 ? flattened(model, link) : [];
    return { rows: map[0] ?? 1, cols: map[1] ?? each, weights: weight.subarray(start, start + each), values: x.subarray(source * each, (source + 1) * each) };
  }
  const [rows, cols] = model.kernels[link.place];
  const [channels, height, width] = model.inShape(link.place);
  const [down, right] = op.dilation ?? [1, 1];
  const [top, left] = cornerOf(model, link, position);
  const start = (unit * channels + source) * rows * cols;
  const values = Float32Array.from({ length: rows * cols }, (_, i) => {
    const [row, col] = [top + Math.floor(i / cols) * down, left + (i % cols) * right];
    return row < 0 || row >= height || col < 0 || col >= width ? 0 : x[(source * height + row) * width + col];
  });
  return { rows, cols, weights: weight.subarray(start, start + rows * cols), values };
}

/** Rows and columns of the maps that a linear layer reads flattened; none for units. */
export function flattened(model: Model, link: Link): number[] {
  const { data, shapes } = model;
  for (let i = model.inputs[link.place]; i >= 0; i = model.inputs[i]) {
    if (shapes[i].length === 3) return shapes[i].slice(1);
    if (data.ops[i].kind === "linear") break;
  }
  return [];
}

/** The row and column of the first pixel under the kernel at a position of the output. */
export function cornerOf(model: Model, link: Link, position: number): [number, number] {
  const op = linear(model, link.place);
  if (op.kind === "linear") return [0, 0];
  const cols = model.shapes[link.place][2];
  return [Math.floor(position / cols) * op.stride[0] - op.padding[0], (position % cols) * op.stride[1] - op.padding[1]];
}

/** Weight times activation, summed over one source. */
export function contribution(trace: Trace, link: Link, unit: number, source: number, position: number): number {
  const { weights, values } = windowOf(trace, link, unit, source, position);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i] * values[i];
  return sum;
}

/** Every source's contribution to a unit, for a channel at one position. */
export function contributions(trace: Trace, link: Link, unit: number, position = highestAt(trace, link, unit)): Float64Array {
  const { model } = trace;
  const op = linear(model, link.place);
  const [x, weight] = [trace.before(link.place), model.weights(trace.snapshot)[op.weight]];
  const found = new Float64Array(link.sources);
  if (op.kind === "linear") {
    const each = x.length / link.sources;
    for (let source = 0, i = 0, at = unit * x.length; source < link.sources; source++) {
      for (const end = i + each; i < end; i++, at++) found[source] += weight[at] * x[i];
    }
    return found;
  }
  const [rows, cols] = model.kernels[link.place];
  const [, height, width] = model.inShape(link.place);
  const [down, right] = op.dilation ?? [1, 1];
  const [top, left] = cornerOf(model, link, position);
  let at = unit * link.sources * rows * cols;
  for (let source = 0; source < link.sources; source++) {
    for (let i = 0, row = top; i < rows; i++, row += down) {
      for (let j = 0, col = left; j < cols; j++, col += right, at++) {
        if (row >= 0 && row < height && col >= 0 && col < width) found[source] += weight[at] * x[(source * height + row) * width + col];
      }
    }
  }
  return found;
}

export interface Edge {
  link: Link;
  /** A unit of the link's `from`, and one of its `to`. */
  source: number;
  unit: number;
  value: number;
  /** Its size as a share of the link's largest. */
  share: number;
}

/** The contributions between the units of neighboring layers, of each link the `most` largest, the largest first. Pixels have no edges. */
export function edgesOf(trace: Trace, most = Infinity): Edge[][] {
  return linksOf(trace.model)
    .filter((link) => link.from >= 0)
    .map((link) => {
      const values = new Float64Array(trace.model.shapes[link.place][0] * link.sources);
      for (let start = 0; start < values.length; start += link.sources) values.set(contributions(trace, link, start / link.sources), start);
      const sizes = values.map(Math.abs).sort();
      const [least, largest] = [sizes[Math.max(0, sizes.length - most)], sizes.at(-1)!];
      const found: Edge[] = [];
      for (let i = 0; i < values.length; i++) {
        const [value, size] = [values[i], Math.abs(values[i])];
        if (value && size >= least) found.push({ link, source: i % link.sources, unit: Math.floor(i / link.sources), value, share: size / largest });
      }
      return found.sort((a, b) => b.share - a.share).slice(0, most);
    });
}

/** The contributions of a unit, and those to it, of each link the `most` largest; `edges` are those of `edgesOf`. */
export function edgesAt(trace: Trace, edges: Edge[][], { layer, unit }: { layer: number; unit: number }, most: number): Edge[] {
  return edges.flatMap(([first]) => {
    const link = first?.link;
    if (!link || (!link.parts.includes(layer) && link.to !== layer)) return [];
    const units = Array.from({ length: trace.model.shapes[link.place][0] }, (_, i) => i);
    const values = link.to === layer ? [...contributions(trace, link, unit)] : units.map((to) => contribution(trace, link, to, unit, highestAt(trace, link, to)));
    const found = values.map((value, i) => ({ link, source: link.to === layer ? i : unit, unit: link.to === layer ? unit : i, value, share: Math.abs(value) * (first.share / Math.abs(first.value)) }));
    return found.filter((edge) => edge.value).sort((a, b) => b.share - a.share).slice(0, most);
  });
}

/** The places of the operations that make a unit's value out of a link, from the link to the last before the next one. */
export function stepsAfter(model: Model, link: Link, changes: Changes, unit: number): number[] {
  const found: number[] = [];
  const { ops } = model.data;
  const readers = (place: number) => ops.flatMap((op, i) => (model.inputs[i] === place || (op.kind === "add" && op.with === place) ? [i] : []));
  for (let next = readers(link.place); next.length === 1; next = readers(next[0])) {
    const [i] = next;
    const op = ops[i];
    if (op.kind === "linear" || op.kind === "conv2d" || op.kind === "add") break;
    if (op.kind === "hook" ? changes.get(op.name)?.has(unit) : op.kind !== "flatten") found.push(i);
  }
  return found;
}

/** The numbers with which a normalization changes one value of a unit. */
export function normalizationAt(trace: Trace, place: number, unit: number, index: number): { mean: number; deviation: number; scale: number; shift: number } {
  const [op, weights] = [trace.model.data.ops[place], trace.model.weights(trace.snapshot)];
  if (op.kind !== "batchnorm" && op.kind !== "layernorm") throw new Error(`${op.kind} is not a normalization`);
  const over = op.kind === "layernorm" ? moments(trace.before(place), index - (index % op.size), op.size, op.eps) : { mean: weights[op.mean][unit], deviation: Math.sqrt(weights[op.variance][unit] + op.eps) };
  const own = op.kind === "layernorm" ? index % op.size : unit;
  return { ...over, scale: op.weight ? weights[op.weight][own] : 1, shift: op.bias ? weights[op.bias][own] : 0 };
}

export function linear(model: Model, place: number): Extract<Op, { kind: "linear" | "conv2d" }> {
  const op = model.data.ops[place];
  if (op.kind !== "linear" && op.kind !== "conv2d") throw new Error(`${op.kind} is not a linear layer`);
  return op;
}

export function mapSize(model: Model, place: number): number {
  return size(model.shapes[place].slice(1));
}

function size(shape: number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
