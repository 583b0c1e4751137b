// Questions about this page's own networks. Units were chosen and counted in Python, on two halves of the images; the rest is counted
// here on demand. Verdicts are those of the claims.

import { generator, shuffled } from "./chance";
import type { ClaimData, MissionData } from "./data";
import { type Changes, NO_CHANGES } from "./engine";
import type { Lab } from "./lab";
import { grouped, number } from "./parts";
import type { State } from "./state";

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
}

/** A predicted percentage counts as correct within this distance. */
const CLOSE = 0.1;

const short = (name: string) => name.replace(/\.hook_(post|out)$/, "");

/** The missions available for this page's networks. */
export function missions(lab: Lab): Mission[] {
  const asked = lab.models[0].data.missions.map((data) => (data.kind === "selective" ? selective(lab, data) : ofOneUnit(lab, data)));
  return [...asked, together(lab), sparing(lab)].filter((mission) => mission !== null);
}

function claimsOf(lab: Lab, data: MissionData): ClaimData[] {
  return lab.claims[0].filter((claim) => data.claims.includes(claim.id));
}

/** The unit whose ablation misclassifies the most images of a class, or confuses two classes most. */
function ofOneUnit(lab: Lab, data: MissionData & { kind: "lost" | "confused" }): Mission {
  const { layer, unit, images, counts } = data;
  const where = `${lab.models[0].data.name} ${short(lab.layer(0, layer))}`;
  const [a, b] = data.classes;
  const lost = data.kind === "lost";
  const classes = lost ? `class ${a}` : `classes ${a} and ${b}`;
  const before = lost ? [0, 0] : data.before;
  const ranked = counts[0].map((_, i) => i).sort((x, y) => counts[0][y] - counts[0][x] || x - y);
  const without = (i: number, half: number) => number(before[half] + counts[half][i]);
  const median = ranked[ranked.length >> 1];
  return {
    title: lost ? `Which unit does class ${a} need?` : `Which unit separates ${a} from ${b}?`,
    question: `Each unit of ${where} is ablated alone. Which ablation ${lost ? `makes the most images of ${classes} wrong` : `confuses the most images of ${classes} with each other`}?`,
    predict: { kind: "unit", network: 0, layer },
    experiment: async (given) => ({
      right: given === unit,
      answer: given === unit ? `Yes: it is unit ${unit}.` : `Not unit ${given}: it is unit ${unit}.`,
      detail:
        `Unit ${unit} was chosen on one half of the images: without it ${without(unit, 0)} of ${images[0]} images of ${classes} are ${lost ? "newly wrong" : `predicted as the other (with it ${before[0]})`}. ` +
        `On the other half: ${without(unit, 1)} of ${images[1]}${lost ? "" : ` (with it ${before[1]})`}. ` +
        (given === unit ? "" : `Without unit ${given}: ${without(given, 0)} and ${without(given, 1)}. `) +
        `Without unit ${median}, the median of ${ranked.length}: ${without(median, 0)} and ${without(median, 1)}.` +
        (lost ? " Images newly right are subtracted." : ""),
      head: ["unit", ...["chosen on", "judged on"].map((half, i) => `${half}: of ${images[i]} images`)],
      rows: ranked.map((i) => [i, before[0] + counts[0][i], before[1] + counts[1][i]]),
      view: { selected: { network: 0, layer, unit }, changes: [{ network: 0, layer, unit, kind: "zero", value: 0 }], frame: lab.frames - 1 },
      claims: claimsOf(lab, data),
    }),
  };
}

/** The rank of the most selective unit by loss increase under ablation. */
function selective(lab: Lab, data: MissionData & { kind: "selective" }): Mission {
  const { layer, unit, units, selectivity, loss } = data;
  const ranked = units.map((_, i) => i).sort((x, y) => loss[y] - loss[x]);
  const own = units.indexOf(unit);
  const rank = ranked.indexOf(own) + 1;
  const answer = rank === 1 ? 0 : rank <= units.length / 2 ? 1 : 2;
  return {
    title: "Is the most selective unit the most important one?",
    question: `One of ${units.length} units of ${lab.models[0].data.name} ${short(lab.layer(0, layer))} is the most class-selective. Rank the units by how much ablating each one raises the loss: where does this unit stand?`,
    predict: { kind: "choice", options: ["first", "in the upper half", "in the lower half"] },
    experiment: async (given) => ({
      right: given === answer,
      answer: `${given === answer ? "Yes" : "No"}: it is number ${rank} of ${units.length}.`,
      detail: `Unit ${unit} has the highest selectivity, ${number(selectivity[own], 2)}; ablating it changes the loss by ${number(loss[own])} nats. One network.`,
      head: ["unit", "loss increase (nats)", "selectivity"],
      rows: ranked.map((i) => [units[i], loss[i], selectivity[i]]),
      view: { selected: { network: 0, layer, unit }, frame: lab.frames - 1 },
      claims: claimsOf(lab, data),
    }),
  };
}

/** The share of errors that two networks, or one network at two snapshots, have in common. */
function together(lab: Lab): Mission {
  const two = lab.models.length > 1;
  const other = two ? 1 : 0;
  const middle = lab.models[other].last >> 1;
  const names = two ? lab.models.slice(0, 2).map((m) => m.data.name) : [`${lab.models[0].data.name} at the end`, "the same network half-way"];
  return {
    title: two ? "Do both networks misclassify the same images?" : "Are its final errors also its early errors?",
    question: `How many of the images that ${names[0]} misclassifies does ${names[1]} also misclassify? If the errors were independent, the share would equal the second error rate on all images.`,
    predict: { kind: "number", label: "Percent of these images", from: 0, to: 100 },
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
        answer: first ? `${number(100 * share, 0)}%: ${count} of ${first}.` : `${names[0]} misclassifies none of these images.`,
        detail: `${names[0]} misclassifies ${first} of ${grouped(lab.images.count)} images, ${names[1]} ${second}, both ${count}. If the errors were independent, both would misclassify about ${number((first * second) / lab.images.count)}. You predicted ${number(given)}%; within ${100 * CLOSE} points counts as correct.`,
        head: ["image", "label", `${names[0]} predicts`, `${names[1]} predicts`],
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
function sparing(lab: Lab): Mission | null {
  const model = lab.models[0];
  const place = model.data.layers.length - 1;
  const layer = model.data.layers[place];
  if (layer === undefined) return null;
  const { count } = model.units(layer);
  return {
    title: "How many units can be ablated?",
    question: `Units of ${model.data.name} ${short(layer)} are ablated at random. How many of the ${count} must be ablated before accuracy falls below 50%?`,
    predict: { kind: "number", label: "Percent of the units", from: 0, to: 100 },
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
      const never = Number.isNaN(crossing);
      return {
        right: Math.abs(given / 100 - crossing) <= CLOSE,
        answer: never ? "Accuracy does not fall below 50%, even with all units ablated." : `About ${number(100 * crossing)}% of them.`,
        detail: `${never ? "" : `With ${number(100 * crossing)}% of the ${count} units ablated, the median of ${SETS} random sets falls below 50%. `}You predicted ${number(given)}%; within ${100 * CLOSE} points counts as correct.`,
        head: ["ablated (%)", `accuracy (%), median of ${SETS} sets`, "lowest", "highest"],
        rows,
        view: { changes: example.map((unit) => ({ network: 0, layer: place, unit, kind: "zero" as const, value: 0 })), frame: lab.frames - 1 },
        claims: [],
      };
    },
  };
}
