import { expect, test } from "vitest";
import { generator } from "../src/chance";
import { type Bounds, type ChangeItem, fromHash, initial, ORDERS, type State, TABS, toHash, type UnitPlace } from "../src/state";

const BOUNDS: Bounds = {
  images: 300,
  classes: 10,
  frames: 20,
  missions: 5,
  replays: [2, 0],
  asked: 4,
  units: [[32, 16], [4, 8, 16]],
  links: [[{ place: 2, sources: 784, units: 32 }, { place: 5, sources: 32, units: 16 }], [{ place: 1, sources: 1, units: 4 }]],
};
const START = initial(20, 17);
const ROUNDS = 500;

/** A state that a reader could be in, at random. */
function any(seed: number): State {
  const random = generator(seed);
  const below = (count: number) => Math.floor(count * random());
  const pick = <T>(all: readonly T[]): T => all[below(all.length)];
  const maybe = <T>(make: () => T): T | null => (random() < 0.5 ? make() : null);
  const unit = (): UnitPlace => {
    const network = below(2);
    const layer = below(BOUNDS.units[network].length);
    return { network, layer, unit: below(BOUNDS.units[network][layer]) };
  };
  const distinct = <T extends UnitPlace>(most: number, make: () => T): T[] => {
    const found = Array.from({ length: below(most + 1) }, make);
    return found.filter((a, i) => found.findIndex((b) => a.network === b.network && a.layer === b.layer && a.unit === b.unit) === i);
  };
  const value = () => pick([0, 0.5, -3, 1e-7, -2.5e-12, Number((8 * random() - 4).toPrecision(3))]);
  const change = (): ChangeItem => {
    const kind = pick(["zero", "scale", "clamp", "patch"] as const);
    return { ...unit(), kind, value: kind === "zero" ? 0 : kind === "patch" ? below(BOUNDS.images) : value() };
  };
  const byLayer = (a: UnitPlace, b: UnitPlace) => a.network - b.network || a.layer - b.layer; // as an address lists a set
  const set = distinct(6, unit).sort(byLayer);
  const link = pick(BOUNDS.links.flatMap((links, network) => links.map((one) => ({ network, ...one }))));
  const mission = maybe(() => below(5));
  return {
    folds: [...new Set(Array.from({ length: below(4) }, () => pick(["about", "class.0", "layer.1.2", "map"])))],
    source: maybe(() => below(BOUNDS.images)) ?? Array.from({ length: below(4) }, () => Array.from({ length: 2 * (1 + below(5)) }, () => below(280))),
    frame: below(20),
    scale: pick(["this", "all"]),
    shown: maybe(() => pick([[0], [1], [1, 0]])),
    selected: maybe(unit),
    tab: maybe(() => pick(TABS)),
    changes: distinct(5, change),
    set,
    setBy: set.length ? maybe(() => pick(ORDERS)) : null,
    list: { network: 0, layer: below(2), order: pick(ORDERS) },
    pins: distinct(2, unit),
    inside: maybe(() => ({ ...unit(), step: below(9), position: below(100) })),
    edge: maybe(() => ({ network: link.network, place: link.place, source: below(link.sources), unit: below(link.units) })),
    map: { network: 1, layer: below(3), color: pick(["class", "said", "error"]) },
    look: {
      view: maybe(() => {
        const k = Number((1.001 + 38 * random()).toFixed(3));
        return { k, x: -Number((0.9 * (k - 1) * random()).toFixed(3)) || 0, y: -Number((0.9 * (k - 1) * random()).toFixed(3)) || 0 };
      }) ?? { k: 1, x: 0, y: 0 },
      chosen: maybe(() => Array.from({ length: 300 }, (_, i) => i).filter(() => random() < 0.3)) ?? [],
    },
    filter: { label: maybe(() => below(10)), mistakes: maybe(() => below(2)) },
    pair: maybe(() => ({ label: below(10), predicted: below(10) })),
    replay: maybe(() => ({ network: 0, place: below(2) })),
    asked: below(4),
    mission,
    staged: mission !== null && random() < 0.5,
    answers: Object.fromEntries(Array.from({ length: below(4) }, () => [below(5), below(32)])),
  };
}

test("every state survives its address, as it is and as browsers escape it", () => {
  const keys = new Set<string>();
  for (let seed = 0; seed < ROUNDS; seed++) {
    const state = any(seed);
    const hash = toHash(state, START);
    for (const key of new URLSearchParams(hash).keys()) keys.add(key);
    expect(fromHash(hash, START, BOUNDS), hash).toEqual(state);
    expect(fromHash(new URL(`file:///x.html#${hash}`).hash, START, BOUNDS), hash).toEqual(state);
    expect(Object.keys(state).sort()).toEqual(Object.keys(START).sort()); // a new part of the state belongs into this test
  }
  expect(keys.size).toBeGreaterThanOrEqual(19);
});

test("a replay that is shown at first can be hidden by an address, and the panel of experiments is there only where there are any", () => {
  const start = initial(20, 17, { network: 0, place: 1 });
  expect(toHash(start, start)).toBe("");
  expect(toHash({ ...start, replay: null }, start)).toBe("r=");
  expect(fromHash("r=", start, BOUNDS).replay).toBeNull();
  expect(fromHash("v=training", START, BOUNDS).tab).toBe("training");
  expect(fromHash("v=training", START, { ...BOUNDS, replays: [0, 0], asked: 0 }).tab).toBeNull();
});

test("the initial state has an empty address", () => {
  expect(toHash(START, START)).toBe("");
  expect(fromHash("", START, BOUNDS)).toEqual(START);
});

/** Whether everything in a state lies within the page's sizes. */
function bounded(state: State): boolean {
  const exists = (at: UnitPlace) => at.unit < (BOUNDS.units[at.network]?.[at.layer] ?? 0);
  const { source, frame, selected, changes, set, pins, inside, map, filter, pair, mission } = state;
  return (
    (typeof source !== "number" || source < BOUNDS.images) && frame < BOUNDS.frames && (!selected || exists(selected)) &&
    [...changes, ...set, ...pins].every(exists) && pins.length <= 2 && changes.every(({ value }) => Number.isFinite(value)) &&
    (!inside || inside.network < 2) && BOUNDS.units[map.network][map.layer] > 0 &&
    (filter.label ?? 0) < BOUNDS.classes && (filter.mistakes ?? 0) < 2 && state.asked < BOUNDS.asked && (state.replay?.place ?? 0) < (state.replay ? BOUNDS.replays[state.replay.network] : 1) && Math.max(pair?.label ?? 0, pair?.predicted ?? 0) < BOUNDS.classes && (mission ?? 0) < BOUNDS.missions
  );
}

test("a damaged address gives a state within the page's sizes", () => {
  let moved = 0;
  for (let seed = 0; seed < ROUNDS; seed++) {
    const random = generator(seed + ROUNDS);
    const hash = [...toHash(any(seed), START)];
    for (let i = 0; i < 3; i++) hash.splice(Math.floor(random() * hash.length), 1, "0123456789zscp._-&=%e"[Math.floor(21 * random())]);
    const state = fromHash(hash.join(""), START, BOUNDS);
    expect(bounded(state), hash.join("")).toBe(true);
    if (toHash(state, START) !== toHash(any(seed), START)) moved++;
  }
  expect(moved).toBeGreaterThan(ROUNDS / 2); // the damage reaches the state
});

test.each(["i=300", "t=20", "s=0.0.32", "s=2.0.0", "c=0.0.1pnothing", "c=0.0.1p300", "c=0.0.1s1e999", "m=1.9.class", "m=0.0.red", "f=10", "w=2", "k=4.10", "k=10.4", "k=4", "q=5", "a=5.1", "p=0.9.0", "x=0.0.1.0", "e=0.3.0.0", "d=0", "i=-1", "i=1.5", "z=9", "r=0.2", "r=1.0", "r=2.0", "h=4"])(
  "%s is outside of the page and is left out",
  (hash) => expect(fromHash(hash, START, BOUNDS)).toEqual(START),
);
