// Sets of units: what units are ordered by and found by, and the effect of changing a set with its null.

import { useEffect, useState } from "preact/hooks";
import { Trace } from "./backward";
import { nameOf } from "./classes";
import { highest, NO_CHANGES } from "./engine";
import type { Lab, Later } from "./lab";
import { type ChangeItem, type Order, same, type State, type UnitPlace } from "./state";

/** Random sets that a set is compared with: the fewest that can give a p below 0.05. */
export const SET_DRAWS = 20;

const MEASURES = { effect: "causal.ablate_all/loss_increase", selectivity: "selectivity.class_selectivity/selectivity" };

export type Values = Record<Exclude<Order, "index">, ArrayLike<number | null> | null>;

/** A layer's units by measure at the last snapshot, and by contribution to the predicted class of the image shown; null where not measured. */
export function valuesOf(lab: Lab, network: number, layer: number, trace: Trace): Values {
  const name = lab.layer(network, layer);
  const measured = (id: string) => lab.models[network].data.measures[name]?.find((measure) => measure.id === id)?.value ?? null;
  return { effect: measured(MEASURES.effect), selectivity: measured(MEASURES.selectivity), contribution: trace.contributionsTo(highest(trace.outputs.at(-1)!), name) };
}

/** The units from the largest value to the smallest; those without one last. */
export function ordered(count: number, order: Order, values: Values): number[] {
  const units = Array.from({ length: count }, (_, unit) => unit);
  const by = order === "index" ? null : values[order];
  return by ? units.sort((a, b) => (by[b] ?? -Infinity) - (by[a] ?? -Infinity) || a - b) : units;
}

export function preferredClass(lab: Lab, { network, layer, unit }: UnitPlace): number | null {
  return lab.models[network].data.preferred[lab.layer(network, layer)]?.[unit] ?? null;
}

export function allUnits(lab: Lab): UnitPlace[] {
  return lab.models.flatMap((model, network) => model.data.layers.flatMap((name, layer) => Array.from({ length: model.units(name).count }, (_, unit) => ({ network, layer, unit }))));
}

/** The units that a reader looks for: by index ("19"), by name ("layers.1", "MLP layers.1:19"), by preferred class ("class 3", "class sneaker"), or by several of these. */
export function searched(lab: Lab, text: string): UnitPlace[] {
  let rest = text.toLowerCase().replace(/\b(unit|channel)\b/g, " ");
  const take = (pattern: RegExp): number | null => {
    const match = pattern.exec(rest);
    if (match) rest = rest.replace(match[0], " ");
    return match && Number(match[1]);
  };
  const label = take(/\bclass\s*(\d+)/);
  const index = take(/(?:^|[:\s])(\d+)\s*$/);
  const names = rest.replace(/\bclass\b/, " ").split(/[\s:]+/).filter(Boolean);
  return allUnits(lab).filter((at) => {
    const preferred = preferredClass(lab, at);
    const name = `${lab.models[at.network].data.name} ${lab.layer(at.network, at.layer)} ${nameOf(preferred)}`.toLowerCase();
    return (label === null || preferred === label) && (index === null || at.unit === index) && names.every((part) => name.includes(part));
  });
}

/** The set with these units added, or, if all of them are in it, without them. */
export function toggled(set: UnitPlace[], units: UnitPlace[]): UnitPlace[] {
  const inside = (at: UnitPlace) => set.some((other) => same(other, at));
  return units.every(inside) ? set.filter((at) => !units.some((other) => same(other, at))) : [...set, ...units.filter((at) => !inside(at))];
}

/** The changes with these units changed in one way, or restored. */
export function changed(changes: ChangeItem[], units: UnitPlace[], kind: ChangeItem["kind"] | null, value = 0): ChangeItem[] {
  const left = changes.filter((change) => !units.some((at) => same(at, change)));
  return kind ? [...left, ...units.map((at) => ({ network: at.network, layer: at.layer, unit: at.unit, kind, value }))] : left;
}

/** The changes to units of the set. */
export function changesOf(state: State, network: number): ChangeItem[] {
  return state.changes.filter((change) => change.network === network && state.set.some((at) => same(at, change)));
}

export interface SetEffect {
  items: ChangeItem[];
  /** Of the mean loss on all images, in nats, when these changes alone are made. */
  increase: number;
  /** The same of random sets of units, as far as they are computed, out of `wanted`. */
  draws: number[];
  wanted: number;
}

/** The effect of changes on the loss, alone, beside that of as many random units of the same layers; the last one stays until the next is there. */
export function useSetEffect(lab: Lab, network: number, snapshot: number, items: ChangeItem[]): Later<SetEffect> {
  const key = JSON.stringify([network, snapshot, items]);
  const [found, setFound] = useState<{ key: string; effect: SetEffect } | null>(null);
  useEffect(() => {
    if (!items.length) return;
    const stop = new AbortController();
    const loss = async (some: ChangeItem[]) => (await lab.evaluators[network].answers(snapshot, some.length ? lab.changes(network, some, snapshot) : NO_CHANGES, stop.signal)).loss;
    const all = async () => {
      const before = await loss([]);
      const [increase, wanted, draws] = [(await loss(items)) - before, lab.draws(items, SET_DRAWS), [] as number[]];
      for (;;) {
        if (!stop.signal.aborted) setFound({ key, effect: { items, increase, draws: [...draws], wanted } });
        if (draws.length === wanted) return;
        draws.push((await loss(lab.elsewhere(items, draws.length))) - before);
      }
    };
    all().catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
    return () => stop.abort();
  }, [key]);
  return { value: items.length ? (found?.effect ?? null) : null, stale: found?.key !== key };
}
