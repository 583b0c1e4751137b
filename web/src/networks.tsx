// Which of the page's networks stand side by side: one, those of different kinds, or two seeds of one.

import type { JSX } from "preact";
import type { Lab } from "./lab";
import { words } from "./words";

/** The networks shown at first: of several seeds the first. */
export function first(lab: Lab): number[] {
  return lab.models.flatMap((model, i) => (model.data.twin === null ? [i] : []));
}

/** A network's name, with its seed where the page holds another of it. */
export function named(lab: Lab, network: number): string {
  const { name, seed } = lab.models[network].data;
  return lab.models.some((model) => model.data.twin === network) ? words.networks.seed(name, seed) : name;
}

/** What can be shown side by side. */
function choices(lab: Lab): number[][] {
  const all = lab.models.map((_, i) => i);
  const own = first(lab);
  const twins = all.flatMap((i) => (lab.models[i].data.twin === null ? [] : [[lab.models[i].data.twin!, i]]));
  const pairs = own.length > 2 ? own.flatMap((a) => own.filter((b) => b > a).map((b) => [a, b])) : [];
  return [...(own.length > 1 ? [own] : []), ...pairs, ...all.map((i) => [i]), ...twins];
}

export function Networks({ lab, shown, onShown }: { lab: Lab; shown: number[]; onShown: (shown: number[]) => void }): JSX.Element | null {
  const all = choices(lab);
  if (all.length < 2) return null;
  const given = all.some((one) => one.join() === shown.join()) ? all : [shown, ...all];
  return (
    <span class="chooser">
      <label for="shown">{words.networks.title}</label>{" "}
      <select id="shown" value={shown.join()} onChange={(e) => onShown(e.currentTarget.value.split(",").map(Number))}>
        {given.map((one) => <option key={one.join()} value={one.join()}>{words.networks.these(one.map((i) => named(lab, i)))}</option>)}
      </select>
    </span>
  );
}
