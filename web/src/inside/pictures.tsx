// What the steps are drawn with: maps with a box, grids of numbers on their colors, bars.

import type { ComponentChildren, JSX } from "preact";
import { Exact } from "../edges";
import { number } from "../numbers";
import { Pixels } from "../parts";
import type { Trace } from "../backward";
import { ink, type Ramp, signed, type Theme } from "../theme";
import { words } from "../words";

const GRID = 5; // rows and columns whose numbers fit

/** `ramp`: of the picture, whose colors and ends stand below it. */
export function Captioned({ text, ramp, children }: { text: string; ramp?: Ramp; children: ComponentChildren }): JSX.Element {
  return (
    <span class="captioned">
      {children}
      {ramp && <span class="ends">{number(ramp.from)} <i class={ramp.kind} /> {number(ramp.to)}</span>}
      <small>{text}</small>
    </span>
  );
}

/** The largest absolute value; 1 where all are 0. */
export function reach(values: Float32Array): number {
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1;
}

/** The colors of what is read: ink for pixels, and for all other values, at every step, blue below 0 and orange above. */
export function rampOf(values: Float32Array, theme: Theme, pixels = false): Ramp {
  return pixels && reach(values) <= 1 && values.every((v) => v >= 0) ? ink(theme) : signed(theme, reach(values));
}

/** The colors of a unit's map after each of these operations: on one scale, so that what a step does is seen; a normalization starts another. */
export function rampsOf({ outputs, model }: Trace, unit: number, bias: number, places: number[], theme: Theme): Map<number, Ramp> {
  const groups: number[][] = [];
  for (const place of places) {
    if (!groups.length || model.data.ops[place].kind.endsWith("norm")) groups.push([]);
    groups.at(-1)!.push(place);
  }
  return new Map(groups.flatMap((group) => {
    const most = group.reduce((found, place) => ownOf(outputs[place], model.shapes[place], unit).reduce((a, v) => Math.max(a, Math.abs(v), place === places[0] ? Math.abs(v - bias) : 0), found), 0);
    const ramp = signed(theme, most || 1);
    return group.map((place) => [place, ramp] as const);
  }));
}

/** A unit's part of an operation's output. */
export function ownOf(output: Float32Array, shape: number[], unit: number): Float32Array {
  const each = shape.slice(1).reduce((a, b) => a * b, 1);
  return output.subarray(unit * each, (unit + 1) * each);
}

/** The side of a map that stands beside another one. */
export const LARGE = 236;

export interface MappedProps {
  values: Float32Array;
  rows: number;
  cols: number;
  ramp: Ramp;
  words: string;
  size?: number;
  /** The part with a box around it: its first column and row, its width and height. */
  box: [number, number, number, number];
  onPick?: (col: number, row: number) => void;
}

export function Mapped({ values, rows, cols, ramp, words, size = 196, box: [x, y, width, height], onPick }: MappedProps): JSX.Element {
  const at = (v: number, length: number, count: number) => Math.min(count - 1, Math.max(0, Math.floor((v / length) * count)));
  return (
    <span
      class={onPick ? "mapped pick" : "mapped"}
      onMouseDown={(event) => onPick && event.preventDefault()} // the focus stays where it is
      onPointerDown={(event) => {
        const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
        onPick?.(at(event.clientX - left, width, cols), at(event.clientY - top, height, rows));
      }}
    >
      <Pixels values={values} rows={rows} cols={cols} ramp={ramp} size={size} words={words} />
      <svg viewBox={`0 0 ${cols} ${rows}`} aria-hidden="true"><rect x={x} y={y} width={width} height={height} /></svg>
    </span>
  );
}

/** Few numbers on their colors; of many, the colors alone. */
export function Grid({ name, values, rows, cols, ramp, marked }: { name: string; values: Float32Array; rows: number; cols: number; ramp: Ramp; marked?: number }): JSX.Element {
  const hue = (value: number) => (ramp.kind === "ink" ? "ink" : value < 0 ? "negative" : "positive");
  const share = (value: number) => Math.round(100 * Math.min(1, Math.abs(value) / ramp.to));
  return (
    <Captioned text={name} ramp={ramp}>
      {rows <= GRID && cols <= GRID ? (
        <span class="grid" role="img" aria-label={words.inside.listed(name, Array.from(values, (v) => number(v)))} style={{ gridTemplateColumns: `repeat(${cols}, 1fr)` }}>
          {Array.from(values, (value, i) => (
            <span key={i} class={i === marked ? "marked" : undefined} style={{ "--share": `${share(value)}%`, "--hue": `var(--${hue(value)})` }}><Exact value={value} digits={2} /></span>
          ))}
        </span>
      ) : (
        <Pixels values={values} rows={rows} cols={cols} ramp={ramp} size={100} words={name} />
      )}
    </Captioned>
  );
}

/** A product as a bar to the left or right of 0. */
export function Amount({ value, most }: { value: number; most: number }): JSX.Element {
  return (
    <span class="amount" aria-hidden="true">
      <span class={value < 0 ? "minus" : "plus"} style={{ width: `${(50 * Math.min(most, Math.abs(value))) / most}%` }} />
    </span>
  );
}
