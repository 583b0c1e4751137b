import { beforeAll, expect, test, vi } from "vitest";
import { Trace } from "../src/backward";
import { Computer } from "../src/compute";
import type { Images } from "../src/data";
import { type Change, type Changes, highest, inWebAssembly, type Model, NO_CHANGES } from "../src/engine";
import { compiled } from "../src/kernel";
import { shiftOf } from "../src/shift";
import { apart, convolutional, images, numbers, residual } from "./networks";

const { signal } = new AbortController();
let [model, all] = [undefined as unknown as Model, undefined as unknown as Images];
beforeAll(async () => {
  [model, all] = [await convolutional(), images(25, 8, 4)];
});

/** Each image on its own, from the pixels on. */
function oneByOne(snapshot: number, changes: Changes): number[] {
  return Array.from({ length: all.count }, (_, i) => [...model.forward(all.pixels.subarray(64 * i, 64 * i + 64), snapshot, changes).get("logits")!]).flat();
}

const one = (layer: string, unit: number, change: Change): Changes => new Map([[layer, new Map([[unit, change]])]]);
const CASES: Record<string, Changes> = {
  "a zero through pooling": one("layers.0.hook_post", 2, { kind: "zero" }),
  "a clamp through pooling": one("layers.0.hook_post", 0, { kind: "clamp", value: 0.8 }),
  "a factor through pooling": one("layers.0.hook_post", 4, { kind: "scale", value: 2.5 }),
  "a factor below 0, which makes the lowest the highest": one("layers.0.hook_post", 1, { kind: "scale", value: -1 }),
  "a patch": one("layers.0.hook_post", 3, { kind: "patch", values: Float32Array.from(numbers(64, 5)) }),
  "before a nonlinearity": one("layers.0.hook_pre", 3, { kind: "zero" }),
  "flattened maps": one("layers.1.hook_post", 5, { kind: "zero" }),
  "a unit": one("layers.2.hook_post", 6, { kind: "clamp", value: -3 }),
  "two layers": new Map([...one("layers.0.hook_post", 1, { kind: "zero" }), ...one("layers.2.hook_post", 0, { kind: "scale", value: 0.5 })]),
  "several units": new Map([["layers.0.hook_post", new Map<number, Change>([[0, { kind: "zero" }], [1, { kind: "scale", value: 3 }], [4, { kind: "clamp", value: 1 }]])]]),
};

test.each(Object.keys(CASES))("%s: what is computed from the change on equals a whole pass", async (name) => {
  for (const [wasm, mostKept] of [[true, 1e6], [false, 1e6], [true, 0], [false, 3000]] as const) {
    inWebAssembly(wasm ? compiled() : null);
    const computer = new Computer(model, all, mostKept); // with little or nothing kept, too
    for (const snapshot of [0, 1]) {
      expect(apart((await computer.found(snapshot, CASES[name], signal)).logits, oneByOne(snapshot, CASES[name]))).toBeLessThan(1e-4);
    }
  }
  inWebAssembly();
});

test.each([0, 1, 2, 3, 4])("of a network with branches, a change at layer %i is computed as a whole pass", async (layer) => {
  const branched = await residual();
  for (const [wasm, mostKept] of [[true, 1e6], [false, 1e6], [true, 0], [true, 9000]] as const) {
    inWebAssembly(wasm ? compiled() : null);
    const computer = new Computer(branched, all, mostKept);
    for (const change of [{ kind: "zero" }, { kind: "scale", value: 1.7 }, { kind: "clamp", value: 0.4 }] as const) {
      const changes = one(`layers.${layer}`, 2, change);
      const whole = Array.from({ length: all.count }, (_, i) => [...branched.forward(all.pixels.subarray(64 * i, 64 * i + 64), 1, changes).get("logits")!]).flat();
      expect(apart((await computer.found(1, changes, signal)).logits, whole)).toBeLessThan(1e-4);
    }
  }
  inWebAssembly();
  const pixels = all.pixels.subarray(0, 64);
  expect(await new Computer(branched, all, 0).flips(pixels, 1, signal)).toMatchObject({ units: expect.any(Array) });
});

test("a change that a later sum reads too is no shift of the next layer's output", async () => {
  const branched = await residual();
  const shift = (layer: number) => shiftOf(branched, one(`layers.${layer}`, 1, { kind: "zero" }))?.place ?? null;
  expect([0, 1, 2, 3, 4].map(shift)).toEqual([null, null, null, null, 19]); // layer 1's convolution is followed by a sum with what comes before it
});

test("gradients through branches are slopes", async () => {
  const [branched, pixels] = [await residual(), all.pixels.subarray(64, 128)];
  for (const layer of [0, 2, 3]) {
    const found = new Trace(branched, pixels, 0).contributions(`layers.${layer}`, 1);
    const at = (value: number) => branched.forward(pixels, 0, one(`layers.${layer}`, 1, { kind: "scale", value })).get("logits")!;
    const [more, less] = [at(1.01), at(0.99)];
    expect(apart(found, more.map((v, i) => (v - less[i]) / 0.02))).toBeLessThan(5e-3);
    expect(Math.max(...found.map(Math.abs))).toBeGreaterThan(0.01);
  }
});

test("only changes that stay linear up to the next layer are shifts of its output", () => {
  expect(Object.keys(CASES).filter((name) => !shiftOf(model, CASES[name]))).toEqual(["a factor below 0, which makes the lowest the highest", "before a nonlinearity"]);
});

test("means are those of each map", async () => {
  const { means } = await new Computer(model, all, 1e6).found(1, null, signal);
  const third = model.forward(all.pixels.subarray(64 * 3, 64 * 4), 1).get("layers.0.hook_post")!;
  const expected = [0, 1, 2, 3, 4].map((unit) => third.subarray(64 * unit, 64 * unit + 64).reduce((a, b) => a + b, 0) / 64);
  expect(apart(means!.get("layers.0.hook_post")!.subarray(15, 20), expected)).toBeLessThan(1e-6);
});

test("visited snapshots are kept as long as there is room for them, the last used ones", async () => {
  const load = vi.spyOn(model, "load");
  const made = async (mostKept: number, visits: number[]) => {
    const computer = new Computer(model, all, mostKept);
    load.mockClear();
    for (const snapshot of visits) await computer.found(snapshot, CASES["a unit"], signal);
    return load.mock.calls.map(([snapshot]) => snapshot);
  };
  expect(await made(1e6, [0, 1, 0, 1])).toEqual([0, 1]);
  expect(await made(6000, [0, 1, 1, 0])).toEqual([0, 1, 0]); // one takes 25 · (5 · 4 + 6 · 6 + 7 + 7 + 4 + …)
  load.mockRestore();
});

test("work that nobody waits for stops", async () => {
  const stop = new AbortController();
  const many = images(3000, 8, 4);
  const work = new Computer(model, many, 1e6).found(0, null, stop.signal);
  stop.abort();
  await expect(work).rejects.toThrow(/abort/i);
});

test("a pause to read messages opens no channel of its own", async () => {
  const channels = vi.spyOn(globalThis, "MessageChannel");
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 1000)); // each look at the clock is a pause
  await new Computer(model, all, 1e6).found(0, null, signal);
  expect(now).toBeGreaterThan(2000);
  expect(channels).not.toHaveBeenCalled();
  clock.mockRestore();
});

test("a worker answers in turn, drops what is withdrawn, and keeps no trace of either", async () => {
  vi.stubGlobal("addEventListener", () => undefined); // comlink's, in a worker
  const { api, stops } = await import("../src/worker");
  api.start([{ ...model.data, weights: [] }], all, 1e6, null);
  for (const snapshot of [0, 1]) api.take(0, snapshot, await model.numbersOf(snapshot));
  const [first, gone, last] = [api.found(1, 0, 0, null), api.found(2, 0, 1, CASES["a unit"]), api.found(3, 0, 0, CASES["a unit"])];
  api.cancel(2);
  api.cancel(99);
  await expect(gone).rejects.toThrow(/abort/i);
  expect(apart((await first).logits, oneByOne(0, NO_CHANGES))).toBeLessThan(1e-4);
  expect(apart((await last).logits, oneByOne(0, CASES["a unit"]))).toBeLessThan(1e-4);
  await expect(api.found(4, 0, 77, null)).rejects.toThrow();
  const [prepared, dropped] = [api.prepare(5, 0, 1), api.prepare(6, 0, 0)];
  api.cancel(6);
  await expect(dropped).rejects.toThrow(/abort/i);
  expect(await prepared).toBeUndefined();
  expect(stops.size).toBe(0);
  const pixels = all.pixels.subarray(0, 64);
  expect(await api.traced(0, "pattern", pixels, 1, "layers.1.hook_post", 2)).toEqual(new Trace(model, pixels, 1).pattern("layers.1.hook_post", 2));
});

test("a contribution is the slope of a logit along a unit's activation", () => {
  const pixels = all.pixels.subarray(64, 128);
  const found = new Trace(model, pixels, 0).contributions("layers.0.hook_post", 2);
  const at = (value: number) => model.forward(pixels, 0, one("layers.0.hook_post", 2, { kind: "scale", value })).get("logits")!;
  const [more, less] = [at(1.01), at(0.99)];
  expect(apart(found, more.map((v, i) => (v - less[i]) / 0.02))).toBeLessThan(2e-3);
});

test("flips are found over every unit, and the best leads by most", async () => {
  const computer = new Computer(model, all, 0);
  let sum = 0;
  for (let i = 0; i < 5; i++) {
    const pixels = all.pixels.subarray(64 * i, 64 * i + 64);
    const usual = highest(model.forward(pixels, 1).get("logits")!);
    const leads = model.data.layers.flatMap((layer, place) => Array.from({ length: model.units(layer).count }, (_, unit) => {
      const logits = model.forward(pixels, 1, one(layer, unit, { kind: "zero" })).get("logits")!;
      return { layer: place, unit, lead: Math.max(...logits) - logits[usual] };
    })).filter(({ lead }) => lead > 0);
    const { layer, unit } = leads.reduce((a, b) => (b.lead > a.lead ? b : a), { layer: -1, unit: -1, lead: 0 });
    expect(await computer.flips(pixels, 1, signal)).toEqual({ units: leads.map(({ layer, unit }) => ({ layer, unit })), best: leads.length ? { layer, unit } : null });
    sum += leads.length;
  }
  expect(sum).toBeGreaterThan(0);
});

test("predictions alone fill no memory for changes; what was prepared is not computed again", async () => {
  const load = vi.spyOn(model, "load");
  const loads = async (...work: (() => Promise<unknown>)[]) => {
    load.mockClear();
    for (const one of work) await one();
    return load.mock.calls.length;
  };
  const computer = new Computer(model, all, 1e6);
  const [plain, change, prepared] = [() => computer.found(0, null, signal), () => computer.found(0, CASES["a unit"], signal), () => computer.prepare(0, signal)];
  expect(await loads(plain, plain)).toBe(2);
  expect(await loads(prepared)).toBe(1);
  expect(await loads(change, prepared, change)).toBe(0);
  load.mockRestore();
});
