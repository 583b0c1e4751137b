// The data that Python wrote into the page, and how its numbers are decoded.

import { words } from "./words";

const VERSION = 6;

/** It reads the output of the operation before it, or of the one whose index `from` is; `add` also that of `with`. */
export type Op = { from?: number } & (
  | { kind: "hook"; name: string }
  | { kind: "normalize"; mean: number; std: number }
  | { kind: "flatten" }
  | { kind: "relu" }
  | { kind: "tanh" | "sigmoid" | "silu" }
  | { kind: "leakyrelu"; slope: number }
  | { kind: "add"; with: number }
  | { kind: "gelu"; approximate: "none" | "tanh" }
  | { kind: "linear"; weight: string; bias: string | null }
  | { kind: "conv2d"; weight: string; bias: string | null; stride: number[]; padding: number[]; dilation?: number[] }
  /** A kernel without sides is as large as the map. */
  | { kind: "maxpool" | "avgpool"; kernel: number[]; stride: number[]; padding: number[] }
  | { kind: "batchnorm"; weight: string | null; bias: string | null; mean: string; variance: string; eps: number }
  | { kind: "layernorm"; weight: string | null; bias: string | null; eps: number; size: number }
);

/** A measure of a layer's units at the last snapshot, by unit; null where it is not defined. */
export interface MeasureData {
  id: string;
  /** The measure, and which of its results this is. */
  title: string;
  label: string;
  units: string;
  /** The null it is compared with. */
  null: string;
  /** Images. */
  n: number | null;
  value: (number | null)[];
  /** Its 95% interval. */
  low?: (number | null)[];
  high?: (number | null)[];
  nullLow?: (number | null)[];
  nullHigh?: (number | null)[];
  /** p-value under that null, in words. */
  odds?: string[];
}

/** A claim as made and judged in Python: the page shows its sentences and decides nothing. */
export interface ClaimData {
  id: string;
  rule: string;
  /** The network that it is about; of a claim about influence the method. */
  network: string;
  hook_point: string;
  unit: number | null;
  verdict: "shown" | "not shown" | "description";
  sentence: string;
  /** Effect, interval, null, p, n, and the smallest effect that would have been shown. */
  reasons: string;
  /** All nulls in words, and of several the one that gives p. */
  null: string;
  decisive: string;
  replicated: string;
  /** The Python call on a `run` that reproduces the numbers. */
  call: string;
}

/** A question whose answer is one unit of a layer, with the counts that answer it: [the half it was chosen on, the other half]. */
export type MissionData = { layer: number; unit: number; claims: string[] } & (
  | { kind: "lost"; classes: number[]; images: number[]; counts: number[][] }
  | { kind: "confused"; classes: number[]; images: number[]; before: number[]; counts: number[][] }
  | { kind: "selective"; units: number[]; selectivity: number[]; loss: number[] }
);

export interface Scale {
  /** The largest absolute activation of a layer, where its colors end. */
  top: number;
  /** Whether values below 0 occur at any snapshot. */
  both: boolean;
}

/** A snapshot's numbers, deflated, in base64. Differences are int8: from the next snapshot, divided by the tensor's scale. */
export type StoredWeights = ({ kind: "float16" } | { kind: "float32" } | { kind: "difference"; scales: Record<string, number> }) & {
  numbers: string;
  /** The share of all images on which these weights predict the same class as the recorded ones, and the largest error of a logit. */
  agreement: number;
  logit: number;
};

type Numbers = (number | null)[];

/** Twins and branches at each step: the mean, and the lowest and the highest, over the orders of the batches. */
export type Spread = Record<"twin" | "branch", { mean: Numbers; low: Numbers; high: Numbers }>;

/** A replay of a network's training, as measured and judged in Python. */
export interface ReplayData {
  /** The name of its folder. */
  name: string;
  /** Why it could not be read or measured; else empty. */
  wrong: string;
  /** Its change and its steps, in words. */
  title?: string;
  at?: number;
  until?: number;
  orders?: number;
  /** Null branches in each order. */
  nulls?: number;
  /** The units that are lost. */
  lost?: { layer: number; unit: number }[];
  claims?: ClaimData[];
  steps?: number[];
  loss?: Spread;
  /** Percent. */
  accuracy?: Spread;
  /** Branch minus twin, test loss. */
  change?: Record<"value" | "low" | "high" | "nullLow" | "nullHigh", Numbers>;
  order_sd?: Numbers;
  /** The ablation effect of the unit that rises most; `by`: the step from which its takeover is shown. */
  takeover?: { unit: number; layer: string; by: number | null; orders: number; effect: Spread };
}

/** Places among the pictures, and their influences, the most extreme first. */
export interface ExtremesData {
  images: number[];
  values: number[];
}

/** A set of training images: the first of them, and what its absence changed. */
export interface GroupData {
  images: number[];
  size: number;
  effect: number;
  low: number;
  high: number;
}

/** A target of influence. */
export interface AskedData {
  name: string;
  /** Whether a rise helps the prediction (1), harms it (-1) or neither (0). */
  sign: number;
  /** Its test image among the pictures, and among the page's images. */
  image: number | null;
  probe: number | null;
  estimates: { method: string; runs: number; raise: ExtremesData; lower: ExtremesData }[];
  /** `of`: the verification that measured them. */
  groups: { of: number; raise: GroupData[]; lower: GroupData[] }[];
}

/** Each method's agreement with retraining, by method. */
export interface VerifiedData extends Record<"value" | "low" | "high" | "nullLow" | "nullHigh", Numbers> {
  /** Why the question is refused; else empty. */
  reason: string;
  sets: number;
  seeds: number;
  targets: number;
  vary: string;
  reliability: number | null;
  ceiling: number | null;
  methods: string[];
  claims: ClaimData[];
}

export interface InfluenceData {
  asked: AskedData[];
  /** The number of targets that were asked about. */
  all: number;
  verified: VerifiedData[];
  images: { number: number[]; label: number[]; pixels: string };
}

export interface NetworkData {
  name: string;
  /** The network that this one differs from in its seed alone. */
  twin: number | null;
  seed: number | null;
  classes: number;
  input: number[];
  hookPoints: { name: string; shape: number[] }[];
  layers: string[];
  ops: Op[];
  steps: number[];
  tensors: Record<string, { shape: number[]; offset: number }>;
  weights: StoredWeights[];
  /** By layer; `top` at each snapshot. */
  scales: Record<string, { top: number[]; both: boolean }>;
  curve: { step: number[]; testLoss: (number | null)[]; testAccuracy: (number | null)[] };
  /** confusion[snapshot][label][predicted]: images, by the recorded weights. */
  confusion: number[][][];
  measures: Record<string, MeasureData[]>;
  /** The preferred class of each unit of a layer; null for one that has none. */
  preferred: Record<string, (number | null)[]>;
  /** ClaimData[] as JSON, deflated, in base64. */
  claims: string;
  /** Why there are none, as what follows "the run"; empty if there are. */
  unclaimed: string;
  missions: MissionData[];
  /** Images that it misclassifies at the last snapshot. */
  errors: number;
  maps: Record<string, { center: number[]; directions: number[][]; explained: number[]; chance: number[] }>;
  python: { run: string; module: boolean };
  /** Its replays, the steps at which its training can be forked, and the influence of its training images, where there are any. */
  replays?: ReplayData[];
  forks?: number[];
  influence?: InfluenceData;
}

export interface PageData {
  version: number;
  title: string;
  note: string;
  images: { count: number; channels: number; rows: number; cols: number; classes: number; labels: number[]; indices: number[]; pixels: string; dataset: string; opening: number; classNames?: string[] };
  networks: NetworkData[];
  /** The gloss of each term that a page marks. */
  glossary: Record<string, string>;
}

/** The images as the networks take them: float32 [channel, row, col] in 0..1, one after the other. */
export interface Images {
  count: number;
  channels: number;
  rows: number;
  cols: number;
  classes: number;
  labels: number[];
  /** The images' places in the dataset's test set. */
  indices: number[];
  dataset: string;
  pixels: Float32Array;
  /** The image on which the page opens: one on which the networks hesitate. */
  opening: number;
}

/** Inflates what Python deflated. */
export async function inflated(base64: string): Promise<Uint8Array> {
  const text = atob(base64);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of `size` bytes, stored as all first bytes, then all second bytes and so on. */
function joined(planes: Uint8Array, size: number): ArrayBuffer {
  const count = planes.length / size;
  const found = new Uint8Array(planes.length);
  for (let i = 0, at = 0; i < count; i++) for (let k = 0; k < size; k++) found[at++] = planes[k * count + i];
  return found.buffer;
}

let halves: Float32Array | null = null;

/** The float32 value of every float16 bit pattern. */
function table(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) halves[bits] = fraction ? NaN : sign * Infinity;
    else halves[bits] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  }
  return halves;
}

/** A snapshot's numbers; `after` gives those of the next one. The same float32 operations as in Python. */
export async function decoded(network: NetworkData, snapshot: number, after: () => Promise<Float32Array>): Promise<Float32Array> {
  const stored = network.weights[snapshot];
  const bytes = await inflated(stored.numbers);
  if (stored.kind === "float32") return new Float32Array(joined(bytes, 4));
  if (stored.kind === "float16") {
    const values = table();
    return Float32Array.from(new Uint16Array(joined(bytes, 2)), (bits) => values[bits]);
  }
  const [next, numbers, found] = [await after(), new Int8Array(bytes.buffer), new Float32Array(bytes.length)];
  for (const [name, { shape, offset }] of Object.entries(network.tensors)) {
    const scale = stored.scales[name];
    const end = offset + shape.reduce((a, b) => a * b, 1);
    for (let i = offset; i < end; i++) found[i] = next[i] + Math.fround(scale * numbers[i]);
  }
  return found;
}

export async function imagesOf(page: PageData): Promise<Images> {
  const { pixels, ...rest } = page.images;
  const found = Float32Array.from(await inflated(pixels), (value) => value / 255);
  return { ...rest, pixels: found };
}

/** The pictures of training and test images that an influence shows: `indices` are their numbers in the dataset. */
export async function taughtOf(page: PageData): Promise<Images | null> {
  const given = page.networks.find((network) => network.influence)?.influence!.images;
  if (!given) return null;
  const pixels = Float32Array.from(await inflated(given.pixels), (value) => value / 255);
  return { ...page.images, count: given.number.length, labels: given.label, indices: given.number, pixels };
}

export function imageAt({ pixels, count }: Images, index: number): Float32Array {
  const size = pixels.length / count;
  return pixels.subarray(index * size, (index + 1) * size);
}

/** The channels of an image or a pattern, each [row, col]. */
export function channelsOf(values: Float32Array, channels: number): Float32Array[] {
  const size = values.length / channels;
  return Array.from({ length: channels }, (_, c) => values.subarray(c * size, (c + 1) * size));
}

/** The sum over channels: [row, col]. */
export function summed(values: Float32Array, channels: number): Float32Array {
  const [first, ...rest] = channelsOf(values, channels);
  return rest.length ? first.map((v, i) => rest.reduce((sum, one) => sum + one[i], v)) : first;
}

export async function claimsOf(network: NetworkData): Promise<ClaimData[]> {
  return JSON.parse(new TextDecoder().decode(await inflated(network.claims))) as ClaimData[];
}

export function load(): PageData {
  const page = JSON.parse(document.getElementById("data")!.textContent!) as PageData;
  if (page.version !== VERSION) throw new Error(words.page.version(page.version, VERSION));
  return page;
}
