// One network: its layers as strips of units, its prediction for the image, and the effect of a change on its accuracy on all images.

import { Component, type JSX, type RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { called, nameOf } from "./classes";
import { changing, pValue, probability } from "./chance";
import { NetworkClaims } from "./claims";
import { Confusion } from "./confusion";
import { PairOverTime } from "./learning";
import { Edges } from "./edges";
import { highest, softmax } from "./engine";
import type { Answers } from "./evaluate";
import { CLASSES, type Fitted, inRow, NAMES, stacked } from "./fit";
import { ComputedClass } from "./inside";
import { type Effect, type Lab, type Later } from "./lab";
import { short } from "./names";
import { first, named } from "./networks";
import { number, points, signed } from "./numbers";
import { Hint, Numbers, Say, useMedia } from "./parts";
import { type ChangeItem, isBlank, same, type State, type UnitPlace } from "./state";
import { Strip } from "./strip";
import { unweighted } from "./sums";
import { CurveNumbers } from "./time";
import type { Theme } from "./theme";
import { type Prediction, words } from "./words";

export interface NetworkProps {
  lab: Lab;
  network: number;
  state: State;
  theme: Theme;
  /** Activations at every hook point for the current image, with and without the changes. */
  seen: Map<string, Float32Array>;
  unchanged: Map<string, Float32Array>;
  /** The changes' effect on the predictions for all images. */
  effect: Judged;
  /** The contribution of the unit under the pointer to each logit; null without one. */
  added: Float32Array | null;
  /** The unit under the pointer or with focus. */
  hover: UnitPlace | null;
  onSelect: (place: UnitPlace) => void;
  onHover: (place: UnitPlace | null) => void;
}

/** An effect with the accuracy drops of random units in place of those changed. */
export type Judged = Later<Effect> & { drops: number[] };

/** Windows in which everything stands on one screen. */
export const ROOMY = "(min-width: 75.01rem) and (min-height: 40rem)";

/** A row narrower than this is a column: a layer below the other; so is one narrower than `WIDE` in which the layers have no room. In pixels, as a row's least height, its labels, what is above them, and what is above and below the networks. */
const [COLUMN, WIDE, LEAST, LABELS, ABOVE, AROUND] = [540, 720, 150, 36, 60, 220];

/** Less probability than this has no number where bars stand side by side. */
const FAINT = 0.005;

/** The width and height of a network's blocks, and the window's height. */
function useRoom(): { part: RefObject<HTMLDivElement>; room: [number, number, number] } {
  const part = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState<[number, number, number]>([0, 0, 0]);
  useLayoutEffect(() => {
    const measure = () => setRoom((was) => {
      const now: typeof was = [part.current!.clientWidth, part.current!.clientHeight, innerHeight];
      return now.join() === was.join() ? was : now;
    });
    const observer = new ResizeObserver(measure);
    observer.observe(part.current!);
    addEventListener("resize", measure);
    measure();
    return () => {
      observer.disconnect();
      removeEventListener("resize", measure);
    };
  }, []);
  return { part, room };
}

export function NetworkRow(props: NetworkProps): JSX.Element {
  const { lab, network, state, seen, unchanged, effect } = props;
  const model = lab.models[network];
  const { data } = model;
  const snapshot = lab.snapshot(network, state.frame);
  const mine = useMemo(() => state.changes.filter((c) => c.network === network), [state.changes]);
  const dead = useMemo(() => data.layers.map((layer) => lab.evaluators[network].dead(snapshot, layer)), [snapshot, effect.value]);
  // Independent of the image, so not rendered again while the reader draws.
  const cost = useMemo(() => <Cost effect={effect} lab={lab} state={state} />, [effect.value, effect.stale, effect.drops.length, state.set, state.setBy]);
  const plain = useMemo(() => unweighted(model).map((layer) => short(data.layers[layer])), [model]);
  const roomy = useMedia(ROOMY);
  const { part, room: [width, height, window] } = useRoom();
  const row = Math.max(LEAST, Math.floor((window - AROUND) / (state.shown ?? first(lab)).length) - ABOVE - LABELS);
  const { blocks, over, column } = useMemo(() => {
    const all = data.layers.map((layer) => ({ count: model.units(layer).count, side: model.shape(layer)[1] ?? 1 }));
    const classes = CLASSES + (nameOf(0) ? NAMES : 0);
    const below = { blocks: stacked(all, width), over: 0, column: true };
    if (width < COLUMN) return below;
    for (let more = 1; ; more += 0.1) {
      const found = inRow(all, width, roomy ? height - LABELS : row * more, classes);
      if (found.over && !roomy && more <= 1.8) continue;
      return found.over && width < WIDE ? below : { ...found, column: false };
    }
  }, [width, roomy ? height : row, roomy]);
  return (
    <section class={column ? "network stacked" : "network"} data-network={network} aria-label={data.name}>
      <div class="heading">
        <h2>
          {named(lab, network)} <small>{words.network.step(data.steps[snapshot])}</small>
        </h2>
        <Was before={mine.length ? predicted(unchanged.get("logits")!) : null} now={predicted(seen.get("logits")!)} blank={isBlank(state)} added={props.added} />
        {!isBlank(state) && <ComputedClass lab={lab} network={network} state={state} seen={seen} />}
      </div>
      {cost}
      <div class={over ? "blocks over" : "blocks"} ref={part} {...(over ? { tabIndex: 0, role: "group", "aria-label": words.network.wider } : {})}>
        <div class="flow">
          <Edges {...props} />
          {data.layers.map((layer, place) => (
            <Layer key={layer} {...props} layer={layer} place={place} fitted={blocks[place]} mine={mine} dead={dead[place]} />
          ))}
          <Predicts {...props} changed={mine.length > 0} blank={isBlank(state)} />
        </div>
      </div>
      {(over > 0 || plain.length > 0) && <p class="wider">{over > 0 && words.network.wider} {plain.length > 0 && words.network.unweighted(plain)}</p>}
    </section>
  );
}

/** A network's confusion matrix, with the chosen cell over training. */
export function NetworkMatrix({ lab, network, state, effect }: { lab: Lab; network: number; state: State; effect: Judged }): JSX.Element {
  const { value } = effect;
  const { name } = lab.models[network].data;
  return (
    <section class="matrix" aria-label={words.confusion.name(named(lab, network))} aria-busy={effect.stale || undefined}>
      <h2>{named(lab, network)} {value && <small>{words.effect.all(lab.images.count)}: {number(100 * value.after.accuracy, 1)}%</small>}</h2>
      {value ? (
        <Confusion network={network} name={words.names.at(name, "", lab.step(network, state.frame))} now={value.after} before={value.before} changes={value.mine.length} told={measured(effect)} pair={state.pair}>
          {state.pair && <PairOverTime lab={lab} network={network} state={state} pair={state.pair} />}
        </Confusion>
      ) : <p aria-busy="true">{words.common.running}</p>}
    </section>
  );
}

/** What lies behind a network's accuracy, the numbers of what is drawn, and its claims. */
export function NetworkDetails(props: { lab: Lab; network: number; state: State; seen: Map<string, Float32Array>; unchanged: Map<string, Float32Array>; effect: Judged }): JSX.Element {
  const { lab, network, state, effect } = props;
  const { name, weights } = lab.models[network].data;
  const stored = weights[lab.snapshot(network, state.frame)];
  return (
    <section class="details" aria-label={words.network.details(name)}>
      <h2>{name}</h2>
      <EffectInWords lab={lab} state={state} effect={effect} seen={props.seen} unchanged={props.unchanged} />
      {effect.value && <Breakdown network={network} effect={effect.value} name={words.names.at(name, "", lab.step(network, state.frame))} />}
      <CurveNumbers lab={lab} network={network} frame={state.frame} />
      <Drawn {...props} />
      <NetworkClaims lab={lab} network={network} />
      <p class="quiet">
        <Say text={words.network.stored(STORED[stored.kind])} agreement={<span class="agreement">{number(100 * stored.agreement, 1)}%</span>} logit={<span class="logit">{number(stored.logit)}</span>} />
      </p>
    </section>
  );
}

/** The numbers behind the blocks: activations, probabilities. */
function Drawn({ lab, network, state, seen, unchanged, effect }: { lab: Lab; network: number; state: State; seen: Map<string, Float32Array>; unchanged: Map<string, Float32Array>; effect: Judged }): JSX.Element {
  const model = lab.models[network];
  const { name, layers } = model.data;
  const step = lab.step(network, state.frame);
  const mine = state.changes.filter((c) => c.network === network);
  const shown = typeof state.source === "number" ? words.image.named(state.source, lab.images.labels[state.source]) : words.image.drawing;
  const own = mine.map((c) => words.changes.one(`${short(lab.layer(network, c.layer))} ${c.unit}`, c.kind)).join(", ");
  const about = words.network.about(shown, step, own) + measured(effect);
  const logits = seen.get("logits")!;
  const [now, before] = [softmax(logits), softmax(unchanged.get("logits")!)];
  return (
    <>
      {layers.map((layer, place) => {
        const { count, each } = model.units(layer);
        const values = seen.get(layer)!;
        const { both, top } = lab.scale(network, layer, state.scale === "all" ? undefined : state.frame);
        return (
          <Numbers
            key={layer}
            fold={`layer.${network}.${place}`}
            summary={words.network.numbers(short(layer))}
            name={words.names.at(name, short(layer), step)}
            caption={() => words.network.caption(name, short(layer), count, each > 1, both ? -top : 0, top, about)}
            pictures={() => [...document.querySelectorAll<HTMLCanvasElement>(`[data-network="${network}"] [data-layer="${place}"] canvas`)]}
            head={words.network.head[each > 1 ? "channel" : "unit"]}
            rows={() =>
              Array.from({ length: count }, (_, unit) => {
                const own = values.subarray(unit * each, (unit + 1) * each);
                return [unit, own.reduce((a, b) => a + b, 0) / each, ...(each > 1 ? [Math.max(...own)] : [])];
              })
            }
          />
        );
      })}
      <Numbers
        fold={`probabilities.${network}`}
        summary={words.network.probabilities}
        name={words.network.probabilitiesOf(name, step)}
        shown={[undefined, 4, 2, 4]}
        head={words.network.head.class.slice(0, mine.length ? 4 : 3)}
        rows={() => Array.from(now, (p, label) => [label, p, logits[label], ...(mine.length ? [before[label]] : [])])}
      />
    </>
  );
}

function Layer(props: NetworkProps & { layer: string; place: number; fitted: Fitted; mine: ChangeItem[]; dead: boolean[] | null }): JSX.Element {
  const { lab, network, state, theme, seen, layer, place, fitted, mine, dead } = props;
  const model = lab.models[network];
  const shape = model.shape(layer);
  const { count, each } = model.units(layer);
  const scale = lab.scale(network, layer, state.scale === "all" ? undefined : state.frame);
  const changes = useMemo(() => mine.filter((c) => c.layer === place), [mine, place]);
  const here = state.selected?.network === network && state.selected.layer === place ? state.selected.unit : null;
  const inSet = useMemo(() => new Set(state.set.filter((at) => at.network === network && at.layer === place).map((at) => at.unit)), [state.set, place]);
  return (
    <div class="layer" data-layer={place}>
      <h3>
        {short(layer)} <small class="range" title={words.network.ranged}>{scale.both ? `±${number(scale.top)}` : words.network.range(number(scale.top))}</small>
        <small class="kind">{words.network.units(count, each > 1 ? shape.slice(1) : null)}</small>
      </h3>
      <Strip
        label={words.network.strip(model.data.name, short(layer), words.network.units(count, null, each > 1))}
        pitch={fitted.pitch}
        columns={fitted.columns}
        values={seen.get(layer)!}
        shape={shape}
        top={scale.top}
        both={scale.both}
        theme={theme}
        selected={here}
        inSet={inSet}
        changes={changes}
        dead={dead}
        onSelect={(unit) => props.onSelect({ network, layer: place, unit })}
        onHover={(unit) => props.onHover(unit === null ? null : { network, layer: place, unit })}
      />
    </div>
  );
}

/** The prediction with and without the changes, also where a sheet covers the bars; or why it means nothing. */
function Was({ before, now, blank, added }: { before: Prediction | null; now: Prediction; blank: boolean; added: Float32Array | null }): JSX.Element {
  const told = blank ? words.network.blankBars : before && words.network.was(now, before);
  return (
    <p class={before && before[0] !== now[0] ? "was flipped" : "was"}>
      {told && <span>{told}</span>}
      {added && <span class="note">{words.network.added(Math.max(...added.map(Math.abs)))}</span>}
    </p>
  );
}

/** The predicted class and its probability. */
function predicted(logits: Float32Array): Prediction {
  const p = softmax(logits);
  return [highest(p), p[highest(p)]];
}

/** What the changes do to the prediction for the image shown. */
export function Here({ name, seen, unchanged }: { name: string; seen: Map<string, Float32Array>; unchanged: Map<string, Float32Array> }): JSX.Element {
  return <p class="here">{words.effect.here(name, predicted(seen.get("logits")!), predicted(unchanged.get("logits")!))}</p>;
}

function Predicts({ lab, network, seen, unchanged, added, changed, blank }: NetworkProps & { changed: boolean; blank: boolean }): JSX.Element {
  const logits = seen.get("logits")!;
  const [now, before] = [softmax(logits), softmax(unchanged.get("logits")!)];
  const [best, was] = [highest(logits), highest(before)];
  const most = added ? Math.max(...added.map(Math.abs), 1e-9) : 1;
  const share = (value: number) => value.toFixed(3); // equal text changes no style
  return (
    <div class="says">
      <p class={!blank && was !== best ? "verdict flipped" : "verdict"}>
        {words.network.predicts} {blank ? words.network.nothing : <strong>{called(best)}</strong>}{!blank && was !== best && <>, <span class="before">{words.network.before(was)}</span></>}
      </p>
      <div class="bars" role="img" aria-label={blank ? words.network.blankBars : words.network.classes(lab.models[network].data.name, best, now[best])}>
        {Array.from(now, (p, label) => (
          <Bar key={label} label={label} best={!blank && label === best} faint={p < FAINT} p={share(p)} was={share(before[label])} changed={changed && share(p) !== share(before[label])} added={added && share(added[label] / most / 2)} value={number(p, 3)} />
        ))}
      </div>
    </div>
  );
}

interface BarProps {
  label: number;
  best: boolean;
  faint: boolean;
  /** Shares of the bar's length, as texts. */
  p: string;
  was: string;
  added: string | null;
  changed: boolean;
  value: string;
}

/** The probability of a class; drawn again only if it looks different. */
class Bar extends Component<BarProps> {
  override shouldComponentUpdate(next: BarProps): boolean {
    return (Object.keys(next) as (keyof BarProps)[]).some((name) => next[name] !== this.props[name]);
  }

  override render({ label, best, faint, p, was, added, changed, value }: BarProps): JSX.Element {
    return (
      <div class={`bar${best ? " best" : ""}${faint ? " faint" : ""}`}>
        <span class="digit-label" title={called(label)}>{called(label)}</span>
        <span class="track" style={{ "--p": p, "--was": was, "--added": added?.replace("-", "") ?? "0" }}>
          <span class="fill" />
          {changed && <span class="ghost" />}
          {added && <span class={added.startsWith("-") ? "added minus" : "added plus"} />}
        </span>
        <span class="value">{value}</span>
      </div>
    );
  }
}

const STORED = { difference: "int8 differences", float16: "float16", float32: "float32" };

/** The 95% interval of an accuracy difference on paired images: that of a mean of −1, 0 and 1. */
export function paired(before: Answers, after: Answers, labels: number[]): { drop: number; half: number; lost: number; won: number } {
  let [lost, won] = [0, 0];
  labels.forEach((label, i) => {
    const [was, is] = [before.predicted[i] === label, after.predicted[i] === label];
    if (was && !is) lost++;
    if (!was && is) won++;
  });
  const n = labels.length;
  const drop = (lost - won) / n;
  return { drop, half: 1.96 * Math.sqrt(Math.max(0, (lost + won) / n - drop * drop) / n), lost, won };
}

/** By how much an accuracy changes, with half of its interval. */
function Size({ drop, half }: { drop: number; half: number }): JSX.Element {
  return <strong>{signed(-100 * drop, 1)} <Hint text={words.effect.half}>± {number(100 * half, 1)}</Hint></strong>;
}

/** One line: the accuracy on all images, what the changes do to it, and what random units do. */
function Cost({ effect: { value: effect, stale, drops }, lab, state }: { effect: Judged; lab: Lab; state: State }): JSX.Element {
  const { count, labels } = lab.images;
  if (!effect) return <p class="cost" aria-busy="true">{words.effect.all(count)} …</p>;
  const { mine, before, after } = effect;
  const { drop, half } = paired(before, after, labels);
  return (
    <p class="cost" data-accuracy={stale ? undefined : after.accuracy} aria-busy={stale || undefined} aria-live="polite">
      {words.effect.all(count)}: <strong class="accuracy">{number(100 * after.accuracy, 1)}%</strong>
      {mine.length > 0 && (
        <>
          <Say text={words.effect.briefly} size={<Size drop={drop} half={half} />} />{" "}
          <span class="chance"><Random drop={drop} drops={drops} draws={lab.draws(mine)} others={lab.others(mine)} one={mine.length === 1} tested={mine.length === 1 && !state.set.some((at) => same(at, mine[0]))} brief /></span>
        </>
      )}
      <span class="updating">{stale && words.common.updating}</span>
    </p>
  );
}

/** The effect of the changes on a network's accuracy, with its null, in full. */
export function EffectInWords({ lab, state, effect: { value: effect, stale, drops }, seen, unchanged }: { lab: Lab; state: State; effect: Judged; seen: Map<string, Float32Array>; unchanged: Map<string, Float32Array> }): JSX.Element {
  if (!effect) return <p aria-busy="true">{words.common.running}</p>;
  const { mine, before, after } = effect;
  const { drop, half, lost, won } = paired(before, after, lab.images.labels);
  return (
    <div class="effect" aria-busy={stale || undefined}>
      {mine.length > 0 && !isBlank(state) && <Here name={named(lab, mine[0].network)} seen={seen} unchanged={unchanged} />}
      <p>
        {words.effect.all(lab.images.count)}: <strong>{number(100 * after.accuracy, 1)}%</strong>{!mine.length && `. ${words.effect.none}`}
        {mine.length > 0 && (
          <Say text={words.effect.inFull(before.accuracy, mine.length, lost, won)} size={<Size drop={drop} half={half} />} />
        )}
      </p>
      {mine.length > 0 && <p class="chance"><Random drop={drop} drops={drops} draws={lab.draws(mine)} others={lab.others(mine)} one={mine.length === 1} tested={!choseByEffect(state, mine)} /></p>}
    </div>
  );
}

/** What the changes do to the accuracy, with its null, for a picture's caption. */
function measured({ value, drops }: Judged): string {
  if (!value?.mine.length) return "";
  return ` ${words.effect.caption(value.after.predicted.length, value.before.accuracy, value.after.accuracy, drops.length ? changing(drops) : null, drops.length)}`;
}

/** What lies behind an accuracy, folded. */
function Breakdown({ network, effect, name }: { network: number; effect: Effect; name: string }): JSX.Element {
  const { mine, before, after } = effect;
  return (
    <div class="breakdown">
      <p class="quiet">{words.effect.check}</p>
      <Numbers
        fold={`class.${network}`}
        summary={words.effect.byClass}
        name={words.effect.byClassOf(name)}
        shown={[undefined, undefined, 1, 1, (change) => points(change / 100)]}
        head={words.effect.head.slice(0, mine.length ? 5 : 3)}
        rows={() => after.byClass.map((share, label) => [
          label,
          after.confusion[label].reduce((a, b) => a + b, 0),
          100 * share,
          ...(mine.length ? [100 * before.byClass[label], 100 * (share - before.byClass[label])] : []),
        ])}
      />
    </div>
  );
}

/** Whether units among those changed were taken into the set for their effect on these same images. */
function choseByEffect({ set, setBy }: State, mine: ChangeItem[]): boolean {
  return setBy === "effect" && mine.some((one) => set.some((at) => same(at, one)));
}

/** The accuracy drop compared with that of random units. */
function Random({ drop, drops, draws, others, one, tested, brief = false }: { drop: number; drops: number[]; draws: number; others: number; one: boolean; tested: boolean; brief?: boolean }): JSX.Element {
  const { noNull, few, drawing } = words.effect;
  if (!others) return <>{noNull}</>;
  if (!draws) return <>{few(others)}</>;
  if (drops.length < draws) return <>{drawing(drops.length, draws)}</>;
  const p = pValue(drop, drops);
  const told = brief ? words.effect.brief(one, tested) : words.effect.chance(one ? (draws === others ? "each" : "one") : "many", draws, p * (1 + draws) < 1.5, tested);
  return <Say text={told} range={<span class="null-band">{changing(drops)}</span>} p={<span class="odds"><Hint text={words.p.gloss}>{probability(p, draws)}</Hint></span>} />;
}
