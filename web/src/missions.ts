// Questions about this page's own networks. Units were chosen and counted in Python, on two halves of the images; the rest is counted
// here on demand. Verdicts are those of the claims.

import { generator, shuffled } from "./chance";
import type { ClaimData, MissionData } from "./data";
import { type Changes, NO_CHANGES } from "./engine";
import type { Lab } from "./lab";
import { short } from "./names";
import type { State } from "./state";
import { words } from "./words";

export type Prediction =
  | { kind: "unit"; network: number; layer: number }
  | { kind: "choice"; options: string[] }
  | { kind: "number"; label: string; from: number; to: number };

export interface Outcome {
  /** Whether the prediction was correct. */
  right: boolean;
  answer: string;
  detail: string;
  head: string[];
  rows: (string | number)[][];
  /** The state that shows it. */
  view: Partial<State> | null;
  /** The claims about it. */
  claims: ClaimData[];
}

export interface Mission {
  title: string;
  question: string;
  predict: Prediction;
  /** `given`: the unit's number, the option's, or the number. */
  experiment: (given: number, signal?: AbortSignal) => Promise<Outcome>;
  /** A prediction in words. */
  named: (given: number) => string;
}

/** A predicted percentage counts as correct within this distance. */
const CLOSE = 0.1;

/** With fewer errors than these, the share of them that another network makes too is not asked. */
const FEWEST = 10;

/** The place of the mission about the most selective unit; null where it can't be asked. */
export function selectiveAt(lab: Lab): number | null {
  const at = offered(lab).findIndex(({ kind }) => kind === "selective");
  return at < 0 ? null : at;
}

/** Those of one unit: not where all claims about that unit are not shown, so that its lead may be chance. */
function offered(lab: Lab): MissionData[] {
  return lab.models[0].data.missions.filter((data) => {
    const claims = claimsOf(lab, data);
    return data.kind === "selective" || !claims.length || claims.some(({ verdict }) => verdict !== "not shown");
  });
}

/** The missions that this page's networks can carry. */
export function missions(lab: Lab): Mission[] {
  const asked = offered(lab).map((data) => (data.kind === "selective" ? selective(lab, data) : ofOneUnit(lab, data)));
  return [...asked, together(lab), sparing(lab)].flatMap((mission) => (mission ? { ...mission, named: (given) => named(mission.predict, given) } : []));
}

type Asked = Omit<Mission, "named">;

function named(predict: Prediction, given: number): string {
  return predict.kind === "choice" ? predict.options[given] : predict.kind === "unit" ? words.names.unit(given) : words.missions.percent(given);
}

function claimsOf(lab: Lab, data: MissionData): ClaimData[] {
  return lab.claims[0].filter((claim) => data.claims.includes(claim.id));
}

/** The unit whose ablation misclassifies the most images of a class, or confuses two classes most. */
function ofOneUnit(lab: Lab, data: MissionData & { kind: "lost" | "confused" }): Asked {
  const { layer, unit, images, counts } = data;
  const said = words.missions[data.kind];
  const before = data.kind === "lost" ? [0, 0] : data.before;
  const ranked = counts[0].map((_, i) => i).sort((x, y) => counts[0][y] - counts[0][x] || x - y);
  const without = (i: number) => [0, 1].map((half) => before[half] + counts[half][i]);
  return {
    title: said.title(data.classes),
    question: said.question(lab.models[0].data.name, short(lab.layer(0, layer)), data.classes),
    predict: { kind: "unit", network: 0, layer },
    experiment: async (given) => ({
      right: given === unit,
      answer: words.missions.isUnit(unit),
      detail: [
        said.detail(unit, without(unit), images, data.classes, before),
        given === unit ? "" : words.missions.without(given, without(given)),
        words.missions.median(ranked[ranked.length >> 1], without(ranked[ranked.length >> 1]), ranked.length),
        said.note,
      ].filter(Boolean).join(" "),
      head: words.missions.unitHead(images),
      rows: ranked.map((i) => [i, ...without(i)]),
      view: { selected: { network: 0, layer, unit }, changes: [{ network: 0, layer, unit, kind: "zero", value: 0 }], frame: lab.frames - 1 },
      claims: claimsOf(lab, data),
    }),
  };
}

/** The rank of the most selective unit by loss increase under ablation. */
function selective(lab: Lab, data: MissionData & { kind: "selective" }): Asked {
  const { layer, unit, units, selectivity, loss } = data;
  const said = words.missions.selective;
  const ranked = units.map((_, i) => i).sort((x, y) => loss[y] - loss[x]);
  const own = units.indexOf(unit);
  const rank = ranked.indexOf(own) + 1;
  const answer = rank === 1 ? 0 : rank <= units.length / 2 ? 1 : 2;
  return {
    title: said.title,
    question: said.question(lab.models[0].data.name, short(lab.layer(0, layer)), units.length, lab.models[0].units(lab.layer(0, layer)).count),
    predict: { kind: "choice", options: [...said.options] },
    experiment: async (given) => ({
      right: given === answer,
      answer: said.answer(rank, units.length),
      detail: said.detail(unit, selectivity[own], loss[own]),
      head: [...said.head],
      rows: ranked.map((i) => [units[i], loss[i], selectivity[i]]),
      view: { selected: { network: 0, layer, unit }, changes: [{ network: 0, layer, unit, kind: "zero", value: 0 }], frame: lab.frames - 1 },
      claims: claimsOf(lab, data),
    }),
  };
}

/** The share of errors that two networks, or one network at two snapshots, have in common. */
function together(lab: Lab): Asked | null {
  if (lab.models[0].data.errors < FEWEST) return null;
  const two = lab.models.length > 1 && lab.models[1].data.twin === null;
  const other = two ? 1 : 0;
  const middle = lab.models[other].last >> 1;
  const said = words.missions.together;
  const names = two ? lab.models.slice(0, 2).map((m) => m.data.name) : [said.end(lab.models[0].data.name), said.middle];
  return {
    title: two ? said.two : said.one,
    question: said.question(names),
    predict: { kind: "number", label: said.label, from: 0, to: 100 },
    experiment: async (given, signal) => {
      const predicted = [
        (await lab.evaluators[0].answers(lab.models[0].last, NO_CHANGES, signal)).predicted,
        (await lab.evaluators[other].answers(two ? lab.models[1].last : middle, NO_CHANGES, signal)).predicted,
      ];
      const wrong = predicted.map((all) => lab.images.labels.map((label, i) => all[i] !== label));
      const [first, second] = wrong.map((w) => w.filter(Boolean).length);
      const both = wrong[0].map((w, i) => w && wrong[1][i]);
      const count = both.filter(Boolean).length;
      const share = first ? count / first : NaN;
      const rows = wrong[0].flatMap((w, i) => (w || wrong[1][i] ? [[i, lab.images.labels[i], predicted[0][i], predicted[1][i]]] : []));
      return {
        right: first > 0 && Math.abs(given / 100 - share) <= CLOSE,
        answer: first ? said.answer(share, count, first) : said.none(names[0]),
        detail: said.detail(names, [first, second, count], lab.images.count, given, CLOSE),
        head: said.head(names),
        rows,
        view: count ? { source: both.indexOf(true), frame: lab.frames - 1 } : null,
        claims: [],
      };
    },
  };
}

const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const SETS = 5;

/** The share of units in the last hidden layer that can be ablated before accuracy falls below 50%. */
function sparing(lab: Lab): Asked | null {
  const model = lab.models[0];
  const place = model.data.layers.length - 1;
  const layer = model.data.layers[place];
  if (layer === undefined || model.data.errors > lab.images.count / 2) return null;
  const { count } = model.units(layer);
  const said = words.missions.sparing;
  return {
    title: said.title,
    question: said.question(model.data.name, short(layer), count),
    predict: { kind: "number", label: said.label, from: 0, to: 100 },
    experiment: async (given, signal) => {
      const rows: (string | number)[][] = [];
      let crossing = NaN;
      let example: number[] = [];
      for (const share of SHARES) {
        const found: number[] = [];
        for (let set = 0; set < SETS; set++) {
          const units = shuffled(count, generator(100 * set + 7)).slice(0, Math.round(share * count));
          const changes: Changes = new Map([[layer, new Map(units.map((unit) => [unit, { kind: "zero" as const }]))]]);
          found.push((await lab.evaluators[0].answers(model.last, changes, signal)).accuracy);
          if (set === 0 && Number.isNaN(crossing)) example = units;
        }
        found.sort((x, y) => x - y);
        if (Number.isNaN(crossing) && found[SETS >> 1] < 0.5) crossing = share;
        rows.push([Math.round(100 * share), 100 * found[SETS >> 1], 100 * found[0], 100 * found[SETS - 1]]);
      }
      const set = example.map((unit) => ({ network: 0, layer: place, unit }));
      return {
        right: Math.abs(given / 100 - crossing) <= CLOSE,
        answer: said.answer(crossing),
        detail: said.detail(crossing, count, SETS, given, CLOSE),
        head: said.head(SETS),
        rows,
        view: { set, setBy: null, changes: set.map((at) => ({ ...at, kind: "zero" as const, value: 0 })), frame: lab.frames - 1 },
        claims: [],
      };
    },
  };
}
