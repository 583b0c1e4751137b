// The digit: drawn with mouse, touch or keys, or one of the included images.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { type Images, summed } from "./data";
import { NumberField } from "./parts";
import { type Ink, RADIUS, SIDE, type Strokes } from "./pen";
import { words } from "./words";
import { css, ink as inked, painted, signed, type Theme } from "./theme";

export interface DigitProps {
  images: Images;
  /** How many are shown. */
  networks: number;
  source: number | Strokes;
  ink: Ink;
  /** The networks' input. */
  pixels: Float32Array;
  /** The pattern of the unit under the pointer, [channel × row × col]; null without one. */
  pattern: Float32Array | null;
  patternWords: string;
  theme: Theme;
  /** The images to step through. */
  among: number[];
  onInk: (done: boolean) => void;
  onImage: (index: number) => void;
  onClear: () => void;
}

const STEP = SIDE / 40;

export function Digit(props: DigitProps): JSX.Element {
  const { images, source, ink, pixels, theme, among } = props;
  const pad = useRef<HTMLCanvasElement>(null);
  const [pen, setPen] = useState({ x: SIDE / 2, y: SIDE / 2, down: false, keys: false });
  const down = useRef(false);
  /** What of a drawing is on the pad: up to the last point of its last stroke. */
  const done = useRef<{ all: Strokes; theme: Theme; strokes: number; length: number } | null>(null);
  const held = useRef({ box: new DOMRect() }).current; // the pad's box at pointer down: reading it on every move would force a layout
  const drawing = typeof source !== "number";

  useLayoutEffect(() => {
    const context = pad.current!.getContext("2d")!;
    context.imageSmoothingEnabled = false;
    const before = done.current;
    done.current = null;
    // A picture in color is black without ink, and white where all channels have it.
    const colors = images.channels === 3 ? ["#000", "#fff"] : [css(theme.paper), css(theme.ink)];
    if (drawing && !pen.keys) {
      const on = before?.all === ink.strokes && before.theme === theme ? before : null;
      strokes(context, on ? ink.strokes.slice(on.strokes).map((stroke, i) => (i ? stroke : stroke.slice(on.length))) : ink.strokes, colors, !on);
      done.current = { all: ink.strokes, theme, strokes: Math.max(0, ink.strokes.length - 1), length: Math.max(0, (ink.strokes.at(-1)?.length ?? 0) - 2) };
    } else if (drawing) strokes(context, ink.strokes, colors, true);
    else context.drawImage(painted(pixels, images.rows, images.cols, inked(theme, images.channels)), 0, 0, SIDE, SIDE);
    if (pen.keys) {
      context.beginPath();
      context.arc(pen.x, pen.y, pen.down ? 6 : 10, 0, 2 * Math.PI);
      for (const [color, width] of [[theme.paper, 5], [theme.ink, 2]] as const) {
        [context.strokeStyle, context.lineWidth] = [css(color), width];
        context.stroke();
      }
    }
  }, [pixels, source, theme, pen]);

  function place(event: PointerEvent): [number, number] {
    const { box } = held;
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  function onPointerDown(event: PointerEvent): void {
    if (event.button > 0) return;
    pad.current!.setPointerCapture(event.pointerId);
    held.box = pad.current!.getBoundingClientRect();
    if (!drawing) props.onClear();
    down.current = true;
    ink.begin(...place(event));
    props.onInk(false);
  }

  function onPointerMove(event: PointerEvent): void {
    if (!down.current) return;
    const moves = event.getCoalescedEvents?.() ?? [event];
    let moved = false;
    for (const one of moves.length ? moves : [event]) moved = ink.to(...place(one)) || moved;
    if (moved) props.onInk(false);
  }

  function onPointerUp(): void {
    if (!down.current) return;
    down.current = false;
    props.onInk(true);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = moves[event.key];
    if (move) {
      const [x, y] = [pen.x + move[0], pen.y + move[1]].map((v) => Math.min(SIDE - 1, Math.max(0, v)));
      setPen({ ...pen, x, y, keys: true });
      if (pen.down && ink.to(x, y)) props.onInk(true);
    } else if (event.key === " ") {
      if (!drawing) props.onClear();
      if (!pen.down) ink.begin(pen.x, pen.y);
      setPen({ ...pen, down: !pen.down, keys: true });
      props.onInk(true);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      setPen({ ...pen, down: false, keys: true });
      props.onClear();
    } else return;
    event.preventDefault();
  }

  const at = drawing ? -1 : among.indexOf(source);
  const step = (by: number) => props.onImage(among[(Math.max(at, by < 0 ? 0 : -1) + by + among.length) % among.length]);
  return (
    <div class="digit">
      <canvas
        ref={pad}
        class="pad"
        width={SIDE}
        height={SIDE}
        tabIndex={0}
        role="application"
        aria-roledescription={words.digit.role}
        aria-label={words.digit.keys()}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={onPointerUp}
        onKeyDown={onKeyDown}
        onBlur={() => setPen({ ...pen, down: false, keys: false })}
      />
      <p class="said" aria-live="polite">
        {drawing ? (ink.strokes.length ? words.digit.drawn(images.channels) : words.digit.empty) : words.image.told(source, images.indices[source], images.labels[source])}
      </p>
      <div class="row pick">
        <button type="button" disabled={!among.length} onClick={() => step(-1)} aria-label={words.digit.previous}>‹</button>
        <label>
          <span class="hidden">{words.digit.image}</span> <NumberField value={drawing ? null : source} most={images.count - 1} onValue={props.onImage} />
        </label>
        <button type="button" disabled={!among.length} onClick={() => step(1)} aria-label={words.digit.next}>›</button>
        <button type="button" onClick={props.onClear}>{words.digit.clear}</button>
      </div>
      <Seen {...props} />
    </div>
  );
}

function strokes(context: CanvasRenderingContext2D, all: Strokes, [paper, pen]: string[], anew: boolean): void {
  context.fillStyle = paper;
  if (anew) context.fillRect(0, 0, SIDE, SIDE);
  context.strokeStyle = pen;
  [context.lineWidth, context.lineCap, context.lineJoin] = [2 * RADIUS, "round", "round"];
  for (const stroke of all) {
    context.beginPath();
    context.moveTo(stroke[0], stroke[1]);
    if (stroke.length === 2) context.lineTo(stroke[0] + 0.01, stroke[1]);
    for (let i = 2; i < stroke.length; i += 2) context.lineTo(stroke[i], stroke[i + 1]);
    context.stroke();
  }
}

/** The networks' input, overlaid with the pattern of the unit under the pointer. */
function Seen({ images, networks, source, pixels, pattern, patternWords, theme }: DigitProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    context.imageSmoothingEnabled = false;
    let values: Float32Array = pixels;
    let ramp = inked(theme, images.channels);
    if (pattern) {
      values = summed(pattern.map((v, i) => v * pixels[i]), images.channels);
      const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
      ramp = signed(theme, most);
    }
    context.drawImage(painted(values, images.rows, images.cols, ramp), 0, 0, 112, 112);
  }, [pixels, pattern, theme]);
  const told = pattern ? patternWords : words.digit.input(networks, typeof source !== "number", images.channels);
  return (
    <figure class={images.channels > 1 ? "seen several" : "seen"}>
      <canvas ref={canvas} width={112} height={112} role="img" aria-label={told} />
      <figcaption>{told}</figcaption>
    </figure>
  );
}
