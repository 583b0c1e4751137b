// One network: its layers as strips of units, its prediction for the image, and the effect of a change on its accuracy on all images.

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { pValue, probability } from "./chance";
import { NetworkClaims } from "./claims";
import { Confusion } from "./confusion";
import type { StoredWeights } from "./data";
import { Edges } from "./edges";
import { highest, softmax } from "./engine";
import type { Answers } from "./evaluate";
import { ComputedClass } from "./inside";
import { type Effect, type Lab, type Later, useRandom } from "./lab";
import { grouped, number, Numbers, points, Term } from "./parts";
import { CHANGED, type ChangeItem, type State, type UnitPlace } from "./state";
import { Strip } from "./strip";
import type { Theme } from "./theme";
import { words } from "./words";

export interface NetworkProps {
  lab: Lab;
  network: number;
  state: State;
  theme: Theme;
  /** Activations at every hook point for the current image, with and without the changes. */
  seen: Map<string, Float32Array>;
  unchanged: Map<string, Float32Array>;
  /** The changes' effect on the predictions for all images. */
  effect: Later<Effect>;
  /** The contribution of the unit under the pointer to each logit; null without one. */
  added: Float32Array | null;
  /** The unit under the pointer or with focus. */
  hover: UnitPlace | null;
  onSelect: (place: UnitPlace) => void;
  onHover: (place: UnitPlace | null) => void;
}

export function NetworkColumn(props: NetworkProps): JSX.Element {
  const { lab, network, state, theme, seen, unchanged, effect } = props;
  const { data } = lab.models[network];
  const snapshot = lab.snapshot(network, state.frame);
  const mine = useMemo(() => state.changes.filter((c) => c.network === network), [state.changes]);
  const drops = useRandom(lab, network, snapshot, effect);
  const dead = useMemo(() => data.layers.map((layer) => lab.evaluators[network].dead(snapshot, layer)), [snapshot, effect.value]);
  const about = () => {
    const shown = typeof state.source === "number" ? `Test image ${state.source}, a ${lab.images.labels[state.source]}` : "A drawing";
    const own = mine.map((c) => `${lab.layer(network, c.layer).replace(/\.hook_(post|out)$/, "")} ${c.unit} ${CHANGED[c.kind]}`).join(", ");
    const told = mine.length && effect.value ? ` Accuracy on ${grouped(lab.images.count)} images: ${number(100 * effect.value.before.accuracy, 1)}% before, ${number(100 * effect.value.after.accuracy, 1)}% after.${drops.length ? ` Null: random units in their place change it by ${range(drops)} points (${drops.length} draws).` : ""}` : "";
    return `${shown}; step ${grouped(data.steps[snapshot])}${own && `; changed: ${own}`}.${told}`;
  };
  return (
    <section class="network" aria-label={data.name}>
      <Edges {...props} />
      <h2>
        {data.name} <small>step {grouped(data.steps[snapshot])}{snapshot === 0 && data.steps[0] === 0 ? ", untrained" : ""}</small>
      </h2>
      <Verdict logits={seen.get("logits")!} before={mine.length ? unchanged.get("logits")! : null} blank={typeof state.source !== "number" && !state.source.length} />
      {data.layers.map((layer, place) => (
        <Layer key={layer} {...props} about={about} layer={layer} place={place} theme={theme} mine={mine} dead={dead[place]} />
      ))}
      <Predicts {...props} changed={mine.length > 0} seen={seen} unchanged={unchanged} />
      <Cost effect={effect.value} stale={effect.stale} lab={lab} drops={drops} images={lab.images.count} labels={lab.images.labels} stored={data.weights[snapshot]} />
    </section>
  );
}

/** What lies behind a network's accuracy, and its claims. */
export function NetworkDetails({ lab, network, state, effect }: { lab: Lab; network: number; state: State; effect: Effect | null }): JSX.Element {
  const { name } = lab.models[network].data;
  return (
    <section class="details" aria-label={`Details of ${name}`}>
      <h2>{name}</h2>
      {effect && <Breakdown effect={effect} name={`${name} step ${lab.step(network, state.frame)}`} />}
      <NetworkClaims lab={lab} network={network} />
    </section>
  );
}

function Layer(props: NetworkProps & { about: () => string; layer: string; place: number; mine: ChangeItem[]; dead: boolean[] | null }): JSX.Element {
  const { lab, network, state, theme, seen, layer, place, mine, dead } = props;
  const model = lab.models[network];
  const shape = model.shape(layer);
  const { count, each } = model.units(layer);
  const scale = lab.scale(network, layer, state.scale === "all" ? undefined : state.frame);
  const values = seen.get(layer)!;
  const word = each > 1 ? "channel" : "unit";
  const short = layer.replace(/\.hook_(post|out)$/, "");
  const changes = useMemo(() => mine.filter((c) => c.layer === place), [mine, place]);
  const here = state.selected?.network === network && state.selected.layer === place ? state.selected.unit : null;
  const inSet = useMemo(() => new Set(state.set.filter((at) => at.network === network && at.layer === place).map((at) => at.unit)), [state.set, place]);
  const part = useRef<HTMLDivElement>(null);
  return (
    <div class="layer" ref={part} data-layer={place}>
      <h3>
        {short} <small>{count} {word}s{each > 1 ? ` of ${shape[1]} × ${shape[2]}` : ""}, {scale.both ? `±${number(scale.top)}` : `0 to ${number(scale.top)}`} ({words.scale[state.scale]})</small>
      </h3>
      <Strip
        label={`${model.data.name} ${short}: ${count} ${word}s, arrow keys move between them`}
        values={values}
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
      <Numbers
        name={`${model.data.name} ${short} step ${lab.step(network, state.frame)}`}
        caption={() => `${model.data.name} ${short}: ${count} ${word}s, ${scale.both ? "−" + number(scale.top) : "0"} to ${number(scale.top)}. ${props.about()}`}
        pictures={() => [...part.current!.querySelectorAll("canvas")]}
        head={[word, each > 1 ? "mean over the map" : "activation", ...(each > 1 ? ["highest"] : [])]}
        rows={() => Array.from({ length: count }, (_, unit) => {
          const own = values.subarray(unit * each, (unit + 1) * each);
          return [unit, own.reduce((a, b) => a + b, 0) / each, ...(each > 1 ? [Math.max(...own)] : [])];
        })}
      />
    </div>
  );
}

function Verdict({ logits, before, blank }: { logits: Float32Array; before: Float32Array | null; blank: boolean }): JSX.Element {
  const [now, was] = [softmax(logits), before && softmax(before)];
  const best = highest(now);
  return (
    <>
      <p class="verdict">
        Predicts <strong>{best}</strong> <small>(p = {number(now[best], 3)})</small>
      </p>
      <p class="was">{blank ? "Nothing is drawn: this is an empty image." : was && `Unchanged it predicts ${highest(was)} (p = ${number(was[highest(was)], 3)}).`}</p>
    </>
  );
}

function Predicts({ lab, network, state, theme, seen, unchanged, added, changed }: NetworkProps & { changed: boolean }): JSX.Element {
  const logits = seen.get("logits")!;
  const [now, before] = [softmax(logits), softmax(unchanged.get("logits")!)];
  const best = highest(logits);
  const most = added ? Math.max(...added.map(Math.abs), 1e-9) : 1;
  return (
    <div class="says">
      <div class="bars" role="img" aria-label={`${lab.models[network].data.name}: probabilities of the classes. ${best}: ${number(now[best], 3)}`}>
        {Array.from(now, (p, label) => (
          <div key={label} class={label === best ? "bar best" : "bar"}>
            <span class="digit-label">{label}</span>
            <span class="track">
              <span class="fill" style={{ height: `${100 * p}%` }} />
              {changed && <span class="ghost" style={{ bottom: `${100 * before[label]}%` }} />}
            </span>
            <span class="value">{number(p, 2)}</span>
            {added && (
              <span class="added">
                <span class={added[label] < 0 ? "minus" : "plus"} style={{ width: `${(50 * Math.abs(added[label])) / most}%` }} />
              </span>
            )}
          </div>
        ))}
      </div>
      <ComputedClass lab={lab} network={network} state={state} theme={theme} seen={seen} />
      <Numbers
        name={`${lab.models[network].data.name} step ${lab.step(network, state.frame)} probabilities`}
        shown={[undefined, 4, 2, changed ? 4 : 2, 2]}
        head={["class", "probability", "logit", ...(changed ? ["unchanged"] : []), ...(added ? ["unit adds to logit"] : [])]}
        rows={() => Array.from(now, (p, label) => [
          label,
          p,
          logits[label],
          ...(changed ? [before[label]] : []),
          ...(added ? [added[label]] : []),
        ])}
      />
    </div>
  );
}

interface CostProps {
  lab: Lab;
  effect: Effect | null;
  stale: boolean;
  drops: number[];
  images: number;
  labels: number[];
  stored: StoredWeights;
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

function Cost({ effect, stale, lab, drops, images, labels, stored }: CostProps): JSX.Element {
  if (!effect) {
    return (
      <div class="cost" aria-busy="true">
        <h3>Accuracy on all {grouped(images)} images …</h3>
        <div class="steady">
          <Room />
        </div>
      </div>
    );
  }
  const { mine, before, after } = effect;
  const { drop, half, lost, won } = paired(before, after, labels);
  return (
    <div class="cost" data-accuracy={stale ? undefined : after.accuracy} aria-busy={stale || undefined}>
      <h3>
        {effect ? <>Accuracy on all {grouped(images)} images: {number(100 * after.accuracy, 1)}%</> : <>Running all {grouped(images)} images …</>}
      </h3>
      <p class="updating">{stale && "updating …"}</p>
      <div class="steady">
        {mine.length > 0 ? (
          <p aria-live="polite">
            {number(100 * before.accuracy, 1)}% before: with {mine.length === 1 ? "this change" : `these ${mine.length} changes`} it {drop < 0 ? "rises" : drop > 0 ? "falls" : "changes"} by{" "}
            <strong>{number(100 * Math.abs(drop), 1)} ± {number(100 * half, 1)}</strong> <Term word="points">points</Term> ({lost} newly wrong, {won} newly right; 95% interval over images).{" "}
            <span class="chance">
              <Random drop={drop} drops={drops} draws={lab.draws(mine)} others={lab.others(mine)} one={mine.length === 1} />
            </span>
          </p>
        ) : (
          <p class="quiet">
            No changes. The weights in this page, stored as {STORED[stored.kind]}, predict the same class as the recorded ones on <span class="agreement">{number(100 * stored.agreement, 1)}%</span> of these images; the largest error of a logit is <span class="logit">{number(stored.logit)}</span>.
          </p>
        )}
        <Room />
      </div>
    </div>
  );
}

/** What lies behind an accuracy, folded. */
function Breakdown({ effect, name }: { effect: Effect; name: string }): JSX.Element {
  const { mine, before, after } = effect;
  return (
    <div class="breakdown">
      <p class="quiet">The accuracy above is a quick check, apart from the claims, which test the loss.</p>
      <Numbers
        summary="By class"
        name={`${name} accuracy by class`}
        shown={[undefined, undefined, 1, 1, (change) => points(change / 100)]}
        head={["class", "images", "accuracy (%)", ...(mine.length ? ["before (%)", "change (points)"] : [])]}
        rows={() => after.byClass.map((share, label) => [
          label,
          after.confusion[label].reduce((a, b) => a + b, 0),
          100 * share,
          ...(mine.length ? [100 * before.byClass[label], 100 * (share - before.byClass[label])] : []),
        ])}
      />
      <Confusion name={name} now={after} before={before} changes={mine.length} />
    </div>
  );
}

/** Room for the longest words about a change, so that a change moves nothing below them. */
function Room(): JSX.Element {
  return (
    <p class="room" aria-hidden="true">
      100.0% before: with these 100 changes it changes by 88.8 ± 88.8 points (1,000 newly wrong, 1,000 newly right; 95% interval over images).
      <span class="block">As many random units in their place: −88.8 to +88.8 points (10 draws); a drop at least as large: p ≤ 0.0910 (10 draws).</span>
    </p>
  );
}

/** From the largest drop to the smallest, as changes of accuracy in points. */
function range(drops: number[]): string {
  return `${points(-Math.max(...drops))} to ${points(-Math.min(...drops))}`;
}

/** The accuracy drop compared with that of random units. */
function Random({ drop, drops, draws, others, one }: { drop: number; drops: number[]; draws: number; others: number; one: boolean }): JSX.Element {
  if (!others) return <>No other set of this size exists, so there is no null.</>;
  if (!draws) return <>Only {others} other set{others > 1 ? "s" : ""} of this size exist{others > 1 ? "" : "s"}: too few for a null.</>;
  if (drops.length < draws) return <>Random units instead: {drops.length} of {draws} draws …</>;
  const p = pValue(drop, drops);
  return (
    <>
      <Term word="random units">{one ? (draws === others ? `Each of the ${others} other units` : "A random unit") : "As many random units"}</Term> in {one ? "its" : "their"} place: <span class="null-band">{range(drops)}</span> points ({draws} draw{draws > 1 ? "s" : ""}); a drop at least as large:{" "}
      <span class="odds">{probability(p, draws)}</span>{p * (1 + draws) < 1.5 && `; ${draws} draw${draws > 1 ? "s" : ""} can't give a lower p`}.
    </>
  );
}
