// The points of a map: one canvas with every image, with zoom, pan and lasso.

import { scaleLinear } from "d3-scale";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Chosen } from "./chosen";
import type { Effect, Lab, Later } from "./lab";
import { number, Numbers, useMedia } from "./parts";
import type { State } from "./state";
import { css, ink as inked, painted, readable, type Theme } from "./theme";

const [WIDTH, HEIGHT, MARGIN] = [720, 460, 26];
const NEAR = 14; // pixels within which the pointer hits a point
const CLOSEST = 40; // times the whole map

interface View {
  x: [number, number];
  y: [number, number];
}

function whole(scores: Float32Array): View {
  const ends = (k: number): [number, number] => {
    let [low, high] = [Infinity, -Infinity];
    for (let i = k; i < scores.length; i += 2) [low, high] = [Math.min(low, scores[i]), Math.max(high, scores[i])];
    const room = (high - low || 1) * 0.04;
    return [low - room, high + room];
  };
  return { x: ends(0), y: ends(1) };
}

type Point = [number, number];

function extent([low, high]: [number, number]): number {
  return high - low;
}

/** A context of the map's size in device pixels, filled with the paper color. */
function begun(canvas: HTMLCanvasElement, theme: Theme): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [WIDTH * scale, HEIGHT * scale];
  const context = canvas.getContext("2d")!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.imageSmoothingEnabled = false;
  context.fillStyle = css(theme.paper);
  context.fillRect(0, 0, WIDTH, HEIGHT);
  return context;
}

export interface MapProps {
  lab: Lab;
  state: State;
  theme: Theme;
  seen: Map<string, Float32Array>[];
  /** The changes' effect on the mapped network. */
  effect: Later<Effect>;
  onMap: (map: State["map"]) => void;
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

export function Scatter({ lab, state, theme, scores, own, predicted, onImage }: ScatterProps): JSX.Element {
  const { images } = lab;
  const layer = lab.layer(state.map.network, state.map.layer);
  const title = `${lab.models[state.map.network].data.name} ${layer} step ${lab.step(state.map.network, state.frame)}`;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<View | null>(null);
  const [near, setNear] = useState<number | null>(null);
  const [lasso, setLasso] = useState<Point[]>([]);
  const [chosen, setChosen] = useState<number[]>([]);
  const mode = useRef<"lasso" | "tap" | null>(null);
  // A finger scrolls the page and opens images; it selects only after the reader asked for it.
  const [finger, setFinger] = useState(false);
  const coarse = useMedia("(any-pointer: coarse)");
  const shown = view ?? whole(scores);
  const x = scaleLinear().domain(shown.x).range([MARGIN, WIDTH - MARGIN]);
  const y = scaleLinear().domain(shown.y).range([HEIGHT - MARGIN, MARGIN]);
  const factor = extent(whole(scores).x) / extent(shown.x);
  const close = factor > 2.5;
  const size = Math.min(28, 9 * Math.sqrt(factor) + (close ? 8 : 0));
  const at = (i: number): Point => [x(scores[2 * i]), y(scores[2 * i + 1])];
  const classes = useMemo(() => Array.from({ length: 10 }, (_, c) => getComputedStyle(document.documentElement).getPropertyValue(`--class-${c}`).trim()), [theme]);
  const onto = useMemo(() => classes.map(readable), [classes]);
  const zoomed = view !== null;

  useEffect(() => setChosen([]), [state.map.network, state.map.layer]);

  // All points, redrawn only when they move: not on every pen stroke or pointer move.
  const cloud = useMemo(() => {
    const sheet = document.createElement("canvas");
    const context = begun(sheet, theme);
    context.font = `bold ${state.map.color === "error" ? 12 : 9}px sans-serif`;
    [context.textAlign, context.textBaseline] = ["center", "middle"];
    for (let i = 0; i < images.count; i++) {
      const [px, py] = at(i);
      if (px < 0 || py < 0 || px > WIDTH || py > HEIGHT) continue;
      const label = images.labels[i];
      const wrong = predicted !== null && predicted[i] !== label;
      if (close) context.drawImage(painted(lab.image(i), images.rows, images.cols, inked(theme)), px - size / 2, py - size / 2, size, size);
      const mark = state.map.color === "said" ? (predicted?.[i] ?? label) : label;
      if (state.map.color === "error") {
        context.fillStyle = wrong ? css(theme.positive) : css(theme.quiet);
        context.fillText(wrong ? `×${label}` : "·", px, py);
      } else {
        context.fillStyle = classes[mark % 10];
        if (close) {
          context.fillRect(px - size / 2, py + size / 2, size, 3);
          continue;
        }
        context.beginPath();
        context.arc(px, py, 6.5, 0, 2 * Math.PI);
        context.fill();
        context.fillStyle = onto[mark % 10];
        context.fillText(String(mark), px, py + 0.5);
      }
    }
    return sheet;
  }, [scores, predicted, theme, view, state.map.color]);

  useLayoutEffect(() => {
    const context = begun(canvas.current!, theme);
    context.drawImage(cloud, 0, 0, WIDTH, HEIGHT);
    context.strokeStyle = css(theme.selected);
    context.lineWidth = 2;
    for (const i of chosen) {
      const [px, py] = at(i);
      context.strokeRect(px - size / 2 - 1, py - size / 2 - 1, size + 2, size + 2);
    }
    if (near !== null) {
      const [px, py] = at(near);
      context.drawImage(painted(lab.image(near), images.rows, images.cols, inked(theme)), px + 10, py - 66, 56, 56);
      context.strokeStyle = css(theme.quiet);
      context.lineWidth = 1;
      context.strokeRect(px + 9.5, py - 66.5, 57, 57);
      context.beginPath();
      context.arc(px, py, size / 2 + 3, 0, 2 * Math.PI);
      context.stroke();
    }
    const [ox, oy] = [x(own[0]), y(own[1])];
    context.strokeStyle = css(theme.selected);
    context.lineWidth = 3;
    context.beginPath();
    context.arc(Math.min(WIDTH - 8, Math.max(8, ox)), Math.min(HEIGHT - 8, Math.max(8, oy)), 11, 0, 2 * Math.PI);
    context.stroke();
    if (lasso.length > 1) {
      context.setLineDash([4, 3]);
      context.strokeStyle = css(theme.ink);
      context.lineWidth = 1.5;
      context.beginPath();
      lasso.forEach(([lx, ly], i) => (i ? context.lineTo(lx, ly) : context.moveTo(lx, ly)));
      context.closePath();
      context.stroke();
      context.setLineDash([]);
    }
  }, [cloud, own, near, lasso, chosen]);

  function place(event: PointerEvent | WheelEvent): Point {
    const box = canvas.current!.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  }

  function nearest([px, py]: Point): number | null {
    let [best, least] = [null as number | null, NEAR];
    for (let i = 0; i < images.count; i++) {
      const [qx, qy] = at(i);
      const distance = Math.hypot(px - qx, py - qy);
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  /** Never further out than the whole map. */
  function zoom(by: number, [px, py]: Point): void {
    const to = Math.min(CLOSEST, factor * by);
    if (to <= 1) return setView(null);
    const [cx, cy] = [x.invert(px), y.invert(py)];
    setView({
      x: shown.x.map((v) => cx + ((v - cx) * factor) / to) as [number, number],
      y: shown.y.map((v) => cy + ((v - cy) * factor) / to) as [number, number],
    });
  }

  function pan(dx: number, dy: number): void {
    const [w, h] = [shown.x[1] - shown.x[0], shown.y[1] - shown.y[0]];
    setView({ x: shown.x.map((v) => v + dx * w) as [number, number], y: shown.y.map((v) => v + dy * h) as [number, number] });
  }

  function onPointerMove(event: PointerEvent): void {
    if (mode.current === "lasso") setLasso((points) => [...points, place(event)]);
    else if (!mode.current) setNear(nearest(place(event)));
  }

  function onPointerUp(event: PointerEvent): void {
    if (!mode.current) return;
    mode.current = null;
    setFinger(false);
    const path = [...lasso, place(event)];
    const far = Math.max(...path.map(([px, py]) => Math.hypot(px - path[0][0], py - path[0][1])));
    if (far < 6) {
      const hit = nearest(path[0]);
      if (hit !== null) onImage(hit);
      else setChosen([]);
    } else setChosen(images.labels.map((_, i) => i).filter((i) => encloses(path, at(i))));
    setLasso([]);
  }

  const keys: Record<string, () => void> = {
    ArrowLeft: () => pan(-0.1, 0),
    ArrowRight: () => pan(0.1, 0),
    ArrowUp: () => pan(0, 0.1),
    ArrowDown: () => pan(0, -0.1),
    "+": () => zoom(1.4, [WIDTH / 2, HEIGHT / 2]),
    "-": () => zoom(1 / 1.4, [WIDTH / 2, HEIGHT / 2]),
    "0": () => setView(null),
    Escape: () => setChosen([]),
  };
  const hint = near === null ? "Point to see an image, click to open it, drag a lasso to select several, Ctrl and the wheel zoom. The ring marks the current image." : `Image ${near}: a ${images.labels[near]}${predicted ? `, predicted ${predicted[near]}` : ""}.`;
  return (
    <div>
      <canvas
        ref={canvas}
        class="scatter"
        style={{ aspectRatio: `${WIDTH} / ${HEIGHT}`, touchAction: finger ? "none" : undefined }}
        tabIndex={0}
        role="application"
        aria-roledescription="map"
        aria-label={`Map of ${images.count} images. Plus and minus zoom, arrow keys pan, 0 shows all, Escape clears the selection. The table below lists every image.`}
        onPointerDown={(event) => {
          if (event.button > 0 || !event.isPrimary) return;
          mode.current = event.pointerType === "touch" && !finger ? "tap" : "lasso";
          if (mode.current === "lasso") canvas.current!.setPointerCapture(event.pointerId);
          setNear(null);
          setLasso([place(event)]);
        }}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={() => {
          mode.current = null;
          setLasso([]);
        }}
        onPointerLeave={() => setNear(null)}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
          event.preventDefault();
          zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, place(event));
        }}
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (!act || (event.key === "Escape" && !chosen.length)) return;
          event.preventDefault();
          act();
        }}
      />
      <div class="row">
        <button type="button" onClick={keys["+"]} aria-label="Zoom in">+</button>
        <button type="button" onClick={keys["-"]} aria-label="Zoom out">−</button>
        <button type="button" onClick={keys["0"]} disabled={!zoomed}>Show all</button>
        {coarse && <button type="button" aria-pressed={finger} onClick={() => setFinger(!finger)}>Select by finger</button>}
        <span class="quiet">{hint}</span>
      </div>
      {chosen.length > 0 && <Chosen lab={lab} chosen={chosen} predicted={predicted} onImage={onImage} theme={theme} />}
      <Numbers
        summary="All images on the map"
        name={`${title} map`}
        caption={() => `${title}: ${images.count} images on the first two principal components of the last snapshot, colored by ${{ class: "class", said: "predicted class", error: "correct (·) or misclassified (×)" }[state.map.color]}. Chance level of the first component: ${number(100 * lab.models[state.map.network].data.maps[layer].chance[0])}% of the variance; it explains ${number(100 * lab.models[state.map.network].data.maps[layer].explained[0])}%.`}
        pictures={() => [canvas.current!]}
        head={["image", "label", "predicted", "component 1", "component 2"]}
        rows={() => images.labels.map((label, i) => [i, label, predicted?.[i] ?? "…", scores[2 * i], scores[2 * i + 1]])}
      />
    </div>
  );
}

/** True if a closed path encloses a point: a ray to the right crosses it an odd number of times. */
export function encloses(path: Point[], [px, py]: Point): boolean {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [[ax, ay], [bx, by]] = [path[i], path[j]];
    if (ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
