import { imagesOf, load } from "./data";
import { Model } from "./engine";
import { Evaluator } from "./evaluate";
import { Trace } from "./backward";

async function start(): Promise<void> {
const page = load();
const images = await imagesOf(page);
const models = await Promise.all(page.networks.map((network) => Model.of(network)));
const evaluators = models.map((model) => new Evaluator(model, images));
  // For the console, and for the tests that hold this forward pass against PyTorch.
Object.assign(window, { microscope: { page, images, models, evaluators, Trace } });
}

void start().then(() => {
  performance.mark("ready");
  document.documentElement.dataset.ready = "";
});
