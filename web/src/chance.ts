// Random sets of units and p-values: the same rules and numbers as Python's statistics.p_values, null_band and shown and claim.probability.

import { points } from "./numbers";
import { words } from "./words";

/** Relative difference below which two numbers count as equal. */
const TIE = 1e-12;

/** (1 + draws at or above the value) / (1 + draws): never below 1 / (1 + draws). */
export function pValue(value: number, draws: number[]): number {
  return (1 + draws.filter((draw) => draw >= value - TIE * Math.abs(value)).length) / (1 + draws.length);
}

/** A p-value in words; at its floor it is printed as a bound with the number of draws. */
export function probability(p: number, draws: number): string {
  const floor = 1 / (1 + draws);
  if (p <= floor * (1 + 1e-9)) return words.p.bound(Number((Math.ceil(floor * 1e4) / 1e4).toPrecision(3)), draws);
  return words.p.value(p.toFixed(3));
}

/** By how many points random units change an accuracy, from their drops of it: from the largest fall to the largest rise. */
export function changing(drops: number[]): string {
  return words.effect.range(points(-Math.max(...drops)), points(-Math.min(...drops)));
}

const ALPHA = 0.05;

/** The verdict on a p-value, as statistics.shown. */
export function shown(p: number): boolean {
  return p < ALPHA;
}

/** The 2.5 and 97.5 percentiles of the draws of a null, as statistics.null_band. */
export function nullBand(draws: number[]): [number, number] {
  const sorted = [...draws].sort((a, b) => a - b);
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    return sorted[below] + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
  };
  return [at(0.025), at(0.975)];
}

/** How many sets of `size` there are among `count`. */
export function choices(count: number, size: number): number {
  let found = 1;
  for (let i = 1; i <= Math.min(size, count - size); i++) found = (found * (count - i + 1)) / i;
  return Math.round(found);
}

/** Mulberry32: the same numbers from the same seed, in every browser. */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** 0 to count - 1 in random order. */
export function shuffled(count: number, random: () => number): number[] {
  const found = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}
