import { expect, test, vi } from "vitest";
import type { Images } from "../src/data";
import { Workers } from "../src/workers";

test("the page asks for the time before a worker can", () => {
  const asked: string[] = [];
  vi.stubGlobal("WORKER", "");
  vi.stubGlobal("navigator", { hardwareConcurrency: 2 });
  vi.stubGlobal("Worker", class extends EventTarget {
    constructor() {
      super();
      asked.push("worker");
    }
    postMessage(): void {}
  });
  vi.spyOn(performance, "now").mockImplementation(() => asked.push("time"));
  new Workers([], { count: 2, pixels: new Float32Array(2) } as Images);
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  expect(asked[0]).toBe("time");
  expect(asked).toContain("worker");
});
