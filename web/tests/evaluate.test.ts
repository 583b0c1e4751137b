import { expect, test, vi } from "vitest";
import type { Images } from "../src/data";
import type { Model } from "../src/engine";
import { Evaluator } from "../src/evaluate";
import type { Workers } from "../src/workers";

test("an answer that all who asked have left is no unhandled error", async () => {
  const unheard = vi.fn();
  process.on("unhandledRejection", unheard);
  const workers = { all: [], onError: () => undefined, next: () => 0, give: () => Promise.resolve() } as unknown as Workers;
  const evaluator = new Evaluator(0, {} as Model, {} as Images, workers);
  await expect(evaluator.answers(0, new Map(), AbortSignal.abort())).rejects.toThrow(/abort/i);
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("unhandledRejection", unheard);
  expect(unheard).not.toHaveBeenCalled();
});

test("a worker is sent one image, not the memory of all that it lies in", async () => {
  const sent: Float32Array[] = [];
  const worker = { flips: (_: number, __: number, pixels: Float32Array) => sent.push(pixels), traced: (_: number, __: string, pixels: Float32Array) => sent.push(pixels), cancel: () => undefined };
  const workers = { all: [worker], onError: () => undefined, next: () => 0, give: () => Promise.resolve() } as unknown as Workers;
  const evaluator = new Evaluator(0, {} as Model, {} as Images, workers);
  const image = new Float32Array(1000).fill(0.5).subarray(20, 24);
  await evaluator.flips(image, 0, new AbortController().signal);
  await evaluator.traced("pattern", image, 0, "layer", 0);
  expect(sent.map((pixels) => [...pixels])).toEqual([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]);
  expect(sent.map((pixels) => pixels.buffer.byteLength)).toEqual([16, 16]);
});

test("workers make ready for changes until the reader moves on", async () => {
  const said: string[] = [];
  const worker = (name: string) => ({
    prepare: async (...given: number[]) => {
      said.push(`${name} prepares ${given.join()}`);
      throw new Error("no memory");
    },
    cancel: (request: number) => said.push(`${name} drops ${request}`),
  });
  const workers = { all: [worker("a"), worker("b")], onError: () => undefined, next: () => 7, give: () => Promise.resolve() } as unknown as Workers;
  const evaluator = new Evaluator(1, {} as Model, {} as Images, workers);
  await evaluator.prepare(3, AbortSignal.abort());
  expect(said).toEqual([]);
  const stop = new AbortController();
  await evaluator.prepare(3, stop.signal);
  stop.abort();
  expect(said).toEqual(["a prepares 7,1,3", "b prepares 7,1,3", "a drops 7", "b drops 7"]);
});
