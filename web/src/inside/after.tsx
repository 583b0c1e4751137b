// What an operation after the sum makes of the value at one position: activation function, normalization, pooling, a change.

import type { JSX } from "preact";
import { apply, highest } from "../engine";
import { Exact } from "../edges";
import { Say } from "../parts";
import { normalizationAt } from "../sums";
import { words } from "../words";
import { Captioned, Grid, LARGE, Mapped } from "./pictures";
import type { StepProps } from "./step";

export interface AfterProps extends StepProps {
  title: string;
  /** The operation's place, and that of the one before it. */
  place: number;
  previous: number;
  /** The shapes of its input and output, and the positions followed. */
  before: number[];
  from: number;
  after: number[];
  to: number;
}

export function After(props: AfterProps): JSX.Element {
  const { trace, unit, title, place, previous, link, before, from, after, to, onPosition, ramps } = props;
  const op = trace.model.data.ops[place];
  const [{ captions, told }, [rows = 1, cols = 1], [rowsAfter = 1, colsAfter = 1]] = [words.inside, before.slice(1), after.slice(1)];
  const [ramp, next] = [ramps.get(previous)!, ramps.get(place)!];
  const old = trace.before(place).subarray(unit * rows * cols, (unit + 1) * rows * cols);
  const made = trace.outputs[place].subarray(unit * rowsAfter * colsAfter, (unit + 1) * rowsAfter * colsAfter);
  const [x, y] = [<Exact value={old[from]} />, <Exact value={made[to]} strong />];
  let box: [number, number, number, number] = [from % cols, Math.floor(from / cols), 1, 1];
  let [sentence, equation] = [words.inside.changed(after.length > 1, title), <>{x} → {y}</>];
  if (op.kind in words.inside.activation) {
    sentence = words.inside.activation[op.kind as keyof typeof words.inside.activation];
    equation = <><span>{title}({x})</span> = {y} <Curve kind={op} x={old[from]} /></>;
  } else if (op.kind === "batchnorm" || op.kind === "layernorm") {
    const { mean, deviation, scale, shift } = normalizationAt(trace, place, unit, unit * rows * cols + from);
    sentence = words.inside.normalization(title, op.kind === "layernorm" ? op.size : null);
    equation = <>({x} − <Exact value={mean} />) / <Exact value={deviation} /> × <Exact value={scale} /> + <Exact value={shift} /> = {y}</>;
  } else if (op.kind === "maxpool" || op.kind === "avgpool") {
    const [high, wide] = op.kernel;
    const [top, left] = [Math.floor(to / colsAfter) * op.stride[0] - op.padding[0], (to % colsAfter) * op.stride[1] - op.padding[1]];
    const window = Float32Array.from({ length: high * wide }, (_, i) => {
      const [row, col] = [top + Math.floor(i / wide), left + (i % wide)];
      const outside = row < 0 || row >= rows || col < 0 || col >= cols;
      return outside ? (op.kind === "maxpool" ? -Infinity : 0) : old[row * cols + col];
    });
    box = [left, top, wide, high];
    sentence = words.inside.pooling(title, op.kind, [high, wide], [rows, cols], [rowsAfter, colsAfter]);
    equation = <><Grid name={captions.poolWindow(high, wide)} values={window} rows={high} cols={wide} ramp={ramp} marked={op.kind === "maxpool" ? highest(window) : undefined} /> → {y}</>;
  }
  const picks = before.join() === trace.model.shapes[link.place].join() ? (col: number, row: number) => onPosition(row * cols + col) : undefined;
  return (
    <>
      <p><Say text={sentence} /></p>
      <div class="convolution">
        {rows * cols > 1 && (
          <Captioned text={captions.before} ramp={ramp}><Mapped values={old} rows={rows} cols={cols} ramp={ramp} size={LARGE} words={told.before} box={box} onPick={picks} /></Captioned>
        )}
        <div class="equation large" data-total>{equation}</div>
        {rows * cols > 1 && (
          <Captioned text={captions.after} ramp={next}><Mapped values={made} rows={rowsAfter} cols={colsAfter} ramp={next} size={LARGE} words={told.after} box={[to % colsAfter, Math.floor(to / colsAfter), 1, 1]} /></Captioned>
        )}
      </div>
    </>
  );
}

/** The graph of an activation function, with the value's place on it. */
function Curve({ kind, x }: { kind: Parameters<typeof apply>[0]; x: number }): JSX.Element {
  const end = Math.max(2, 1.25 * Math.abs(x));
  const xs = Float32Array.from([...Array.from({ length: 81 }, (_, i) => (i / 40 - 1) * end), x]);
  const ys = new Float32Array(xs.length);
  apply(kind, xs, ys, [xs.length], [xs.length], [], {});
  const [px, py] = [(v: number) => 80 + (72 * v) / end, (v: number) => 80 - (64 * v) / end];
  return (
    <svg class="bend" viewBox="0 0 160 150" width="160" height="150" aria-hidden="true">
      <line class="axis" x1="4" x2="156" y1="80" y2="80" />
      <line class="axis" x1="80" x2="80" y1="8" y2="146" />
      <polyline class="curve" points={Array.from(xs.subarray(0, 81), (v, i) => `${px(v)},${py(ys[i])}`).join(" ")} />
      <circle class="value" r="4.5" cx={px(x)} cy={py(ys[81])} />
    </svg>
  );
}
