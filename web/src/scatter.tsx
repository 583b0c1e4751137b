// The points of a map: one canvas with every image, with zoom and lasso.

import { Delaunay } from "d3-delaunay";
import { scaleLinear } from "d3-scale";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Chosen } from "./chosen";
import { called, nameOf, shortened } from "./classes";
import { apart } from "./fit";
import type { Effect, Lab, Later } from "./lab";
import { Numbers, useMedia } from "./parts";
import { CLOSEST, type Look, type State } from "./state";
import { css, ink as inked, painted, readable, type Theme } from "./theme";
import { words } from "./words";

const MARGIN = 18;
const NEAR = 14; // pixels within which the pointer hits a point
const USUAL = 720; // pixels: as wide, a map has room for a digit in each point
const LINE = 16; // from one label to the next below it
const HINT = 56; // the side of the image under the pointer

type Point = [number, number];

export interface MapProps {
  lab: Lab;
  state: State;
  theme: Theme;
  seen: Map<string, Float32Array>[];
  /** The changes' effect on the mapped network. */
  effect: Later<Effect>;
  onMap: (map: State["map"]) => void;
  onLook: (look: Look) => void;
  onImage: (index: number) => void;
}

export interface ScatterProps extends MapProps {
  /** [image, 2]: coordinates of each image. */
  scores: Float32Array;
  /** Coordinates of the current image. */
  own: Float32Array;
  /** The predicted class of each image, once it is known. */
  predicted: Uint8Array | null;
}

/** A canvas's context in pixels of the page, filled with the paper color. */
function begun(canvas: HTMLCanvasElement, theme: Theme, [width, height]: Point): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  context.imageSmoothingEnabled = false;
  context.fillStyle = css(theme.paper);
  context.fillRect(0, 0, width, height);
  [context.textAlign, context.textBaseline] = ["center", "middle"];
  return context;
}

/** From scores to pixels of the whole map, for component `k`. */
function scaleOf(scores: Float32Array, k: number, from: number, to: number): (value: number) => number {
  let [low, high] = [Infinity, -Infinity];
  for (let i = k; i < scores.length; i += 2) [low, high] = [Math.min(low, scores[i]), Math.max(high, scores[i])];
  return scaleLinear().domain([low, high > low ? high : low + 1]).range([from, to]);
}

export function Scatter({ lab, state, theme, scores, own, predicted, onLook: onWhole, onImage }: ScatterProps): JSX.Element {
  const { images } = lab;
  const { network, color } = state.map;
  const { view, chosen } = state.look;
  const [moving, setMoving] = useState<Look["view"] | null>(null); // until the fingers or the wheel rest
  const { k, x, y } = moving ?? view;
  const onLook = (part: Partial<Look>) => onWhole({ ...state.look, ...part });
  const layer = lab.layer(network, state.map.layer);
  const title = words.map.name(lab.models[network].data.name, layer, lab.step(network, state.frame));
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState<Point>([0, 0]);
  const [width, height] = size;
  const [near, setNear] = useState<number | null>(null);
  const [lasso, setLasso] = useState<Point[]>([]);
  const mode = useRef<"lasso" | "tap" | null>(null);
  // A finger scrolls the page and opens images; it selects only after the reader asked for it.
  const [finger, setFinger] = useState(false);
  const coarse = useMedia("(any-pointer: coarse)");

  const base = useMemo(() => {
    const [across, up] = [scaleOf(scores, 0, MARGIN, width - MARGIN), scaleOf(scores, 1, height - MARGIN, MARGIN)];
    const place = (all: Float32Array) => all.map((v, i) => (i % 2 ? up(v) : across(v)));
    return { points: place(scores), own: place(own) };
  }, [scores, own, size]);
  const delaunay = useMemo(() => new Delaunay(base.points), [base.points]);
  const at = (i: number, points = base.points): Point => [k * points[2 * i] + x * width, k * points[2 * i + 1] + y * height];

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setSize([canvas.current!.clientWidth, canvas.current!.clientHeight]));
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);

  // The mouse draws the lasso, so only Ctrl and the wheel, and two fingers, zoom by hand; without Ctrl the wheel scrolls the page.
  const zoomed = useMemo(() => zoom<HTMLCanvasElement, unknown>().scaleExtent([1, CLOSEST]).filter((event) => (event.touches ? event.touches.length > 1 : event.type === "wheel" && (event.ctrlKey || event.metaKey))).wheelDelta((event) => -event.deltaY * (event.deltaMode ? 0.1 : 0.005)), []);
  const act = useRef(onLook);
  act.current = onLook;
  useLayoutEffect(() => {
    if (!width) return;
    const whole: [Point, Point] = [[0, 0], size];
    zoomed.on("zoom end", null).extent(whole).translateExtent(whole);
    select(canvas.current!).call(zoomed).call(zoomed.transform, zoomIdentity.translate(view.x * width, view.y * height).scale(view.k));
    const viewOf = ({ k, x, y }: ZoomTransform) => ({ k, x: x / width, y: y / height });
    zoomed.on("zoom", ({ transform }: { transform: ZoomTransform }) => setMoving(viewOf(transform)));
    zoomed.on("end", ({ transform }: { transform: ZoomTransform }) => {
      act.current({ view: viewOf(transform) });
      setMoving(null);
    });
  }, [size, view]);

  const classes = useMemo(() => Array.from({ length: 10 }, (_, c) => getComputedStyle(document.documentElement).getPropertyValue(`--class-${c}`).trim()), [theme]);
  const onto = useMemo(() => classes.map(readable), [classes]);
  const room = (k * width) / USUAL;
  const close = room > 2.5;
  const radius = Math.min(6.5, Math.max(3, 6.5 * Math.sqrt(room)));
  const side = close ? Math.min(28, 8 + 9 * Math.sqrt(room)) : 2 * radius;
  const markOf = (i: number) => (color === "said" ? (predicted?.[i] ?? images.labels[i]) : images.labels[i]);

  // All points, drawn again only when they move: not on every pen stroke or pointer move.
  const cloud = useMemo(() => {
    const sheet = document.createElement("canvas");
    const context = begun(sheet, theme, size);
    context.font = `bold ${color === "error" ? 12 : 9}px sans-serif`;
    const means = Array.from({ length: images.classes }, () => [0, 0, 0]);
    for (let i = 0; i < images.count; i++) {
      const [px, py] = at(i);
      const [mark, wrong] = [markOf(i), predicted !== null && predicted[i] !== images.labels[i]];
      [1, px, py].forEach((v, part) => (means[mark][part] += v));
      if (px < 0 || py < 0 || px > width || py > height) continue;
      if (close) context.drawImage(painted(lab.image(i), images.rows, images.cols, inked(theme, images.channels)), px - side / 2, py - side / 2, side, side);
      if (color === "error") {
        context.fillStyle = css(wrong ? theme.ink : theme.quiet);
        context.fillText(wrong ? `×${images.labels[i]}` : "·", px, py);
        continue;
      }
      context.fillStyle = classes[mark % 10];
      if (close) {
        context.fillRect(px - side / 2, py + side / 2, side, 3);
        continue;
      }
      context.beginPath();
      context.arc(px, py, radius, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = onto[mark % 10];
      if (radius > 5 && !nameOf(mark)) context.fillText(String(mark), px, py + 0.5);
    }
    // Where the points have no room for what their classes are called, each class has it at its mean.
    if (!close && (radius <= 5 || nameOf(0)) && color !== "error") {
      context.font = `bold ${nameOf(0) ? 12 : 15}px sans-serif`;
      [context.lineWidth, context.lineJoin] = [4, "round"];
      const shown = means.flatMap(([n, px, py], mark) => (n ? [{ text: shortened(called(mark)), x: px / n, y: py / n }] : []));
      const labels = apart(shown.map((one) => ({ ...one, width: context.measureText(one.text).width })), LINE, width, height);
      for (const { text, x, y } of labels) {
        context.strokeStyle = css(theme.paper);
        context.strokeText(text, x, y);
        context.fillStyle = css(theme.ink);
        context.fillText(text, x, y);
      }
    }
    return sheet;
  }, [base.points, predicted, theme, k, x, y, color]);

  useLayoutEffect(() => {
    if (!width) return;
    const context = begun(canvas.current!, theme, size);
    context.drawImage(cloud, 0, 0, width, height);
    const ring = ([px, py]: Point, r: number) => {
      context.beginPath();
      context.arc(px, py, r, 0, 2 * Math.PI);
      context.stroke();
    };
    context.strokeStyle = css(theme.selected);
    context.lineWidth = 2;
    for (const i of chosen) {
      const [px, py] = at(i);
      context.strokeRect(px - side / 2 - 1, py - side / 2 - 1, side + 2, side + 2);
    }
    context.lineWidth = 3;
    ring(at(0, base.own).map((v, axis) => Math.min(size[axis] - 8, Math.max(8, v))) as Point, 11);
    if (near !== null) {
      const [px, py] = at(near);
      const [left, top] = [Math.min(width - HINT - 1, px + 10), py > HINT + 12 ? py - HINT - 10 : py + 10];
      context.drawImage(painted(lab.image(near), images.rows, images.cols, inked(theme, images.channels)), left, top, HINT, HINT);
      context.strokeStyle = css(theme.quiet);
      context.lineWidth = 1;
      context.strokeRect(left - 0.5, top - 0.5, HINT + 1, HINT + 1);
      ring([px, py], side / 2 + 3);
    }
    context.setLineDash([4, 3]);
    context.strokeStyle = css(theme.ink);
    context.lineWidth = 1.5;
    context.stroke(pathOf(lasso));
  }, [cloud, base.own, near, lasso, chosen]);

  const place = (event: PointerEvent): Point => {
    const box = canvas.current!.getBoundingClientRect();
    return [event.clientX - box.left - canvas.current!.clientLeft, event.clientY - box.top - canvas.current!.clientTop];
  };

  function nearest([px, py]: Point): number | null {
    const found = delaunay.find((px - x * width) / k, (py - y * height) / k);
    const [qx, qy] = at(found);
    return Math.hypot(px - qx, py - qy) < NEAR ? found : null;
  }

  function onPointerDown(event: PointerEvent): void {
    setNear(null);
    setLasso([]);
    mode.current = null;
    if (event.button > 0 || !event.isPrimary) return; // a second finger zooms
    mode.current = event.pointerType === "touch" && !finger ? "tap" : "lasso";
    if (mode.current === "lasso") canvas.current!.setPointerCapture(event.pointerId);
    setLasso([place(event)]);
  }

  function onPointerMove(event: PointerEvent): void {
    if (mode.current === "lasso") setLasso((points) => [...points, place(event)]);
    else if (!mode.current) setNear(nearest(place(event)));
  }

  function onPointerUp(event: PointerEvent): void {
    if (!mode.current) return;
    mode.current = null;
    setFinger(false);
    setLasso([]);
    const path = [...lasso, place(event)];
    if (path.some(([px, py]) => Math.hypot(px - path[0][0], py - path[0][1]) > 6)) {
      const [context, outline] = [document.createElement("canvas").getContext("2d")!, pathOf(path)];
      return onLook({ chosen: images.labels.map((_, i) => i).filter((i) => context.isPointInPath(outline, ...at(i), "evenodd")) });
    }
    const hit = nearest(path[0]);
    if (hit !== null) onImage(hit);
    else onLook({ chosen: [] });
  }

  const by = (factor: number) => () => select(canvas.current!).call(zoomed.scaleBy, factor);
  const pan = (right: number, down: number) => () => select(canvas.current!).call(zoomed.translateBy, (-0.1 * right * width) / k, (-0.1 * down * height) / k);
  const all = () => select(canvas.current!).call(zoomed.transform, zoomIdentity);
  const keys: Record<string, () => void> = { ArrowLeft: pan(-1, 0), ArrowRight: pan(1, 0), ArrowUp: pan(0, -1), ArrowDown: pan(0, 1), "+": by(1.4), "-": by(1 / 1.4), "0": all, Escape: () => onLook({ chosen: [] }) };
  const { chance, explained } = lab.models[network].data.maps[layer];
  return (
    <>
      <canvas
        ref={canvas}
        class="scatter"
        style={{ touchAction: finger ? "none" : undefined }}
        tabIndex={0}
        role="application"
        aria-roledescription={words.map.role}
        aria-label={words.map.keys(images.count)}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={() => {
          mode.current = null;
          setLasso([]);
        }}
        onPointerLeave={() => setNear(null)}
        onWheel={(event) => (event.ctrlKey || event.metaKey) && event.preventDefault()} // at its ends too, where the page would zoom
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (!act || (event.key === "Escape" && !chosen.length)) return;
          event.preventDefault();
          event.stopPropagation();
          act();
        }}
      />
      <div class="row">
        <button type="button" onClick={keys["+"]} aria-label={words.map.zoomIn}>+</button>
        <button type="button" onClick={keys["-"]} aria-label={words.map.zoomOut}>−</button>
        <button type="button" onClick={all} disabled={k === 1}>{words.map.all}</button>
        {coarse && <button type="button" aria-pressed={finger} onClick={() => setFinger(!finger)}>{words.map.finger}</button>}
      </div>
      <p class="quiet hint">{near === null ? words.map.hint : words.map.near(near, images.labels[near], predicted?.[near])}</p>
      {chosen.length > 0 && <Chosen lab={lab} chosen={chosen} predicted={predicted} onImage={onImage} theme={theme} />}
      <Numbers
        fold="map"
        summary={words.map.table}
        name={title}
        caption={() => words.map.caption(title, images.count, color, explained[0], chance[0])}
        pictures={() => [canvas.current!]}
        head={words.map.head}
        rows={() => images.labels.map((label, i) => [i, label, predicted?.[i] ?? "…", scores[2 * i], scores[2 * i + 1]])}
      />
    </>
  );
}

function pathOf(points: Point[]): Path2D {
  const path = new Path2D();
  for (const point of points) path.lineTo(...point);
  path.closePath();
  return path;
}
