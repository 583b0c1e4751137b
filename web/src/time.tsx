// Training time: the accuracy and the loss of the networks over training, which is the slider of snapshots, and playback in both directions.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { spaced } from "./fit";
import type { Lab } from "./lab";
import { grouped } from "./numbers";
import { glossary, Hint, Numbers, useMedia } from "./parts";
import { named } from "./networks";
import { ScaleChoice } from "./scale";
import type { State } from "./state";
import { replayAt, type ReplayPlace, replaysOf } from "./otherwise";
import { Second } from "./replay";
import { css, type Theme } from "./theme";
import { words } from "./words";

/** Windows from this width have room for a second timeline; in others the inspector shows it. */
const WIDE = "(min-width: 60.01rem)";
const PACE = 450; // milliseconds a snapshot
/** Pixels left and right of the plot: room for its axes, and what is around them. */
const [ROOM, SIDE, AROUND] = [40, 58, 8];
const [LEFT, RIGHT] = [ROOM + AROUND, SIDE + AROUND];
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]]; // by network

/** Forward, backward, or paused. */
type Way = 1 | -1 | 0;

export const PHONE = "(max-width: 46rem)";

export interface TimeProps {
  lab: Lab;
  /** The networks shown. */
  shown: number[];
  frame: number;
  theme: Theme;
  onFrame: (frame: number) => void;
  scale: State["scale"];
  onScale: (scale: State["scale"]) => void;
  replay: ReplayPlace | null;
}

export function Time(props: TimeProps): JSX.Element {
  const { lab, shown, frame, onFrame, scale, onScale } = props;
  const [playing, setPlaying] = useState<Way>(0);
  const still = useMedia("(prefers-reduced-motion: reduce)");
  const last = lab.frames - 1;
  const phone = useMedia(PHONE); // no room for more than the number
  const room = useMedia(WIDE);
  const apart = !phone && shown.some((network) => lab.models[network].data.steps.join() !== lab.models[shown[0]].data.steps.join());
  const endOf = (way: Way) => (way > 0 ? last : 0);
  /** Starts from the other end if it is already at the end of its direction. */
  function play(way: Way): void {
    if (playing !== way && frame === endOf(way)) onFrame(last - frame);
    setPlaying(playing === way ? 0 : way);
  }
  useEffect(() => {
    if (!playing) return;
    if (frame === endOf(playing)) return setPlaying(0);
    const timer = setTimeout(() => onFrame(frame + playing), still ? 2 * PACE : PACE);
    return () => clearTimeout(timer);
  }, [playing, frame]);
  if (last < 1) return <section class="time" aria-label={words.time.title}><p class="quiet">{words.time.one}</p></section>;
  const end = endOfAll(props);
  const along = growing(lab.models[longestOf(lab, shown)].data.steps) ? Math.asinh : (step: number) => step;
  return (
    <section class="time" aria-label={words.time.title}>
      <div class="player">
        <div class="row">
          <button type="button" onClick={() => play(-1)}>{playing < 0 ? words.time.pause : words.time.backward}</button>
          <button type="button" onClick={() => onFrame(Math.max(0, frame - 1))} aria-label={words.time.previous} disabled={frame === 0}>‹</button>
          <button type="button" onClick={() => onFrame(Math.min(last, frame + 1))} aria-label={words.time.next} disabled={frame === last}>›</button>
          <button type="button" onClick={() => play(1)}>{playing > 0 ? words.time.pause : words.time.play}</button>
        </div>
        <p class="where">
          <Hint text={apart ? `${glossary.snapshot} ${words.time.rule}` : glossary.snapshot}>{apart ? words.time.own : words.time.snapshot}</Hint> {words.time.of(frame + 1, last + 1)}
        </p>
        <ScaleChoice scale={scale} onScale={onScale} />
      </div>
      <Plot {...props} />
      <ul class="legend">
        <Lines lab={lab} shown={shown} frame={frame} />
        {(["accuracy", "loss"] as const).map((name) => (
          <li key={name} class={name}>
            <svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" class="curve" /></svg> {words.time[name]}
          </li>
        ))}
      </ul>
      {room && replaysOf(lab).length > 0 && <Second lab={lab} at={props.replay} frame={frame} left={LEFT} right={RIGHT} along={(step) => along(step) / along(end)} />}
    </section>
  );
}

/** By network, how its curves are dashed, and its step. */
function Lines({ lab, shown, frame }: Pick<TimeProps, "lab" | "shown" | "frame">): JSX.Element {
  return (
    <>
      {shown.map((network, i) => (
        <li key={network}>
          {shown.length > 1 && <svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" class="curve" stroke-dasharray={DASHES[i % DASHES.length].join(" ")} /></svg>}{" "}
          {named(lab, network)} <small>{words.time.at(lab.step(network, frame))}</small>
        </li>
      ))}
    </>
  );
}

/** The same where there is no room beside the curves. */
export function Legend(props: Pick<TimeProps, "lab" | "shown" | "frame">): JSX.Element {
  return <ul class="legend below"><Lines {...props} /></ul>;
}

/** The last step on the axis: a replay may go on after the original's end. */
function endOfAll({ lab, shown, replay }: Pick<TimeProps, "lab" | "shown" | "replay">): number {
  return Math.max(1, lab.models[longestOf(lab, shown)].data.steps.at(-1)!, replayAt(lab, replay)?.until ?? 0);
}

/** Whether the recorded steps lie ever further apart. */
export function growing(steps: number[]): boolean {
  return steps.length > 3 && steps.at(-1)! - steps.at(-2)! > 3 * (steps[1] - steps[0]);
}

/** Where the axis of steps is labeled: at 0, at powers of ten and at the end; on a linear axis where uPlot chooses. */
export function ticks(last: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log10(Math.max(1, last / 2))) + 1 }, (_, i) => 10 ** i);
  return [0, ...powers, last];
}

/** The network that was trained for longest. */
export function longestOf(lab: Lab, shown: number[]): number {
  return shown.reduce((a, b) => (lab.models[b].data.steps.at(-1)! > lab.models[a].data.steps.at(-1)! ? b : a));
}

function Plot({ lab, shown, frame, theme, onFrame, replay }: TimeProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(frame);
  now.current = frame;
  const names = shown.join();
  // The line stands at its step.
  const longest = longestOf(lab, shown);
  const end = endOfAll({ lab, shown, replay });
  const placeOf = (frame: number) => plot.current!.valToPos(lab.step(longest, frame), "x");

  useLayoutEffect(() => {
    const curves = shown.map((network) => lab.models[network].data.curve);
    const { steps } = lab.models[longest].data;
    const log = growing(steps);
    const most = Math.max(...curves.flatMap((curve) => curve.testLoss.map((loss) => loss ?? 0)));
    const axis = { stroke: css(theme.quiet), font: "11px system-ui, sans-serif", grid: { show: false }, ticks: { show: false } };
    const line = (stroke: string, scale: string, i: number): uPlot.Series => ({ stroke, scale, width: 1.5, dash: DASHES[i % DASHES.length], spanGaps: true, points: { show: false } });
    const options: uPlot.Options = {
      width: box.current!.clientWidth,
      height: box.current!.clientHeight,
      padding: [8, AROUND, 0, AROUND],
      cursor: { show: false },
      legend: { show: false },
      scales: {
        x: { time: false, range: () => [0, end], ...(log ? { distr: 4, asinh: 1 } : {}) },
        accuracy: { range: () => [0, 100] },
        loss: { range: () => [0, most || 1] },
      },
      axes: [
        { ...axis, size: 24, gap: 6, ...(log ? { splits: () => ticks(end), filter: (_: uPlot, all: number[]) => all } : {}), values: (own, all) => spaced(all, (step) => own.valToPos(step, "x")).map((step) => (step === null ? "" : step ? grouped(step) : words.time.start)) },
        { ...axis, stroke: css(theme.ink), scale: "accuracy", size: ROOM, gap: 4, splits: () => [50, 100], values: (_, all) => all.map((share) => `${share}%`), grid: { show: true, stroke: css(theme.grid), width: 1 } },
        { ...axis, scale: "loss", side: 1, size: SIDE, gap: 9, splits: () => [0, most], values: (_, all) => all.map((loss) => (loss ? words.time.nats(loss) : "0")) },
      ],
      series: [{}, ...shown.flatMap((_, i) => [line(css(theme.quiet), "loss", i), line(css(theme.ink), "accuracy", i)])],
      hooks: { draw: [(own) => mark(own)] },
    };
    const data = uPlot.join(curves.map((curve) => [curve.step, curve.testLoss, curve.testAccuracy.map((share) => share && 100 * share)] as uPlot.AlignedData));
    const own = new uPlot(options, data, box.current!);
    plot.current = own;
    const observer = new ResizeObserver(() => own.setSize({ width: box.current!.clientWidth, height: box.current!.clientHeight }));
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      own.destroy();
    };
  }, [names, theme, end]);

  useLayoutEffect(() => plot.current!.redraw(false), [frame]);

  /** The current snapshot: of each network a line, dashed as its curves, and a dot on each of them. */
  function mark(own: uPlot): void {
    const { ctx, bbox } = own;
    const scale = window.devicePixelRatio || 1;
    ctx.save();
    [ctx.strokeStyle, ctx.fillStyle, ctx.lineWidth] = [css(theme.selected), css(theme.selected), 2 * scale];
    for (const [i, network] of shown.entries()) {
      const x = Math.round(own.valToPos(lab.step(network, now.current), "x", true));
      ctx.setLineDash(DASHES[i % DASHES.length].map((dash) => dash * scale));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top - 6 * scale);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const { curve } = lab.models[network].data;
      const at = lab.snapshot(network, now.current);
      for (const [value, name] of [[100 * (curve.testAccuracy[at] ?? NaN), "accuracy"], [curve.testLoss[at] ?? NaN, "loss"]] as const) {
        ctx.beginPath();
        ctx.arc(own.valToPos(curve.step[at], "x", true), own.valToPos(value, name, true), 3.5 * scale, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  const held = useRef(false);
  function follow(event: PointerEvent): void {
    const x = event.clientX - plot.current!.over.getBoundingClientRect().left;
    let nearest = 0;
    for (let i = 1; i < lab.frames; i++) if (Math.abs(placeOf(i) - x) < Math.abs(placeOf(nearest) - x)) nearest = i;
    if (nearest !== now.current) onFrame(nearest);
  }

  const told = words.time.steps(shown.map((network) => [named(lab, network), lab.step(network, frame)]));
  return (
    <div class="plot">
      <div
        ref={box}
        class="curves"
        onPointerDown={(event) => {
          if (event.button > 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          held.current = true;
          follow(event);
        }}
        onPointerMove={(event) => held.current && follow(event)}
        onPointerUp={() => (held.current = false)}
        onPointerCancel={() => (held.current = false)}
      />
      <input type="range" min={0} max={lab.frames - 1} step={1} value={frame} aria-label={words.time.slider} aria-valuetext={told} onInput={(e) => onFrame(Number(e.currentTarget.value))} />
    </div>
  );
}

/** A network's curves as a table, and the picture that they are in. */
export function CurveNumbers({ lab, network, frame }: { lab: Lab; network: number; frame: number }): JSX.Element {
  const { name, curve } = lab.models[network].data;
  const { step, testAccuracy, testLoss } = curve;
  return (
    <Numbers
      fold={`curves.${network}`}
      summary={words.time.numbers}
      name={words.time.curves(name)}
      pictures={() => [...document.querySelectorAll<HTMLCanvasElement>(".curves canvas")]}
      head={words.time.head}
      shown={[grouped, 2]}
      caption={() => words.time.caption(name, lab.step(network, frame))}
      rows={() => step.map((s, i) => [s, 100 * (testAccuracy[i] ?? NaN), testLoss[i] ?? NaN])}
    />
  );
}
