// Shared components: terms with an explanation, formatted numbers, a value on its null, tables.

import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren, JSX } from "preact";
import { number } from "./numbers";
import { Folds, Update } from "./address";
import { channelsOf, type Images } from "./data";
import { fileName, savePicture, saveTable } from "./save";
import { painted, type Ramp } from "./theme";
import { pseudo, words } from "./words";

/** The gloss of each term, from the package's glossary. */
export const glossary: Record<string, string> = {};

const SPELLED: Record<string, string> = { auc: "AUC" };

export function Term({ word, children }: { word: string; children?: ComponentChildren }): JSX.Element {
  return <Hint text={glossary[word]}>{children ?? SPELLED[word] ?? word}</Hint>;
}

/** A sentence of the dictionary: `[term]` and `[term|shown]` explained, `{name}` replaced by what is given under that name. */
export function Say({ text, ...places }: { text: string; [name: string]: ComponentChildren }): JSX.Element {
  const own = (part: string) => (pseudo && part ? `⟦${part}⟧` : part);
  const parts = (text as string).replace(/[⟦⟧]/g, "").split(/(\[[^\]]+\]|\{\w+\})/);
  return (
    <>
      {parts.map((part) => {
        if (part[0] === "{") return places[part.slice(1, -1)];
        if (part[0] !== "[") return own(part);
        const [word, shown = SPELLED[word] ?? word] = part.slice(1, -1).split("|");
        return <Term word={word}>{own(shown)}</Term>;
      })}
    </>
  );
}

const RESTS = 200; // milliseconds without a move, until a gloss opens

/** Where the pointer was before the event that is being handled: a term that the page puts under a still pointer is not pointed at. */
const pointer = { x: NaN, y: NaN };
if (globalThis.window) {
  for (const name of ["pointermove", "pointerdown"] as const) addEventListener(name, ({ clientX, clientY }) => Object.assign(pointer, { x: clientX, y: clientY }));
}

/** A term with an explanation on focus, and where the pointer moves over it and rests. */
export function Hint({ text, children }: { text: string; children: ComponentChildren }): JSX.Element {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [up, setUp] = useState(false);
  const own = useRef<HTMLSpanElement>(null);
  const waiting = useRef(0);
  useEffect(() => () => clearTimeout(waiting.current), []);
  function point({ clientX, clientY }: PointerEvent): void {
    if (clientX === pointer.x && clientY === pointer.y) return;
    clearTimeout(waiting.current);
    waiting.current = window.setTimeout(show, RESTS);
  }
  function leave(): void {
    clearTimeout(waiting.current);
    setOpen(false);
  }
  /** In the lower half of the window the gloss stands above its term. */
  function show(): void {
    setUp(own.current!.getBoundingClientRect().top > innerHeight / 2);
    setOpen(true);
  }
  return (
    <span ref={own} class="term" onPointerEnter={point} onPointerMove={point} onPointerLeave={leave}>
      <button
        type="button"
        aria-describedby={id}
        onFocus={show}
        onBlur={() => setOpen(false)}
        onClick={show}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || !open) return;
          event.preventDefault(); // closes this, not the card
          setOpen(false);
        }}
      >
        {children}
      </button>
      <span role="tooltip" id={id} class={`tip${open ? " open" : ""}${up ? " up" : ""}`}>
        {text}
      </span>
    </span>
  );
}

/** An integer from 0 to `most`, applied on Enter or blur; an invalid entry reverts. */
export function NumberField({ value, most, onValue }: { value: number | null; most: number; onValue: (value: number) => void }): JSX.Element {
  const [typed, setTyped] = useState<string | null>(null);
  function enter(text: string): void {
    setTyped(null);
    const given = Number(text);
    if (text !== "" && Number.isInteger(given) && given >= 0 && given <= most) onValue(given);
  }
  return <input type="number" min={0} max={most} value={typed ?? value ?? ""} onInput={(e) => setTyped(e.currentTarget.value)} onChange={(e) => enter(e.currentTarget.value)} />;
}

/** A value as a dot on the gray band of its null. */
export function OnNull({ value, low, high, from, to, words }: { value: number; low: number | null; high: number | null; from: number; to: number; words: string }): JSX.Element {
  const x = (v: number) => 4 + 152 * Math.min(1, Math.max(0, (v - from) / (to - from)));
  return (
    <svg class="onnull" viewBox="0 0 160 16" width="160" height="16" role="img" aria-label={words}>
      <line x1="4" x2="156" y1="8" y2="8" class="axis" />
      {low !== null && high !== null && <rect x={x(low)} width={Math.max(2, x(high) - x(low))} y="2" height="12" class="null" />}
      <circle cx={x(value)} cy="8" r="4" class="value" />
    </svg>
  );
}

/** A section that folds; which ones are open is part of the address. `name`: letters, and numbers behind dots. */
export function Fold({ name, summary, opened = false, children }: { name: string; summary: ComponentChildren; opened?: boolean; children: (open: boolean) => ComponentChildren }): JSX.Element {
  const [folds, update] = [useContext(Folds), useContext(Update)];
  const open = folds.includes(name) !== opened;
  function onToggle(event: JSX.TargetedEvent<HTMLDetailsElement>): void {
    if (event.currentTarget.open === open) return;
    update((state) => ({ folds: state.folds.includes(name) ? state.folds.filter((other) => other !== name) : [...state.folds, name] }), true); // no step of the history
  }
  return (
    <details open={open} onToggle={onToggle} data-fold={name}>
      <summary>{summary}</summary>
      {children(open)}
    </details>
  );
}

export interface NumbersProps {
  /** The section's name in the address. */
  fold: string;
  summary?: string;
  head: string[];
  /** Called only while shown: a moving picture must not rebuild its table on every frame. Numbers in full; saved so. */
  rows: () => (string | number)[][];
  /** By column, how its numbers are shown: decimals, or in words; else three significant digits, and integers as they are. */
  shown?: (number | ((value: number) => string) | undefined)[];
  /** The name of a saved file. */
  name: string;
  /** The pictures that the table belongs to. */
  pictures?: () => (HTMLCanvasElement | SVGSVGElement)[];
  /** What is seen on the pictures, for the files. */
  caption?: () => string;
  /** A choice of a row, and the row that is chosen. */
  onRow?: (row: number) => void;
  current?: number;
}

/** Nats as the claims round them: three decimals; a value that would be 0 so is a bound. */
export function nats(value: number | null | undefined): string {
  if (!value || Number.isNaN(value) || Math.abs(value) >= 0.0005) return number(value, value ? 3 : undefined);
  return words.common.least(value > 0);
}

/** A measure's value as the claims round it, wherever it stands: nats with three decimals, accuracy in points with one, indices with two, anything else with three digits. `end`: of an interval or a null, where a bound says nothing. */
export function rounded(value: number | null | undefined, units = "1", end = false): string {
  if (units === "nats") return end ? number(value, 3) : nats(value);
  if (units === SHARE) return number(value == null ? null : 100 * value, 1);
  return units === "1" ? number(value, 2) : number(value);
}

/** Units of a share of images, which is shown in points. */
export const SHARE = "share of images";

function cellText(value: string | number, how?: number | ((value: number) => string)): string {
  if (typeof value === "string") return value;
  if (typeof how === "function") return how(value);
  return how === undefined && Number.isInteger(value) ? String(value).replace("-", "−") : number(value, how);
}

/** Buttons that save a table and its pictures. `kinds`: those of the pictures, known before they are drawn. */
export function Saves({ name, head, rows, pictures, kinds, caption }: Pick<NumbersProps, "name" | "head" | "rows" | "pictures" | "caption"> & { kinds: string[] }): JSX.Element {
  const file = fileName(name);
  return (
    <div class="row">
      <button type="button" onClick={() => saveTable(file, head, rows())} aria-label={words.numbers.saveTable(name)}>{words.numbers.csv}</button>
      {kinds.map((kind, i) => (
        <button key={i} type="button" onClick={() => savePicture(kinds.length > 1 ? `${file}-${i + 1}` : file, pictures!()[i], caption?.() ?? name)} aria-label={words.numbers.savePicture(i + 1, kind, name)}>{words.numbers.kinds[kind as "PNG" | "SVG"]}</button>
      ))}
    </div>
  );
}

/** The numbers behind a picture, collapsed; both can be saved. */
export function Numbers({ fold, summary = words.numbers.title, shown = [], onRow, current, ...saved }: NumbersProps): JSX.Element {
  const { head, rows, pictures } = saved;
  return (
    <Fold name={fold} summary={summary}>
      {(open) => open && (
        <>
        <Saves {...saved} kinds={(pictures?.() ?? []).map((picture) => (picture instanceof SVGSVGElement ? "SVG" : "PNG"))} />
        <div class="scroll" tabIndex={0} role="group" aria-label={summary}>
          <table>
            <thead>
              <tr>{head.map((h) => <th key={h} scope="col">{h}</th>)}</tr>
            </thead>
            <tbody>
              {rows().map((row, i) => (
                <tr key={i} class={onRow && "goes"} aria-current={(onRow && i === current) || undefined} onClick={() => onRow?.(i)}>
                  {row.map((cell, k) => (k ? <td key={k}>{cellText(cell, shown[k])}</td> : <th key={k} scope="row">{onRow ? <button type="button" class="link">{cellText(cell, shown[k])}</button> : cellText(cell, shown[k])}</th>))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        </>
      )}
    </Fold>
  );
}

/** A small image of values, pixel by pixel; without `words` it is hidden from assistive technology. */
export function Pixels({ values, rows, cols, ramp, size, words }: { values: Float32Array; rows: number; cols: number; ramp: Ramp; size: number; words: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    context.imageSmoothingEnabled = false;
    context.drawImage(painted(values, rows, cols, ramp), 0, 0, canvas.current!.width, canvas.current!.height);
  }, [values, ramp.words, ramp.to, rows, cols]);
  return <canvas ref={canvas} class="pixels" width={2 * size} height={Math.round((2 * size * rows) / cols)} style={{ width: `${size}px` }} {...(words ? { role: "img" as const, "aria-label": words } : { "aria-hidden": true as const })} />;
}

/** A pattern over the pixels; of several channels each has a picture of its own. */
export function Channels({ images, values, ramp, size, words: told }: { images: Images; values: Float32Array; ramp: Ramp; size: number; words: string }): JSX.Element {
  const { channels, rows, cols } = images;
  return (
    <div class="kernels">
      {channelsOf(values, channels).map((own, i) => (
        <Pixels key={i} values={own} rows={rows} cols={cols} ramp={ramp} size={channels > 1 ? size / 2 : size} words={channels > 1 ? words.names.of(told, words.names.imageChannel(i, channels)) : told} />
      ))}
    </div>
  );
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const tell = () => setMatches(media.matches);
    media.addEventListener("change", tell);
    return () => media.removeEventListener("change", tell);
  }, [query]);
  return matches;
}
