// The card of one unit: activation, interventions, pattern, top-activating images, measures and claims.

import type { ComponentChildren, JSX } from "preact";
import { useMemo } from "preact/hooks";
import { called } from "./classes";
import { Actions } from "./actions";
import { Claims, Unclaimed } from "./claims";
import { Pin } from "./compare";
import type { MeasureData } from "./data";
import { Computed, StepUnit } from "./inside";
import { type Lab, useLater } from "./lab";
import { short } from "./names";
import { number } from "./numbers";
import { Channels, glossary, Hint, Numbers, OnNull, Pixels, rounded, Say, SHARE, Term } from "./parts";
import { Lost } from "./replay";
import { same, type State, type UnitPlace } from "./state";
import { ink, signed, type Theme } from "./theme";
import { type Kind, words } from "./words";

const STRIP = 8;
const QUANTILES = [1, 0.75, 0.5, 0.25];

export interface CardProps {
  lab: Lab;
  state: State;
  theme: Theme;
  pixels: Float32Array;
  seen: Map<string, Float32Array>[];
  onImage: (index: number) => void;
  onClose: () => void;
  /** What the changes to its network do, told below the buttons. */
  children?: ComponentChildren;
}

export function Card(props: CardProps & { at: UnitPlace }): JSX.Element {
  const { lab, at, state, seen } = props;
  const model = lab.models[at.network];
  const layer = lab.layer(at.network, at.layer);
  const snapshot = lab.snapshot(at.network, state.frame);
  const { count, each } = model.units(layer);
  const word: Kind = each > 1 ? "channel" : "unit";
  const own = state.changes.find((c) => same(c, at));
  const values = seen[at.network].get(layer)!.subarray(at.unit * each, (at.unit + 1) * each);
  const { value: means, stale } = useLater((signal) => lab.evaluators[at.network].means(snapshot, layer, signal), [at.network, layer, snapshot]);
  const column = useMemo(() => means && Float32Array.from({ length: lab.images.count }, (_, i) => means[i * count + at.unit]), [means, at.unit]);
  const dead = lab.evaluators[at.network].dead(snapshot, layer)?.[at.unit] ?? (column && !lab.scale(at.network, layer).both && column.every((value) => value <= 0));
  return (
    <section class="card" aria-busy={stale || undefined} tabIndex={-1} aria-label={words.card.title(words.names[word](at.unit))}>
      <header>
        <h2>
          {model.data.name} · {short(layer)} · {words.names[word](at.unit)}
        </h2>
        <button type="button" class="close" aria-label={words.card.close} onClick={props.onClose}>×</button>
      </header>
      {dead && <p class="dead">{words.card.dead(word, lab.images.count)}</p>}
      <p>
        <Say text={words.card.activation(word, own?.kind)} value={<strong>{number(values.reduce((a, b) => a + b, 0) / each)}</strong>} highest={number(Math.max(...values))} />
      </p>
      <div class="row">
        <Pin state={state} at={at} />
        <StepUnit lab={lab} at={at} state={state} seen={seen[at.network]} />
      </div>
      <Actions lab={lab} units={[at]} state={state} name={words.names.this[word]}>{props.children}</Actions>
      <Lost lab={lab} at={at} state={state} />
      <Computed lab={lab} at={at} state={state} seen={seen[at.network]} />
      <Pattern {...props} layer={layer} snapshot={snapshot} word={word} />
      {column ? <TopImages {...props} column={column} word={word} layer={layer} /> : <p aria-busy="true">{words.common.running}</p>}
      <Measures {...props} layer={layer} />
      <Claimed {...props} layer={layer} word={word} />
    </section>
  );
}

function Pattern({ lab, at, theme, pixels, layer, snapshot, word }: CardProps & { at: UnitPlace; layer: string; snapshot: number; word: Kind }): JSX.Element {
  const model = lab.models[at.network];
  const { channels, rows, cols } = lab.images;
  const { value } = useLater(() => lab.evaluators[at.network].traced("pattern", pixels, snapshot, layer, at.unit), [pixels, snapshot, layer, at.unit]);
  const pattern = value ?? new Float32Array(channels * rows * cols);
  const most = pattern.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const kernels = useMemo(() => kernelsOf(model, layer, at.unit, snapshot), [model, layer, at.unit, snapshot]);
  const first = at.layer === 0 && !kernels;
  return (
    <figure>
      {kernels && (
        <div class="kernels">
          {kernels.tiles.map((values, i) => (
            <Pixels key={i} values={values} rows={kernels.rows} cols={kernels.cols} ramp={signed(theme, kernels.most)} size={kernels.tiles.length > 1 ? 26 : 60} words={words.card.kernel(i)} />
          ))}
          <figcaption>{words.card.kernels(kernels.tiles.length, kernels.most)}</figcaption>
        </div>
      )}
      <h3>{words.card.patterned(first)}</h3>
      <Channels images={lab.images} values={pattern} ramp={signed(theme, most || 1)} size={132} words={words.card.pattern(words.names[word](at.unit), first)} />
      <figcaption>
        <Say text={words.card[first ? "weights" : "effective"](most, kernels !== null)} /> {words.card.channels(channels)} {value && most === 0 && words.card.unmoved}
      </figcaption>
    </figure>
  );
}

/** The kernels of a channel, if it is the output of a convolution. */
function kernelsOf(model: Lab["models"][number], layer: string, unit: number, snapshot: number): { tiles: Float32Array[]; rows: number; cols: number; most: number } | null {
  for (let place = model.places.get(layer)!; place >= 0; place = model.inputs[place]) {
    const op = model.data.ops[place];
    if (op.kind === "linear" || op.kind === "add") return null;
    if (op.kind !== "conv2d") continue;
    const [, channels, rows, cols] = model.data.tensors[op.weight].shape;
    const size = rows * cols;
    const all = model.weights(snapshot)[op.weight].subarray(unit * channels * size, (unit + 1) * channels * size);
    const tiles = Array.from({ length: channels }, (_, c) => all.subarray(c * size, (c + 1) * size));
    return { tiles, rows, cols, most: all.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1 };
  }
  return null;
}

function TopImages({ lab, column, word, theme, layer, at, state, onImage }: CardProps & { at: UnitPlace; column: Float32Array; word: Kind; layer: string }): JSX.Element {
  const { images } = lab;
  const order = useMemo(() => Array.from(column.keys()).sort((a, b) => column[b] - column[a] || a - b), [column]);
  const active = order.filter((i) => column[i] > 0);
  const tuning = useMemo(() => classMeans(column, images.labels, images.classes), [column]);
  const top = Math.max(...tuning.map((m) => Math.abs(m)), 1e-9);
  if (!active.length && !lab.scale(at.network, layer).both) return <></>; // its card says that it is dead
  const pool = active.length ? active : order;
  const strips = QUANTILES.map((q) => {
    const start = Math.min(Math.max(0, pool.length - STRIP), Math.round((1 - q) * (pool.length - 1)));
    return { q, chosen: pool.slice(start, start + STRIP) };
  });
  return (
    <>
      <h3>{words.card.images}</h3>
      {strips.map(({ q, chosen }) => (
        <div class="thumbs" key={q} role="group" aria-label={words.card.quantile(q)}>
          {chosen.map((i) => (
            <button type="button" key={i} class="thumb" aria-label={words.card.image(i, images.labels[i], column[i])} title={words.card.value(i, column[i])} onClick={() => onImage(i)}>
              <Pixels values={lab.image(i)} rows={images.rows} cols={images.cols} ramp={ink(theme, images.channels)} size={28} words="" />
            </button>
          ))}
          <small>{words.card.share(q)}</small>
        </div>
      ))}
      <h3>{words.card.tuning}</h3>
      <div class="tuning" role="img" aria-label={words.card.means(tuning)}>
        {tuning.map((mean, label) => (
          <span key={label} class="column">
            <span class={mean < 0 ? "bar-up minus" : "bar-up"} style={{ height: `${(44 * Math.abs(mean)) / top}px` }} />
            <span title={called(label)}>{called(label)}</span>
          </span>
        ))}
      </div>
      <p class="quiet">
        <Say text={words.card.density(images.count, top, active.length / images.count)} />
      </p>
      <Numbers fold="classes" name={words.card.table(lab.models[at.network].data.name, layer, words.names[word](at.unit), lab.step(at.network, state.frame))} head={words.card.head} rows={() => tuning.map((mean, label) => [label, mean])} />
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

/** Every measure in the register that has a value per unit, each with its null. */
function Measures({ lab, at, layer }: CardProps & { at: UnitPlace; layer: string }): JSX.Element {
  const measures = lab.models[at.network].data.measures[layer];
  if (!measures) return <p class="quiet">{words.card.unrecorded}</p>;
  return (
    <>
      <h3>{words.card.measures}</h3>
      {measures.map((measure, i) => (
        <div key={measure.id} class="measure" data-measure={measure.id}>
          {measure.title !== measures[i - 1]?.title && <h4>{measure.title}{measure.n !== null && <small> {words.card.n(measure.n)}</small>}</h4>}
          <Measure measure={measure} unit={at.unit} />
        </div>
      ))}
    </>
  );
}

function Measure({ measure, unit }: { measure: MeasureData; unit: number }): JSX.Element {
  const { label, units, low, high, nullLow, nullHigh, odds } = measure;
  const value = measure.value[unit];
  const name = Object.hasOwn(glossary, label) ? <Term word={label} /> : label;
  if (value === null) return <p>{name}: {words.card.undefined}</p>;
  const range = (ends: { low: (number | null)[]; high: (number | null)[] }) => words.common.between(rounded(ends.low[unit], units, true), rounded(ends.high[unit], units, true));
  const ends = [measure.value, nullLow ?? [], nullHigh ?? []].flat().filter((v) => v !== null);
  const [from, to] = [Math.min(...ends), Math.max(...ends)];
  return (
    <>
      <p>
        {name}: <strong class="value">{rounded(value, units)}</strong>{units !== "1" && <> {units === SHARE ? <Say text={words.card.points} /> : Object.hasOwn(glossary, units) ? <Term word={units} /> : units}</>}
        {low && high && <span class="quiet"><Say text={words.card.interval} range={<span class="interval">{range({ low, high })}</span>} /></span>}
      </p>
      <OnNull value={value} low={nullLow?.[unit] ?? null} high={nullHigh?.[unit] ?? null} from={from} to={to > from ? to : from + 1} words={words.card.against(label, rounded(value, units))} />
      {nullLow && nullHigh && (
        <p class="quiet">
          <Hint text={measure.null}>{words.card.null}</Hint> <span class="null-band">{range({ low: nullLow, high: nullHigh })}</span>{odds && <>; <span class="odds">{odds[unit]}</span></>}
        </p>
      )}
    </>
  );
}

function Claimed({ lab, at, layer, word }: CardProps & { at: UnitPlace; layer: string; word: Kind }): JSX.Element {
  const all = lab.claims[at.network];
  const claims = all.filter((claim) => claim.hook_point === layer && claim.unit === at.unit);
  return (
    <>
      <h3>{words.card.claims(word)}</h3>
      {claims.length ? <Claims claims={claims} /> : all.length ? <p class="quiet">{words.card.noClaims(word)}</p> : <Unclaimed lab={lab} network={at.network} />}
    </>
  );
}
