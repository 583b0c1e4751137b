// Training time: a slider over all snapshots, playback in both directions, and the learning curves with the current snapshot marked.

import { scaleLinear, scaleSymlog } from "d3-scale";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Lab } from "./lab";
import { grouped, number, Numbers, Term, useMedia } from "./parts";
import { ScaleChoice } from "./scale";
import type { State } from "./state";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [300, 92, 34, 16];
const PACE = 450; // milliseconds a snapshot

/** Forward, backward, or paused. */
type Way = 1 | -1 | 0;

export interface TimeProps {
  lab: Lab;
  frame: number;
  onFrame: (frame: number) => void;
  scale: State["scale"];
  onScale: (scale: State["scale"]) => void;
}

export function Time({ lab, frame, onFrame, scale, onScale }: TimeProps): JSX.Element {
  const [playing, setPlaying] = useState<Way>(0);
  const still = useMedia("(prefers-reduced-motion: reduce)");
  const last = lab.frames - 1;
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
  if (last < 1) return <section class="time" aria-label="Training time"><p class="quiet">This page holds one snapshot.</p></section>;
  const words = lab.models.map((m, i) => `${m.data.name} step ${grouped(m.data.steps[lab.snapshot(i, frame)])}`).join(", ");
  return (
    <section class="time" aria-label="Training time">
      <div class="row">
        <button type="button" onClick={() => play(-1)}>{playing < 0 ? "Pause" : "Play backward"}</button>
        <button type="button" onClick={() => onFrame(Math.max(0, frame - 1))} aria-label="Previous snapshot" disabled={frame === 0}>‹</button>
        <button type="button" onClick={() => onFrame(Math.min(last, frame + 1))} aria-label="Next snapshot" disabled={frame === last}>›</button>
        <button type="button" onClick={() => play(1)}>{playing > 0 ? "Pause" : "Play"}</button>
        <label class="slider">
          <span>
            <Term word="snapshot">Snapshot</Term> {frame + 1} of {last + 1} in this page: {words}
          </span>
          <input type="range" min={0} max={last} step={1} value={frame} aria-label="Snapshot of training" aria-valuetext={words} onInput={(e) => onFrame(Number(e.currentTarget.value))} />
        </label>
        <ScaleChoice scale={scale} onScale={onScale} />
      </div>
      <div class="curves">
        {lab.models.map((_, i) => <Curves key={i} lab={lab} network={i} frame={frame} />)}
      </div>
    </section>
  );
}

function Curves({ lab, network, frame }: { lab: Lab; network: number; frame: number }): JSX.Element {
  const { data } = lab.models[network];
  const { step, testAccuracy, testLoss } = data.curve;
  const here = lab.snapshot(network, frame);
  const loss = testLoss.map((v) => v ?? 0);
  const x = scaleSymlog().domain([0, Math.max(1, step.at(-1)!)]).range([LEFT, WIDTH - 8]);
  const panels = [
    { name: "test accuracy (%)", values: testAccuracy.map((v) => 100 * (v ?? 0)), top: 100 },
    { name: "test loss (nats)", values: loss, top: Math.max(...loss) },
  ];
  const part = useRef<HTMLElement>(null);
  return (
    <figure ref={part}>
      <figcaption>{data.name}, all test images of the dataset</figcaption>
      <div class="pair">
        {panels.map(({ name, values, top }) => {
          const y = scaleLinear().domain([0, top]).range([HEIGHT - BOTTOM, 8]);
          return (
            <svg key={name} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${data.name}: ${name} at step ${step[here]}: ${number(values[here])}`}>
              <line x1={LEFT} x2={WIDTH - 8} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} class="axis" />
              <text x={LEFT - 4} y={14} class="end">{number(top)}</text>
              <text x={LEFT - 4} y={HEIGHT - BOTTOM} class="end">0</text>
              <text x={WIDTH - 8} y={HEIGHT - 4} class="end">step {grouped(step.at(-1)!)}</text>
              <text x={LEFT} y={HEIGHT - 4}>{name}</text>
              <polyline points={values.map((v, i) => `${x(step[i])},${y(v)}`).join(" ")} class="curve" />
              <line x1={x(step[here])} x2={x(step[here])} y1={4} y2={HEIGHT - BOTTOM} class="here" />
              <circle cx={x(step[here])} cy={y(values[here])} r={4} class="value" />
            </svg>
          );
        })}
      </div>
      <Numbers name={`${data.name} curves`} pictures={() => [...part.current!.querySelectorAll("svg")]} head={["step", "test accuracy (%)", "test loss (nats)"]} shown={[grouped, 2]} caption={() => `${data.name}: test accuracy and loss on all test images of the dataset; the marked step is ${grouped(step[here])}.`} rows={() => step.map((s, i) => [s, 100 * (testAccuracy[i] ?? NaN), testLoss[i] ?? NaN])} />
    </figure>
  );
}
