// A network's predictions for all images, with or without changes: computed in workers, shared by all who ask, and kept.

import type { Flips, Found as Part } from "./compute";
import type { Images } from "./data";
import { type Changes, type Model, NO_CHANGES } from "./engine";
import type { Workers } from "./workers";

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

interface Found {
  answers: Answers;
  /** [image, unit] per layer: the activation, or a channel's mean over its map; none with changes. */
  means: Map<string, Float32Array>;
}

/** One result for all its waiters, withdrawn when none is left. */
interface Asked {
  found: Promise<Found>;
  fail: (error: Error) => void;
  /** Its number in the workers. */
  request: number;
  waiting: number;
  done: Found | null;
}

export class Evaluator {
  /** By what was asked; oldest use first. */
  private readonly asked = new Map<string, Asked>();
  private readonly read = new Map<number, Uint8Array>();

  /** Of earlier results at most `mostKept` numbers are kept: 32 MB. */
  constructor(readonly network: number, readonly model: Model, readonly images: Images, private readonly workers: Workers, private readonly mostKept = 2 ** 23) {
    workers.onError((error) => {
      for (const asked of this.asked.values()) asked.fail(error);
    });
  }

  /** Rejects with an AbortError when `signal` aborts. */
  async answers(snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Answers> {
    return (await this.found(snapshot, changes, signal)).answers;
  }

  /** [image, unit] of a layer, unchanged, at a snapshot: activations, or each channel's mean over its map. */
  async means(snapshot: number, layer: string, signal?: AbortSignal): Promise<Float32Array> {
    return (await this.found(snapshot, NO_CHANGES, signal)).means.get(layer)!;
  }

  /** A unit's gradients for an image, as of `Trace`, unchanged. */
  async traced(what: "pattern" | "contributions", pixels: Float32Array, snapshot: number, layer: string, unit: number): Promise<Float32Array> {
    await this.workers.give(this.network, snapshot);
    return this.workers.all[0].traced(this.network, what, pixels.slice(), snapshot, layer, unit); // a view would be sent with all images behind it
  }

  /** Which ablations of one unit change the prediction for an image. Rejects with an AbortError when `signal` aborts. */
  async flips(pixels: Float32Array, snapshot: number, signal: AbortSignal): Promise<Flips> {
    const [request, [worker]] = [this.workers.next(), this.workers.all];
    await this.workers.give(this.network, snapshot);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => void worker.cancel(request), { once: true });
    return worker.flips(request, this.network, pixels.slice(), snapshot);
  }

  /** Has the workers make ready for changes at a snapshot, until `signal` aborts. What fails here fails again, and is told, where a change is asked for. */
  async prepare(snapshot: number, signal: AbortSignal): Promise<void> {
    const request = this.workers.next();
    await this.workers.give(this.network, snapshot);
    if (signal.aborted) return;
    for (const worker of this.workers.all) {
      worker.prepare(request, this.network, snapshot).catch(() => undefined);
      signal.addEventListener("abort", () => void worker.cancel(request), { once: true });
    }
  }

  /** Which units are 0 on every image at a snapshot, if that is already known. */
  dead(snapshot: number, layer: string): boolean[] | null {
    const means = this.asked.get(keyOf(snapshot, NO_CHANGES))?.done?.means.get(layer);
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

  private found(snapshot: number, changes: Changes, signal?: AbortSignal): Promise<Found> {
    const key = keyOf(snapshot, changes);
    const asked = this.asked.get(key) ?? this.ask(key, snapshot, changes);
    this.asked.delete(key);
    this.asked.set(key, asked);
    asked.waiting++;
    if (!signal || asked.done) return asked.found;
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (--asked.waiting === 0 && !asked.done) {
          this.asked.delete(key);
          for (const worker of this.workers.all) void worker.cancel(asked.request);
        }
        reject(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      asked.found.then(resolve, reject);
    });
  }

  private ask(key: string, snapshot: number, changes: Changes): Asked {
    const request = this.workers.next();
    const asked: Asked = { found: undefined!, fail: undefined!, request, waiting: 0, done: null };
    const parts = this.workers.give(this.network, snapshot).then(() => {
      if (!asked.waiting) throw new DOMException("nobody waits for it any more", "AbortError");
      return Promise.all(this.workers.all.map((worker) => worker.found(request, this.network, snapshot, changes.size ? changes : null)));
    });
    asked.found = new Promise((resolve, reject) => {
      asked.fail = (error) => {
        if (this.asked.get(key) === asked) this.asked.delete(key);
        reject(error);
      };
      parts.then((all) => {
        asked.done = together(all, this.images);
        if (!changes.size) this.read.set(snapshot, asked.done.answers.predicted);
        this.forget();
        resolve(asked.done);
      }, asked.fail);
    });
    asked.found.catch(() => undefined); // those who asked may all have left
    return asked;
  }

  /** Drops the results that were not used for longest; the last stays. */
  private forget(): void {
    const sizes = [...this.asked].map(([key, { done }]) => [key, done ? size(done) : 0] as const);
    let total = sizes.reduce((sum, [, one]) => sum + one, 0);
    for (const [key, one] of sizes.slice(0, -1)) {
      if (total <= this.mostKept) return;
      if (one) this.asked.delete(key);
      total -= one;
    }
  }
}

function size({ answers, means }: Found): number {
  return [...means.values()].reduce((sum, values) => sum + values.length, answers.predicted.length);
}

function keyOf(snapshot: number, changes: Changes): string {
  const listed = [...changes].flatMap(([layer, units]) => [...units].map(([unit, change]) => [layer, unit, ...Object.values(change)].join()));
  return [snapshot, ...listed.sort()].join(";");
}

/** The workers' shares of the images, one behind the other. */
function together(parts: Part[], images: Images): Found {
  const layers = [...(parts[0].means?.keys() ?? [])];
  const means = new Map(layers.map((layer) => [layer, joined(parts.map((part) => part.means!.get(layer)!))]));
  return { answers: summary(joined(parts.map((part) => part.logits)), images), means };
}

function joined(arrays: Float32Array[]): Float32Array {
  const found = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  arrays.reduce((start, array) => (found.set(array, start), start + array.length), 0);
  return found;
}

function summary(logits: Float32Array, images: Images): Answers {
  const classes = logits.length / images.count;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const predicted = new Uint8Array(images.count);
  let loss = 0;
  for (let i = 0; i < images.count; i++) {
    const [start, label] = [i * classes, images.labels[i]];
    let best = start;
    for (let k = start + 1; k < start + classes; k++) if (logits[k] > logits[best]) best = k;
    predicted[i] = best - start;
    confusion[label][predicted[i]]++;
    let sum = 0;
    for (let k = start; k < start + classes; k++) sum += Math.exp(logits[k] - logits[best]);
    loss += logits[best] + Math.log(sum) - logits[start + label];
  }
  const right = confusion.reduce((sum, counts, label) => sum + counts[label], 0);
  const byClass = confusion.map((counts, label) => counts[label] / counts.reduce((a, b) => a + b, 0));
  return { predicted, right, accuracy: right / images.count, byClass, confusion, loss: loss / images.count };
}
