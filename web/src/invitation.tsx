// What to do first: the networks' predictions for this image, how many ablations change them, and one to try.

import type { JSX } from "preact";
import { highest, softmax } from "./engine";
import { type Lab, useLater } from "./lab";
import type { State, UnitPlace } from "./state";
import { words } from "./words";

const SLICE = 8; // milliseconds

interface Flips {
  /** The units whose ablation alone changes the prediction. */
  count: number;
  /** The one after whose ablation the new class leads by most. */
  best: UnitPlace | null;
}

/** Ablates each unit of a network in turn, for one image. */
async function flipsOf(lab: Lab, network: number, pixels: Float32Array, snapshot: number, signal: AbortSignal): Promise<Flips> {
  const model = lab.models[network];
  await model.load(snapshot);
  const usual = highest(model.forward(pixels, snapshot).get("logits")!);
  const all = model.data.layers.flatMap((name, layer) => Array.from({ length: model.units(name).count }, (_, unit) => ({ network, layer, unit })));
  let [count, best, most] = [0, null as UnitPlace | null, 0];
  let began = performance.now();
  for (const at of all) {
    if (performance.now() - began > SLICE) {
      await new Promise((done) => setTimeout(done));
      if (signal.aborted) throw signal.reason;
      began = performance.now();
    }
    const changes = new Map([[model.data.layers[at.layer], new Map([[at.unit, { kind: "zero" as const }]])]]);
    const logits = model.forward(pixels, snapshot, changes).get("logits")!;
    const lead = Math.max(...logits) - logits[usual];
    if (highest(logits) === usual) continue;
    count++;
    if (!best || lead > most) [best, most] = [at, lead];
  }
  return { count, best };
}

function units(lab: Lab, network: number): number {
  return lab.models[network].data.layers.reduce((sum, layer) => sum + lab.models[network].units(layer).count, 0);
}

export interface InvitationProps {
  lab: Lab;
  state: State;
  /** The networks shown. */
  shown: number[];
  pixels: Float32Array;
  unchanged: Map<string, Float32Array>[];
  update: (part: Partial<State>) => void;
}

export function Invitation({ lab, state, shown, pixels, unchanged, update }: InvitationProps): JSX.Element {
  const { value: flips, stale } = useLater(
    (signal) => Promise.all(shown.map((i) => flipsOf(lab, i, pixels, lab.snapshot(i, state.frame), signal))),
    [state.source, state.frame, shown.join()],
  );
  const known = stale ? null : flips;
  const best = known?.find((one) => one.best)?.best;
  const elsewhere = known !== null && !best && state.source !== lab.images.opening;
  return (
    <section class="invitation" aria-label={words.invitation.label}>
      <h2>{words.invitation.title}</h2>
      <p>{words.invitation.how}</p>
      <ul>
        {shown.map((i, place) => (
          <li key={i}>
            <Hesitates name={lab.models[i].data.name} p={softmax(unchanged[i].get("logits")!)} />{" "}
            <span class={known ? "flips" : undefined}>{words.invitation.flips(known ? known[place].count : null, units(lab, i))}</span>
          </li>
        ))}
      </ul>
      {elsewhere ? (
        <button type="button" class="primary" onClick={() => update({ source: lab.images.opening })}>{words.invitation.elsewhere}</button>
      ) : (
        <button type="button" class="primary" disabled={!best} onClick={() => best && update({ selected: best, changes: [{ ...best, kind: "zero", value: 0 }] })}>{words.invitation.ablate}</button>
      )}
    </section>
  );
}

function Hesitates({ name, p }: { name: string; p: Float32Array | number[] }): JSX.Element {
  const [first, second] = Array.from(p.keys()).sort((a, b) => p[b] - p[a]);
  return <>{words.invitation.hesitates(name, [first, second], [p[first], p[second]])}</>;
}
