// A cell of the confusion matrix over training, in one sentence.

import type { Pair } from "./state";
import { words } from "./words";

/** At most this share of a class's images counts as few; of the class itself at least half are most. */
export const FEW = 0.05;
export const MOST = 0.5;

/** The first snapshot at which, and at every later one, a condition holds; -1 if it does not at the last. */
export function lasting(holds: boolean[]): number {
  const after = holds.lastIndexOf(false) + 1;
  return after < holds.length ? after : -1;
}

const sizeOf = (confusion: number[][][], label: number) => confusion[0][label].reduce((a, b) => a + b, 0);

/** The first snapshot from which on, of two classes, few images of each are predicted as the other; of one, most as itself. -1 if it isn't so at the last. */
export function settledAt({ label, predicted }: Pair, confusion: number[][][]): number {
  if (label === predicted) return lasting(confusion.map((counts) => counts[label][label] >= Math.ceil(MOST * sizeOf(confusion, label))));
  const few = (from: number, to: number) => lasting(confusion.map((counts) => counts[from][to] <= Math.floor(FEW * sizeOf(confusion, from))));
  const first = [few(label, predicted), few(predicted, label)];
  return Math.min(...first) < 0 ? -1 : Math.max(...first);
}

/** How many of a class's `size` images are predicted as the pair's class, snapshot by snapshot (`counts`), with the rule of words.pair.rule. */
export function told(name: string, pair: Pair, steps: number[], counts: number[], size: number): string {
  const { empty, one, never, wrong, right, of, few, half, tooMany, tooFew, every, from, last } = words.pair;
  const end = steps.length - 1;
  const [own, most] = [pair.label === pair.predicted, Math.max(...counts)];
  if (!size) return empty(name, pair.label);
  if (!end) return one(name, pair, of(counts[0], size), steps[0]);
  if (!most) return never(name, pair);
  const limit = own ? Math.ceil(MOST * size) : Math.floor(FEW * size);
  const first = lasting(counts.map((count) => (own ? count >= limit : count <= limit)));
  const bound = own ? half(limit, size) : few(limit, size);
  const so = () => (first === 0 ? every(bound) : (first === end ? last : from)(bound, steps[first]));
  if (own) return right(name, pair, of(counts[0], size), steps[0], of(counts[end], size), steps[end], first < 0 ? tooFew(limit) : so());
  return wrong(name, pair, of(most, size), steps[counts.indexOf(most)], first < 0 ? tooMany(limit, size, counts[end], steps[end]) : so());
}

/** The same of a network's confusion matrices, in sentences; of two classes both ways, after the answer in short where there is one. */
export function bothWays(name: string, { label, predicted }: Pair, steps: number[], confusion: number[][][]): string[] {
  const counts = (from: number, to: number) => confusion.map((one) => one[from][to]);
  const one = (who: string, from: number, to: number) => told(who, { label: from, predicted: to }, steps, counts(from, to), sizeOf(confusion, from));
  if (label === predicted) return [one(name, label, predicted)];
  const first = settledAt({ label, predicted }, confusion);
  const found = [one(name, label, predicted), one(words.pair.other, predicted, label)];
  if (first <= 0) return found;
  const shares = [[label, predicted], [predicted, label]].map(([from, to]) => counts(from, to).map((count) => count / Math.max(1, sizeOf(confusion, from))));
  const [there, back] = shares.map((way) => Math.max(...way));
  const more = shares[there >= back ? 0 : 1]; // the way that is confused more
  const most = more.indexOf(Math.max(there, back));
  const few = lasting(more.map((share) => share <= FEW));
  return [words.pair.apart(name, { label, predicted }, steps[most], steps[few], steps[first]), ...found];
}
