// The strongest contributions between neighboring layers as edges; one of them as a sum; a unit's strongest as a list.

import type { JSX } from "preact";
import { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Update } from "./address";
import { Trace } from "./backward";
import type { Lab } from "./lab";
import { positionName, sourceName, sumName, unitName } from "./names";
import { number } from "./numbers";
import { Say } from "./parts";
import type { State, UnitPlace } from "./state";
import { biasOf, contribution, contributions, type Edge, edgesAt, edgesOf, highestAt, type Link, linkInto, linkOutOf, linksOf, mapSize, preActivation, windowOf } from "./sums";
import { css, type Theme } from "./theme";
import { words } from "./words";

/** Edges of a network at rest, and of a lit unit on each side. */
const EDGES = 160;
const LIT = 12;
const LISTED = 5;
const NEAR = 6; // pixels
const BENT = 0.3; // of the way between two blocks
const DOT = 2.5; // pixels: where a lit edge starts
const AHEAD = 5; // pixels between an edge and a class: a stroke before a digit reads as a minus
export const SETTLED = 120; // milliseconds without a new image: longer than a frame on a slow machine

/** A number as shown, with all its digits in reach. */
export function Exact({ value, strong = false, digits }: { value: number; strong?: boolean; digits?: number }): JSX.Element {
  const text = number(value, digits);
  return strong ? <strong class="exact" data-value={value}>{text}</strong> : <span class="exact" data-value={value}>{text}</span>;
}

const traces = new WeakMap<Map<string, Float32Array>, Trace>();

/** The pass of the image shown through a network with the changes, of which `seen` are the activations; one for all views. */
export function traceOf(lab: Lab, network: number, state: State, seen: Map<string, Float32Array>): Trace {
  if (!traces.has(seen)) {
    const snapshot = lab.snapshot(network, state.frame);
    traces.set(seen, new Trace(lab.models[network], seen.get("input")!, snapshot, lab.changes(network, state.changes, snapshot)));
  }
  return traces.get(seen)!;
}

/** That pass, computed again once the image rests: a moving pen is not slowed down. */
export function useTrace(lab: Lab, network: number, state: State, seen: Map<string, Float32Array>): { trace: Trace; stale: boolean } {
  const [found, setFound] = useState(() => ({ seen, trace: traceOf(lab, network, state, seen) }));
  useEffect(() => {
    if (found.seen === seen) return;
    const timer = setTimeout(() => setFound({ seen, trace: traceOf(lab, network, state, seen) }), SETTLED);
    return () => clearTimeout(timer);
  }, [seen]);
  return { trace: found.trace, stale: found.seen !== seen };
}

export interface EdgesProps {
  lab: Lab;
  network: number;
  state: State;
  theme: Theme;
  seen: Map<string, Float32Array>;
  /** The unit under the pointer or with focus. */
  hover: UnitPlace | null;
}

interface Drawn {
  edge: Edge;
  curve: Curve;
}

type Point = [number, number];

/** From a tile along its line to the end of its block, by a Bézier curve of four points to the next block, and in there to a tile. */
type Curve = [Point, Point, Point, Point, Point, Point];

/** Edges over a network's layers, which its parent element holds. */
export function Edges(props: EdgesProps): JSX.Element {
  const { lab, network, state, theme, seen } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const { trace, stale } = useTrace(lab, network, state, seen);
  const all = useMemo(() => {
    const links = linksOf(trace.model).filter((link) => link.from >= 0).length;
    return edgesOf(trace, Math.floor(EDGES / links));
  }, [trace]);
  const [near, setNear] = useState<Edge | null>(null);
  const update = useContext(Update);
  const given = state.edge?.network === network ? state.edge : null;
  const picked = useMemo((): Edge | null => {
    const link = given && linksOf(trace.model).find((one) => one.place === given.place && one.from >= 0);
    if (!link) return null;
    const value = contribution(trace, link, given.unit, given.source, highestAt(trace, link, given.unit));
    const largest = all.find(([first]) => first?.link.place === link.place)?.[0];
    return { link, source: given.source, unit: given.unit, value, share: largest ? Math.min(1, Math.abs(value / largest.value)) : 0 };
  }, [trace, given, all]);
  const [at, setAt] = useState<[number, number]>([0, 0]);
  const sum = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!picked) return;
    const timer = setTimeout(() => sum.current?.scrollIntoView({ block: "nearest", inline: "nearest" }), SETTLED); // not below the sheet
    return () => clearTimeout(timer);
  }, [picked?.link, picked?.source, picked?.unit]);
  const drawn = useRef<Drawn[]>([]);
  const open = useRef(false);
  open.current = picked !== null;

  const lit = [props.hover, state.selected].find((at) => at?.network === network) ?? null;
  const chosen = useMemo(() => {
    const own = lit ? edgesAt(trace, all, lit, LIT) : [];
    return { edges: [...all.flat().filter((e) => !own.some((one) => same(one, e))), ...own], own: new Set(own) };
  }, [all, lit?.layer, lit?.unit]);

  /** Whether some edges stand out, over the tiles: all others fade. */
  const apart = chosen.own.size > 0 || near !== null || picked !== null;

  const draw = useRef<() => void>(() => undefined);
  /** Where tiles and classes stand, until one of their blocks changes its size: to ask for it takes longer than to draw. */
  const boxes = useRef<Boxes>({ blocks: [], known: new Map() });
  useLayoutEffect(() => {
    const section = canvas.current!.parentElement!;
    draw.current = () => {
      drawn.current = placed(section, boxes.current, picked && !chosen.edges.some((edge) => same(edge, picked)) ? [...chosen.edges, picked] : chosen.edges);
      const own = picked && drawn.current.find(({ edge }) => same(edge, picked));
      if (own) setAt(along(own.curve, 0.5));
      paint(canvas.current!, section, boxes.current.blocks.flat(), drawn.current, theme, (edge) => {
        if (edge === near || (picked && same(edge, picked))) return 2;
        return chosen.own.has(edge) ? 1 : apart ? -1 : 0;
      });
    };
    draw.current();
  }, [chosen, near, picked, theme]);
  useLayoutEffect(() => {
    const section = canvas.current!.parentElement!;
    const observer = new ResizeObserver(() => {
      boxes.current = { blocks: [], known: new Map() };
      draw.current();
    });
    for (const part of [section, ...section.querySelectorAll(".tiles, .bars")]) observer.observe(part);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const section = canvas.current!.parentElement!;
    const at = (event: MouseEvent): [number, number] | null => {
      if ((event.target as Element).closest("button, input, select, summary, a, table, .edge")) return null;
      const box = section.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const move = (event: PointerEvent) => {
      const place = at(event);
      setNear(place && nearest(drawn.current, ...place));
    };
    const leave = () => setNear(null);
    const click = (event: MouseEvent) => {
      const place = at(event);
      const edge = place && nearest(drawn.current, ...place);
      if (edge) update({ edge: { network, place: edge.link.place, source: edge.source, unit: edge.unit } });
      else if (place && open.current) update({ edge: null });
    };
    const key = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !open.current) return;
      event.preventDefault(); // what else Esc closes stays
      update({ edge: null });
    };
    section.addEventListener("pointermove", move);
    section.addEventListener("pointerleave", leave);
    section.addEventListener("click", click);
    addEventListener("keydown", key, true);
    return () => {
      section.removeEventListener("pointermove", move);
      section.removeEventListener("pointerleave", leave);
      section.removeEventListener("click", click);
      removeEventListener("keydown", key, true);
    };
  }, []);
  useEffect(() => {
    canvas.current!.parentElement!.classList.toggle("near", near !== null);
  }, [near]);

  return (
    <>
      <canvas ref={canvas} class={`edges${apart ? " lit" : ""}${stale ? " stale" : ""}`} aria-hidden="true" data-edges={stale ? undefined : chosen.edges.length} data-lit={chosen.own.size} />
      {picked && (
        <div ref={sum} class="edge" role="status" style={{ top: `${at[1] + 10}px`, left: `max(0px, min(${at[0] - 130}px, 100% - 17rem - var(--says)))` }}>
          <button type="button" class="close" aria-label={words.edge.close} onClick={() => update({ edge: null })}>×</button>
          <p>
            <strong>{sourceName(lab.models[network], picked.link, picked.source)} → {unitName(lab.models[network], picked.link.to, picked.unit)}</strong>
          </p>
          <Sum trace={trace} link={picked.link} unit={picked.unit} source={picked.source} />
        </div>
      )}
    </>
  );
}

function same(a: Edge, b: Edge): boolean {
  return a.link.place === b.link.place && a.source === b.source && a.unit === b.unit;
}

/** In pixels of the section: the blocks of tiles and of classes, each as its full lines and a shorter last one, and the tiles and classes that were asked for. */
interface Boxes {
  blocks: DOMRect[][];
  known: Map<string, DOMRect | null>;
}

/** Edges with their curves, in pixels of the section; along the way in which the layers follow each other. */
function placed(section: Element, boxes: Boxes, edges: Edge[]): Drawn[] {
  const strips = [...section.querySelectorAll("[data-layer] .tiles")];
  const bars = section.querySelector(".bars");
  const labels = bars?.querySelectorAll(".digit-label");
  let origin: DOMRect | null = null;
  const boxOf = (part: Element | null | undefined): DOMRect | null => {
    if (!part) return null;
    origin ??= section.getBoundingClientRect();
    const { left, top, width, height } = part.getBoundingClientRect();
    return new DOMRect(left - origin.left, top - origin.top, width, height);
  };
  if (!boxes.blocks.length) boxes.blocks = [...strips.map((strip) => linesOf(boxOf(strip)!, boxOf(strip.lastElementChild))), bars ? [boxOf(bars)!] : []];
  const { blocks, known } = boxes;
  const boxed = (layer: number, unit: number): DOMRect | null => {
    const key = `${layer} ${unit}`;
    if (!known.has(key)) known.set(key, boxOf(layer < strips.length ? strips[layer].children[unit] : labels?.[unit]));
    return known.get(key)!;
  };
  return edges.flatMap((edge) => {
    const [a, b] = [boxed(edge.link.from, edge.source), boxed(edge.link.to, edge.unit)];
    const [from, to] = [blocks[edge.link.from], blocks[edge.link.to]];
    return a && b && from[0]?.width && to[0]?.width ? [{ edge, curve: curve(a, b, from, to, edge.link.to === strips.length) }] : [];
  });
}

/** A block's full lines, and its last one if that is shorter. */
function linesOf(block: DOMRect, last: DOMRect | null): DOMRect[] {
  if (!last || last.right > block.right - 1) return [block];
  return [new DOMRect(block.x, block.y, block.width, last.top - block.top), new DOMRect(block.x, last.y, last.right - block.left, last.height)];
}

/** Each tile of a line has a height of its own, at which its edges leave the block. `classes`: the end is one. */
function curve(a: DOMRect, b: DOMRect, from: DOMRect[], to: DOMRect[], classes: boolean): Curve {
  const ahead = classes ? AHEAD : 0;
  const [first, next] = [from[0], to[0]];
  /** Where on its side a tile is left or reached, from 0 to 1, by its place in a line. */
  const own = (place: number, side: number, length: number) => 0.15 + (0.7 * (place + side / 2)) / length;
  if (next.left >= first.right - 1) {
    const y = a.top + a.height * own(a.left - first.left, a.width, first.width);
    const end = b.top + b.height * (classes ? 0.5 : own(b.left - next.left, b.width, next.width));
    const [out, into] = [first.right, next.left - ahead];
    const bent = BENT * (into - out);
    return [[a.right, y], [out, y], [out + bent, y], [into - bent, end], [into, end], [b.left - ahead, end]];
  }
  const x = a.left + a.width * own(a.top - first.top, a.height, first.height);
  const end = b.left + b.width * (classes ? 0.5 : own(b.top - next.top, b.height, next.height));
  const [out, into] = [from.at(-1)!.bottom, next.top - ahead];
  const bent = BENT * (into - out);
  return [[x, a.bottom], [x, out], [x, out + bent], [end, into - bent], [end, into], [end, b.top - ahead]];
}

/** A point of a curve between the blocks, at a share of its way. */
function along([, from, bent, straightened, to]: Curve, t: number): Point {
  const [p, q, r, s] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
  return [0, 1].map((k) => p * from[k] + q * bent[k] + r * straightened[k] + s * to[k]) as Point;
}

/** Level 0: at rest; 1: lit, from tile to tile; 2: under the pointer or picked; -1: another one is lit. Not over the `blocks` unless lit. */
function paint(canvas: HTMLCanvasElement, section: Element, blocks: DOMRect[], edges: Drawn[], theme: Theme, level: (edge: Edge) => number): void {
  const [width, height, scale] = [section.clientWidth, section.clientHeight, window.devicePixelRatio || 1];
  const [w, h] = [width, height].map((side) => Math.round(side * scale));
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h]; // new memory takes time
  const context = canvas.getContext("2d")!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineCap = "round";
  const between = new Path2D();
  for (const { x, y, width: w, height: h } of [new DOMRect(0, 0, width, height), ...blocks]) between.rect(x, y, w, h);
  context.save();
  context.clip(between, "evenodd");
  let clipped = true;
  for (const { edge, curve: [start, from, bent, straightened, to, end] } of [...edges].sort((a, b) => level(a.edge) - level(b.edge) || a.edge.share - b.edge.share)) {
    const at = level(edge);
    if (at > 0 && clipped) context.restore();
    clipped &&= at <= 0;
    context.strokeStyle = css(edge.value ? (edge.value < 0 ? theme.negative : theme.positive) : theme.quiet, at < 0 ? 0.06 : at ? 0.55 + 0.45 * edge.share : 0.12 + 0.6 * edge.share);
    context.lineWidth = (at === 2 ? 2.5 : 0.6) + 2.4 * edge.share;
    context.beginPath();
    context.moveTo(...start);
    context.lineTo(...from);
    context.bezierCurveTo(...bent, ...straightened, ...to);
    context.lineTo(...end);
    context.stroke();
    if (at <= 0) continue;
    context.fillStyle = context.strokeStyle;
    context.beginPath();
    context.arc(...start, DOT, 0, 2 * Math.PI);
    context.fill();
  }
  if (clipped) context.restore();
}

const SAMPLES = 16; // straight pieces that a pointer is compared with

function nearest(edges: Drawn[], x: number, y: number): Edge | null {
  let [best, least]: [Edge | null, number] = [null, NEAR];
  for (const { edge, curve } of edges) {
    let before = curve[1];
    for (let i = 1; i <= SAMPLES; i++) {
      const point = along(curve, i / SAMPLES);
      const distance = toSegment(before, point, x, y);
      if (distance <= least) [best, least] = [edge, distance];
      before = point;
    }
  }
  return best;
}

function toSegment([ax, ay]: [number, number], [bx, by]: [number, number], x: number, y: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/** One contribution as a sum of products, and what it is a part of. */
export function Sum({ trace, link, unit, source }: { trace: Trace; link: Link; unit: number; source: number }): JSX.Element {
  const { model } = trace;
  const position = highestAt(trace, link, unit);
  const { weights, values } = windowOf(trace, link, unit, source, position);
  const all = contributions(trace, link, unit, position);
  const at = model.data.ops[link.place].kind === "conv2d" ? positionName(model, link, position) : null;
  return (
    <>
      <p class="product">
        <Say text={words.edge.products(weights.length, at)} weight={<Exact value={weights[0]} />} activation={<Exact value={values[0]} />} value={<Exact value={contribution(trace, link, unit, source, position)} strong />} />
      </p>
      <p class="total">
        <Say text={words.edge.total(all.length, sumName(model, link))} sum={<Exact value={all.reduce((a, b) => a + b, 0)} />} bias={<Exact value={biasOf(trace, link, unit)} />} value={<Exact value={preActivation(trace, link, unit, position)} strong />} />
      </p>
    </>
  );
}

export interface WiringProps {
  lab: Lab;
  at: UnitPlace;
  trace: Trace;
}

/** A unit's strongest contributions, to it and from it: each a button that shows its sum. */
export function Wiring({ lab, at, trace }: WiringProps): JSX.Element | null {
  const model = lab.models[at.network];
  const [into, out] = [linkInto(model, at.layer), linkOutOf(model, at.layer)];
  const [open, setOpen] = useState("");
  if (!into && !out) return null;
  const list = (link: Link, name: string, found: { source: number; unit: number; value: number }[]) => found.every(({ value }) => value === 0) ? <p>{words.edge.nothing}</p> : (
    <ul class="wiring" aria-label={name}>
      {strongest(found).map(({ source, unit, value }) => {
        const key = `${link.place} ${source} ${unit}`;
        return (
          <li key={key}>
            <button type="button" class="link" aria-expanded={open === key} onClick={() => setOpen(open === key ? "" : key)}>
              {unit === at.unit && link === into ? sourceName(model, link, source) : unitName(model, link.to, unit)}
            </button>
            <Exact value={value} />
            {open === key && <div class="sum"><Sum trace={trace} link={link} unit={unit} source={source} /></div>}
          </li>
        );
      })}
    </ul>
  );
  const position = into ? highestAt(trace, into, at.unit) : 0;
  const sums = into && contributions(trace, into, at.unit, position);
  return (
    <>
      <h3>{words.edge.strongest}</h3>
      {into && sums && (
        <>
          <p class="quiet">
            <Say text={words.edge.into(mapSize(model, into.place) > 1 ? positionName(model, into, position) : null, sums.length, sumName(model, into))} value={<Exact value={preActivation(trace, into, at.unit, position)} />} />
          </p>
          {list(into, words.edge.to, Array.from(sums, (value, source) => ({ source, unit: at.unit, value })))}
        </>
      )}
      {out && (
        <>
          <p class="quiet">{words.edge.out}</p>
          {list(out, words.edge.from, Array.from({ length: model.shapes[out.place][0] }, (_, unit) => ({ source: at.unit, unit, value: contribution(trace, out, unit, at.unit, highestAt(trace, out, unit)) })))}
        </>
      )}
    </>
  );
}

function strongest<T extends { value: number }>(found: T[]): T[] {
  return [...found].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, LISTED);
}
