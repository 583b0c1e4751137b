// What to do first: the networks' predictions for this image, how many ablations change them, and one to try; what else the page answers.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { highest, NO_CHANGES, softmax } from "./engine";
import { insideOf } from "./inside";
import { lead } from "./inspector";
import { type Lab, useLater } from "./lab";
import { selectiveAt } from "./missions";
import { unitName } from "./names";
import { named } from "./networks";
import { Say } from "./parts";
import { firstReplay } from "./otherwise";
import { isBlank, same, type State, type UnitPlace } from "./state";
import { linkInto } from "./sums";
import { words } from "./words";

function units(lab: Lab, network: number): number {
  return lab.models[network].data.layers.reduce((sum, layer) => sum + lab.models[network].units(layer).count, 0);
}

export interface InvitationProps {
  lab: Lab;
  state: State;
  /** The networks shown. */
  shown: number[];
  pixels: Float32Array;
  /** The activations with and without the changes, by network. */
  seen: Map<string, Float32Array>[];
  unchanged: Map<string, Float32Array>[];
  update: (part: Partial<State>) => void;
}

export function Invitation({ lab, state, shown, pixels, seen, unchanged, update }: InvitationProps): JSX.Element {
  const { value: flips, stale } = useLater(
    (signal) =>
      Promise.all(
        shown.map(async (network) => {
          const [evaluator, snapshot] = [lab.evaluators[network], lab.snapshot(network, state.frame)];
          await evaluator.answers(snapshot, NO_CHANGES, signal); // first what more views show
          return { network, ...(await evaluator.flips(pixels, snapshot, signal)) };
        }),
      ),
    [state.source, state.frame, shown.join()],
  );
  const known = stale ? null : flips;
  const flip = known?.find((one) => one.best);
  const best = flip?.best && { network: flip.network, ...flip.best };
  const blank = isBlank(state);
  const elsewhere = blank || (known !== null && !best && state.source !== lab.images.opening);
  return (
    <section class="invitation" aria-label={words.invitation.label}>
      <h2>{words.invitation.title}</h2>
      <p>{words.invitation.how}</p>
      <ul style={{ "--lines": shown.length }}>
        {blank ? <li>{words.network.blank}</li> : shown.map((i, place) => (
          <li key={i}>
            <Hesitates name={named(lab, i)} p={softmax(unchanged[i].get("logits")!)} changed={state.changes.length > 0} />{" "}
            <Flipping network={i} found={known && known[place].units} of={units(lab, i)} set={state.set} update={update} />
          </li>
        ))}
      </ul>
      {elsewhere ? (
        <button type="button" class="primary" onClick={() => update({ source: lab.images.opening })}>{blank ? words.invitation.image : words.invitation.elsewhere}</button>
      ) : known !== null && !best && state.frame < lab.frames - 1 ? (
        <button type="button" class="primary" onClick={() => update({ frame: lab.frames - 1 })}>{words.invitation.last}</button>
      ) : (
        <button type="button" class="primary" disabled={!best} onClick={() => best && update({ selected: best, changes: [{ ...best, kind: "zero", value: 0 }] })}>{words.invitation.ablate}</button>
      )}
      <button type="button" class="ask" onClick={() => update({ tab: "missions" })}>{words.invitation.questions}</button>
      <div class="more">
        <h3>{words.invitation.more}</h3>
        <Questions lab={lab} state={state} shown={shown} seen={seen} unchanged={unchanged} update={update} />
      </div>
    </section>
  );
}

/** How many ablations change the prediction, and of which units: a set that a click shows. */
function Flipping({ network, found, of, set, update }: { network: number; found: { layer: number; unit: number }[] | null; of: number; set: UnitPlace[]; update: InvitationProps["update"] }): JSX.Element {
  const units = (found ?? []).map((at) => ({ network, ...at }));
  const shown = units.length > 0 && units.length === set.length && units.every((at) => set.some((other) => same(other, at)));
  const which = words.invitation.which(found ? units.length : null, of);
  return (
    <span class={found ? "flips" : undefined}>
      <Say
        text={words.invitation.flips(units.length)}
        which={units.length ? <button type="button" class="link" aria-pressed={shown} title={words.invitation.mark} onClick={() => update(shown ? { set: [], setBy: null } : { set: units, setBy: "effect" })}>{which}</button> : which}
      />
    </span>
  );
}

/** Questions that other parts of the page answer, each with a way there. */
export function Questions({ lab, state, shown, seen, unchanged, update }: Omit<InvitationProps, "pixels">): JSX.Element {
  const [i] = shown;
  const { hard, steps } = useMemo(() => {
    const p = softmax(unchanged[i].get("logits")!);
    return { hard: Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, 2), steps: followed(lab, shown, seen) };
  }, [seen, unchanged, shown.join()]);
  const selective = selectiveAt(lab);
  const replay = state.replay ?? firstReplay(lab);
  const taught = lab.models.findIndex((model) => model.data.influence);
  const asked = taught < 0 ? null : lab.models[taught].data.influence!.asked[state.asked].probe;
  const taughtBy = taught < 0 ? "" : words.invitation.taught(named(lab, taught));
  const ways: [string, (() => Partial<State>) | null][] = [
    [words.invitation.learned(named(lab, i), [...hard].sort((a, b) => a - b)), isBlank(state) ? null : () => ({ tab: "confusion", pair: { label: hard[0], predicted: hard[1] } })],
    [words.missions.selective.title, selective === null || !shown.includes(0) || state.tab === "missions" ? null : () => ({ tab: "missions", mission: selective })],
    [steps ? words.invitation.computed(named(lab, steps.network), unitName(lab.models[steps.network], 0, steps.unit)) : "", steps && (() => ({ inside: insideOf(lab, state, steps, seen[steps.network]) }))],
    [replay ? words.invitation.lost(named(lab, replay.network)) : "", replay && (() => ({ tab: "training", replay }))],
    [taughtBy, taught < 0 ? null : () => ({ tab: "training", ...(asked !== null && { source: asked }) })],
  ];
  return (
    <ul>
      {ways.map(([text, way]) => way && <li key={text}><button type="button" class="link" onClick={() => {
        const part = way();
        update(part);
        const answer = text === taughtBy ? "#influence" : part.pair && ".learning";
        if (answer) lead(() => document.querySelector(answer));
      }}>{text}</button></li>)}
    </ul>
  );
}

/** The first layer's most active unit on this image, of a convolution if there is one; null where no layer's computation can be followed. */
function followed(lab: Lab, shown: number[], seen: Map<string, Float32Array>[]): UnitPlace | null {
  const layered = shown.filter((network) => lab.models[network].data.layers.length && linkInto(lab.models[network], 0));
  const sizes = layered.map((network) => lab.models[network].units(lab.layer(network, 0)));
  const at = Math.max(0, sizes.findIndex(({ each }) => each > 1));
  if (!layered.length) return null;
  const [network, { count, each }] = [layered[at], sizes[at]];
  const values = seen[network].get(lab.layer(network, 0))!;
  const peaks = Array.from({ length: count }, (_, unit) => Math.max(...values.subarray(unit * each, (unit + 1) * each)));
  return { network, layer: 0, unit: highest(peaks) };
}

function Hesitates({ name, p, changed }: { name: string; p: Float32Array | number[]; changed: boolean }): JSX.Element {
  const [first, second] = Array.from(p.keys()).sort((a, b) => p[b] - p[a]);
  return <>{words.invitation.hesitates(name, [first, second], [p[first], p[second]], changed)}</>;
}
