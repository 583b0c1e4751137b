// The networks of the page and what the present state makes of them; the views ask here and draw.

import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { Images, PageData, Scale } from "./data";
import { type Change, type Changes, type Model, NO_CHANGES } from "./engine";
import { type Answers, Evaluator } from "./evaluate";
import { type Usual, usual } from "./pen";
import type { ChangeItem } from "./state";

/** Sets of random units that stand beside a change. */
export const DRAWS = 10;

export class Lab {
  readonly evaluators: Evaluator[];
  readonly moments: number;
  /** How the images were prepared, and so how a drawing is. */
  readonly usual: Usual;

  constructor(readonly page: PageData, readonly images: Images, readonly models: Model[]) {
    this.evaluators = models.map((model) => new Evaluator(model, images));
    this.moments = Math.max(...models.map((model) => model.data.steps.length));
    this.usual = usual(images);
  }

  image(index: number): Float32Array {
    const size = this.images.rows * this.images.cols;
    return this.images.pixels.subarray(index * size, (index + 1) * size);
  }

  /** A network's snapshot at one of the moments of the page; a network with fewer snapshots stays longer at each. */
  snapshot(network: number, moment: number): number {
    return this.moments < 2 ? 0 : Math.round((moment / (this.moments - 1)) * this.models[network].last);
  }

  loaded(moment: number): boolean {
    return this.models.every((model, i) => model.loaded(this.snapshot(i, moment)));
  }

  /** Unpacks what the views of a moment need. */
  async load(moment: number): Promise<void> {
    await Promise.all(this.models.map((model, i) => model.load(this.snapshot(i, moment))));
  }

  scale(network: number, layer: string): Scale {
    return this.models[network].data.scales[layer];
  }

  layer(network: number, place: number): string {
    return this.models[network].data.layers[place];
  }

  /** What the engine takes, of the changes that are made in one network. */
  changes(network: number, items: ChangeItem[], snapshot: number): Changes {
    const found: Changes = new Map();
    for (const item of items) {
      if (item.network !== network) continue;
      const layer = this.layer(network, item.layer);
      if (!found.has(layer)) found.set(layer, new Map());
      found.get(layer)!.set(item.unit, this.change(network, layer, item, snapshot));
    }
    return found.size ? found : NO_CHANGES;
  }

  private change(network: number, layer: string, item: ChangeItem, snapshot: number): Change {
    if (item.kind === "zero") return { kind: "zero" };
    if (item.kind !== "patch") return { kind: item.kind, value: item.value };
    const values = this.models[network].forward(this.image(item.value), snapshot).get(layer)!;
    const { each } = this.models[network].units(layer);
    return { kind: "patch", values: values.slice(item.unit * each, (item.unit + 1) * each) };
  }

  /** The same changes, made to as many units of the same layers, drawn at random among all others. */
  elsewhere(items: ChangeItem[], draw: number): ChangeItem[] {
    const random = generator(draw + 1);
    const taken = new Map<string, Set<number>>();
    const key = (item: ChangeItem) => `${item.network} ${item.layer}`;
    for (const item of items) taken.set(key(item), (taken.get(key(item)) ?? new Set()).add(item.unit));
    return items.flatMap((item) => {
      const { count } = this.models[item.network].units(this.layer(item.network, item.layer));
      const used = taken.get(key(item))!;
      const free = Array.from({ length: count }, (_, unit) => unit).filter((unit) => !used.has(unit));
      if (!free.length) return [];
      const unit = free[Math.floor(random() * free.length)];
      used.add(unit);
      return [{ ...item, unit }];
    });
  }
}

/** Mulberry32: the same numbers from the same seed, in every browser. */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The result of something that takes its time, null until then; what is no longer wanted is dropped. */
export function useLater<T>(work: (signal: AbortSignal) => Promise<T>, needs: unknown[]): T | null {
  const [found, setFound] = useState<{ needs: unknown[]; value: T } | null>(null);
  useLayoutEffect(() => {
    const stop = new AbortController();
    work(stop.signal).then(
      (value) => !stop.signal.aborted && setFound({ needs, value }),
      (error) => {
        if (error.name !== "AbortError") throw error;
      },
    );
    return () => stop.abort();
  }, needs);
  return found && found.needs.every((need, i) => need === needs[i]) ? found.value : null;
}

export interface Effect {
  before: Answers;
  after: Answers;
}

/** What the included images are read as, without and with the changes of one network. */
export function useEffectOf(lab: Lab, network: number, snapshot: number, items: ChangeItem[]): Effect | null {
  return useLater(
    async (signal) => {
      const evaluator = lab.evaluators[network];
      const before = await evaluator.answers(snapshot, NO_CHANGES, signal);
      const changes = lab.changes(network, items, snapshot);
      return { before, after: changes.size ? await evaluator.answers(snapshot, changes, signal) : before };
    },
    [network, snapshot, items],
  );
}

/** How many points of accuracy random units cost, draw by draw as they come. */
export function useRandom(lab: Lab, network: number, snapshot: number, items: ChangeItem[], before: Answers | null): number[] {
  const [found, setFound] = useState<{ items: ChangeItem[]; drops: number[] }>({ items, drops: [] });
  useEffect(() => {
    const mine = items.filter((item) => item.network === network);
    if (!before || !mine.length) return;
    const stop = new AbortController();
    const drops: number[] = [];
    const all = async () => {
      for (let draw = 0; draw < DRAWS; draw++) {
        const changes = lab.changes(network, lab.elsewhere(mine, draw), snapshot);
        const after = await lab.evaluators[network].answers(snapshot, changes, stop.signal);
        drops.push(before.accuracy - after.accuracy);
        if (!stop.signal.aborted) setFound({ items, drops: [...drops] });
      }
    };
    all().catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
    return () => stop.abort();
  }, [network, snapshot, items, before]);
  return found.items === items ? found.drops : [];
}
