// One unit's computation on the image shown, step by step: products, bias, activation function, pooling, softmax.

import type { ComponentChildren, JSX } from "preact";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Update } from "./address";
import type { Trace } from "./backward";
import { apply, type Changes, highest, softmax } from "./engine";
import { Exact, positionName, sourceName, sumName, unitName, useTrace, Wiring } from "./edges";
import type { Lab } from "./lab";
import { number, Pixels, Term, useMedia } from "./parts";
import { CHANGED, type State, type UnitPlace } from "./state";
import { biasOf, contributions, cornerOf, flattened, highestAt, type Link, linkInto, linksOf, mapSize, normalizationAt, preActivation, stepsAfter, windowOf } from "./sums";
import { amount, ink, type Ramp, signed, type Theme } from "./theme";

const TERMS = 8;
const CHANNELS = 5;
const GRID = 5; // rows and columns whose numbers fit
const SLIDE = 500; // frames for a whole map
const SETTLED = 150; // milliseconds without another position
const NAMES: Record<string, string> = {
  relu: "ReLU", tanh: "tanh", gelu: "GELU", batchnorm: "Batch normalization", layernorm: "Layer normalization", maxpool: "Max pooling", avgpool: "Average pooling",
};

interface ComputedProps {
  lab: Lab;
  state: State;
  theme: Theme;
  seen: Map<string, Float32Array>;
}

/** In the card of a unit: its strongest contributions, and its computation step by step. */
export function Computed({ lab, at, state, theme, seen }: ComputedProps & { at: UnitPlace }): JSX.Element | null {
  const { trace } = useTrace(lab, at.network, state, seen);
  if (!linkInto(trace.model, at.layer)) return null;
  return (
    <>
      <StepInside lab={lab} state={state} theme={theme} trace={trace} network={at.network} layer={at.layer} unit={at.unit} />
      <Wiring lab={lab} at={at} trace={trace} />
    </>
  );
}

/** Under a network's prediction: the computation of its logits and probabilities. */
export function ComputedClass({ lab, network, state, theme, seen }: ComputedProps & { network: number }): JSX.Element | null {
  const { trace } = useTrace(lab, network, state, seen);
  const layers = trace.model.data.layers.length;
  const last = linksOf(trace.model).at(-1);
  if (last?.to !== layers) return null;
  return <StepInside lab={lab} state={state} theme={theme} trace={trace} network={network} layer={layers} unit={highest(seen.get("logits")!)} />;
}

interface InsideProps {
  lab: Lab;
  state: State;
  theme: Theme;
  trace: Trace;
  network: number;
  layer: number;
  unit: number;
}

function StepInside({ trace, network, layer, unit }: InsideProps): JSX.Element {
  const update = useContext(Update);
  const name = unitName(trace.model, layer, unit);
  const position = () => highestAt(trace, linkInto(trace.model, layer)!, unit);
  return (
    <button type="button" class="step-inside" aria-haspopup="dialog" onClick={() => update({ inside: { network, layer, unit, step: 0, position: position() } })}>
      Step inside {name.replace(/ of .*/, "")}
    </button>
  );
}

interface Step {
  title: string;
  show: () => ComponentChildren;
}

/** The computation in the address. */
export function Inside({ lab, state, theme, seen, inside }: Omit<ComputedProps, "seen"> & { seen: Map<string, Float32Array>[]; inside: NonNullable<State["inside"]> }): JSX.Element | null {
  const { network, layer, unit } = inside;
  const { trace } = useTrace(lab, network, state, seen[network]);
  const link = linkInto(trace.model, layer);
  return link && <InsideDialog {...{ lab, state, theme, trace, network, layer, unit, link, inside }} />;
}

function InsideDialog(props: InsideProps & { link: Link; inside: NonNullable<State["inside"]> }): JSX.Element {
  const { lab, trace, network, layer, unit, state, link, inside } = props;
  const { model } = trace;
  const update = useContext(Update);
  const dialog = useRef<HTMLDialogElement>(null);
  const next = useRef<HTMLButtonElement>(null);
  const last = mapSize(model, link.place) - 1;
  const [position, setPosition] = useState(Math.min(last, inside.position));
  const classes = layer === model.data.layers.length;
  const steps = stepsOf({ ...props, position, onPosition: setPosition });
  const at = Math.min(steps.length - 1, inside.step);
  const go = (to: number) => update({ inside: { ...inside, position, step: Math.min(steps.length - 1, Math.max(0, to)) } });
  const close = () => update({ inside: null });

  useLayoutEffect(() => {
    const own = dialog.current!;
    own.showModal();
    next.current!.focus();
    return () => own.close(); // gives the focus back
  }, []);
  useEffect(() => setPosition(Math.min(last, inside.position)), [inside.position]);
  // A window that slides writes no address of every position.
  useEffect(() => {
    if (position === Math.min(last, inside.position)) return;
    const timer = setTimeout(() => update({ inside: { ...inside, position } }), SETTLED);
    return () => clearTimeout(timer);
  }, [position, inside]);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation(); // the card stays open
      return close();
    }
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by || (event.target as Element).matches("input, select")) return;
    event.preventDefault();
    go(at + by);
  }

  return (
    <dialog ref={dialog} class="inside" aria-labelledby="inside-title" onKeyDown={onKeyDown} onClick={(event) => event.target === dialog.current && close()}>
      <header>
        <h2 id="inside-title">
          Inside {unitName(model, layer, unit)} <small>{model.data.name}, step {model.data.steps[lab.snapshot(network, state.frame)].toLocaleString("en")}, this image</small>
        </h2>
        <button type="button" class="close" aria-label="Close" onClick={close}>×</button>
      </header>
      {classes && (
        <label>
          Class{" "}
          <select value={unit} onChange={(event) => update({ inside: { ...inside, unit: Number(event.currentTarget.value) } })}>
            {Array.from({ length: model.data.classes }, (_, label) => <option key={label} value={label}>{label}</option>)}
          </select>
        </label>
      )}
      <ol class="steps">
        {steps.map((step, i) => (
          <li key={i}>
            <button type="button" aria-current={i === at ? "step" : undefined} onClick={() => go(i)}>{i + 1}. {step.title}</button>
          </li>
        ))}
      </ol>
      <section class="step" aria-label={steps[at].title} tabIndex={0}>{steps[at].show()}</section>
      <div class="row">
        <button type="button" aria-disabled={at === 0} onClick={() => go(at - 1)}>← Back</button>
        <button type="button" ref={next} class="primary" aria-disabled={at === steps.length - 1} onClick={() => go(at + 1)}>Next →</button>
        <span class="quiet" aria-live="polite">Step {at + 1} of {steps.length}: {steps[at].title}. Arrow keys step too.</span>
      </div>
    </dialog>
  );
}

type StepProps = InsideProps & { link: Link; position: number; onPosition: (position: number) => void };

function stepsOf(props: StepProps): Step[] {
  const { lab, trace, link, unit, network, state, position } = props;
  const { model } = trace;
  const { ops, layers } = model.data;
  const changes = lab.changes(network, state.changes, trace.snapshot);
  const convolved = ops[link.place].kind === "conv2d";
  const steps: Step[] = [
    convolved ? { title: "Convolution", show: () => <Convolution {...props} /> } : { title: "Dot product", show: () => <Dot {...props} /> },
    { title: "Bias", show: () => <Bias {...props} /> },
  ];
  let [shape, here] = [model.shapes[link.place], position];
  for (const place of stepsAfter(model, link, changes, unit)) {
    const op = ops[place];
    const [before, from] = [shape, here];
    if (op.kind === "maxpool" || op.kind === "avgpool") {
      shape = model.shapes[place];
      const [row, col] = [Math.floor(from / before[2]), from % before[2]].map((v, k) => Math.min(shape[k + 1] - 1, Math.floor((v + op.padding[k]) / op.stride[k])));
      here = row * shape[2] + col;
    }
    const [to, after] = [here, shape];
    const title = op.kind === "hook" ? word(changes, op.name, unit) : NAMES[op.kind];
    steps.push({ title, show: () => <After {...props} place={place} before={before} from={from} after={after} to={to} title={title} /> });
  }
  if (link.to === layers.length) steps.push({ title: "Softmax", show: () => <Softmax {...props} /> });
  return steps;
}

function word(changes: Changes, hook: string, unit: number): string {
  const name: string = CHANGED[changes.get(hook)!.get(unit)!.kind as keyof typeof CHANGED];
  return name[0].toUpperCase() + name.slice(1);
}

function Dot({ trace, link, unit, theme, lab }: StepProps): JSX.Element {
  const { model } = trace;
  const sources = Array.from({ length: link.sources }, (_, source) => windowOf(trace, link, unit, source, 0));
  const terms = sources.flatMap(({ weights, values, cols }, source) =>
    Array.from(weights, (weight, i) => ({ name: sourceName(model, link, source) + (weights.length > 1 ? `, row ${Math.floor(i / cols)}, column ${i % cols}` : ""), weight, value: values[i], product: weight * values[i] })),
  );
  const total = terms.reduce((sum, { product }) => sum + product, 0);
  const order = [...terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const shown = order.slice(0, TERMS);
  const rest = order.slice(TERMS);
  const most = Math.abs(shown[0].product) || 1;
  const { rows, cols } = lab.images;
  const pictures = link.from < 0 && terms.length === rows * cols;
  const column = (pick: (term: (typeof terms)[number]) => number) => Float32Array.from(terms, pick);
  const heaviest = terms.reduce((a, { weight }) => Math.max(a, Math.abs(weight)), 0) || 1;
  return (
    <>
      <p>
        {pictures ? "Each pixel" : link.from < 0 ? "Each input" : flattened(model, link).length ? "Each value of the previous layer's maps" : `Each activation of the previous layer`} is multiplied by its weight; the <Term word="dot product">dot product</Term> is the sum of all {terms.length} products.
      </p>
      {pictures && (
        <div class="equation pictures">
          <Captioned text="image"><Pixels values={column((t) => t.value)} rows={rows} cols={cols} ramp={rampOf(column((t) => t.value), theme, true)} size={112} words="the pixels" /></Captioned> ×
          <Captioned text={`weights, ±${number(heaviest)}`}><Pixels values={column((t) => t.weight)} rows={rows} cols={cols} ramp={signed(theme, heaviest)} size={112} words="the weights, one for each pixel" /></Captioned> =
          <Captioned text={`products, ±${number(most)}`}><Pixels values={column((t) => t.product)} rows={rows} cols={cols} ramp={signed(theme, most)} size={112} words="the products, one for each pixel" /></Captioned>
        </div>
      )}
      <table class="products">
        <thead>
          <tr><th scope="col">{pictures ? "pixel" : "input"}</th><th scope="col">activation</th><th scope="col">× weight</th><th scope="col">= product</th><td /></tr>
        </thead>
        <tbody>
          {shown.map(({ name, weight, value, product }) => (
            <tr key={name} data-term>
              <th scope="row">{name}</th><td><Exact value={value} /></td><td><Exact value={weight} /></td><td><Exact value={product} /></td>
              <td><Amount value={product} most={most} /></td>
            </tr>
          ))}
          {rest.length > 0 && (
            <tr data-rest>
              <th scope="row">the other {rest.length}, summed</th><td /><td /><td><Exact value={rest.reduce((sum, { product }) => sum + product, 0)} /></td>
              <td />
            </tr>
          )}
          <tr class="sum" data-total>
            <th scope="row">dot product</th><td /><td /><td><Exact value={total} strong /></td><td />
          </tr>
        </tbody>
      </table>
    </>
  );
}

/** A product as a bar to the left or right of 0. */
function Amount({ value, most }: { value: number; most: number }): JSX.Element {
  return (
    <span class="amount" aria-hidden="true">
      <span class={value < 0 ? "minus" : "plus"} style={{ width: `${(50 * Math.min(most, Math.abs(value))) / most}%` }} />
    </span>
  );
}

function Captioned({ text, children }: { text: string; children: ComponentChildren }): JSX.Element {
  return <span class="captioned">{children}<small>{text}</small></span>;
}

function rampOf(values: Float32Array, theme: Theme, pixels: boolean): Ramp {
  const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [0, 0]);
  if (least < 0) return signed(theme, Math.max(-least, most));
  return pixels && most <= 1 ? ink(theme) : amount(theme, most || 1);
}

function Convolution({ trace, link, unit, theme, position, onPosition }: StepProps): JSX.Element {
  const { model } = trace;
  const still = useMedia("(prefers-reduced-motion: reduce)");
  const [sliding, setSliding] = useState(false);
  const sums = contributions(trace, link, unit, position);
  const order = Array.from(sums.keys()).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]) || a - b);
  const [source, setSource] = useState(order[0]);
  const { rows, cols, weights, values } = windowOf(trace, link, unit, source, position);
  const [, height, width] = link.place ? model.shapes[link.place - 1] : model.data.input;
  const [, rowsOut, colsOut] = model.shapes[link.place];
  const count = rowsOut * colsOut;
  const map = trace.before(link.place).subarray(source * height * width, (source + 1) * height * width);
  const bias = biasOf(trace, link, unit);
  const sumsOf = trace.outputs[link.place].subarray(unit * count, (unit + 1) * count).map((v) => v - bias);
  const [top, left] = cornerOf(model, link, position);
  const products = weights.map((weight, i) => weight * values[i]);
  const total = sums.reduce((a, b) => a + b, 0);
  const most = (numbers: Float32Array) => numbers.reduce((a, v) => Math.max(a, Math.abs(v)), 0) || 1;
  const rest = order.slice(CHANNELS);

  useEffect(() => {
    if (!sliding) return;
    const frame = requestAnimationFrame(() => {
      const after = position + Math.ceil(count / SLIDE);
      if (after >= count) setSliding(false);
      onPosition(Math.min(count - 1, after));
    });
    return () => cancelAnimationFrame(frame);
  }, [sliding, position]);

  return (
    <>
      <p>
        The <Term word="kernel">kernel</Term>'s window slides over {link.from < 0 ? "the image" : sums.length > 1 ? `all ${sums.length} maps of the previous layer` : "the previous layer's map"}. At each position, what it covers is multiplied by the kernel and summed: one value of the map of sums.
      </p>
      <div class="convolution">
        <Captioned text={link.from < 0 ? "the image, with the window" : `${sourceName(model, link, source)}, with the window`}>
          <Mapped values={map} rows={height} cols={width} ramp={rampOf(map, theme, link.from < 0)} words="what the window slides over" box={[left, top, cols, rows]} />
        </Captioned>
        <div class="equation">
          <Grid name="window" values={values} rows={rows} cols={cols} ramp={rampOf(map, theme, link.from < 0)} /> ×
          <Grid name="kernel" values={weights} rows={rows} cols={cols} ramp={signed(theme, most(weights))} /> =
          <Grid name="products" values={products} rows={rows} cols={cols} ramp={signed(theme, most(products))} />
        </div>
        <Captioned text={`the sums, ±${number(most(sumsOf))}`}>
          <Mapped values={sliding ? sumsOf.map((v, i) => (i <= position ? v : NaN)) : sumsOf} rows={rowsOut} cols={colsOut} ramp={signed(theme, most(sumsOf))} words="the sum at each position" box={[position % colsOut, Math.floor(position / colsOut), 1, 1]} onPick={(col, row) => onPosition(row * colsOut + col)} />
        </Captioned>
      </div>
      <div class="row">
        {!still && (
          <button type="button" onClick={() => {
            if (!sliding && position === count - 1) onPosition(0);
            setSliding(!sliding);
          }}>{sliding ? "Pause" : "Slide"}</button>
        )}
        <label class="slider">
          Position: {positionName(model, link, position)}
          <input type="range" min={0} max={count - 1} value={position} aria-valuetext={positionName(model, link, position)} onInput={(event) => {
            setSliding(false);
            onPosition(Number(event.currentTarget.value));
          }} />
        </label>
      </div>
      {sums.length > 1 ? (
        <>
          <p class="quiet">The products of each channel, summed. Select a channel to see its window.</p>
          <table class="products">
            <tbody>
              {order.slice(0, CHANNELS).map((channel) => (
                <tr key={channel} data-term>
                  <th scope="row"><button type="button" class="link" aria-pressed={channel === source} onClick={() => setSource(channel)}>{sourceName(model, link, channel)}</button></th>
                  <td><Exact value={sums[channel]} /></td>
                  <td><Amount value={sums[channel]} most={Math.abs(sums[order[0]]) || 1} /></td>
                </tr>
              ))}
              {rest.length > 0 && <tr data-rest><th scope="row">the other {rest.length}, summed</th><td><Exact value={rest.reduce((sum, channel) => sum + sums[channel], 0)} /></td><td /></tr>}
              <tr class="sum" data-total><th scope="row">sum</th><td><Exact value={total} strong /></td><td /></tr>
            </tbody>
          </table>
        </>
      ) : (
        <p class="equation" data-total>The {products.length} products sum to <Exact value={total} strong />.</p>
      )}
    </>
  );
}

/** A map with a box around some of its values. */
function Mapped({ values, rows, cols, ramp, words, box, onPick }: { values: Float32Array; rows: number; cols: number; ramp: Ramp; words: string; box: [number, number, number, number]; onPick?: (col: number, row: number) => void }): JSX.Element {
  const [x, y, width, height] = box;
  return (
    <span class="mapped" onPointerDown={onPick && ((event) => {
      const place = event.currentTarget.getBoundingClientRect();
      onPick(...([[event.clientX - place.left, place.width, cols], [event.clientY - place.top, place.height, rows]].map(([v, whole, n]) => Math.min(n - 1, Math.max(0, Math.floor((v / whole) * n)))) as [number, number]));
    })}>
      <Pixels values={values} rows={rows} cols={cols} ramp={ramp} size={140} words={words} />
      <svg viewBox={`0 0 ${cols} ${rows}`} aria-hidden="true"><rect x={x} y={y} width={width} height={height} /></svg>
    </span>
  );
}

/** Few numbers on their colors; of many, the colors alone. */
function Grid({ name, values, rows, cols, ramp, marked }: { name: string; values: Float32Array; rows: number; cols: number; ramp: Ramp; marked?: number }): JSX.Element {
  const numbers = rows <= GRID && cols <= GRID;
  return (
    <Captioned text={name}>
      {numbers ? (
        <span class="grid" role="img" aria-label={`${name}: ${Array.from(values, (v) => number(v)).join(", ")}`} style={{ gridTemplateColumns: `repeat(${cols}, 2.45rem)` }}>
          {Array.from(values, (value, i) => (
            <span key={i} class={i === marked ? "marked" : ""} style={{ "--share": `${Math.round(100 * Math.min(1, Math.abs(value) / ramp.to))}%`, "--hue": `var(--${value < 0 ? "negative" : ramp.from < 0 ? "positive" : "amount"})` }}><Exact value={value} digits={2} /></span>
          ))}
        </span>
      ) : (
        <Pixels values={values} rows={rows} cols={cols} ramp={ramp} size={100} words={name} />
      )}
    </Captioned>
  );
}

function Bias({ trace, link, unit, position }: StepProps): JSX.Element {
  const { model } = trace;
  const sum = contributions(trace, link, unit, position).reduce((a, b) => a + b, 0);
  const name = sumName(model, link);
  return (
    <>
      <p>The <Term word="bias">bias</Term>, learned like the weights and the same for every image{mapSize(model, link.place) > 1 ? " and position" : ""}, is added. The result is the <Term word={name}>{name}</Term>.</p>
      <p class="equation large">
        <Captioned text="sum of the products"><Exact value={sum} /></Captioned> + <Captioned text="bias"><Exact value={biasOf(trace, link, unit)} /></Captioned> = <Captioned text={name}><Exact value={preActivation(trace, link, unit, position)} strong /></Captioned>
      </p>
    </>
  );
}

/** What an operation after the link makes of the value at one position. */
function After({ trace, unit, theme, place, before, from, after, to, title }: StepProps & { place: number; before: number[]; from: number; after: number[]; to: number; title: string }): JSX.Element {
  const { model } = trace;
  const op = model.data.ops[place];
  const [eachBefore, eachAfter] = [before, after].map((shape) => (shape[1] ?? 1) * (shape[2] ?? 1));
  const [old, made] = [trace.before(place).subarray(unit * eachBefore, (unit + 1) * eachBefore), trace.outputs[place].subarray(unit * eachAfter, (unit + 1) * eachAfter)];
  const [x, y] = [old[from], made[to]];
  let words: ComponentChildren = null;
  let equation: ComponentChildren = null;
  if (op.kind === "relu" || op.kind === "tanh" || op.kind === "gelu") {
    words = <>The <Term word="activation function">activation function</Term> {op.kind === "relu" ? "keeps what is above 0 and sets the rest to 0" : op.kind === "tanh" ? "squeezes the value between −1 and 1" : "keeps large values and takes those far below 0 to 0"}. The result is the activation.</>;
    equation = <><span>{title}(<Exact value={x} />)</span> = <Exact value={y} strong /> <Curve kind={op} x={x} /></>;
  } else if (op.kind === "batchnorm" || op.kind === "layernorm") {
    const { mean, deviation, scale, shift } = normalizationAt(trace, place, unit, unit * eachBefore + from);
    words = <><Term word="layer normalization, batch normalization">{title}</Term> subtracts a mean, divides by a standard deviation, {op.kind === "layernorm" ? `both over the ${op.size} values of this image` : "both estimated in training"}, then scales and shifts by learned numbers.</>;
    equation = <>(<Exact value={x} /> − <Exact value={mean} />) / <Exact value={deviation} /> × <Exact value={scale} /> + <Exact value={shift} /> = <Exact value={y} strong /></>;
  } else if (op.kind === "maxpool" || op.kind === "avgpool") {
    const [rows, cols] = op.kernel;
    const [top, left] = [Math.floor(to / after[2]) * op.stride[0] - op.padding[0], (to % after[2]) * op.stride[1] - op.padding[1]];
    const outside = op.kind === "maxpool" ? -Infinity : 0;
    const window = Float32Array.from({ length: rows * cols }, (_, i) => {
      const [row, col] = [top + Math.floor(i / cols), left + (i % cols)];
      return row < 0 || row >= before[1] || col < 0 || col >= before[2] ? outside : old[row * before[2] + col];
    });
    const ramp = rampOf(old, theme, false);
    words = <><Term word="pooling">{title}</Term> keeps {op.kind === "maxpool" ? "the largest" : "the mean"} of each {rows} × {cols} window, so the map shrinks from {before[1]} × {before[2]} to {after[1]} × {after[2]}.</>;
    equation = <><Grid name={`window of ${rows} × ${cols}`} values={window} rows={rows} cols={cols} ramp={ramp} marked={op.kind === "maxpool" ? highest(window) : undefined} /> → <Exact value={y} strong /></>;
    return (
      <>
        <p>{words}</p>
        <div class="convolution">
          <Captioned text="before"><Mapped values={old} rows={before[1]} cols={before[2]} ramp={ramp} words="the map before" box={[left, top, cols, rows]} /></Captioned>
          <div class="equation large" data-total>{equation}</div>
          <Captioned text="after"><Mapped values={made} rows={after[1]} cols={after[2]} ramp={ramp} words="the map after" box={[to % after[2], Math.floor(to / after[2]), 1, 1]} /></Captioned>
        </div>
      </>
    );
  } else {
    words = <>You changed this {eachAfter > 1 ? "channel" : "unit"}: {title.toLowerCase()}. What follows reads the new value.</>;
    equation = <><Exact value={x} /> → <Exact value={y} strong /></>;
  }
  const both = rampOf(old, theme, false);
  return (
    <>
      <p>{words}</p>
      {eachAfter > 1 ? (
        <div class="convolution">
          <Captioned text="before"><Mapped values={old} rows={before[1]} cols={before[2]} ramp={both} words="the map before" box={[from % before[2], Math.floor(from / before[2]), 1, 1]} /></Captioned>
          <div class="equation large" data-total>{equation}</div>
          <Captioned text="after"><Mapped values={made} rows={after[1]} cols={after[2]} ramp={rampOf(made, theme, false)} words="the map after" box={[to % after[2], Math.floor(to / after[2]), 1, 1]} /></Captioned>
        </div>
      ) : (
        <div class="equation large" data-total>{equation}</div>
      )}
    </>
  );
}

/** The graph of an activation function, with the value's place on it. */
function Curve({ kind, x }: { kind: Parameters<typeof apply>[0]; x: number }): JSX.Element {
  const reach = Math.max(2, 1.25 * Math.abs(x));
  const xs = Float32Array.from([...Array.from({ length: 81 }, (_, i) => (i / 40 - 1) * reach), x]);
  const ys = new Float32Array(xs.length);
  apply(kind, xs, ys, [xs.length], [xs.length], [], {});
  const [px, py] = [(v: number) => 80 + (72 * v) / reach, (v: number) => 80 - (64 * v) / reach];
  return (
    <svg class="bend" viewBox="0 0 160 150" width="160" height="150" aria-hidden="true">
      <line class="axis" x1="4" x2="156" y1="80" y2="80" />
      <line class="axis" x1="80" x2="80" y1="8" y2="146" />
      <polyline class="curve" points={Array.from(xs.subarray(0, 81), (v, i) => `${px(v)},${py(ys[i])}`).join(" ")} />
      <circle class="value" r="4.5" cx={px(x)} cy={py(ys[81])} />
    </svg>
  );
}

function Softmax({ trace, unit }: StepProps): JSX.Element {
  const logits = trace.outputs.at(-1)!;
  const [all, most] = [softmax(logits), Math.max(...logits)];
  const powers = Array.from(logits, (v) => Math.exp(v - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return (
    <>
      <p>
        The <Term word="softmax">softmax</Term> turns the {all.length} logits into probabilities that sum to 1: e to the power of each logit, divided by their sum, <Exact value={sum} />. The largest logit, <Exact value={most} />, is subtracted first, which changes no probability.
      </p>
      <table class="products">
        <thead><tr><th scope="col">class</th><th scope="col">logit</th><th scope="col">e^(logit − largest)</th><th scope="col">/ sum = probability</th><td /></tr></thead>
        <tbody>
          {powers.map((power, label) => (
            <tr key={label} class={label === unit ? "sum" : ""} data-term>
              <th scope="row">{label}</th><td><Exact value={logits[label]} digits={2} /></td><td><Exact value={power} digits={4} /></td><td><Exact value={all[label]} digits={4} strong={label === unit} /></td>
              <td><span class="track"><span class="fill" style={{ width: `${100 * all[label]}%` }} /></span></td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
