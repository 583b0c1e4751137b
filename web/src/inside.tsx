// One unit's computation on the image shown, step by step. Each step's view is in inside/.

import type { ComponentChildren, JSX } from "preact";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { called } from "./classes";
import { Update } from "./address";
import { traceOf, useTrace, Wiring } from "./edges";
import { highest, softmax } from "./engine";
import { After } from "./inside/after";
import { Convolution } from "./inside/convolution";
import { Bias, Products } from "./inside/products";
import { ownOf, rampsOf } from "./inside/pictures";
import { Softmax } from "./inside/softmax";
import type { InsideProps, StepProps } from "./inside/step";
import type { Lab } from "./lab";
import { short, unitName } from "./names";
import { number } from "./numbers";
import { linkOf, Share } from "./share";
import type { State, UnitPlace } from "./state";
import { biasOf, flattened, type Link, linkInto, linkOutOf, linksOf, mapSize, preActivation, stepsAfter, strikingAt, summedIn } from "./sums";
import { words } from "./words";

const SETTLED = 150; // milliseconds without another position

interface ComputedProps extends Pick<InsideProps, "lab" | "state" | "theme"> {
  seen: Map<string, Float32Array>;
}

/** In the card of a unit: its strongest contributions. */
export function Computed({ lab, at, state, seen }: Omit<ComputedProps, "theme"> & { at: UnitPlace }): JSX.Element | null {
  const { trace } = useTrace(lab, at.network, state, seen);
  if (!linkInto(trace.model, at.layer)) {
    const parts = summedIn(trace.model, at.layer);
    return parts && <p class="quiet">{words.edge.sum(parts.map((layer) => unitName(trace.model, layer, at.unit)))}</p>;
  }
  return <Wiring lab={lab} at={at} trace={trace} />;
}

/** The way to a unit's computation, where it has one. */
export function StepUnit({ lab, at, state, seen }: Omit<ComputedProps, "theme"> & { at: UnitPlace }): JSX.Element | null {
  return linkInto(lab.models[at.network], at.layer) && <StepInside lab={lab} state={state} seen={seen} {...at} />;
}

/** Beside a network's name: the computation of its logits and probabilities. */
export function ComputedClass({ lab, network, state, seen }: Omit<ComputedProps, "theme"> & { network: number }): JSX.Element | null {
  const model = lab.models[network];
  const layer = model.data.layers.length;
  if (linksOf(model).at(-1)?.to !== layer) return null;
  return <StepInside lab={lab} state={state} seen={seen} network={network} layer={layer} unit={highest(seen.get("logits")!)} />;
}

/** The first step of a unit's computation on the image shown; null for a unit before any linear layer. */
export function insideOf(lab: Lab, state: State, at: UnitPlace, seen: Map<string, Float32Array>): State["inside"] {
  const trace = traceOf(lab, at.network, state, seen);
  const link = linkInto(trace.model, at.layer);
  return link && { ...at, step: 0, position: strikingAt(trace, link, at.unit) };
}

function StepInside({ lab, state, seen, ...at }: Omit<ComputedProps, "theme"> & UnitPlace): JSX.Element {
  const update = useContext(Update);
  return (
    <button type="button" class="step-inside" aria-haspopup="dialog" onClick={() => update({ inside: insideOf(lab, state, at, seen) })}>
      {words.inside.open(unitName(lab.models[at.network], at.layer, at.unit, false))}
    </button>
  );
}

interface Step {
  title: string;
  /** What the followed value is after the step, for the closing line, and what made it so where that is not the title. */
  value: number;
  by?: string;
  show: () => ComponentChildren;
}

/** The computation in the address. */
export function Inside({ lab, state, theme, seen, inside }: Omit<ComputedProps, "seen"> & { seen: Map<string, Float32Array>[]; inside: NonNullable<State["inside"]> }): JSX.Element | false | null {
  const { network, layer, unit } = inside;
  const { trace } = useTrace(lab, network, state, seen[network]);
  const link = linkInto(trace.model, layer);
  const [drawn, setDrawn] = useState(false);
  useEffect(() => setDrawn(true), []); // in a task of its own: the page is drawn again in the one before
  return link && drawn && <InsideDialog {...{ lab, state, theme, trace, network, layer, unit, link, inside }} />;
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
    const timer = setTimeout(() => update((now) => (now.inside ? { inside: { ...now.inside, position } } : {})), SETTLED); // the step may be another by then
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
          {words.inside.title(unitName(model, layer, unit))} <small>{words.inside.where(model.data.name, lab.step(network, state.frame))}</small>
        </h2>
        <button type="button" class="close" aria-label={words.common.close} onClick={close}>×</button>
      </header>
      {classes && (
        <label>
          {words.inside.class}{" "}
          <select value={unit} onChange={(event) => update({ inside: { ...inside, unit: Number(event.currentTarget.value) } })}>
            {Array.from({ length: model.data.classes }, (_, label) => <option key={label} value={label}>{called(label)}</option>)}
          </select>
        </label>
      )}
      <ol class="steps">
        {steps.map((step, i) => (
          <li key={i}>
            <button type="button" aria-current={i === at ? "step" : undefined} onClick={() => go(i)}>{words.inside.step(i + 1, step.title)}</button>
          </li>
        ))}
      </ol>
      <div class="row">
        <button type="button" aria-disabled={at === 0} onClick={() => go(at - 1)}>{words.inside.back}</button>
        <button type="button" ref={next} class="primary" aria-disabled={at === steps.length - 1} onClick={() => go(at + 1)}>{words.inside.next}</button>
        <span class="quiet" aria-live="polite">{words.inside.progress(at + 1, steps.length, steps[at].title)}</span>
        <Share link={() => linkOf(lab, { ...state, inside: { ...inside, position } })} guesses={Object.keys(state.answers).length > 0} />
      </div>
      {steps[at].title !== words.inside.titles.softmax && <p class="quiet">{words.inside.colors}</p>}
      <section class="step" aria-label={steps[at].title} tabIndex={0}>
        {steps[at].show()}
        {at === steps.length - 1 && <p class="closing">{closing(props, link, steps)}</p>}
      </section>
    </dialog>
  );
}

function stepsOf(given: Omit<StepProps, "ramps">): Step[] {
  const { lab, trace, link, unit, network, state, position, theme } = given;
  const { model } = trace;
  const { ops, layers } = model.data;
  const { titles } = words.inside;
  const changes = lab.changes(network, state.changes, trace.snapshot);
  const convolved = ops[link.place].kind === "conv2d";
  const places = [link.place, ...stepsAfter(model, link, changes, unit)];
  const bias = biasOf(trace, link, unit);
  const props = { ...given, ramps: rampsOf(trace, unit, bias, places, theme) };
  const sum = preActivation(trace, link, unit, position);
  const steps: Step[] = [
    { title: convolved ? titles.conv2d : titles.linear, value: sum - bias, show: () => (convolved ? <Convolution {...props} /> : <Products {...props} />) },
    { title: titles.bias, value: sum, show: () => <Bias {...props} /> },
  ];
  let [shape, here] = [model.shapes[link.place], position];
  for (const [i, place] of places.slice(1).entries()) {
    const op = ops[place];
    const [before, from] = [shape, here];
    if (op.kind === "maxpool" || op.kind === "avgpool") {
      shape = model.shapes[place];
      const [row, col] = [Math.floor(from / before[2]), from % before[2]].map((v, k) => Math.min(shape[k + 1] - 1, Math.floor((v + op.padding[k]) / op.stride[k])));
      here = row * shape[2] + col;
    }
    const [to, after] = [here, shape];
    const title = op.kind === "hook" ? titles[changes.get(op.name)!.get(unit)!.kind] : titles[op.kind];
    const value = ownOf(trace.outputs[place], after, unit)[to];
    steps.push({ title, value, ...(op.kind === "maxpool" && { by: words.inside.largest(op.kernel) }), show: () => <After {...props} place={place} previous={places[i]} before={before} from={from} after={after} to={to} title={title} /> });
  }
  if (link.to === layers.length) steps.push({ title: titles.softmax, value: softmax(trace.outputs.at(-1)!)[unit], show: () => <Softmax {...props} /> });
  return steps;
}

/** What the steps add up to: the followed value after each, and what becomes of the last. */
function closing({ trace, layer, unit }: InsideProps, link: Link, steps: Step[]): string {
  const { model } = trace;
  const said = words.inside.closing;
  const chain = said.chain(steps.map(({ title, value, by }, i) => [i === 1 ? words.inside.withBias : (by ?? title), number(value)]));
  if (link.to === model.data.layers.length) {
    const p = softmax(trace.outputs.at(-1)!);
    const best = highest(p);
    return `${chain} ${best === unit ? said.best(unit) : said.other(best, number(p[best]))}`;
  }
  // The next layer reads these values, unless something else lies between.
  const out = linkOutOf(model, layer);
  const read = out?.parts.length === 1 ? trace.before(out.place) : null;
  const each = read && read.length / model.units(model.data.layers[layer]).count;
  if (!out || !read || !each || !read.subarray(unit * each, (unit + 1) * each).includes(Math.fround(steps.at(-1)!.value))) return chain;
  const reader = out.to === model.data.layers.length ? said.logits : short(model.data.layers[out.to]);
  const name = unitName(model, layer, unit, false);
  const map = model.data.ops[out.place].kind === "conv2d" ? model.inShape(out.place).slice(1) : flattened(model, out);
  return `${chain} ${each > 1 ? said.read.channel(name, reader, map.join(" × ")) : said.read.unit(name, reader)}`;
}
