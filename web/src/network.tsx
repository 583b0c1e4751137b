// One network: its layers as strips of units, its prediction for the image, and the effect of a change on its accuracy on all images.

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { pValue, probability } from "./chance";
import { NetworkClaims } from "./claims";
import type { StoredWeights } from "./data";
import { Edges } from "./edges";
import { highest, softmax } from "./engine";
import type { Answers } from "./evaluate";
import { ComputedClass } from "./inside";
import { type Effect, type Lab, useEffectOf, useRandom } from "./lab";
import { grouped, number, Numbers, points, Term } from "./parts";
import type { ChangeItem, State, UnitPlace } from "./state";
import { Strip } from "./strip";
import type { Theme } from "./theme";

export interface NetworkProps {
  lab: Lab;
  network: number;
  state: State;
  theme: Theme;
  /** Activations at every hook point for the current image, with and without the changes. */
  seen: Map<string, Float32Array>;
  unchanged: Map<string, Float32Array>;
  /** The contribution of the unit under the pointer to each logit; null without one. */
  added: Float32Array | null;
  /** The unit under the pointer or with focus. */
  hover: UnitPlace | null;
  onSelect: (place: UnitPlace) => void;
  onHover: (place: UnitPlace | null) => void;
}

export function NetworkColumn(props: NetworkProps): JSX.Element {
  const { lab, network, state, theme, seen, unchanged } = props;
  const { data } = lab.models[network];
  const snapshot = lab.snapshot(network, state.frame);
  const effect = useEffectOf(lab, network, snapshot, state.changes);
  const mine = useMemo(() => state.changes.filter((c) => c.network === network), [state.changes]);
  const drops = useRandom(lab, network, snapshot, state.changes, effect?.before ?? null);
  const dead = useMemo(() => data.layers.map((layer) => lab.evaluators[network].dead(snapshot, layer)), [snapshot, effect]);
  return (
    <section class="network" aria-label={data.name}>
      <Edges {...props} />
      <h2>
        {data.name} <small>step {grouped(data.steps[snapshot])}{snapshot === 0 && data.steps[0] === 0 ? ", untrained" : ""}</small>
      </h2>
      <Verdict logits={seen.get("logits")!} before={mine.length ? unchanged.get("logits")! : null} />
      {data.layers.map((layer, place) => (
        <Layer key={layer} {...props} layer={layer} place={place} theme={theme} mine={mine} dead={dead[place]} />
      ))}
      <Predicts {...props} changed={mine.length > 0} seen={seen} unchanged={unchanged} />
      <Cost effect={effect} lab={lab} mine={mine} drops={drops} images={lab.images.count} labels={lab.images.labels} stored={data.weights[snapshot]} />
      <NetworkClaims lab={lab} network={network} />
    </section>
  );
}

function Layer(props: NetworkProps & { layer: string; place: number; mine: ChangeItem[]; dead: boolean[] | null }): JSX.Element {
  const { lab, network, state, theme, seen, layer, place, mine, dead } = props;
  const model = lab.models[network];
  const shape = model.shape(layer);
  const { count, each } = model.units(layer);
  const scale = lab.scale(network, layer);
  const values = seen.get(layer)!;
  const word = each > 1 ? "channel" : "unit";
  const short = layer.replace(/\.hook_(post|out)$/, "");
  const changes = useMemo(() => mine.filter((c) => c.layer === place), [mine, place]);
  const here = state.selected?.network === network && state.selected.layer === place ? state.selected.unit : null;
  const part = useRef<HTMLDivElement>(null);
  return (
    <div class="layer" ref={part} data-layer={place}>
      <h3>
        {short} <small>{count} {word}s{each > 1 ? ` of ${shape[1]} × ${shape[2]}` : ""}, {scale.both ? `±${number(scale.top)}` : `0 to ${number(scale.top)}`}</small>
      </h3>
      <Strip
        label={`${model.data.name} ${short}: ${count} ${word}s, arrow keys move between them`}
        values={values}
        shape={shape}
        top={scale.top}
        both={scale.both}
        theme={theme}
        selected={here}
        changes={changes}
        dead={dead}
        onSelect={(unit) => props.onSelect({ network, layer: place, unit })}
        onHover={(unit) => props.onHover(unit === null ? null : { network, layer: place, unit })}
      />
      <Numbers
        name={`${model.data.name} ${short}`}
        pictures={() => [...part.current!.querySelectorAll("canvas")]}
        head={[word, each > 1 ? "mean over the map" : "activation", ...(each > 1 ? ["highest"] : [])]}
        rows={() => Array.from({ length: count }, (_, unit) => {
          const own = values.subarray(unit * each, (unit + 1) * each);
          return [unit, number(own.reduce((a, b) => a + b, 0) / each), ...(each > 1 ? [number(Math.max(...own))] : [])];
        })}
      />
    </div>
  );
}

function Verdict({ logits, before }: { logits: Float32Array; before: Float32Array | null }): JSX.Element {
  const best = highest(logits);
  return (
    <p class="verdict">
      Predicts <strong>{best}</strong> <small>(p = {number(softmax(logits)[best], 3)}){before && highest(before) !== best ? `; unchanged it predicts ${highest(before)}` : ""}</small>
    </p>
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
        name={`${lab.models[network].data.name} probabilities`}
        head={["class", "probability", "logit", ...(changed ? ["unchanged"] : []), ...(added ? ["unit adds to logit"] : [])]}
        rows={() => Array.from(now, (p, label) => [
          label,
          number(p, 4),
          number(logits[label], 2),
          ...(changed ? [number(before[label], 4)] : []),
          ...(added ? [number(added[label], 2)] : []),
        ])}
      />
    </div>
  );
}

interface CostProps {
  lab: Lab;
  effect: Effect | null;
  mine: ChangeItem[];
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

function Cost({ effect, lab, mine, drops, images, labels, stored }: CostProps): JSX.Element {
  const last = useRef(effect); // stays in its place, marked, until the new one comes
  last.current = effect ?? last.current;
  if (!last.current) return <p class="cost" aria-busy="true">Running all {grouped(images)} images …</p>;
  const { before, after } = last.current;
  const { drop, half, lost, won } = paired(before, after, labels);
  return (
    <div class="cost" aria-busy={!effect} data-accuracy={effect?.after.accuracy}>
      <h3>
        {effect ? <>Accuracy on all {grouped(images)} images: {number(100 * after.accuracy, 1)}%</> : <>Running all {grouped(images)} images …</>}
      </h3>
      {mine.length > 0 ? (
        <p aria-live="polite">
          {number(100 * before.accuracy, 1)}% before: with {mine.length === 1 ? "this change" : `these ${mine.length} changes`} it {drop < 0 ? "rises" : drop > 0 ? "falls" : "changes"} by{" "}
          <strong>{number(100 * Math.abs(drop), 1)} ± {number(100 * half, 1)}</strong> <Term word="points">points</Term> ({lost} newly wrong, {won} newly right; 95% interval over images).{" "}
          A quick check of accuracy, apart from the claims, which test the loss.{" "}
          <span class="chance">
            <Random drop={drop} drops={drops} draws={lab.draws(mine)} others={lab.others(mine)} one={mine.length === 1} />
          </span>
        </p>
      ) : (
        <p class="quiet">
          No changes. The weights in this page, stored as {STORED[stored.kind]}, predict the same class as the recorded ones on <span class="agreement">{number(100 * stored.agreement, 1)}%</span> of these images; the largest error of a logit is <span class="logit">{number(stored.logit)}</span>.
        </p>
      )}
      <Numbers
        summary="By class"
        name="accuracy by class"
        head={["class", "images", "accuracy (%)", ...(mine.length ? ["before (%)", "change (points)"] : [])]}
        rows={() => after.byClass.map((share, label) => [
          label,
          after.confusion[label].reduce((a, b) => a + b, 0),
          number(100 * share, 1),
          ...(mine.length ? [number(100 * before.byClass[label], 1), points(share - before.byClass[label])] : []),
        ])}
      />
      <Confusion now={after} before={mine.length ? before : null} />
    </div>
  );
}

/** The accuracy drop compared with that of random units. */
function Random({ drop, drops, draws, others, one }: { drop: number; drops: number[]; draws: number; others: number; one: boolean }): JSX.Element {
  if (!others) return <>No other set of this size exists, so there is no null.</>;
  if (!draws) return <>Only {others} other set{others > 1 ? "s" : ""} of this size exist{others > 1 ? "" : "s"}: too few for a null.</>;
  if (drops.length < draws) return <>Random units instead: {drops.length} of {draws} draws …</>;
  const changes = drops.map((d) => -d).sort((a, b) => a - b);
  const p = pValue(drop, drops);
  return (
    <>
      <Term word="random units">{one ? (draws === others ? `Each of the ${others} other units` : "A random unit") : "As many random units"}</Term> in {one ? "its" : "their"} place: <span class="null-band">{points(changes[0])} to {points(changes.at(-1)!)}</span> points ({draws} draw{draws > 1 ? "s" : ""}); a drop at least as large:{" "}
      <span class="odds">{probability(p, draws)}</span>{p * (1 + draws) < 1.5 && `; ${draws} draw${draws > 1 ? "s" : ""} can't give a lower p`}.
    </>
  );
}

function Confusion({ now, before }: { now: Answers; before: Answers | null }): JSX.Element {
  const classes = now.confusion.map((_, label) => label);
  return (
    <details>
      <summary>Confusion matrix</summary>
      <div class="scroll" tabIndex={0} role="group" aria-label="Confusion matrix">
        <table class="confusion">
          <caption>True class (rows) against predicted class (columns): images{before ? ", and how many more or fewer than before" : ""}.</caption>
          <thead>
            <tr>
              <td />
              {classes.map((c) => <th key={c} scope="col">{c}</th>)}
            </tr>
          </thead>
          <tbody>
            {now.confusion.map((counts, label) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                {counts.map((count, predicted) => {
                  const more = before ? count - before.confusion[label][predicted] : 0;
                  const kind = predicted === label ? "right" : count ? "wrong" : "none";
                  return (
                    <td key={predicted} class={kind}>
                      {count}
                      {more !== 0 && <small class={more > 0 === (predicted === label) ? "good" : "bad"}>{more > 0 ? ` +${more}` : ` −${-more}`}</small>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
