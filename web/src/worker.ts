// A worker of one network, with a share of the images: answers the page's requests one after the other, and drops those that it takes back.

import { Computer, type Found } from "./compute";
import type { Images, NetworkData } from "./data";
import { type Changes, Model } from "./engine";

/** The first message. */
export interface Start {
  network: NetworkData;
  images: Images;
}

export interface Request {
  key: string;
  snapshot: number;
  changes: Changes | null;
}

export type Message = Start | Request | { cancel: string };

export type Reply = Found | { problem: string };

export type Keyed = Reply & { key: string };

let computer: Computer;
const stops = new Map<string, AbortController>();
let before: Promise<void> = Promise.resolve();

onmessage = ({ data }: MessageEvent<Message>) => {
  if ("network" in data) {
    const model = new Model(data.network);
    computer = new Computer(model, data.images);
    void model.load(0); // which needs every other
  } else if ("cancel" in data) {
    stops.get(data.cancel)?.abort();
  } else {
    const stop = new AbortController();
    stops.set(data.key, stop);
    before = before.then(() => answer(data, stop.signal));
  }
};

async function answer({ key, snapshot, changes }: Request, signal: AbortSignal): Promise<void> {
  try {
    signal.throwIfAborted();
    reply(key, await computer.found(snapshot, changes, signal));
  } catch (error) {
    if (!signal.aborted) reply(key, { problem: String(error) });
  }
}

function reply(key: string, found: Reply): void {
  stops.delete(key);
  postMessage({ key, ...found } satisfies Keyed);
}
