import { expect, test } from "vitest";
import { bothWays, lasting, told } from "../src/pair";

const WRONG = { label: 4, predicted: 9 };
const OWN = { label: 4, predicted: 4 };
const STEPS = [0, 16, 91, 1000];
const say = (pair: typeof OWN, counts: number[], size = 100, steps = STEPS) => told("MLP", pair, steps, counts, size);

test("a condition lasts from after the last snapshot at which it does not hold", () => {
  expect(lasting([true, false, true, true])).toBe(2);
  expect(lasting([true, true])).toBe(0);
  expect(lasting([true, false])).toBe(-1);
});

test.each([
  [[6, 70, 5, 2], 100, "are most, 70 of 100, at step 16, and at most 5 of 100 from step 91 on."],
  [[4, 70, 6, 2], 100, "are most, 70 of 100, at step 16, and at most 5 of 100 only at the last snapshot, step 1,000."],
  [[4, 70, 5, 12], 100, "are most, 70 of 100, at step 16, and still 12 of 100 at the last snapshot, step 1,000, not 5 or fewer."],
  [[0, 3, 3, 1], 100, "are most, 3 of 100, at step 16, and at most 5 of 100 at every snapshot."],
  [[0, 3, 0, 0], 12, "are most, 3 of 12, at step 16, and 0 of 12 from step 91 on."],
])("images predicted as another class: %j of %d", (counts, size, rest) => {
  expect(say(WRONG, counts, size)).toBe(`MLP: images of class 4 predicted as 9 ${rest}`);
});

test.each([
  [[10, 49, 50, 96], "10 of 100 at step 0 and 96 of 100 at step 1,000, at least 50 of 100 from step 91 on."],
  [[10, 60, 50, 40], "10 of 100 at step 0 and 40 of 100 at step 1,000, fewer than 50."],
  [[60, 60, 50, 90], "60 of 100 at step 0 and 90 of 100 at step 1,000, at least 50 of 100 at every snapshot."],
])("images predicted as their own class: %j", (counts, rest) => {
  expect(say(OWN, counts)).toBe(`MLP: images of class 4 predicted as 4 are ${rest}`);
});

test("no images, one snapshot, and a class that is never predicted", () => {
  expect(say(WRONG, [0, 0, 0, 0], 0)).toBe("MLP: none of the images is of class 4.");
  expect(say(WRONG, [7], 100, [1000])).toBe("MLP: 7 of 100 images of class 4 are predicted as 9 at step 1,000.");
  expect(say(WRONG, [0, 0, 0, 0])).toBe("MLP: no image of class 4 is predicted as 9 at any snapshot.");
});

test("two classes are told both ways, each out of its own images; a class itself once", () => {
  const confusion = [[30, 70, 6, 44], [95, 5, 10, 40], [98, 2, 0, 50]].map(([a, b, c, d]) => [[a, b], [c, d]]);
  expect(bothWays("MLP", { label: 0, predicted: 1 }, [0, 16, 91], confusion)).toEqual([
    "MLP learns to tell class 0 from 1 mostly between steps 0 and 16. From step 91 on, it predicts at most 5% of either class as the other.",
    "MLP: images of class 0 predicted as 1 are most, 70 of 100, at step 0, and at most 5 of 100 from step 16 on.",
    "The other way: images of class 1 predicted as 0 are most, 10 of 50, at step 16, and at most 2 of 50 only at the last snapshot, step 91.",
  ]);
  expect(bothWays("MLP", { label: 1, predicted: 0 }, [0, 16, 91], confusion)[0]).toBe("MLP learns to tell class 1 from 0 mostly between steps 0 and 16. From step 91 on, it predicts at most 5% of either class as the other.");
  const absent = confusion.map(([own]) => [own, [0, 0]]);
  expect(bothWays("MLP", { label: 0, predicted: 1 }, [0, 16, 91], absent)[0]).toBe("MLP learns to tell class 0 from 1 mostly between steps 0 and 16. From step 16 on, it predicts at most 5% of either class as the other.");
  const never = confusion.map(([[a, b], one]) => [[a, b], [one[0] + one[1] - 9, 9]]);
  expect(bothWays("MLP", { label: 0, predicted: 1 }, [0, 16, 91], never)[0]).toMatch(/^MLP: images/); // one way it is confused to the end
  expect(bothWays("MLP", { label: 1, predicted: 1 }, [0, 16, 91], confusion)).toEqual(["MLP: images of class 1 predicted as 1 are 44 of 50 at step 0 and 50 of 50 at step 91, at least 25 of 50 at every snapshot."]);
});
