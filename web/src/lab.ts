// The page's networks and what is computed from them for the current state; the views only draw.

import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { choices, generator, shuffled } from "./chance";
import { type ClaimData, imageAt, type Images, type PageData, type Scale } from "./data";
import { type Change, type Changes, type Model, NO_CHANGES } from "./engine";
import { type Answers, Evaluator } from "./evaluate";
import { type Usual, usual } from "./pen";
import type { ChangeItem } from "./state";
import { Workers } from "./workers";

/** Random sets of units that a change is compared with while a reader tries one after the other: a second's work. A verdict takes SET_DRAWS. */
export const DRAWS = 10;

/** Milliseconds from one progress of the draws to the next: each renders the page. */
const PACE = 100;

/** Weights of all snapshots together that the workers are sent in advance: at most 64 MB for each. */
const MOST_GIVEN = 2 ** 24;

/** Milliseconds after which a reader rests at a snapshot. */
const RESTS = 150;

export class Lab {
  readonly workers: Workers;
  readonly evaluators: Evaluator[];
  readonly frames: number;
  /** How the images were prepared; drawings are prepared the same way. */
  readonly usual: Usual;

  constructor(readonly page: PageData, readonly images: Images, readonly models: Model[], readonly claims: ClaimData[][], readonly taught: Images | null = null) {
    this.workers = new Workers(models, images);
    this.evaluators = models.map((model, i) => new Evaluator(i, model, images, this.workers));
    this.frames = Math.max(...models.map((model) => model.data.steps.length));
    this.usual = usual(images);
  }

  image(index: number): Float32Array {
    return imageAt(this.images, index);
  }

  /** A network's own snapshot at one of the page's; a network with fewer snapshots repeats them. */
  snapshot(network: number, frame: number): number {
    return this.frames < 2 ? 0 : Math.round((frame / (this.frames - 1)) * this.models[network].last);
  }

  /** The training step of a network at one of the page's snapshots. */
  step(network: number, frame: number): number {
    return this.models[network].data.steps[this.snapshot(network, frame)];
  }

  loaded(frame: number): boolean {
    return this.models.every((model, i) => model.loaded(this.snapshot(i, frame)));
  }

  /** Unpacks the weights of one of the page's snapshots. */
  async load(frame: number): Promise<void> {
    await Promise.all(this.models.map((model, i) => model.load(this.snapshot(i, frame))));
  }

  /** Sends one of the page's snapshots to the workers before it is asked for, if all of them take little memory. */
  async give(frame: number): Promise<void> {
    const size = this.models.reduce((sum, { data }) => sum + data.steps.length * Object.values(data.tensors).reduce((a, { shape }) => a + shape.reduce((b, c) => b * c, 1), 0), 0);
    if (size > MOST_GIVEN) return;
    for (const [i] of this.models.entries()) await this.workers.give(i, this.snapshot(i, frame));
  }

  /** The scale of a layer's activations at one of the page's snapshots; without one, over all of them. */
  scale(network: number, layer: string, frame?: number): Scale {
    const { top, both } = this.models[network].data.scales[layer];
    return { top: frame === undefined ? Math.max(...top) : top[this.snapshot(network, frame)], both };
  }

  layer(network: number, place: number): string {
    return this.models[network].data.layers[place];
  }

  /** One network's changes, as the engine takes them. */
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

  /** The same changes to as many random units of the same layers; a single unit is replaced by each other unit at most once. */
  elsewhere(items: ChangeItem[], draw: number): ChangeItem[] {
    const alone = items.length === 1;
    const random = generator(alone ? 0 : draw + 1);
    const left = new Map<string, number[]>();
    return items.map((item) => {
      const key = `${item.network} ${item.layer}`;
      if (!left.has(key)) left.set(key, shuffled(this.count(item), random));
      const units = left.get(key)!;
      return { ...item, unit: alone ? units.filter((unit) => unit !== item.unit)[draw] : units.pop()! };
    });
  }

  /** The number of other sets with as many units in the same layers. */
  others(items: ChangeItem[]): number {
    const sizes = new Map<number, number>();
    for (const item of items) sizes.set(item.layer, (sizes.get(item.layer) ?? 0) + 1);
    return [...sizes].reduce((product, [layer, size]) => product * choices(this.count({ ...items[0], layer }), size), 1) - 1;
  }

  /** The number of draws for a null: single units at most once each, sets only where there are enough of them. */
  draws(items: ChangeItem[], most = DRAWS): number {
    const others = this.others(items);
    return others >= most ? most : items.length === 1 ? others : 0;
  }

  private count({ network, layer }: { network: number; layer: number }): number {
    return this.models[network].units(this.layer(network, layer)).count;
  }
}

export interface Later<T> {
  /** The last result; null before the first. */
  value: T | null;
  /** Whether a newer one is being computed. */
  stale: boolean;
}

/** The result of asynchronous work. Until the next arrives the last one stays, unless it was about another `subject`; outdated results are dropped. */
export function useLater<T>(work: (signal: AbortSignal) => Promise<T>, needs: unknown[], subject = ""): Later<T> {
  const [found, setFound] = useState<{ needs: unknown[]; subject: string; value: T } | null>(null);
  useLayoutEffect(() => {
    const stop = new AbortController();
    work(stop.signal).then(
      (value) => !stop.signal.aborted && setFound({ needs, subject, value }),
      (error) => {
        if (error.name !== "AbortError") throw error;
      },
    );
    return () => stop.abort();
  }, needs);
  const last = found?.subject === subject ? found : null;
  return { value: last && last.value, stale: !last || last.needs.some((need, i) => need !== needs[i]) };
}

/** Has the workers make ready for changes to these networks at one of the page's snapshots, once their predictions there are known and the reader rests. */
export function usePrepared(lab: Lab, networks: number[], frame: number): void {
  const known = networks.every((network) => lab.evaluators[network].known(lab.snapshot(network, frame)));
  useEffect(() => {
    if (!known) return;
    const stop = new AbortController();
    const timer = setTimeout(() => networks.forEach((network) => void lab.evaluators[network].prepare(lab.snapshot(network, frame), stop.signal)), RESTS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [known, networks.join(), frame]);
}

export interface Effect {
  /** The changes to this network. */
  mine: ChangeItem[];
  before: Answers;
  after: Answers;
}

/** Predictions for the included images, without and with the changes to one network; nothing is computed for one not shown. */
export function useEffectOf(lab: Lab, network: number, snapshot: number, items: ChangeItem[], shown: boolean): Later<Effect> {
  const mine = items.filter((item) => item.network === network);
  return useLater(
    async (signal) => {
      if (!shown) return new Promise<never>(() => undefined);
      const evaluator = lab.evaluators[network];
      const before = await evaluator.answers(snapshot, NO_CHANGES, signal);
      const changes = lab.changes(network, mine, snapshot);
      return { mine, before, after: changes.size ? await evaluator.answers(snapshot, changes, signal) : before };
    },
    [network, snapshot, JSON.stringify(mine), shown],
  );
}

/** The accuracy drop when random units are changed in the same way, draw by draw. */
export function useRandom(lab: Lab, network: number, snapshot: number, { value: effect, stale }: Later<Effect>): number[] {
  const [found, setFound] = useState<{ effect: Effect | null; drops: number[] }>({ effect: null, drops: [] });
  useEffect(() => {
    if (!effect?.mine.length || stale) return;
    const stop = new AbortController();
    const drops: number[] = [];
    const all = async () => {
      const count = lab.draws(effect.mine);
      let told = 0;
      for (let draw = 0; draw < count; draw++) {
        const changes = lab.changes(network, lab.elsewhere(effect.mine, draw), snapshot);
        const after = await lab.evaluators[network].answers(snapshot, changes, stop.signal);
        drops.push(effect.before.accuracy - after.accuracy);
        if (stop.signal.aborted || (draw < count - 1 && performance.now() - told < PACE)) continue;
        told = performance.now();
        setFound({ effect, drops: [...drops] });
      }
    };
    all().catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
    return () => stop.abort();
  }, [effect, stale]);
  return found.effect === effect ? found.drops : [];
}
