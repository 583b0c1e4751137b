// The page's state and its encoding in the address.

import type { ReplayPlace } from "./otherwise";
import type { Strokes } from "./pen";

export interface UnitPlace {
  network: number;
  layer: number;
  unit: number;
}

export interface ChangeItem extends UnitPlace {
  kind: "zero" | "scale" | "clamp" | "patch";
  /** The factor of scale, the value of clamp, the image of patch. */
  value: number;
}

/** A true class, and one that is predicted. */
export interface Pair {
  label: number;
  predicted: number;
}

/** The inspector's panels, in the order of their tabs. */
export const TABS = ["unit", "set", "confusion", "map", "missions", "python", "training"] as const;
export type Tab = (typeof TABS)[number];

/** Those of a page: the last only where it holds experiments on training. */
export function tabsOf({ replays, asked }: Pick<Bounds, "replays" | "asked">): readonly Tab[] {
  return asked || replays.some((count) => count) ? TABS : TABS.slice(0, -1);
}

/** What units are ordered by: their index, or a value of theirs, the largest first. */
export const ORDERS = ["index", "effect", "selectivity", "contribution"] as const;
export type Order = (typeof ORDERS)[number];

/** What the reader did to a map: its part shown, with the offsets as shares of its size, and the images in the lasso. */
export interface Look {
  view: { k: number; x: number; y: number };
  chosen: number[];
}

export const AT_FIRST: Look = { view: { k: 1, x: 0, y: 0 }, chosen: [] };
/** The closest view, times the whole map. */
export const CLOSEST = 40;

export interface State {
  /** The index of an included image, or the strokes of a drawing. */
  source: number | Strokes;
  /** The index of the page's snapshot, from 0. */
  frame: number;
  /** Whether a layer's colors end at its largest activation at this snapshot, or at all of them. */
  scale: "this" | "all";
  /** The networks side by side; null: those shown at first. */
  shown: number[] | null;
  selected: UnitPlace | null;
  /** The inspector's panel; null is that of the unit, or none where the inspector is a sheet. */
  tab: Tab | null;
  changes: ChangeItem[];
  /** The set of units, and the order whose first units were taken into it; null if none was. */
  set: UnitPlace[];
  setBy: Order | null;
  /** The layer whose units are listed, and their order. */
  list: { network: number; layer: number; order: Order };
  /** At most two units, side by side. */
  pins: UnitPlace[];
  /** The computation shown step by step: of a unit, or of a class after the last layer. */
  inside: (UnitPlace & { step: number; position: number }) | null;
  /** The contribution shown as a sum: a linear layer's place among the operations, what it reads, and its output. */
  edge: { network: number; place: number; source: number; unit: number } | null;
  map: { network: number; layer: number; color: "class" | "said" | "error" };
  look: Look;
  filter: { label: number | null; mistakes: number | null };
  /** The cell of the confusion matrix that is shown over training. */
  pair: Pair | null;
  /** The replay beside training time. */
  replay: ReplayPlace | null;
  /** The target whose influences are shown. */
  asked: number;
  mission: number | null;
  /** The committed prediction for each mission. */
  answers: Record<number, number>;
  /** The sections that the reader opened, or closed where they are open at first. */
  folds: string[];
  /** Whether the network shows what the mission asked about. */
  staged: boolean;
}

export function initial(frames: number, opening: number, replay: ReplayPlace | null = null): State {
  return {
    source: opening,
    frame: frames - 1,
    scale: "this",
    shown: null,
    selected: null,
    tab: null,
    changes: [],
    set: [],
    setBy: null,
    list: { network: 0, layer: 0, order: "selectivity" },
    pins: [],
    inside: null,
    edge: null,
    map: { network: 0, layer: 0, color: "class" },
    look: AT_FIRST,
    filter: { label: null, mistakes: null },
    pair: null,
    replay,
    asked: 0,
    mission: null,
    answers: {},
    folds: [],
    staged: false,
  };
}

/** The panel of an address that names none: that of what else it names. */
function implied(state: State): Tab | null {
  const { network, layer, color } = state.map;
  const looked = state.look.view.k !== 1 || state.look.chosen.length;
  if (state.selected) return "unit";
  if (state.mission !== null) return "missions";
  return !state.changes.length && (network || layer || color !== "class" || looked) ? "map" : null;
}

/** The name of a section, and the most of them in an address. */
const [FOLD, MOST_FOLDS] = [/^[a-z]+(\.\d+){0,2}$/, 40];

const LETTERS = { zero: "z", scale: "s", clamp: "c", patch: "p" } as const;
const COLORS = ["class", "said", "error"] as const;

/** Whether the image is a drawing without a stroke. */
export function isBlank({ source }: State): boolean {
  return typeof source !== "number" && !source.length;
}

/** The parts of the state that differ from the initial one, as `#i=12&t=19&s=0.1.14&c=0.1.14z_0.1.3s0.5`. */
export function toHash(state: State, start: State): string {
  const parts: string[] = [];
  if (typeof state.source !== "number") parts.push(`d=${state.source.map((s) => s.map((v) => v.toString(36).padStart(2, "0")).join("")).join("-")}`);
  else if (state.source !== start.source) parts.push(`i=${state.source}`);
  if (state.frame !== start.frame) parts.push(`t=${state.frame}`);
  if (state.scale === "all") parts.push("z=all");
  if (state.shown) parts.push(`n=${state.shown.join(".")}`);
  if (state.selected) parts.push(`s=${place(state.selected)}`);
  if (state.changes.length) parts.push(`c=${state.changes.map((c) => `${place(c)}${LETTERS[c.kind]}${c.kind === "zero" ? "" : c.value}`).join("_")}`);
  if (state.set.length) parts.push(`u=${layered(state.set)}`);
  if (state.setBy) parts.push(`b=${state.setBy[0]}`);
  const list = `${state.list.network}.${state.list.layer}.${state.list.order[0]}`;
  if (list !== "0.0.s") parts.push(`l=${list}`);
  if (state.pins.length) parts.push(`p=${state.pins.map(place).join("_")}`);
  if (state.inside) parts.push(`x=${place(state.inside)}.${state.inside.step}.${state.inside.position}`);
  if (state.edge) parts.push(`e=${state.edge.network}.${state.edge.place}.${state.edge.source}.${state.edge.unit}`);
  const map = `${state.map.network}.${state.map.layer}.${state.map.color}`;
  if (map !== "0.0.class") parts.push(`m=${map}`);
  const { view: { k, x, y }, chosen } = state.look;
  if (k !== 1) parts.push(`y=${[k, x, y].map((v) => Number(v.toFixed(3))).join("_")}`);
  if (chosen.length) parts.push(`j=${ranges(chosen)}`);
  if (state.filter.label !== null) parts.push(`f=${state.filter.label}`);
  if (state.filter.mistakes !== null) parts.push(`w=${state.filter.mistakes}`);
  if (state.pair) parts.push(`k=${state.pair.label}.${state.pair.predicted}`);
  if (state.replay?.network !== start.replay?.network || state.replay?.place !== start.replay?.place) parts.push(`r=${state.replay ? `${state.replay.network}.${state.replay.place}` : ""}`);
  if (state.asked) parts.push(`h=${state.asked}`);
  if (state.mission !== null) parts.push(`q=${state.mission}`);
  const answers = Object.entries(state.answers);
  if (answers.length) parts.push(`a=${answers.map((pair) => pair.join(".")).join("_")}`);
  if (state.tab !== implied(state)) parts.push(`v=${state.tab ?? ""}`);
  if (state.staged) parts.push("g=1");
  if (state.folds.length) parts.push(`o=${state.folds.join("_")}`);
  return parts.join("&");
}

function place(at: UnitPlace): string {
  return `${at.network}.${at.layer}.${at.unit}`;
}

/** Units layer by layer, as `0.1.3.5_1.0.2`. */
function layered(units: UnitPlace[]): string {
  const found = new Map<string, number[]>();
  for (const { network, layer, unit } of units) found.set(`${network}.${layer}`, [...(found.get(`${network}.${layer}`) ?? []), unit]);
  return [...found].map(([layer, own]) => [layer, ...own].join(".")).join("_");
}

/** Ascending numbers, neighbors together, as `3.7-9.12`. */
function ranges(numbers: number[]): string {
  const found: number[][] = [];
  for (const i of numbers) {
    if (found.length && found.at(-1)![1] === i - 1) found.at(-1)![1] = i;
    else found.push([i, i]);
  }
  return found.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(".");
}

/** The numbers below a bound that `ranges` wrote. */
function numbersOf(text: string, below: number): number[] {
  const inside = text.split(".").flatMap((part) => {
    const [from, to = from] = /^\d+(-\d+)?$/.test(part) ? part.split("-").map(Number) : [];
    return from === undefined ? [] : Array.from({ length: Math.max(0, Math.min(below, to + 1) - from) }, (_, i) => from + i);
  });
  return [...new Set(inside)].sort((a, b) => a - b);
}

/** The page's sizes, which an address must stay within. */
export interface Bounds {
  images: number;
  classes: number;
  frames: number;
  missions: number;
  /** [network] -> replays. */
  replays: number[];
  /** Targets of influence. */
  asked: number;
  /** [network][layer] -> units. */
  units: number[][];
  /** [network] -> linear layers and convolutions: their places among the operations, what they read, and their outputs. */
  links: { place: number; sources: number; units: number }[][];
}

/** The state encoded in an address; parts out of bounds keep their initial value. */
export function fromHash(hash: string, start: State, bounds: Bounds): State {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...start };
  const number = (name: string, below: number): number | null => {
    const value = given.get(name);
    return value !== null && /^\d+$/.test(value) && Number(value) < below ? Number(value) : null;
  };
  const strokes = (given.get("d") || null)?.split("-").map((s) => (s.match(/../g) ?? []).map((v) => parseInt(v, 36))) ?? [];
  if (given.has("d") && strokes.every((s) => s.length >= 2 && s.length % 2 === 0 && s.every((v) => v >= 0))) state.source = strokes;
  else state.source = number("i", bounds.images) ?? start.source;
  state.frame = number("t", bounds.frames) ?? start.frame;
  state.scale = given.get("z") === "all" ? "all" : "this";
  const shown = [...new Set((given.get("n") ?? "").split("."))].filter((text) => /^\d+$/.test(text) && Number(text) < bounds.units.length);
  state.shown = shown.length ? shown.map(Number) : null;
  state.selected = unitPlace(given.get("s") ?? "", bounds);
  state.changes = distinct((given.get("c") ?? "").split("_").flatMap((text) => changeItem(text, bounds)));
  state.set = distinct((given.get("u") ?? "").split("_").flatMap((text) => text.split(".").slice(2).flatMap((unit) => unitPlace([...text.split(".").slice(0, 2), unit].join("."), bounds) ?? [])));
  state.setBy = (state.set.length && ORDERS.find((order) => order[0] === given.get("b"))) || null;
  const listed = /^(\d+)\.(\d+)\.(\w)$/.exec(given.get("l") ?? "");
  const order = ORDERS.find((name) => name[0] === listed?.[3]);
  if (listed && order && bounds.units[Number(listed[1])]?.[Number(listed[2])]) state.list = { network: Number(listed[1]), layer: Number(listed[2]), order };
  state.pins = distinct((given.get("p") ?? "").split("_").flatMap((text) => unitPlace(text, bounds) ?? [])).slice(0, 2);
  state.inside = insideOf(given.get("x") ?? "", bounds);
  state.edge = edgeOf(given.get("e") ?? "", bounds);
  const [network, layer, color] = (given.get("m") ?? "").split(".");
  const known = COLORS.find((name) => name === color);
  if (known && bounds.units[Number(network)]?.[Number(layer)]) state.map = { network: Number(network), layer: Number(layer), color: known };
  const [k = 1, x = 0, y = 0] = /^[\d.]+(_-?[\d.]+){2}$/.test(given.get("y") ?? "") ? given.get("y")!.split("_").map(Number) : [];
  const seen = k > 1 && k <= CLOSEST && [x, y].every((offset) => offset <= 0 && offset >= 1 - k);
  const chosen = numbersOf(given.get("j") ?? "", bounds.images);
  if (seen || chosen.length) state.look = { view: seen ? { k, x, y } : AT_FIRST.view, chosen };
  state.filter = { label: number("f", bounds.classes), mistakes: number("w", bounds.units.length) };
  const pair = /^(\d+)\.(\d+)$/.exec(given.get("k") ?? "")?.slice(1).map(Number);
  if (pair?.every((label) => label < bounds.classes)) state.pair = { label: pair[0], predicted: pair[1] };
  const replay = /^(\d+)\.(\d+)$/.exec(given.get("r") ?? "")?.slice(1).map(Number);
  if (given.get("r") === "") state.replay = null;
  else if (replay && replay[1] < (bounds.replays[replay[0]] ?? 0)) state.replay = { network: replay[0], place: replay[1] };
  state.asked = number("h", bounds.asked) ?? 0;
  state.mission = number("q", bounds.missions);
  const answers = (given.get("a") ?? "").split("_").map((text) => /^(\d+)\.(\d+)$/.exec(text)?.slice(1).map(Number));
  state.answers = Object.fromEntries(answers.filter((pair) => pair && pair[0] < bounds.missions) as [number, number][]);
  state.tab = given.has("v") ? (tabsOf(bounds).find((name) => name === given.get("v")) ?? null) : implied(state);
  state.staged = state.mission !== null && given.get("g") === "1";
  state.folds = [...new Set((given.get("o") ?? "").split("_").filter((name) => FOLD.test(name)))].slice(0, MOST_FOLDS);
  return state;
}

/** Whether parts of an address did not fit this page, so that they were left out. */
export function misfits(hash: string, { selected, inside, edge, pair, mission, changes, set, pins, source, frame }: State): boolean {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const lost = Object.entries({ s: selected, x: inside, e: edge, k: pair, q: mission }).some(([key, value]) => given.get(key) && value === null);
  const fewer = Object.entries({ c: changes, u: set, p: pins }).some(([key, value]) => given.get(key) && !value.length);
  return lost || fewer || Object.entries({ i: source, t: frame }).some(([key, value]) => given.get(key) && Number(given.get(key)) !== value && !given.has("d"));
}

function unitPlace(text: string, bounds: Bounds): UnitPlace | null {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (!match) return null;
  const [network, layer, unit] = match.slice(1).map(Number);
  return unit < (bounds.units[network]?.[layer] ?? 0) ? { network, layer, unit } : null;
}

function insideOf(text: string, bounds: Bounds): State["inside"] {
  const [network, layer, unit, step, position] = text.split(".").map(Number);
  const layers = bounds.units[network];
  const count = layer === layers?.length ? bounds.classes : layers?.[layer];
  return /^\d+(\.\d+){4}$/.test(text) && unit < (count ?? 0) ? { network, layer, unit, step, position } : null;
}

function edgeOf(text: string, bounds: Bounds): State["edge"] {
  const [network, place, source, unit] = text.split(".").map(Number);
  const link = /^\d+(\.\d+){3}$/.test(text) && bounds.links[network]?.find((one) => one.place === place);
  return link && source < link.sources && unit < link.units ? { network, place, source, unit } : null;
}

function distinct<T extends UnitPlace>(units: T[]): T[] {
  return units.filter((a, i) => units.findIndex((b) => same(a, b)) === i);
}

function changeItem(text: string, bounds: Bounds): ChangeItem[] {
  const match = /^([\d.]+)([zscp])(-?[\d.]*(?:e-?\d+)?)$/.exec(text);
  const at = match && unitPlace(match[1], bounds);
  if (!match || !at) return [];
  const kind = (Object.keys(LETTERS) as (keyof typeof LETTERS)[]).find((k) => LETTERS[k] === match[2])!;
  const value = Number(match[3] || 0);
  if (!Number.isFinite(value) || (kind === "patch" && !(Number.isInteger(value) && value >= 0 && value < bounds.images))) return [];
  return [{ ...at, kind, value }];
}

export function same(a: UnitPlace | null, b: UnitPlace | null): boolean {
  return a !== null && b !== null && a.network === b.network && a.layer === b.layer && a.unit === b.unit;
}
