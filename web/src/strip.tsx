// One layer: a tile per unit in fixed order on one canvas, with a button over each tile.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { type ChangeItem } from "./state";
import { amount, css, painted, signed, type Theme } from "./theme";
import { words } from "./words";

const GAP = 2;

export interface StripProps {
  label: string;
  /** From one tile to the next, in pixels, and tiles in a line. */
  pitch: number;
  columns: number;
  values: Float32Array;
  shape: number[];
  /** The value drawn in full color. */
  top: number;
  /** Whether values below 0 occur. */
  both: boolean;
  theme: Theme;
  selected: number | null;
  /** The units in the set. */
  inSet: Set<number>;
  changes: ChangeItem[];
  dead: boolean[] | null;
  onSelect: (unit: number) => void;
  onHover: (unit: number | null) => void;
}

export function Strip(props: StripProps): JSX.Element {
  const { label, values, shape, theme, selected, inSet, changes, dead, top, both, pitch, columns } = props;
  const [count, rows = 1, cols = 1] = shape;
  const tile = pitch - GAP;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [focus, setFocus] = useState(0);
  // What is the same for all activations is drawn once.
  const tiles = useMemo(() => outlines(count, columns, pitch, (context, places) => places.forEach(([x, y]) => context.fillRect(x, y, tile, tile))), [count, columns, pitch]);
  const frames = useMemo(
    () =>
      outlines(count, columns, pitch, (context, places) => {
        context.strokeStyle = css(theme.quiet, 0.55);
        context.beginPath();
        for (const [x, y] of places) context.rect(x + 0.5, y + 0.5, tile - 1, tile - 1);
        context.stroke();
      }),
    [count, columns, pitch, theme],
  );
  const hatches = useMemo(
    () => (dead?.includes(true) ? outlines(count, columns, pitch, (context, places) => places.forEach(([x, y], unit) => dead[unit] && hatched(context, x, y, tile, css(theme.null)))) : null),
    [count, columns, pitch, theme, dead?.join()],
  );

  useLayoutEffect(() => {
    const lines = Math.ceil(count / columns);
    const scale = window.devicePixelRatio || 1;
    const size = [columns, lines].map((n) => n * pitch);
    const target = canvas.current!;
    if (target.width !== Math.round(size[0] * scale) || target.height !== Math.round(size[1] * scale)) {
      [target.width, target.height] = size.map((n) => Math.round(n * scale));
      [target.style.width, target.style.height] = size.map((n) => `${n}px`);
    }
    const context = target.getContext("2d")!;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, size[0], size[1]);
    const place = (unit: number): [number, number] => [(unit % columns) * pitch + GAP / 2, Math.floor(unit / columns) * pitch + GAP / 2];
    const ramp = (both ? signed : amount)(theme, top);
    if (rows * cols === 1) {
      context.drawImage(painted(values, lines, columns, ramp), 0, 0, size[0], size[1]);
      context.globalCompositeOperation = "destination-in";
      context.drawImage(tiles, 0, 0, size[0], size[1]);
      context.globalCompositeOperation = "source-over";
    } else {
      const all = painted(values, count * rows, cols, ramp); // every unit's map, one below the other
      for (let unit = 0; unit < count; unit++) context.drawImage(all, 0, unit * rows, cols, rows, ...place(unit), tile, tile);
    }
    context.drawImage(frames, 0, 0, size[0], size[1]);
    if (hatches) context.drawImage(hatches, 0, 0, size[0], size[1]);
    for (const change of changes) {
      const [x, y] = place(change.unit);
      hatched(context, x, y, tile, css(theme.ink));
      if (change.kind === "zero") struck(context, x, y, tile, css(theme.ink));
    }
    if (selected !== null) {
      context.strokeStyle = css(theme.selected);
      context.lineWidth = 2.5;
      const [x, y] = place(selected);
      context.strokeRect(x + 1.25, y + 1.25, tile - 2.5, tile - 2.5);
    }
  }, [values, pitch, columns, theme, selected, changes, frames, hatches, top, both]);

  const keys = changes.map((c) => `${c.unit}${c.kind}`).join();
  const go = useRef<(unit: number) => void>(() => undefined);
  go.current = props.onSelect;
  const hover = useRef<(unit: number | null) => void>(() => undefined);
  hover.current = props.onHover;

  // The buttons do not depend on the activations, so they are not rendered again while the reader draws.
  const buttons = useMemo(
    () =>
      Array.from({ length: count }, (_, unit) => {
        const change = changes.find((c) => c.unit === unit);
        const state = (change ? words.names.state[change.kind] : "") + (inSet.has(unit) ? words.sets.member : "");
        return (
          <button
            key={unit}
            type="button"
            class={inSet.has(unit) ? "tile in-set" : "tile"}
            aria-label={words.names[rows > 1 ? "channel" : "unit"](unit) + state}
            aria-pressed={selected === unit}
            tabIndex={unit === focus ? 0 : -1}
            data-unit={unit}
            onClick={() => go.current(unit)}
            onFocus={() => {
              setFocus(unit);
              hover.current(unit);
            }}
            onBlur={() => hover.current(null)}
          />
        );
      }),
    [count, selected, inSet, keys, focus],
  );

  useEffect(() => {
    if (focus >= count) setFocus(0);
  }, [count]);

  function onKeyDown(event: KeyboardEvent): void {
    const moves: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -focus, End: count - 1 - focus };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const next = Math.min(count - 1, Math.max(0, focus + move));
    box.current!.querySelector<HTMLButtonElement>(`[data-unit="${next}"]`)!.focus();
  }

  return (
    <div
      ref={box}
      class="strip"
      role="group"
      aria-label={label}
      onKeyDown={onKeyDown}
      onPointerMove={(event) => {
        const unit = (event.target as HTMLElement).dataset.unit;
        hover.current(unit === undefined ? null : Number(unit));
      }}
      onPointerLeave={() => hover.current(null)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <div class="tiles" style={{ gridTemplateColumns: `repeat(${columns}, ${pitch}px)`, gridAutoRows: `${pitch}px` }}>
        {buttons}
      </div>
    </div>
  );
}

/** A picture as large as all tiles, with what `draw` draws at their places, by unit. */
function outlines(count: number, columns: number, pitch: number, draw: (context: CanvasRenderingContext2D, places: [number, number][]) => void): HTMLCanvasElement {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [columns, Math.ceil(count / columns)].map((n) => Math.round(n * pitch * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  draw(context, Array.from({ length: count }, (_, unit) => [(unit % columns) * pitch + GAP / 2, Math.floor(unit / columns) * pitch + GAP / 2]));
  return canvas;
}

function hatched(context: CanvasRenderingContext2D, x: number, y: number, tile: number, color: string): void {
  context.save();
  context.beginPath();
  context.rect(x, y, tile, tile);
  context.clip();
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.beginPath();
  for (let k = -tile; k < tile; k += 6) {
    context.moveTo(x + k, y + tile);
    context.lineTo(x + k + tile, y);
  }
  context.stroke();
  context.restore();
}

function struck(context: CanvasRenderingContext2D, x: number, y: number, tile: number, color: string): void {
  context.strokeStyle = color;
  context.lineWidth = 2.5;
  context.beginPath();
  context.moveTo(x + 2, y + 2);
  context.lineTo(x + tile - 2, y + tile - 2);
  context.stroke();
}
