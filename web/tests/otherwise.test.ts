// Replays and influence: where they are on the page, at which step they are read, and which end of a list helped.

import { expect, test } from "vitest";
import type { ReplayData } from "../src/data";
import { ends, kindOf } from "../src/influence";
import type { Lab } from "../src/lab";
import { firstReplay, forkAt, forking, lostIn, marksOf, measuredAt, reach, replayAt, replaysOf } from "../src/otherwise";
import { onLeft } from "../src/replay";

const replay = (more: Partial<ReplayData>): ReplayData => ({ name: "a", wrong: "", at: 8, steps: [8, 9, 16], lost: [], ...more });
const BROKEN = { name: "b", wrong: "Not measured: …" };
const LAB = { models: [{ data: {} }, { data: { replays: [BROKEN, replay({ lost: [{ layer: 0, unit: 2 }, { layer: 0, unit: 3 }] }), replay({ lost: [{ layer: 0, unit: 2 }] })] } }] } as unknown as Lab;

test("replays of all networks are listed, and the first that was measured is shown at first", () => {
  expect(replaysOf(LAB)).toEqual([0, 1, 2].map((place) => ({ network: 1, place })));
  expect(firstReplay(LAB)).toEqual({ network: 1, place: 1 });
  expect(firstReplay({ models: [{ data: {} }] } as unknown as Lab)).toBeNull();
  expect(replayAt(LAB, { network: 1, place: 0 })).toBe(BROKEN);
  expect(replayAt(LAB, null)).toBeNull();
});

test("the replays that lost a unit: that of the unit alone first, and none of another unit, layer or network", () => {
  expect(lostIn(LAB, { network: 1, layer: 0, unit: 2 }).map(({ place }) => place)).toEqual([2, 1]);
  expect(lostIn(LAB, { network: 1, layer: 0, unit: 3 }).map(({ place }) => place)).toEqual([1]);
  for (const at of [{ network: 1, layer: 0, unit: 4 }, { network: 1, layer: 1, unit: 2 }, { network: 0, layer: 0, unit: 2 }]) expect(lostIn(LAB, at)).toEqual([]);
});

test("values are those of the nearest measured step, and of none before the fork", () => {
  const steps = [8, 9, 16, 32];
  expect([0, 7, 8, 12, 13, 25, 99].map((step) => measuredAt(steps, step))).toEqual([-1, -1, 0, 1, 2, 3, 3]);
});

test("a fork is made at the last kept step before the one shown, and at the end of training near its middle", () => {
  const kept = [0, 4, 16, 60];
  expect([0, 3, 4, 30, 99].map((step) => forkAt(kept, step, 100))).toEqual([0, 0, 4, 16, 60]);
  expect(forkAt(kept, 100, 100)).toBe(60);
  expect(forkAt([0, 16], 100, 100)).toBe(16);
  expect(forkAt([4], 0, 100)).toBe(4);
});

test("the Python asks for no more null branches than there are other units", () => {
  expect(forking("runs/mlp", "layers.1", 3, 128, 16)).toContain('nm.replay(run, at=16, change=change, branches=8, nulls=20)');
  expect(forking("runs/mlp", "layers.1", 3, 6, 16)).toContain("microscope replay runs/mlp --at 16 --ablate layers.1:3 --branches 8 --nulls 5");
});

test("a takeover is marked only where Python says by when", () => {
  const taken = { unit: 1, layer: "layers.0", orders: 6, effect: null as never };
  expect(marksOf(replay({ takeover: { ...taken, by: 16 } })).map(({ step, name }) => [step, name])).toEqual([[8, "fork"], [16, "taken"]]);
  expect(marksOf(replay({ takeover: { ...taken, by: null } })).map(({ name }) => name)).toEqual(["fork"]);
  expect(marksOf(replay({})).map(({ name }) => name)).toEqual(["fork"]);
});

test("words at a mark stay inside their picture, those of a fork before it where there is room", () => {
  const fork = { step: 8, text: "fork, step 8", name: "fork" as const };
  const taken = { step: 16, text: "taken over by step 151", name: "taken" as const };
  expect([100, 130, 700].map((x) => onLeft(fork, x, 48, 776))).toEqual([false, true, true]);
  expect([170, 100, 260].map((x) => onLeft(taken, x, 40, 268))).toEqual([true, false, true]);
});

test("both bands fit the picture, also where they are one line", () => {
  const band = (low: number, high: number) => ({ mean: [low, high], low: [low, low], high: [high, null] });
  expect(reach({ twin: band(0.2, 0.9), branch: band(0.1, 0.4) })).toEqual([0.1, 0.9]);
  expect(reach({ twin: band(1, 1), branch: band(1, 1) })).toEqual([0.5, 1.5]);
});

test("an image that raises a margin helped, one that raises a loss harmed; the helpful end stands first", () => {
  expect([1, -1, 0].map((sign) => kindOf("raise", sign))).toEqual(["helped", "harmed", "raised"]);
  expect([1, -1, 0].map((sign) => kindOf("lower", sign))).toEqual(["harmed", "helped", "lowered"]);
  expect([1, -1].map((sign) => ends(sign).map((end) => kindOf(end, sign)))).toEqual([["helped", "harmed"], ["helped", "harmed"]]);
});
