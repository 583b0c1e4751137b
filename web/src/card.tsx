// The card of one unit: what it reads, what excites it, what it tells apart, what it is worth, and what can be done to it.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Trace } from "./backward";
import { type Lab, useLater } from "./lab";
import { grouped, number, NumberField, Numbers, OnNull, Pixels, points, Term } from "./parts";
import { type ChangeItem, same, type State, type UnitPlace } from "./state";
import { ink, signed, type Theme } from "./theme";

const STRIP = 8;
const QUANTILES = [1, 0.75, 0.5, 0.25];

export interface CardProps {
  lab: Lab;
  state: State;
  theme: Theme;
  pixels: Float32Array;
  seen: Map<string, Float32Array>[];
  onChange: (changes: ChangeItem[]) => void;
  onImage: (index: number) => void;
  onClose: () => void;
}

export function Card(props: CardProps & { at: UnitPlace }): JSX.Element {
  const { lab, at, state, seen } = props;
  const model = lab.models[at.network];
  const layer = lab.layer(at.network, at.layer);
  const snapshot = lab.snapshot(at.network, state.moment);
  const { count, each } = model.units(layer);
  const word = each > 1 ? "channel" : "unit";
  const values = seen[at.network].get(layer)!.subarray(at.unit * each, (at.unit + 1) * each);
  const means = useLater((signal) => lab.evaluators[at.network].means(snapshot, layer, signal), [at.network, layer, snapshot]);
  const column = useMemo(() => means && Float32Array.from({ length: lab.images.count }, (_, i) => means[i * count + at.unit]), [means, at.unit]);
  return (
    <section class="card" aria-label={`Card of ${word} ${at.unit}`}>
      <header>
        <h2>
          {model.data.name} · {layer.replace(/\.hook_(post|out)$/, "")} · {word} {at.unit}
        </h2>
        <button type="button" class="close" aria-label="Close the card" onClick={props.onClose}>×</button>
      </header>
      <p>
        On this digit: <strong>{number(values.reduce((a, b) => a + b, 0) / each)}</strong>
        {each > 1 ? ` on average, ${number(Math.max(...values))} at its strongest place` : ""}.
      </p>
      <Actions {...props} layer={layer} word={word} />
      <Reads {...props} layer={layer} snapshot={snapshot} word={word} />
      {column ? <Excites {...props} column={column} word={word} layer={layer} /> : <p aria-busy="true">Reading all images …</p>}
      <Worth {...props} layer={layer} word={word} />
    </section>
  );
}

function Actions({ lab, at, state, layer, word, onChange }: CardProps & { at: UnitPlace; layer: string; word: string }): JSX.Element {
  const own = state.changes.find((c) => same(c, at)) ?? null;
  const [from, setFrom] = useState(1);
  const top = lab.scale(at.network, layer).top;
  const set = (kind: ChangeItem["kind"], value = 0) => onChange([...state.changes.filter((c) => !same(c, at)), { ...at, kind, value }]);
  const factor = own?.kind === "scale" ? own.value : own?.kind === "zero" ? 0 : 1;
  return (
    <div class="actions" role="group" aria-label={`Change this ${word}`}>
      <div class="row">
        {own?.kind === "zero" ? (
          <button type="button" class="primary" onClick={() => onChange(state.changes.filter((c) => c !== own))}>Put back</button>
        ) : (
          <button type="button" class="primary" onClick={() => set("zero")}>Cut out</button>
        )}
        {own && own.kind !== "zero" && <button type="button" onClick={() => onChange(state.changes.filter((c) => c !== own))}>Put back</button>}
        <span class="quiet">{own ? { zero: "Cut out, for every image.", scale: `Times ${number(own.value)}.`, clamp: `Held at ${number(own.value)}.`, patch: `As on image ${own.value}.` }[own.kind] : ""}</span>
      </div>
      <label>
        Scale × {number(factor)}
        <input type="range" min="0" max="3" step="0.1" value={factor} onInput={(e) => set("scale", Number(e.currentTarget.value))} />
      </label>
      <label>
        Hold at {number(own?.kind === "clamp" ? own.value : 0)}
        <input type="range" min={lab.scale(at.network, layer).both ? -top : 0} max={top} step={top / 40} value={own?.kind === "clamp" ? own.value : 0} onInput={(e) => set("clamp", Number(Number(e.currentTarget.value).toPrecision(3)))} />
      </label>
      <div class="row">
        <label>
          As on image <NumberField value={from} most={lab.images.count - 1} onValue={setFrom} />
        </label>
        <button type="button" onClick={() => set("patch", from)}>Patch</button>
      </div>
    </div>
  );
}

function Reads({ lab, at, theme, pixels, layer, snapshot, word }: CardProps & { at: UnitPlace; layer: string; snapshot: number; word: string }): JSX.Element {
  const model = lab.models[at.network];
  const { rows, cols } = lab.images;
  const pattern = useMemo(() => new Trace(model, pixels, snapshot).pattern(layer, at.unit), [pixels, snapshot, layer, at.unit]);
  const most = pattern.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const kernels = useMemo(() => kernelsOf(model, layer, at.unit, snapshot), [model, layer, at.unit, snapshot]);
  const first = at.layer === 0 && !kernels;
  return (
    <figure>
      {kernels && (
        <div class="kernels">
          {kernels.tiles.map((values, i) => (
            <Pixels key={i} values={values} rows={kernels.rows} cols={kernels.cols} ramp={signed(theme, kernels.most)} size={kernels.tiles.length > 1 ? 26 : 60} words={`kernel on channel ${i}`} />
          ))}
        </div>
      )}
      <Pixels values={pattern} rows={rows} cols={cols} ramp={signed(theme, most || 1)} size={132} words={first ? `the weights of ${word} ${at.unit}` : `the effective pattern of ${word} ${at.unit} for this digit`} />
      <figcaption>
        {kernels && `Its kernel${kernels.tiles.length > 1 ? `s on the ${kernels.tiles.length} channels below` : ""} (±${number(kernels.most)}). `}
        {first ? "Its weights: orange excites it, blue holds it down" : <><Term word="effective pattern">Effective pattern</Term> for this digit{kernels ? ", at its strongest place" : ""}</>} (±{number(most)}).
        {most === 0 && " Nothing in this picture moves it."}
      </figcaption>
    </figure>
  );
}

/** The kernels of a channel, if a convolution made it. */
function kernelsOf(model: Lab["models"][number], layer: string, unit: number, snapshot: number): { tiles: Float32Array[]; rows: number; cols: number; most: number } | null {
  for (let place = model.places.get(layer)!; place >= 0; place--) {
    const op = model.data.ops[place];
    if (op.kind === "linear") return null;
    if (op.kind !== "conv2d") continue;
    const [, channels, rows, cols] = model.data.tensors[op.weight].shape;
    const size = rows * cols;
    const all = model.weights(snapshot)[op.weight].subarray(unit * channels * size, (unit + 1) * channels * size);
    const tiles = Array.from({ length: channels }, (_, c) => all.subarray(c * size, (c + 1) * size));
    return { tiles, rows, cols, most: all.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1 };
  }
  return null;
}

function Excites({ lab, column, word, theme, layer, at, onImage }: CardProps & { at: UnitPlace; column: Float32Array; word: string; layer: string }): JSX.Element {
  const { images } = lab;
  const order = useMemo(() => Array.from(column.keys()).sort((a, b) => column[b] - column[a] || a - b), [column]);
  const active = order.filter((i) => column[i] > 0);
  const tuning = useMemo(() => classMeans(column, images.labels, images.classes), [column]);
  const top = Math.max(...tuning.map((m) => Math.abs(m)), 1e-9);
  if (!active.length && !lab.scale(at.network, layer).both) return <p class="dead">This {word} is dead: 0 for all {grouped(images.count)} images at this moment.</p>;
  const pool = active.length ? active : order;
  const strips = QUANTILES.map((q) => {
    const start = Math.min(Math.max(0, pool.length - STRIP), Math.round((1 - q) * (pool.length - 1)));
    return { q, chosen: pool.slice(start, start + STRIP) };
  });
  return (
    <>
      <h3>What excites it, from most to least</h3>
      {strips.map(({ q, chosen }) => (
        <div class="thumbs" key={q} role="group" aria-label={q === 1 ? "strongest images" : `images about the ${100 * q} % place`}>
          {chosen.map((i) => (
            <button type="button" key={i} class="thumb" aria-label={`image ${i}, a ${images.labels[i]}, ${number(column[i])}`} title={`image ${i}: ${number(column[i])}`} onClick={() => onImage(i)}>
              <Pixels values={lab.image(i)} rows={images.rows} cols={images.cols} ramp={ink(theme)} size={28} words="" />
            </button>
          ))}
          <small>{q === 1 ? "strongest" : `${100 * q} %`}</small>
        </div>
      ))}
      <h3>What it answers to each class</h3>
      <div class="tuning" role="img" aria-label={`mean activation by class, ${tuning.map((m, c) => `${c}: ${number(m)}`).join(", ")}`}>
        {tuning.map((mean, label) => (
          <span key={label} class="column">
            <span class={mean < 0 ? "bar-up minus" : "bar-up"} style={{ height: `${(44 * Math.abs(mean)) / top}px` }} />
            <span>{label}</span>
          </span>
        ))}
      </div>
      <p class="quiet">
        Means over {grouped(images.count)} images; the highest is {number(top)}. <Term word="density">Above 0</Term> for {number((100 * active.length) / images.count)} % of them.
      </p>
      <Numbers name={`${word} ${at.unit} by class`} head={["class", "mean activation"]} rows={() => tuning.map((mean, label) => [label, number(mean)])} />
    </>
  );
}

function classMeans(column: Float32Array, labels: number[], classes: number): number[] {
  const [sums, counts] = [new Array<number>(classes).fill(0), new Array<number>(classes).fill(0)];
  labels.forEach((label, i) => {
    sums[label] += column[i];
    counts[label]++;
  });
  return sums.map((sum, c) => sum / Math.max(1, counts[c]));
}

function Worth({ lab, at, layer, word }: CardProps & { at: UnitPlace; layer: string; word: string }): JSX.Element {
  const { data } = lab.models[at.network];
  const unit = data.units[layer]?.[at.unit];
  if (!unit) return <p class="quiet">No measures of this layer were recorded.</p>;
  const losses = data.units[layer].map((u) => Math.max(u.lossIncrease ?? 0, u.lossNullHigh ?? 0));
  const most = Math.max(...losses, 1e-6);
  const beyond = unit.lossIncrease !== null && unit.lossNullHigh !== null && unit.lossIncrease > unit.lossNullHigh;
  return (
    <>
      <h3>At the end of training, {grouped(lab.images.count)} images</h3>
      {unit.selectivity === null || unit.preferred < 0 ? (
        <p>It fires too rarely, or never changes: what it prefers is not judged.</p>
      ) : (
        <p>
          Prefers <strong>{unit.preferred}</strong>: <Term word="selectivity" /> {number(unit.selectivity, 2)}, <Term word="by chance" /> {number(unit.selectivityLow, 2)} to {number(unit.selectivityHigh, 2)}
          <OnNull value={unit.selectivity} low={unit.selectivityLow} high={unit.selectivityHigh} from={-0.5} to={1} words={`selectivity ${number(unit.selectivity, 2)} on its null`} />
          <Term word="AUC" /> {number(unit.auc, 2)}, by chance {number(unit.aucNullLow, 2)} to {number(unit.aucNullHigh, 2)}.{" "}
          {unit.since !== null ? `It has preferred it since step ${grouped(unit.since)}.` : "At no moment was that beyond chance for good."}
        </p>
      )}
      <p>
        <Term word="cut out">Cut out</Term> alone, it adds {number(unit.lossIncrease)} <Term word="nat" /> to the loss; a random direction of the same norm {number(unit.lossNullLow)} to {number(unit.lossNullHigh)}
        {unit.lossIncrease !== null && <OnNull value={unit.lossIncrease} low={unit.lossNullLow} high={unit.lossNullHigh} from={Math.min(0, unit.lossIncrease, unit.lossNullLow ?? 0)} to={most} words={`loss added ${number(unit.lossIncrease)} on its null`} />}
        {beyond ? `More than chance: this ${word} matters by itself.` : "Not more than chance."} Accuracy changes by {points(-(unit.accuracyDrop ?? 0))} points ({points(-(unit.accuracyDropHigh ?? 0))} to {points(-(unit.accuracyDropLow ?? 0))}, 95 % over images).
      </p>
      <p class="quiet">
        {unit.again ? (unit.again.found === null ? "It never changes, so no other seed was searched." : `Found again in ${unit.again.found} of ${unit.again.of} other seeds (by chance at most ${number(unit.again.chance)}).`) : "One seed, not replicated."}
      </p>
    </>
  );
}
