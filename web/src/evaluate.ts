// A network's predictions for all included images, with or without changes, in time slices so that the page never freezes.

import type { Images } from "./data";
import { highest, NO_CHANGES, type Changes, type Model } from "./engine";
import { shifted, shiftOf } from "./shift";

/** Most values kept for all images at one hook point: more would exceed a phone's memory. */
const MOST_KEPT = 2 ** 23;
const SLICE = 12; // milliseconds
const EACH = 10; // images between clock checks

export interface Answers {
  /** The predicted class of each image. */
  predicted: Uint8Array;
  right: number;
  accuracy: number;
  /** Accuracy per class; NaN for a class without images. */
  byClass: number[];
  /** confusion[label][predicted]: counts. */
  confusion: number[][];
  /** Mean cross-entropy, in nats. */
  loss: number;
}

/** The unchanged network at one snapshot, on all images; a change is computed from the changed layer on. */
interface Base {
  answers: Answers;
  /** Inputs and outputs of each linear layer and convolution, [image, …], by operation index; those too large are left out. */
  into: Map<number, Float32Array>;
  out: Map<number, Float32Array>;
  /** [image, unit] per layer: the activation, or a channel's mean over its map. */
  means: Map<string, Float32Array>;
}

/** A base computed once for all its waiters, and aborted when none is left. */
interface Making {
  base: Promise<Base>;
  stop: AbortController;
  waiting: number;
  done: Base | null;
}

export class Evaluator {
  /** The last requested snapshot and its base. */
  private latest: { snapshot: number; making: Making } | null = null;
  private readonly read = new Map<number, Uint8Array>();

  constructor(readonly model: Model, readonly images: Images) {}

  /** Rejects with an AbortError when `signal` aborts. */
  async answers(snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Answers> {
    const base = await this.base(snapshot, signal);
    if (!changes.size) return base.answers;
    return summary(await this.changed(base, snapshot, changes, signal), this.images);
  }

  /** [image, unit] of a layer, unchanged, at a snapshot: activations, or each channel's mean over its map. */
  async means(snapshot: number, layer: string, signal?: AbortSignal): Promise<Float32Array> {
    return (await this.base(snapshot, signal)).means.get(layer)!;
  }

  /** Which units are 0 on every image at a snapshot, if that is already known. */
  dead(snapshot: number, layer: string): boolean[] | null {
    const means = this.latest?.snapshot === snapshot ? this.latest.making.done?.means.get(layer) : undefined;
    if (!means) return null;
    const { count } = this.model.units(layer);
    return Array.from({ length: count }, (_, unit) => {
      for (let i = unit; i < means.length; i += count) if (means[i] !== 0) return false;
      return true;
    });
  }

  /** The predicted class of each image, unchanged, if already known. */
  known(snapshot: number): Uint8Array | null {
    return this.read.get(snapshot) ?? null;
  }

  private base(snapshot: number, signal?: AbortSignal): Promise<Base> {
    if (this.latest?.snapshot !== snapshot || this.latest.making.stop.signal.aborted) this.latest = { snapshot, making: this.begin(snapshot) };
    const making = this.latest.making;
    if (making.done) return making.base;
    making.waiting++;
    if (!signal) return making.base;
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (--making.waiting === 0 && !making.done) making.stop.abort();
        reject(given());
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      making.base.then(resolve, reject);
    });
  }

  private begin(snapshot: number): Making {
    const stop = new AbortController();
    const making: Making = { base: this.make(snapshot, stop.signal), stop, waiting: 0, done: null };
    making.base.then(
      (base) => {
        making.done = base;
        this.read.set(snapshot, base.answers.predicted);
      },
      () => undefined, // the waiters handle the rejection
    );
    return making;
  }

  private async make(snapshot: number, signal: AbortSignal): Promise<Base> {
    const { model, images } = this;
    const { layers, classes, ops } = model.data;
    await model.load(snapshot);
    const means = new Map(layers.map((layer) => [layer, new Float32Array(model.units(layer).count * images.count)]));
    const [into, out, sources] = [new Map<number, Float32Array>(), new Map<number, Float32Array>(), new Map<number, number>()];
    let source = -1; // the last operation with an output of its own
    ops.forEach((op, place) => {
      if (op.kind === "hook" || op.kind === "flatten") return;
      if (op.kind === "linear" || op.kind === "conv2d") {
        sources.set(place, source);
        if (source >= 0) this.keep(into, place, source);
        this.keep(out, place, place);
      }
      source = place;
    });
    const [weights, room, seen] = [model.weights(snapshot), model.room(), new Map<string, Float32Array>()];
    const logits = new Float32Array(images.count * classes);
    await slices(images.count, signal, (i) => {
      logits.set(model.run(this.image(i), 0, weights, NO_CHANGES, room, seen), i * classes);
      for (const [place, array] of into) array.set(room[sources.get(place)!], i * room[sources.get(place)!].length);
      for (const [place, array] of out) array.set(room[place], i * room[place].length);
      for (const layer of layers) average(seen.get(layer)!, means.get(layer)!, i, model.units(layer).count);
    });
    return { answers: summary(logits, images), into, out, means };
  }

  /** Allocates one operation's output for all images, unless it is too large. */
  private keep(arrays: Map<number, Float32Array>, place: number, source: number): void {
    const size = this.images.count * this.model.shapes[source].reduce((a, b) => a * b, 1);
    if (size <= MOST_KEPT) arrays.set(place, new Float32Array(size));
  }

  private image(i: number): Float32Array {
    const size = this.images.rows * this.images.cols;
    return this.images.pixels.subarray(i * size, (i + 1) * size);
  }

  /** Logits [image, class], computed from the next linear layer on, or from the last one before the change. */
  private async changed(base: Base, snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Float32Array> {
    const { model, images } = this;
    const [weights, room] = [model.weights(snapshot), model.room()];
    const logits = new Float32Array(images.count * model.data.classes);
    const shift = shiftOf(model, changes);
    const [into, out] = [shift && base.into.get(shift.place), shift && base.out.get(shift.place)];
    if (shift && into && out) {
      const [x, y] = [into.length / images.count, room[shift.place]];
      const difference = new Float32Array(shift.each);
      await slices(images.count, signal, (i) => {
        y.set(out.subarray(i * y.length, (i + 1) * y.length));
        shifted(model, shift, into.subarray(i * x, (i + 1) * x), y, weights, difference);
        logits.set(model.run(y, shift.place + 1, weights, changes, room), i * model.data.classes);
      });
      return logits;
    }
    const first = Math.min(...[...changes.keys()].map((name) => model.places.get(name)!));
    const start = Math.max(-1, ...[...base.out.keys()].filter((place) => place < first));
    const known = base.out.get(start);
    const size = known ? known.length / images.count : 0;
    await slices(images.count, signal, (i) => {
      const x = known ? known.subarray(i * size, (i + 1) * size) : this.image(i);
      logits.set(model.run(x, start + 1, weights, changes, room), i * model.data.classes);
    });
    return logits;
  }
}

function average(values: Float32Array, means: Float32Array, image: number, count: number): void {
  const each = values.length / count;
  for (let unit = 0; unit < count; unit++) {
    let sum = 0;
    for (let i = unit * each; i < (unit + 1) * each; i++) sum += values[i];
    means[image * count + unit] = sum / each;
  }
}

function given(): DOMException {
  return new DOMException("no longer needed", "AbortError");
}

/** Runs `work` for each number below `count`, yielding to the page every SLICE milliseconds. */
async function slices(count: number, signal: AbortSignal | undefined, work: (i: number) => void): Promise<void> {
  let began = performance.now();
  for (let i = 0; i < count; i++) {
    work(i);
    if (i % EACH === 0 && performance.now() - began > SLICE) {
      await breath();
      if (signal?.aborted) throw given();
      began = performance.now();
    }
  }
}

/** Lets the page draw and handle events; a message returns sooner than a timer. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(null);
  });
}

function summary(logits: Float32Array, images: Images): Answers {
  const classes = logits.length / images.count;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const predicted = new Uint8Array(images.count);
  let loss = 0;
  for (let i = 0; i < images.count; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    predicted[i] = highest(row);
    confusion[images.labels[i]][predicted[i]]++;
    const most = row[predicted[i]];
    loss += most + Math.log(row.reduce((sum, v) => sum + Math.exp(v - most), 0)) - row[images.labels[i]];
  }
  const right = confusion.reduce((sum, counts, label) => sum + counts[label], 0);
  const byClass = confusion.map((counts, label) => counts[label] / counts.reduce((a, b) => a + b, 0));
  return { predicted, right, accuracy: right / images.count, byClass, confusion, loss: loss / images.count };
}
