// A run trained otherwise: where a page holds its replays, and what they hold at a step. Python decided and measured; nothing is computed here but places.

import type { Lab } from "./lab";
import type { ReplayData, Spread } from "./data";
import type { UnitPlace } from "./state";
import { words } from "./words";

export interface ReplayPlace {
  network: number;
  place: number;
}

/** All replays of the page. */
export function replaysOf(lab: Lab): ReplayPlace[] {
  return lab.models.flatMap(({ data }, network) => (data.replays ?? []).map((_, place) => ({ network, place })));
}

export function replayAt(lab: Lab, at: ReplayPlace | null): ReplayData | null {
  return (at && lab.models[at.network].data.replays?.[at.place]) ?? null;
}

/** The replay shown at first: the first of a network that is shown at first. */
export function firstReplay(lab: Lab): ReplayPlace | null {
  return replaysOf(lab).find((at) => replayAt(lab, at)!.steps) ?? null;
}

/** The replays in which a unit was lost, by itself before with others. */
export function lostIn(lab: Lab, unit: UnitPlace): ReplayPlace[] {
  const size = (at: ReplayPlace) => replayAt(lab, at)!.lost?.length ?? 0;
  const found = replaysOf(lab).filter((at) => at.network === unit.network && replayAt(lab, at)!.lost?.some((one) => one.layer === unit.layer && one.unit === unit.unit));
  return found.sort((a, b) => size(a) - size(b));
}

/** The place of the measured step that is nearest to a step; -1 before the fork. */
export function measuredAt(steps: number[], step: number): number {
  if (step < steps[0]) return -1;
  return steps.reduce((best, one, i) => (Math.abs(one - step) < Math.abs(steps[best] - step) ? i : best), 0);
}

/** The step at which to fork: the last kept one at or before the step shown; at the end of training, that nearest to its middle. */
export function forkAt(kept: number[], step: number, last: number): number {
  if (step < last) return kept.findLast((one) => one <= step) ?? kept[0];
  return kept.reduce((best, one) => (Math.abs(2 * one - last) < Math.abs(2 * best - last) ? one : best));
}

/** The lowest and the highest value of both, between which they are drawn. */
export function reach({ twin, branch }: Spread): [number, number] {
  const all = [twin, branch].flatMap(({ low, high }) => [...low, ...high]).filter((value) => value !== null);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

export interface Mark {
  step: number;
  text: string;
  name: "fork" | "taken";
}

/** The fork, and the step from which a takeover is shown, if one is. */
export function marksOf({ at, takeover }: ReplayData): Mark[] {
  const by = takeover?.by ?? null;
  return [{ step: at!, text: words.otherwise.fork(at!), name: "fork" }, ...(by === null ? [] : [{ step: by, text: words.otherwise.by(by), name: "taken" as const }])];
}

/** The Python that loses a unit at a step of the training, and the same on the command line. */
export function forking(run: string, layer: string, unit: number, units: number, at: number): string {
  const nulls = Math.min(20, units - 1);
  return [
    "import neural_microscope as nm",
    "",
    `run = nm.Run.open(${JSON.stringify(run)})`,
    `change = nm.changes.Ablate(${JSON.stringify(layer)}, ${unit})`,
    `lost = nm.replay(run, at=${at}, change=change, branches=8, nulls=${nulls})`,
    "for claim in nm.replays.claims(lost):",
    "    print(claim.verdict, claim.sentence)",
    'nm.explorer.write([run], "explorer.html")',
    "",
    `# or: microscope replay ${run} --at ${at} --ablate ${layer}:${unit} --branches 8 --nulls ${nulls}`,
  ].join("\n");
}
