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
