import { render } from "preact";
import { addressed } from "./address";
import { App } from "./app";
import { Trace } from "./backward";
import { nullBand, pValue, probability, shown } from "./chance";
import { nameClasses } from "./classes";
import { claimsOf, imagesOf, load, taughtOf } from "./data";
import { inWebAssembly, Model } from "./engine";
import { Lab } from "./lab";
import { missions } from "./missions";
import { glossary } from "./parts";
import { centered, Ink } from "./pen";
import * as sums from "./sums";
import { words } from "./words";

async function start(): Promise<void> {
  inWebAssembly();
  const page = load();
  Object.assign(glossary, page.glossary);
  nameClasses(page.images.classNames ?? [], page.images.dataset);
  if (page.images.classNames) document.documentElement.dataset.named = "";
  const images = await imagesOf(page);
  const models = page.networks.map((network) => new Model(network));
  const claims = await Promise.all(page.networks.map(claimsOf));
  const lab = new Lab(page, images, models, claims, await taughtOf(page));
  const first = addressed(lab);
  await lab.load(first.frame);
  // For the console, and for the tests that compare the page with PyTorch and with the library.
  Object.assign(window, { microscope: { page, images, models, evaluators: lab.evaluators, lab, Trace, inWebAssembly, sums, Ink, centered, pValue, probability, nullBand, shown, missions } });
  document.title = words.page.title(models.map((model) => model.data.name));
  const place = document.getElementById("app")!;
  place.textContent = "";
  render(<App lab={lab} start={first} />, place);
  requestAnimationFrame(() => {
    performance.mark("ready");
    document.documentElement.dataset.ready = "";
    void rest(lab);
  });
}

/** Loads the other snapshots while the reader looks at the first, and gives the workers what there is room for. */
async function rest(lab: Lab): Promise<void> {
  for (let frame = lab.frames - 1; frame >= 0; frame--) {
    await lab.load(frame);
    await lab.give(frame);
  }
}

start().catch((error: Error) => {
  document.getElementById("app")!.textContent = words.page.failed(error.message);
  throw error;
});
