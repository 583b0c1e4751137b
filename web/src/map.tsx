// A layer's map: every included image at its place on the two principal components, your drawing among them.

import { scaleLinear } from "d3-scale";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Lab, useEffectOf, useLater } from "./lab";
import { grouped, number, Numbers, Term } from "./parts";
import type { State } from "./state";
import { css, ink as inked, painted, readable, type Theme } from "./theme";

const [WIDTH, HEIGHT, MARGIN] = [720, 460, 26];
const NEAR = 14; // pixels within which a point is meant

interface View {
  x: [number, number];
  y: [number, number];
}

export interface MapProps {
  lab: Lab;
  state: State;
  theme: Theme;
  seen: Map<string, Float32Array>[];
  onMap: (map: State["map"]) => void;
  onImage: (index: number) => void;
}

export function LayerMap(props: MapProps): JSX.Element {
  const { lab, state, seen } = props;
  const { network, layer: place, colour } = state.map;
  const model = lab.models[network];
  const layer = lab.layer(network, place);
  const plane = model.data.maps[layer];
  const snapshot = lab.snapshot(network, state.moment);
  const means = useLater((signal) => lab.evaluators[network].means(snapshot, layer, signal), [network, layer, snapshot]);
  const scores = useMemo(() => means && plane && projected(means, plane), [means, plane]);
  const own = useMemo(() => plane && projected(channelMeans(seen[network].get(layer)!, model.units(layer).each), plane), [seen, plane]);
  const effect = useEffectOf(lab, network, snapshot, state.changes);
  const said = effect?.after.said ?? null;
  const set = (part: Partial<State["map"]>) => props.onMap({ ...state.map, ...part });
  return (
    <section class="map" aria-label="Map of a layer">
      <h2>Map: which digits lie together</h2>
      <div class="row">
        <label>
          Network{" "}
          <select value={network} onChange={(e) => set({ network: Number(e.currentTarget.value), layer: 0 })}>
            {lab.models.map((m, i) => <option key={i} value={i}>{m.data.name}</option>)}
          </select>
        </label>
        <label>
          Layer{" "}
          <select value={place} onChange={(e) => set({ layer: Number(e.currentTarget.value) })}>
            {model.data.layers.map((name, i) => <option key={name} value={i}>{name}</option>)}
          </select>
        </label>
        <label>
          Colour by{" "}
          <select value={colour} onChange={(e) => set({ colour: e.currentTarget.value as State["map"]["colour"] })}>
            <option value="class">class</option>
            <option value="said">what it is read as</option>
            <option value="error">right or wrong</option>
          </select>
        </label>
      </div>
      {!plane && <p class="quiet">This layer was not recorded, or has fewer than two units.</p>}
      {plane && !scores && <p aria-busy="true">Reading all images …</p>}
      {plane && scores && own && <Scatter {...props} scores={scores} own={own} said={said} />}
      {plane && (
        <p class="quiet">
          {grouped(lab.images.count)} images on the two <Term word="principal components" /> of {layer} at the end of training ({number(100 * plane.explained[0])} % and {number(100 * plane.explained[1])} % of its variance; by chance at most {number(100 * plane.chance[0])} %). The axes stay the same over training.
        </p>
      )}
    </section>
  );
}

function channelMeans(values: Float32Array, each: number): Float32Array {
  return Float32Array.from({ length: values.length / each }, (_, unit) => {
    let sum = 0;
    for (let i = unit * each; i < (unit + 1) * each; i++) sum += values[i];
    return sum / each;
  });
}

/** [image, 2] of [image, unit]. */
function projected(means: Float32Array, plane: { centre: number[]; directions: number[][] }): Float32Array {
  const count = plane.centre.length;
  const found = new Float32Array((2 * means.length) / count);
  for (let i = 0; i < means.length / count; i++) {
    for (let k = 0; k < 2; k++) {
      let sum = 0;
      for (let unit = 0; unit < count; unit++) sum += (means[i * count + unit] - plane.centre[unit]) * plane.directions[k][unit];
      found[2 * i + k] = sum;
    }
  }
  return found;
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

function Scatter({ lab, state, theme, scores, own, said, onImage }: MapProps & { scores: Float32Array; own: Float32Array; said: Uint8Array | null }): JSX.Element {
  const { images } = lab;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<View | null>(null);
  const [near, setNear] = useState<number | null>(null);
  const [lasso, setLasso] = useState<Point[]>([]);
  const [chosen, setChosen] = useState<number[]>([]);
  const mode = useRef<"lasso" | null>(null);
  const shown = view ?? whole(scores);
  const x = scaleLinear().domain(shown.x).range([MARGIN, WIDTH - MARGIN]);
  const y = scaleLinear().domain(shown.y).range([HEIGHT - MARGIN, MARGIN]);
  const at = (i: number): Point => [x(scores[2 * i]), y(scores[2 * i + 1])];
  const classes = useMemo(() => Array.from({ length: 10 }, (_, c) => getComputedStyle(document.documentElement).getPropertyValue(`--class-${c}`).trim()), [theme]);
  const onto = useMemo(() => classes.map(readable), [classes]);
  const zoomed = view !== null;

  useEffect(() => setChosen([]), [state.map.network, state.map.layer]);

  useLayoutEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    const scale = window.devicePixelRatio || 1;
    [canvas.current!.width, canvas.current!.height] = [WIDTH * scale, HEIGHT * scale];
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.imageSmoothingEnabled = false;
    context.fillStyle = css(theme.paper);
    context.fillRect(0, 0, WIDTH, HEIGHT);
    const span = whole(scores);
    const factor = (span.x[1] - span.x[0]) / (shown.x[1] - shown.x[0]);
    const size = Math.min(28, 9 * Math.sqrt(factor) + (factor > 2.5 ? 8 : 0));
    context.font = `bold ${state.map.colour === "error" ? 12 : 9}px sans-serif`;
    [context.textAlign, context.textBaseline] = ["center", "middle"];
    for (let i = 0; i < images.count; i++) {
      const [px, py] = at(i);
      if (px < 0 || py < 0 || px > WIDTH || py > HEIGHT) continue;
      const label = images.labels[i];
      const wrong = said !== null && said[i] !== label;
      if (factor > 2.5) context.drawImage(painted(lab.image(i), images.rows, images.cols, inked(theme)), px - size / 2, py - size / 2, size, size);
      const mark = state.map.colour === "said" ? (said?.[i] ?? label) : label;
      if (state.map.colour === "error") {
        context.fillStyle = wrong ? css(theme.positive) : css(theme.quiet);
        context.fillText(wrong ? `×${label}` : "·", px, py);
      } else {
        context.fillStyle = classes[mark % 10];
        if (factor > 2.5) {
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
  }, [scores, own, said, theme, view, near, lasso, chosen, state.map.colour]);

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

  function zoom(factor: number, [px, py]: Point): void {
    const [cx, cy] = [x.invert(px), y.invert(py)];
    setView({
      x: shown.x.map((v) => cx + (v - cx) / factor) as [number, number],
      y: shown.y.map((v) => cy + (v - cy) / factor) as [number, number],
    });
  }

  function pan(dx: number, dy: number): void {
    const [w, h] = [shown.x[1] - shown.x[0], shown.y[1] - shown.y[0]];
    setView({ x: shown.x.map((v) => v + dx * w) as [number, number], y: shown.y.map((v) => v + dy * h) as [number, number] });
  }

  function onPointerMove(event: PointerEvent): void {
    if (mode.current === "lasso") setLasso((points) => [...points, place(event)]);
    else setNear(nearest(place(event)));
  }

  function onPointerUp(event: PointerEvent): void {
    if (mode.current !== "lasso") return;
    mode.current = null;
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
  const hint = near === null ? "Pointer: look; click: take the image; drag: a lasso. Ringed: the present digit." : `Image ${near}: a ${images.labels[near]}${said ? `, read as ${said[near]}` : ""}.`;
  return (
    <div>
      <canvas
        ref={canvas}
        class="scatter"
        style={{ aspectRatio: `${WIDTH} / ${HEIGHT}` }}
        tabIndex={0}
        role="application"
        aria-roledescription="map"
        aria-label={`Map of ${images.count} images. Plus and minus zoom, arrow keys move, 0 shows all, Escape lets the chosen go. The table below has every image.`}
        onPointerDown={(event) => {
          canvas.current!.setPointerCapture(event.pointerId);
          mode.current = "lasso";
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
          if (!event.ctrlKey && !zoomed && event.deltaY > 0) return; // nothing to zoom out of: the page scrolls
          event.preventDefault();
          zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, place(event));
        }}
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (!act) return;
          event.preventDefault();
          act();
        }}
      />
      <div class="row">
        <button type="button" onClick={keys["+"]} aria-label="Zoom in">+</button>
        <button type="button" onClick={keys["-"]} aria-label="Zoom out">−</button>
        <button type="button" onClick={keys["0"]} disabled={!zoomed}>Show all</button>
        <span class="quiet">{hint}</span>
      </div>
      {chosen.length > 0 && <Chosen lab={lab} chosen={chosen} said={said} onImage={onImage} theme={theme} />}
      <Numbers
        summary="Every image on the map"
        name="map"
        pictures={() => [canvas.current!]}
        head={["image", "label", "read as", "component 1", "component 2"]}
        rows={images.labels.map((label, i) => [i, label, said?.[i] ?? "…", number(scores[2 * i]), number(scores[2 * i + 1])])}
      />
    </div>
  );
}

function Chosen({ lab, chosen, said, onImage, theme }: { lab: Lab; chosen: number[]; said: Uint8Array | null; onImage: (i: number) => void; theme: Theme }): JSX.Element {
  const { images } = lab;
  const counts = new Array<number>(images.classes).fill(0);
  for (const i of chosen) counts[images.labels[i]]++;
  const wrong = said ? chosen.filter((i) => said[i] !== images.labels[i]).length : null;
  const told = counts.map((n, c) => [n, c]).filter(([n]) => n).sort((a, b) => b[0] - a[0]).map(([n, c]) => `${n} × ${c}`).join(", ");
  return (
    <div class="chosen" aria-live="polite">
      <p>
        <strong>{chosen.length} chosen</strong>: {told}{wrong !== null && `; ${wrong} read wrongly`}.
      </p>
      <div class="thumbs wrap" role="group" aria-label="Chosen images">
        {chosen.slice(0, 60).map((i) => <Thumb key={i} lab={lab} image={i} theme={theme} onImage={onImage} />)}
        {chosen.length > 60 && <small>and {chosen.length - 60} more</small>}
      </div>
    </div>
  );
}

function Thumb({ lab, image, theme, onImage }: { lab: Lab; image: number; theme: Theme; onImage: (i: number) => void }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    context.imageSmoothingEnabled = false;
    context.drawImage(painted(lab.image(image), lab.images.rows, lab.images.cols, inked(theme)), 0, 0, 56, 56);
  }, [image, theme]);
  return (
    <button type="button" class="thumb" aria-label={`image ${image}, a ${lab.images.labels[image]}`} onClick={() => onImage(image)}>
      <canvas ref={canvas} width={56} height={56} style={{ width: "28px" }} aria-hidden="true" />
    </button>
  );
}

/** Whether a closed path goes around a point: a ray to the right crosses it an odd number of times. */
export function encloses(path: Point[], [px, py]: Point): boolean {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [[ax, ay], [bx, by]] = [path[i], path[j]];
    if (ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
