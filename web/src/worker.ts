// A worker of one network, with a share of the images: answers the page's requests one after the other, and drops those that it takes back.

import { expose } from "comlink";
import { Trace } from "./backward";
import { Computer, type Flips, type Found } from "./compute";
import type { Images, NetworkData } from "./data";
import { type Changes, Model } from "./engine";

let model: Model;
let computer: Computer;
/** By request, until it is answered or withdrawn. */
export const stops = new Map<number, AbortController>();
let before: Promise<unknown> = Promise.resolve();

function inTurn<T>(request: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal } = stops.set(request, new AbortController()).get(request)!;
  const mine = before.then(() => {
    signal.throwIfAborted();
    return work(signal);
  });
  before = mine.catch(() => undefined);
  return mine.finally(() => stops.delete(request));
}

export const api = {
  start(network: NetworkData, images: Images, mostKept: number): void {
    model = new Model(network);
    computer = new Computer(model, images, mostKept);
    void model.load(0); // which needs every other
  },

  found(request: number, snapshot: number, changes: Changes | null): Promise<Found> {
    return inTurn(request, (signal) => computer.found(snapshot, changes, signal));
  },

  flips(request: number, pixels: Float32Array, snapshot: number): Promise<Flips> {
    return inTurn(request, (signal) => computer.flips(pixels, snapshot, signal));
  },

  cancel(request: number): void {
    stops.get(request)?.abort();
  },

  /** Between two slices of a request: a pointer does not wait for all images. */
  async traced(what: "pattern" | "contributions", pixels: Float32Array, snapshot: number, layer: string, unit: number): Promise<Float32Array> {
    await model.load(snapshot);
    return new Trace(model, pixels, snapshot)[what](layer, unit);
  },
};

export type Api = typeof api;

expose(api);
