// Five questions to this page's own networks. Each answer is worked out from what is loaded, when it is asked for.

import { type Changes, NO_CHANGES } from "./engine";
import { generator, type Lab } from "./lab";
import { grouped, number } from "./parts";
import type { State } from "./state";

export type Prediction =
  | { kind: "unit"; network: number; layer: number }
  | { kind: "choice"; options: string[] }
  | { kind: "number"; label: string; from: number; to: number };

export interface Outcome {
  /** Whether what was predicted is what came out. */
  right: boolean;
  verdict: string;
  detail: string;
  head: string[];
  rows: (string | number)[][];
  /** The state in which it can be seen. */
  view: Partial<State> | null;
}

export interface Mission {
  title: string;
  question: string;
  predict: Prediction;
  /** `given`: the unit's number, the option's, or the number. */
  experiment: (given: number, signal?: AbortSignal) => Promise<Outcome>;
}

const short = (name: string) => name.replace(/\.hook_(post|out)$/, "");
const by = <T>(key: (item: T) => number) => (a: T, b: T) => key(b) - key(a);

/** The missions that this page's networks allow. */
export function missions(lab: Lab): Mission[] {
  return [indispensable, confuser, selective, together, sparing].flatMap((make) => make(lab) ?? []);
}

/** The layer of the first network with measured units in which some unit costs some class most. */
function indispensable(lab: Lab): Mission | null {
  const { data } = lab.models[0];
  const all = data.layers.flatMap((layer, place) =>
    (data.units[layer] ?? []).flatMap((unit, i) => unit.dropByClass.map((drop, label) => ({ place, unit: i, label, drop: drop ?? 0 }))),
  );
  if (!all.length) return null;
  const worst = all.reduce((a, b) => (b.drop > a.drop ? b : a));
  const layer = data.layers[worst.place];
  const units = data.units[layer];
  const drops = units.map((unit) => unit.dropByClass[worst.label] ?? 0);
  const ranked = drops.map((drop, unit) => ({ drop, unit })).sort(by(({ drop }) => drop));
  const n = lab.images.labels.filter((label) => label === worst.label).length;
  return {
    title: `The unit without which ${worst.label}s are lost`,
    question: `One unit of ${data.name} ${short(layer)} costs the class ${worst.label} more than any other, cut out alone. Which? Pick one that looks as if ${worst.label} depended on it.`,
    predict: { kind: "unit", network: 0, layer: worst.place },
    experiment: async (given) => {
      const [best, median] = [ranked[0], ranked[ranked.length >> 1]];
      const mine = drops[given];
      return {
        right: mine === best.drop,
        verdict: mine === best.drop ? `Yes: unit ${given} costs it most.` : `Not unit ${given}: it is unit ${best.unit}.`,
        detail: `Without unit ${given}, ${number(100 * mine, 1)} % of the ${n} images of ${worst.label} are lost; without unit ${best.unit} ${number(100 * best.drop, 1)} %, without the middle one of all ${drops.length} units ${number(100 * median.drop, 1)} %. The best of ${drops.length} is chosen and judged on the same images, so another set would show less. ${100 * best.drop < 5 ? "No single unit is indispensable here: the layer has spares." : ""}`,
        head: ["unit", `lost of class ${worst.label} (%)`, "prefers"],
        rows: ranked.map(({ drop, unit }) => [unit, number(100 * drop, 1), units[unit].preferred < 0 ? "–" : units[unit].preferred]),
        view: { selected: { network: 0, layer: worst.place, unit: best.unit }, changes: [{ network: 0, layer: worst.place, unit: best.unit, kind: "zero", value: 0 }], moment: lab.moments - 1 },
      };
    },
  };
}

/** In the last hidden layer: the unit without which the two classes that are confused most are told apart best or worst. */
function confuser(lab: Lab): Mission | null {
  const model = lab.models[0];
  const place = model.data.layers.length - 1;
  const layer = model.data.layers[place];
  if (layer === undefined) return null;
  const [a, b] = lab.images.classes > 9 ? [4, 9] : [0, 1];
  const { count } = model.units(layer);
  return {
    title: `The unit that keeps ${a} and ${b} apart`,
    question: `Cut out one unit of ${model.data.name} ${short(layer)}: for which of them are most ${a}s read as ${b} and ${b}s as ${a}?`,
    predict: { kind: "unit", network: 0, layer: place },
    experiment: async (given, signal) => {
      const confused = async (changes: Changes) => {
        const { confusion } = await lab.evaluators[0].answers(model.last, changes, signal);
        return confusion[a][b] + confusion[b][a];
      };
      const before = await confused(NO_CHANGES);
      const found: { unit: number; more: number }[] = [];
      for (let unit = 0; unit < count; unit++) found.push({ unit, more: (await confused(new Map([[layer, new Map([[unit, { kind: "zero" as const }]])]]))) - before });
      const ranked = [...found].sort(by(({ more }) => more));
      const best = ranked[0];
      const ties = found.filter(({ more }) => more === best.more).length;
      return {
        right: found[given].more === best.more,
        verdict: best.more <= 0 ? `No single unit does: none adds a confusion.` : found[given].more === best.more ? `Yes: without unit ${given} most are confused${ties > 1 ? `, and as many without ${ties - 1} other${ties > 2 ? "s" : ""}` : ""}.` : `Not unit ${given}: it is unit ${best.unit}${ties > 1 ? `, or one of ${ties - 1} that tie with it` : ""}.`,
        detail: `${best.more > 0 && ties > 1 ? `With ${ties} of ${count} first, no unit stands out: the layer shares the work. ` : ""}${before} of the ${a}s and ${b}s are confused before; without unit ${given} ${before + found[given].more}, without unit ${best.unit} ${before + best.more}. The middle one of ${count} units changes it by ${number(ranked[count >> 1].more)}. The largest of ${count} is picked on the same images.`,
        head: ["unit", `more of ${a} and ${b} confused`],
        rows: ranked.map(({ unit, more }) => [unit, number(more)]),
        view: { selected: { network: 0, layer: place, unit: best.unit }, changes: [{ network: 0, layer: place, unit: best.unit, kind: "zero", value: 0 }], moment: lab.moments - 1 },
      };
    },
  };
}

/** Whether selectivity says what matters. */
function selective(lab: Lab): Mission | null {
  const { data } = lab.models[0];
  const place = data.layers.findLastIndex((layer) => (data.units[layer] ?? []).some((unit) => unit.selectivity !== null));
  if (place < 0) return null;
  const layer = data.layers[place];
  const judged = data.units[layer].map((unit, i) => ({ unit: i, s: unit.selectivity, loss: unit.lossIncrease, high: unit.lossNullHigh })).filter((u) => u.s !== null && u.loss !== null) as { unit: number; s: number; loss: number; high: number | null }[];
  if (judged.length < 3) return null;
  return {
    title: "Is the most selective unit the most important one?",
    question: `Of ${data.name} ${short(layer)} the most selective unit is one of ${judged.length}. Where does it stand when units are ranked by what cutting them out costs?`,
    predict: { kind: "choice", options: ["first", "in the upper half", "in the lower half"] },
    experiment: async (given) => {
      const picky = judged.reduce((x, y) => (y.s > x.s ? y : x));
      const ranked = [...judged].sort(by(({ loss }) => loss));
      const rank = ranked.findIndex((u) => u.unit === picky.unit) + 1;
      const answer = rank === 1 ? 0 : rank <= judged.length / 2 ? 1 : 2;
      const rho = spearman(judged.map((u) => u.s), judged.map((u) => u.loss));
      const beyond = picky.high !== null && picky.loss > picky.high;
      return {
        right: given === answer,
        verdict: `${given === answer ? "Yes" : "No"}: it is number ${rank} of ${judged.length}.`,
        detail: `Unit ${picky.unit} is the most selective (${number(picky.s, 2)}); cut out it adds ${number(picky.loss)} nat, ${beyond ? "more" : "not more"} than random directions of the same norm. Over the ${judged.length} units the rank correlation of selectivity and cost is ${number(rho, 2)} (by chance ±${number(1.96 / Math.sqrt(judged.length - 1), 2)}). One network.`,
        head: ["unit", "loss added (nat)", "selectivity"],
        rows: ranked.map((u) => [u.unit, number(u.loss), number(u.s, 2)]),
        view: { selected: { network: 0, layer: place, unit: picky.unit }, moment: lab.moments - 1 },
      };
    },
  };
}

export function spearman(x: number[], y: number[]): number {
  const [a, b] = [ranks(x), ranks(y)];
  const mean = (a.length - 1) / 2;
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((v, i) => {
    ab += (v - mean) * (b[i] - mean);
    aa += (v - mean) ** 2;
    bb += (b[i] - mean) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}

/** Ranks from 0; equal values share theirs. */
function ranks(values: number[]): number[] {
  return values.map((v) => values.reduce((sum, w) => sum + (w < v ? 1 : w === v ? 0.5 : 0), -0.5));
}

/** Whether two networks, or one at two moments, fail on the same images. */
function together(lab: Lab): Mission {
  const two = lab.models.length > 1;
  const other = two ? 1 : 0;
  const middle = lab.models[other].last >> 1;
  const names = two ? lab.models.slice(0, 2).map((m) => m.data.name) : [`${lab.models[0].data.name} at the end`, "the same half-way"];
  return {
    title: two ? "Do both networks fail on the same digits?" : "Are its last mistakes its early ones?",
    question: `Of the images that ${names[0]} reads wrongly, how many does ${names[1]} read wrongly too? If the two failed independently, it would be as many as of any other images.`,
    predict: { kind: "number", label: "Per cent of them", from: 0, to: 100 },
    experiment: async (given, signal) => {
      const said = [
        (await lab.evaluators[0].answers(lab.models[0].last, NO_CHANGES, signal)).said,
        (await lab.evaluators[other].answers(two ? lab.models[1].last : middle, NO_CHANGES, signal)).said,
      ];
      const wrong = said.map((all) => lab.images.labels.map((label, i) => all[i] !== label));
      const [first, second] = wrong.map((w) => w.filter(Boolean).length);
      const both = wrong[0].map((w, i) => w && wrong[1][i]);
      const count = both.filter(Boolean).length;
      const share = first ? count / first : NaN;
      const rows = wrong[0].flatMap((w, i) => (w || wrong[1][i] ? [[i, lab.images.labels[i], said[0][i], said[1][i]]] : []));
      return {
        right: first > 0 && Math.abs(given / 100 - share) <= 0.1,
        verdict: first ? `${number(100 * share, 0)} %: ${count} of ${first}.` : `${names[0]} makes no mistake on these images.`,
        detail: `${names[0]} fails on ${first} of ${grouped(lab.images.count)} images, ${names[1]} on ${second}, both on ${count}. If they failed independently, both would fail on about ${number((first * second) / lab.images.count)}. You said ${number(given)} %; within 10 points counts as right.`,
        head: ["image", "label", `${names[0]} says`, `${names[1]} says`],
        rows,
        view: count ? { source: both.indexOf(true), moment: lab.moments - 1 } : null,
      };
    },
  };
}

const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const SETS = 5;

/** How many units of the last hidden layer can go. */
function sparing(lab: Lab): Mission | null {
  const model = lab.models[0];
  const place = model.data.layers.length - 1;
  const layer = model.data.layers[place];
  if (layer === undefined) return null;
  const { count } = model.units(layer);
  return {
    title: "How much can be cut out?",
    question: `Units of ${model.data.name} ${short(layer)} are cut out at random. How many of the ${count} must go before fewer than half of the images are read rightly?`,
    predict: { kind: "number", label: "Per cent of the units", from: 0, to: 100 },
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
        rows.push([number(100 * share), number(100 * found[SETS >> 1], 1), `${number(100 * found[0], 1)} to ${number(100 * found[SETS - 1], 1)}`]);
      }
      return {
        right: Math.abs(given / 100 - crossing) <= 0.1,
        verdict: Number.isNaN(crossing) ? "Even without any unit half are read rightly." : `About ${number(100 * crossing)} % of them.`,
        detail: `The middle one of ${SETS} random sets falls below half at ${number(100 * crossing)} % of ${count} units. You said ${number(given)} %; within 10 points counts as right. ${crossing > 0.5 ? "The layer says the same thing many times over." : ""}`,
        head: ["cut out (%)", "right (%), middle set", `${SETS} sets`],
        rows,
        view: { changes: example.map((unit) => ({ network: 0, layer: place, unit, kind: "zero" as const, value: 0 })), moment: lab.moments - 1 },
      };
    },
  };
}

function shuffled(count: number, random: () => number): number[] {
  const found = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}
