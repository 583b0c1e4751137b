import { expect, test } from "vitest";
import { amongOf } from "../src/filter";
import type { Lab } from "../src/lab";
import { initial, type State } from "../src/state";

/** Six images of classes 0, 1 and 2, of which one network misclassifies images 1 and 4 at its second snapshot; its first is not yet known. */
const LAB = {
  images: { labels: [0, 1, 2, 0, 1, 2] },
  evaluators: [{ known: (snapshot: number) => (snapshot ? [0, 2, 2, 0, 0, 2] : null) }],
  snapshot: (_: number, frame: number) => frame,
} as unknown as Lab;

const among = (label: number | null, mistakes: number | null, frame = 1) => amongOf(LAB, { ...initial(2, 0), frame, filter: { label, mistakes } } as State);

test("filters by class and by mistakes, and by both", () => {
  expect(among(null, null)).toEqual({ list: [0, 1, 2, 3, 4, 5], ready: true });
  expect(among(1, null)).toEqual({ list: [1, 4], ready: true });
  expect(among(null, 0)).toEqual({ list: [1, 4], ready: true });
  expect(among(1, 0)).toEqual({ list: [1, 4], ready: true });
  expect(among(2, 0)).toEqual({ list: [], ready: true });
});

test("while the predictions are unknown it is not ready, and leaves no image out", () => {
  expect(among(0, 0, 0)).toEqual({ list: [0, 3], ready: false });
});
