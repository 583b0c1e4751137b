// What to do first: the networks' predictions for this image, how many ablations change them, and one to try.

import type { JSX } from "preact";
import { NO_CHANGES, softmax } from "./engine";
import { type Lab, useLater } from "./lab";
import { named } from "./networks";
import type { State } from "./state";
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
  unchanged: Map<string, Float32Array>[];
  update: (part: Partial<State>) => void;
}

export function Invitation({ lab, state, shown, pixels, unchanged, update }: InvitationProps): JSX.Element {
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
  const blank = typeof state.source !== "number" && !state.source.length;
  const elsewhere = blank || (known !== null && !best && state.source !== lab.images.opening);
  return (
    <section class="invitation" aria-label={words.invitation.label}>
      <h2>{words.invitation.title}</h2>
      <p>{words.invitation.how}</p>
      <ul>
        {blank ? <li>{words.network.blank}</li> : shown.map((i, place) => (
          <li key={i}>
            <Hesitates name={named(lab, i)} p={softmax(unchanged[i].get("logits")!)} />{" "}
            <span class={known ? "flips" : undefined}>{words.invitation.flips(known ? known[place].count : null, units(lab, i))}</span>
          </li>
        ))}
      </ul>
      {elsewhere ? (
        <button type="button" class="primary" onClick={() => update({ source: lab.images.opening })}>{words.invitation.elsewhere}</button>
      ) : known !== null && !best && state.frame < lab.frames - 1 ? (
        <button type="button" class="primary" onClick={() => update({ frame: lab.frames - 1 })}>{words.invitation.last}</button>
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
