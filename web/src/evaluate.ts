// What a network says of all included images, with changes or without, a slice at a time so that the page never freezes.

import type { Images } from "./data";
import { highest, NO_CHANGES, type Changes, type Model } from "./engine";

/** Numbers of one hook point that are kept for all images: more would take too much of a phone's memory. */
const MOST_KEPT = 2 ** 23;
const SLICE = 12; // milliseconds
const EACH = 10; // images between looks at the clock

export interface Answers {
  /** The class each image is given. */
  said: Uint8Array;
  right: number;
  accuracy: number;
  /** Share of each class that is read rightly; NaN for a class without images. */
  byClass: number[];
  /** confusion[label][said]: counts. */
  confusion: number[][];
  /** Mean cross-entropy, nat. */
  loss: number;
}

/** What stands at hook points for all images at one snapshot, so that a change is worked out from its own layer on. */
class Kept {
  readonly arrays = new Map<string, Float32Array>();
  /** Of each layer [image, unit]: the activation, or a channel's mean over its map. */
  readonly means = new Map<string, Float32Array>();
  whole = false;

  constructor(readonly snapshot: number) {}
}

export class Evaluator {
  private kept: Kept | null = null;
  private readonly read = new Map<number, Uint8Array>();

  constructor(readonly model: Model, readonly images: Images) {}

  /** [image, unit] of a layer, unchanged, at a snapshot: activations, or each channel's mean over its map. */
  async means(snapshot: number, layer: string, signal?: AbortSignal): Promise<Float32Array> {
    if (this.kept?.snapshot !== snapshot || !this.kept.whole) await this.all(snapshot, NO_CHANGES, signal);
    return this.kept!.means.get(layer)!;
  }

  /** Rejects with an AbortError where `signal` says that nobody waits any more. */
  async answers(snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Answers> {
    if (changes.size && (this.kept?.snapshot !== snapshot || !this.kept.whole)) await this.answers(snapshot, NO_CHANGES, signal);
    const logits = await this.all(snapshot, changes, signal);
    const found = summary(logits, this.images);
    if (!changes.size) this.read.set(snapshot, found.said);
    return found;
  }

  /** Which units are 0 for every image at a snapshot, if that is known already. */
  dead(snapshot: number, layer: string): boolean[] | null {
    const kept = this.kept;
    if (kept?.snapshot !== snapshot || !kept.whole) return null;
    const means = kept.means.get(layer)!;
    const { count } = this.model.units(layer);
    return Array.from({ length: count }, (_, unit) => {
      for (let i = unit; i < means.length; i += count) if (means[i] !== 0) return false;
      return true;
    });
  }

  /** What each image is read as, unchanged, if that was asked before. */
  known(snapshot: number): Uint8Array | null {
    return this.read.get(snapshot) ?? null;
  }

  private async all(snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Float32Array> {
    const { model, images } = this;
    const weights = model.weights(snapshot);
    const room = model.room(); // its own: two evaluations may take turns
    const kept = changes.size ? this.kept : (this.kept = new Kept(snapshot));
    const start = changes.size ? this.start(changes) : null;
    const size = images.rows * images.cols;
    const found = new Float32Array(images.count * model.data.classes);
    const seen = changes.size ? undefined : new Map<string, Float32Array>();
    let began = performance.now();
    for (let i = 0; i < images.count; i++) {
      const x = start ? row(kept!.arrays.get(start)!, i, images.count) : images.pixels.subarray(i * size, (i + 1) * size);
      found.set(model.run(x, start ? model.places.get(start)! : 0, weights, changes, room, seen), i * model.data.classes);
      if (seen) this.keep(kept!, seen, i);
      if (i % EACH === 0 && performance.now() - began > SLICE) {
        await breath();
        if (signal?.aborted) throw new DOMException("nobody waits for it any more", "AbortError");
        began = performance.now();
      }
    }
    if (seen) kept!.whole = true;
    return found;
  }

  private keep(kept: Kept, seen: Map<string, Float32Array>, image: number): void {
    for (const layer of this.model.data.layers) {
      const values = seen.get(layer)!;
      const { count, each } = this.model.units(layer);
      if (!kept.means.has(layer)) kept.means.set(layer, new Float32Array(count * this.images.count));
      const means = kept.means.get(layer)!;
      for (let unit = 0; unit < count; unit++) {
        let sum = 0;
        for (let i = unit * each; i < (unit + 1) * each; i++) sum += values[i];
        means[image * count + unit] = sum / each;
      }
      if (values.length * this.images.count > MOST_KEPT) continue;
      if (!kept.arrays.has(layer)) kept.arrays.set(layer, new Float32Array(values.length * this.images.count));
      kept.arrays.get(layer)!.set(values, image * values.length);
    }
  }

  /** The last kept hook point that no change stands before; null for the pixels. */
  private start(changes: Changes): string | null {
    const first = Math.min(...[...changes.keys()].map((name) => this.model.places.get(name)!));
    const usable = this.model.data.layers.filter((name) => this.model.places.get(name)! <= first && this.kept!.arrays.has(name));
    return usable.at(-1) ?? null;
  }
}

function row(values: Float32Array, i: number, count: number): Float32Array {
  const size = values.length / count;
  return values.subarray(i * size, (i + 1) * size);
}

/** Lets the page draw and hear clicks; a message comes sooner than a timer. */
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
  const said = new Uint8Array(images.count);
  let loss = 0;
  for (let i = 0; i < images.count; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    said[i] = highest(row);
    confusion[images.labels[i]][said[i]]++;
    const most = row[said[i]];
    loss += most + Math.log(row.reduce((sum, v) => sum + Math.exp(v - most), 0)) - row[images.labels[i]];
  }
  const right = confusion.reduce((sum, counts, label) => sum + counts[label], 0);
  const byClass = confusion.map((counts, label) => counts[label] / counts.reduce((a, b) => a + b, 0));
  return { said, right, accuracy: right / images.count, byClass, confusion, loss: loss / images.count };
}
