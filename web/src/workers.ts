// The workers of all networks: as many as there are cores, so that none of them takes the page's own.

import { type Remote, wrap } from "comlink";
import type { Images } from "./data";
import type { Model } from "./engine";
import { compiled } from "./kernel";
import type { Api } from "./worker";

/** The worker's script, which the build puts here. */
declare const WORKER: string;

/** Most workers: each takes a share of the images. */
const MOST_WORKERS = 4;

/** Of the activations at visited snapshots the workers keep for a network together at most as many numbers: 128 MB. */
const MOST_ACTIVATIONS = 2 ** 25;

export class Workers {
  readonly all: Remote<Api>[];
  /** Those who are told when a worker could not start. */
  private readonly told: ((error: Error) => void)[] = [];
  private readonly given = new Map<string, Promise<void>>();
  private requests = 0;

  constructor(private readonly models: Model[], images: Images) {
    // Firefox 153 hangs where a worker is the first to ask for the time: it then waits for the page, which waits for it when it asks too.
    performance.now();
    const script = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    const { count, pixels } = images;
    const workers = Math.min(MOST_WORKERS, navigator.hardwareConcurrency || 1, count);
    // A worker needs neither the snapshots, which it is given, nor what the page only shows.
    const networks = models.map(({ data }) => ({ ...data, weights: [], measures: {}, maps: {}, missions: [], confusion: [], claims: "" }));
    this.all = Array.from({ length: workers }, (_, i) => {
      const [first, end] = [i, i + 1].map((k) => Math.floor((k * count) / workers));
      const [worker, size] = [new Worker(script), pixels.length / count];
      worker.onerror = ({ message }) => this.told.forEach((tell) => tell(new Error(message || "a worker could not start")));
      const remote = wrap<Api>(worker);
      void remote.start(networks, { ...images, count: end - first, pixels: pixels.slice(first * size, end * size) }, Math.floor(MOST_ACTIVATIONS / workers), compiled());
      return remote;
    });
  }

  onError(tell: (error: Error) => void): void {
    this.told.push(tell);
  }

  /** The number of the next request. */
  next(): number {
    return this.requests++;
  }

  /** Once every worker has a snapshot's numbers, or is sent them before anything else. */
  give(network: number, snapshot: number): Promise<void> {
    const key = `${network} ${snapshot}`;
    if (!this.given.has(key)) {
      const sent = this.models[network].numbersOf(snapshot).then((numbers) => this.all.forEach((worker) => void worker.take(network, snapshot, numbers)));
      sent.catch(() => this.given.delete(key));
      this.given.set(key, sent);
    }
    return this.given.get(key)!;
  }
}
