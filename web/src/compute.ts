// A network's predictions for its share of the images, with or without changes: what a worker computes.

import { Trace } from "./backward";
import { imageAt, type Images } from "./data";
import { type Known, NO_CHANGES, type Changes, highest, type Model } from "./engine";
import { shifted, shiftOf } from "./shift";

const SLICE = 12; // milliseconds
const EACH = 10; // images between clock checks

/** [image, class], and for the unchanged network [image, unit] per layer: the activation, or a channel's mean over its map. */
export interface Found {
  logits: Float32Array;
  means?: Map<string, Float32Array>;
}

/** Ablations of single units that change the prediction for one image. */
export interface Flips {
  units: { layer: number; unit: number }[];
  /** The unit after whose ablation the new class leads by most. */
  best: { layer: number; unit: number } | null;
}

/** The unchanged network at one snapshot; a change is computed from the changed layer on. */
interface Base {
  /** Inputs and outputs of each linear layer and convolution but the first, [image, …], by operation index; those too large are left out. */
  into: Map<number, Float32Array>;
  out: Map<number, Float32Array>;
  size: number;
}

export class Computer {
  /** By snapshot; oldest use first. */
  private readonly bases = new Map<number, Base>();
  /** Arrays of snapshots that were dropped, used again: memory that the system has not given before is slow. */
  private spare: Float32Array[] = [];

  /** Of visited snapshots at most `mostKept` numbers are kept. */
  constructor(readonly model: Model, readonly images: Images, private readonly mostKept: number) {}

  /** Rejects with an AbortError when `signal` aborts. */
  async found(snapshot: number, changes: Changes | null, signal: AbortSignal): Promise<Found> {
    if (!changes) return this.unchanged(snapshot, signal);
    return { logits: await this.logits(await this.base(snapshot, signal), snapshot, changes, signal) };
  }

  /** What a change at a snapshot is computed from, so that the first one need not wait for it: to fill so much memory takes as long as to compute it. */
  async prepare(snapshot: number, signal: AbortSignal): Promise<void> {
    await this.base(snapshot, signal);
  }

  /** Ablates each unit in turn, for one image. */
  async flips(pixels: Float32Array, snapshot: number, signal: AbortSignal): Promise<Flips> {
    const { model } = this;
    await model.load(snapshot);
    const [trace, room] = [new Trace(model, pixels, snapshot), model.room()];
    const known: Known = { into: (place) => trace.before(place), out: (place) => trace.outputs[place] };
    const usual = highest(trace.outputs.at(-1)!);
    const all = model.data.layers.flatMap((name, layer) => Array.from({ length: model.units(name).count }, (_, unit) => ({ layer, unit })));
    const found: Flips = { units: [], best: null };
    let most = 0;
    await slices(all.length, signal, (i) => {
      const layer = model.data.layers[all[i].layer];
      const place = model.places.get(layer)!;
      const logits = model.run(trace.before(place), place, model.weights(snapshot), new Map([[layer, new Map([[all[i].unit, { kind: "zero" }]])]]), room, undefined, known);
      const lead = logits[highest(logits)] - logits[usual];
      if (highest(logits) === usual) return;
      found.units.push(all[i]);
      if (!found.best || lead > most) [found.best, most] = [all[i], lead];
    });
    return found;
  }

  private async base(snapshot: number, signal: AbortSignal): Promise<Base> {
    const base = this.bases.get(snapshot) ?? (await this.make(snapshot, signal));
    this.bases.delete(snapshot);
    this.bases.set(snapshot, base);
    return base;
  }

  private async unchanged(snapshot: number, signal: AbortSignal): Promise<Found> {
    const { model, images } = this;
    const { layers, classes } = model.data;
    await model.load(snapshot);
    const means = new Map(layers.map((layer) => [layer, new Float32Array(model.units(layer).count * images.count)]));
    const logits = new Float32Array(images.count * classes);
    const [weights, room, seen] = [model.weights(snapshot), model.room(), new Map<string, Float32Array>()];
    await slices(images.count, signal, (i) => {
      logits.set(model.run(imageAt(images, i), 0, weights, NO_CHANGES, room, seen), i * classes);
      for (const layer of layers) average(seen.get(layer)!, means.get(layer)!, i, model.units(layer).count);
    });
    return { logits, means };
  }

  private async make(snapshot: number, signal: AbortSignal): Promise<Base> {
    const { model, images } = this;
    await model.load(snapshot);
    const [into, out, sources] = [new Map<number, Float32Array>(), new Map<number, Float32Array>(), new Map<number, number>()];
    const kept: [Map<number, Float32Array>, number, number][] = [];
    let size = 0;
    const keep = (arrays: Map<number, Float32Array>, place: number, source: number) => {
      const own = images.count * model.shapes[source].reduce((a, b) => a * b, 1);
      if (size + own > this.mostKept) return;
      kept.push([arrays, place, own]);
      size += own;
    };
    model.data.ops.forEach((op, place) => {
      const source = model.source(place);
      if (op.kind !== "linear" && op.kind !== "conv2d") return;
      if (sources.set(place, source).size < 2 || source < 0) return;
      keep(into, place, source);
      keep(out, place, place);
    });
    this.forget(size);
    for (const [arrays, place, own] of kept) {
      const found = this.spare.findIndex(({ length }) => length === own);
      arrays.set(place, found < 0 ? new Float32Array(own) : this.spare.splice(found, 1)[0]);
    }
    this.spare = [];
    const [weights, room] = [model.weights(snapshot), model.room()];
    await slices(images.count, signal, (i) => {
      model.run(imageAt(images, i), 0, weights, NO_CHANGES, room);
      for (const [place, array] of into) array.set(room[sources.get(place)!], i * room[sources.get(place)!].length);
      for (const [place, array] of out) array.set(room[place], i * room[place].length);
    });
    return { into, out, size };
  }

  /** Drops the snapshots that were not used for longest, until there is room for as many numbers. */
  private forget(needed: number): void {
    let total = [...this.bases.values()].reduce((sum, { size }) => sum + size, needed);
    for (const [snapshot, { size, into, out }] of this.bases) {
      if (total <= this.mostKept) return;
      this.bases.delete(snapshot);
      this.spare.push(...into.values(), ...out.values());
      total -= size;
    }
  }

  /** Logits [image, class], computed from the next linear layer on, or from the last one before the change. */
  private async logits(base: Base, snapshot: number, changes: Changes, signal: AbortSignal): Promise<Float32Array> {
    const { model, images } = this;
    const [weights, room] = [model.weights(snapshot), model.room()];
    const logits = new Float32Array(images.count * model.data.classes);
    const shift = shiftOf(model, changes);
    const alone = shift && new Float32Array(shift.each);
    const first = Math.min(...[...changes.keys()].map((name) => model.places.get(name)!));
    const start = Math.max(-1, ...[...base.out.keys()].filter((place) => place < first && model.cuts[place]));
    await slices(images.count, signal, (i) => {
      const known: Known = { into: (place) => part(base.into.get(place), i, images.count), out: (place) => part(base.out.get(place), i, images.count) };
      const [into, out] = [shift && known.into(shift.place), shift && known.out(shift.place)];
      if (shift && alone && into && out) {
        const y = room[shift.place];
        y.set(out);
        shifted(model, shift, into, y, weights, alone);
        logits.set(model.run(y, shift.place + 1, weights, changes, room, undefined, known), i * model.data.classes);
      } else {
        logits.set(model.run(known.out(start) ?? imageAt(images, i), start + 1, weights, changes, room, undefined, known), i * model.data.classes);
      }
    });
    return logits;
  }
}

/** What belongs to one image. */
function part(all: Float32Array | undefined, image: number, count: number): Float32Array | undefined {
  const size = all ? all.length / count : 0;
  return all?.subarray(image * size, (image + 1) * size);
}

function average(values: Float32Array, means: Float32Array, image: number, count: number): void {
  const each = values.length / count;
  for (let unit = 0; unit < count; unit++) {
    let sum = 0;
    for (let i = unit * each; i < (unit + 1) * each; i++) sum += values[i];
    means[image * count + unit] = sum / each;
  }
}

/** Runs `work` for each number below `count`; every SLICE milliseconds the worker reads its messages. */
async function slices(count: number, signal: AbortSignal, work: (i: number) => void): Promise<void> {
  let began = performance.now();
  for (let i = 0; i < count; i++) {
    work(i);
    if (i % EACH === 0 && performance.now() - began > SLICE) {
      await breath();
      signal.throwIfAborted();
      began = performance.now();
    }
  }
}

const { port1, port2 } = new MessageChannel();

/** Lets messages arrive; one to oneself returns sooner than a timer. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    port1.onmessage = () => resolve();
    port2.postMessage(null);
  });
}
