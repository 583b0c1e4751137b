// What the steps are drawn with: maps with a box, grids of numbers on their colors, bars.

import type { ComponentChildren, JSX } from "preact";
import { Exact } from "../edges";
import { number } from "../numbers";
import { Pixels } from "../parts";
import { amount, ink, type Ramp, signed, type Theme } from "../theme";
import { words } from "../words";

const GRID = 5; // rows and columns whose numbers fit

export function Captioned({ text, children }: { text: string; children: ComponentChildren }): JSX.Element {
  return <span class="captioned">{children}<small>{text}</small></span>;
}

/** The largest absolute value; 1 where all are 0. */
export function reach(values: Float32Array): number {
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1;
}

/** The colors of values: ink for pixels, one hue for amounts, two for signed values. */
export function rampOf(values: Float32Array, theme: Theme, pixels = false): Ramp {
  if (values.some((v) => v < 0)) return signed(theme, reach(values));
  return pixels && reach(values) <= 1 ? ink(theme) : amount(theme, reach(values));
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
  const hue = (value: number) => (value < 0 ? "negative" : ramp.from < 0 ? "positive" : "amount");
  const share = (value: number) => Math.round(100 * Math.min(1, Math.abs(value) / ramp.to));
  return (
    <Captioned text={name}>
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
