import { afterEach, expect, test } from "vitest";
import type { Lab } from "../src/lab";
import { searched } from "../src/sets";
import { called, kindOf, nameClasses, classOf, ofDigits, shortened, withNames } from "../src/classes";
import { words } from "../src/words";

afterEach(() => nameClasses([]));

test("classes without names are called by their numbers", () => {
  expect([called(3), kindOf(3), classOf(3), classOf(null), withNames("class 3")]).toEqual(["3", "a 3", "3", "–", "class 3"]);
});

test("names stand in place of numbers, and after them in a claim", () => {
  nameClasses(["shirt", "bag"]);
  expect([called(1), kindOf(0), classOf(1)]).toEqual(["bag", "class shirt", "bag"]);
  expect(withNames("Class 0 is misclassified as 1: 6; classes 0 and 1 of 2, class 9")).toBe("Class 0 (shirt) is misclassified as 1 (bag): 6; classes 0 (shirt) and 1 (bag) of 2, class 9");
});

test("units are found by the name or number of the class that they prefer", () => {
  const data = { name: "MLP", layers: ["layers.0"], preferred: { "layers.0": [0, 1, null] } };
  const lab = { models: [{ data, units: () => ({ count: 3, each: 1 }) }], layer: () => "layers.0" } as unknown as Lab;
  const units = (text: string) => searched(lab, text).map(({ unit }) => unit);
  expect([units("class 1"), units("class bag"), units("2")]).toEqual([[1], [], [2]]);
  nameClasses(["T-shirt", "ankle boot"]);
  expect([units("class 1"), units("class ankle boot"), units("t-shirt layers.0"), units("class sneaker")]).toEqual([[1], [1], [0], []]);
});

test("only images of digits are called digits", () => {
  const told = (names: string[], dataset: string) => {
    nameClasses(names, dataset);
    return [ofDigits(), words.top.told(), kindOf(1)];
  };
  for (const dataset of ["mnist", "digits", "digits, enlarged"]) expect(told([], dataset)).toEqual([true, "Draw a digit or choose an image; click a unit to change it.", "a 1"]);
  for (const dataset of ["fashion-mnist", "own data", "kmnist"]) expect(told([], dataset)).toEqual([false, "Choose an image or draw one; click a unit to change it.", "class 1"]);
  expect(told(["bag", "shirt"], "mnist")).toEqual([false, "Choose an image or draw one; click a unit to change it.", "class shirt"]);
  expect(words.digit.keys()).toMatch(/^Draw an image\./);
});

test("a long name is shortened", () => {
  expect([shortened("ankle boot"), shortened("a checkerboard of red")]).toEqual(["ankle boot", "a checkerboar…"]);
});
