// Colors from the page's CSS variables, one meaning each, light and dark.

import { summed } from "./data";

type Rgb = [number, number, number];

export interface Theme {
  paper: Rgb;
  ink: Rgb;
  amount: Rgb;
  negative: Rgb;
  positive: Rgb;
  absent: Rgb;
  quiet: Rgb;
  selected: Rgb;
  grid: Rgb;
  null: Rgb;
}

const NAMES = ["paper", "ink", "amount", "negative", "positive", "absent", "quiet", "selected", "grid", "null"] as const;

export function theme(): Theme {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, rgb(style.getPropertyValue(`--${name}`).trim())])) as unknown as Theme;
}

function rgb(hex: string): Rgb {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as Rgb;
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

function luminance(color: Rgb): number {
  const [r, g, b] = color.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever has more contrast on a color. */
export function readable(hex: string): string {
  return luminance(rgb(hex)) > 0.179 ? "#000000" : "#ffffff";
}

function mixed(a: Rgb, b: Rgb, t: number): Rgb {
  return [0, 1, 2].map((i) => Math.round(a[i] + (b[i] - a[i]) * t)) as Rgb;
}

const STEPS = 256;

/** 257 colors as a canvas stores them: 256 from the scale's low end to its high end, then the color of NaN. */
export interface Ramp {
  kind: Kind;
  words: Uint32Array;
  /** The values of the ends. */
  from: number;
  to: number;
  /** Of the image that is drawn: three are red, green and blue; of any other number the mean has these colors. */
  channels: number;
}

type Kind = "amount" | "signed" | "ink";

const known = new WeakMap<Theme, Map<Kind, Uint32Array>>();

function words(t: Theme, kind: Kind): Uint32Array {
  if (!known.has(t)) known.set(t, new Map());
  const made = known.get(t)!;
  if (!made.has(kind)) {
    const found = new Uint32Array(STEPS + 1);
    for (let i = 0; i < STEPS; i++) found[i] = word(colorAt(t, kind, i / (STEPS - 1)));
    found[STEPS] = word(t.absent);
    made.set(kind, found);
  }
  return made.get(kind)!;
}

function word([r, g, b]: Rgb): number {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function colorAt(t: Theme, kind: Kind, share: number): Rgb {
  if (kind === "amount") return mixed(t.paper, t.amount, share);
  if (kind === "ink") return mixed(t.paper, t.ink, share);
  return mixed(t.paper, share < 0.5 ? t.negative : t.positive, Math.abs(2 * share - 1));
}

/** From paper at 0 to full color at `top`. */
export function amount(t: Theme, top: number): Ramp {
  return { kind: "amount", words: words(t, "amount"), from: 0, to: top, channels: 1 };
}

/** Symmetric about 0: blue is negative, orange positive. */
export function signed(t: Theme, top: number): Ramp {
  return { kind: "signed", words: words(t, "signed"), from: -top, to: top, channels: 1 };
}

/** Pixels 0..1 as ink on paper, or in color. */
export function ink(t: Theme, channels = 1): Ramp {
  return { kind: "ink", words: words(t, "ink"), from: 0, to: 1, channels };
}

function index(ramp: Ramp, value: number): number {
  const share = ((value - ramp.from) / (ramp.to - ramp.from)) * (STEPS - 1);
  return Number.isNaN(share) ? STEPS : share < 0 ? 0 : share > STEPS - 1 ? STEPS - 1 : Math.round(share);
}

export function color(ramp: Ramp, value: number): string {
  const w = ramp.words[index(ramp, value)];
  return css([w & 255, (w >> 8) & 255, (w >> 16) & 255]);
}

const canvases = new Map<string, { canvas: HTMLCanvasElement; context: CanvasRenderingContext2D; image: ImageData; pixels: Uint32Array }>();

function small(rows: number, cols: number) {
  const canvas = Object.assign(document.createElement("canvas"), { width: cols, height: rows });
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(cols, rows);
  return { canvas, context, image, pixels: new Uint32Array(image.data.buffer) };
}

/** Values [row, col], or an image [channel, row, col], as a small canvas, one pixel each; reused by the next call with the same size. */
export function painted(values: Float32Array, rows: number, cols: number, ramp: Ramp): HTMLCanvasElement {
  const key = `${rows} ${cols}`;
  if (!canvases.has(key)) canvases.set(key, small(rows, cols));
  const { canvas, context, image, pixels } = canvases.get(key)!;
  const size = pixels.length;
  if (ramp.channels === 3) for (let i = 0; i < 4 * size; i++) image.data[i] = i % 4 < 3 ? 255 * values[(i % 4) * size + (i >> 2)] : 255;
  else {
    const shown = summed(values, ramp.channels);
    for (let i = 0; i < size; i++) pixels[i] = ramp.words[index(ramp, shown[i] / ramp.channels)];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
