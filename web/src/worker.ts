// A worker of all networks, with a share of the images: answers the page's requests one after the other, and drops those that it takes back.

import { expose, transfer } from "comlink";
import { Trace } from "./backward";
import { Computer, type Flips, type Found } from "./compute";
import type { Images, NetworkData } from "./data";
import { type Changes, inWebAssembly, Model } from "./engine";

let models: Model[];
let computers: Computer[];
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
  start(networks: NetworkData[], images: Images, mostKept: number, code: WebAssembly.Module | null): boolean {
    models = networks.map((network) => new Model(network));
    computers = models.map((model) => new Computer(model, images, mostKept));
    return inWebAssembly(code);
  },

  /** A snapshot's numbers, before what is asked about it: the page unpacks them once for all workers. */
  take(network: number, snapshot: number, numbers: Float32Array): void {
    models[network].take(snapshot, numbers);
  },

  found(request: number, network: number, snapshot: number, changes: Changes | null): Promise<Found> {
    return inTurn(request, async (signal) => {
      const found = await computers[network].found(snapshot, changes, signal);
      return transfer(found, [found.logits, ...(found.means?.values() ?? [])].map(({ buffer }) => buffer as ArrayBuffer));
    });
  },

  prepare(request: number, network: number, snapshot: number): Promise<void> {
    return inTurn(request, (signal) => computers[network].prepare(snapshot, signal));
  },

  flips(request: number, network: number, pixels: Float32Array, snapshot: number): Promise<Flips> {
    return inTurn(request, (signal) => computers[network].flips(pixels, snapshot, signal));
  },

  cancel(request: number): void {
    stops.get(request)?.abort();
  },

  /** Between two slices of a request: a pointer does not wait for all images. */
  async traced(network: number, what: "pattern" | "contributions", pixels: Float32Array, snapshot: number, layer: string, unit: number): Promise<Float32Array> {
    await models[network].load(snapshot);
    return new Trace(models[network], pixels, snapshot)[what](layer, unit);
  },
};

export type Api = typeof api;

expose(api);
