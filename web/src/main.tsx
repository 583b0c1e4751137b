import { render } from "preact";
import { App } from "./app";
import { Trace } from "./backward";
import { imagesOf, load } from "./data";
import { Model } from "./engine";
import { Lab } from "./lab";
import { centred, Ink } from "./pen";

async function start(): Promise<void> {
  const page = load();
  const [images, ...models] = await Promise.all([imagesOf(page), ...page.networks.map((network) => Model.of(network))]);
  const lab = new Lab(page, images, models);
  // For the console, and for the tests that hold this forward pass against PyTorch.
  Object.assign(window, { microscope: { page, images, models, evaluators: lab.evaluators, lab, Trace, Ink, centred } });
  const place = document.getElementById("app")!;
  place.textContent = "";
  render(<App lab={lab} />, place);
  requestAnimationFrame(() => {
    performance.mark("ready");
    document.documentElement.dataset.ready = "";
  });
}

start().catch((error: Error) => {
  document.getElementById("app")!.textContent = `This page could not start: ${error.message}`;
  throw error;
});
