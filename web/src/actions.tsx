// Ablate, scale, clamp or patch a unit, or a set of units at once.

import type { ComponentChildren, JSX } from "preact";
import { useContext, useState } from "preact/hooks";
import { Update } from "./address";
import type { Lab } from "./lab";
import { number } from "./numbers";
import { Fold, glossary, NumberField } from "./parts";
import { changed } from "./sets";
import { type ChangeItem, same, type State, type UnitPlace } from "./state";
import { words } from "./words";

/** `name`: "this unit", "these 10 units"; `children`: what the changes do. */
export function Actions({ lab, units, state, name, children }: { lab: Lab; units: UnitPlace[]; state: State; name: string; children?: ComponentChildren }): JSX.Element {
  const update = useContext(Update);
  const [from, setFrom] = useState<number | null>(null);
  const set = (kind: ChangeItem["kind"] | null, value?: number) => update({ changes: changed(state.changes, units, kind, value) });
  const own = units.map((at) => state.changes.find((change) => same(change, at)));
  const one = own[0] && own.every((change) => change?.kind === own[0]!.kind && change.value === own[0]!.value) ? own[0] : null;
  const scales = units.map(({ network, layer }) => lab.scale(network, lab.layer(network, layer)));
  const top = Math.max(...scales.map((scale) => scale.top));
  const factor = one?.kind === "scale" ? one.value : one?.kind === "zero" ? 0 : 1;
  const image = from ?? (one?.kind === "patch" ? one.value : 1);
  const clamped = one?.kind === "clamp" ? one.value : 0;
  return (
    <div class="actions" role="group" aria-label={words.actions.title(name)}>
      <div class="row">
        {one?.kind !== "zero" && <button type="button" class="primary" onClick={() => set("zero")}>{words.actions.ablate}</button>}
        {own.some(Boolean) && <button type="button" class={one?.kind === "zero" ? "primary" : ""} onClick={() => set(null)}>{words.actions.restore}</button>}
        <span class="quiet">{one && words.actions.done[one.kind](one.kind === "patch" ? String(one.value) : number(one.value))}</span>
      </div>
      <div class="more-actions">
      <div class="sliders">
        <label>
          {words.actions.scale(number(factor))}
          <input type="range" min="0" max="3" step="0.1" value={factor} onInput={(e) => set("scale", Number(e.currentTarget.value))} />
        </label>
        <label>
          {words.actions.clamp(one?.kind === "clamp" ? number(clamped) : null)}
          <input type="range" min={scales.some((scale) => scale.both) ? -top : 0} max={top} step={top / 40} value={clamped} onInput={(e) => set("clamp", Number(Number(e.currentTarget.value).toPrecision(3)))} />
        </label>
      </div>
      <div class="row">
        <label>
          {words.actions.from} <NumberField value={image} most={lab.images.count - 1} onValue={setFrom} />
        </label>
        <button type="button" onClick={() => set("patch", image)}>{words.actions.patch}</button>
      </div>
      <Fold name="terms" summary={words.actions.terms}>{() => (Object.keys(words.actions.does) as (keyof typeof words.actions.does)[]).map((term) => <p key={term} class="quiet"><strong>{words.actions.does[term]}</strong>: <span class="gloss">{glossary[term]}</span></p>)}</Fold>
      </div>
      <div class="result">{children}</div>
    </div>
  );
}
