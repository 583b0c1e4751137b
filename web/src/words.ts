// Every word on the screen. In a sentence `[term]` or `[term|shown]` has its explanation from the glossary, and `{name}` is a place that
// the view fills (parts.tsx: Say). With ?pseudo in the address each entry is shown in ⟦⟧: what is outside of them was written elsewhere.

import { grouped, number } from "./numbers";

/** "1 image", "2 images". */
const count = (n: number, one: string, more = `${one}s`) => `${grouped(n)} ${n === 1 ? one : more}`;

const percent = (share: number, digits?: number) => `${number(100 * share, digits)}%`;

const english = {
  page: {
    failed: (reason: string) => `This page could not start: ${reason}`,
    version: (got: number, reads: number) => `this page's data has version ${got}; its script reads version ${reads}`,
  },
  common: {
    running: "Running all images …",
    updating: "updating …",
    close: "Close",
    copy: "Copy",
    copied: "Copied.",
    blocked: "This browser blocks copying; select the text instead.",
  },
  numbers: {
    title: "The numbers",
    csv: "CSV",
    saveTable: (name: string) => `Save the table as CSV: ${name}`,
    savePicture: (i: number, kind: string, name: string) => `Save picture ${i} as ${kind}: ${name}`,
  },
  filter: {
    title: "Filter images",
    label: "Class",
    all: "all",
    mistakes: "Misclassified by",
    any: "any or none",
    found: (n: number) => (n ? count(n, "image") : "No images match. Choose another class or network."),
  },
  scale: {
    title: "Color scale",
    this: "this snapshot",
    all: "all snapshots",
  },
  map: {
    title: "Map of the images",
    larger: "Larger",
    network: "Network",
    layer: "Layer",
    color: "Color by",
    colors: { class: "class", said: "predicted class", error: "correct or misclassified" },
    none: "This layer was not recorded, or has fewer than two units.",
    axes: (images: number, layer: string, explained: number[], chance: number) =>
      `${grouped(images)} images on the two [principal components] of ${layer} at the end of training (${percent(explained[0])} and ${percent(explained[1])} of its variance; chance level at most ${percent(chance)}). The axes are the same at every snapshot.`,
    role: "map",
    keys: (images: number) => `Map of ${images} images. Plus and minus zoom, arrow keys pan, 0 shows all, Escape clears the selection. The table below lists every image.`,
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    all: "Show all",
    finger: "Select by finger",
    hint: "Click a point to open its image, drag around points to select them, Ctrl and the wheel zoom. The ring marks the current image.",
    near: (image: number, label: number, predicted: number | undefined) => `Image ${image}: a ${label}${predicted === undefined ? "" : `, predicted ${predicted}`}.`,
    table: "All images on the map",
    name: (network: string, layer: string, step: number) => `${network} ${layer} step ${step} map`,
    head: ["image", "label", "predicted", "component 1", "component 2"],
    caption: (title: string, images: number, color: "class" | "said" | "error", explained: number, chance: number) =>
      `${title}: ${grouped(images)} images on the first two principal components of the last snapshot, colored by ${{ class: "class", said: "predicted class", error: "correct (·) or misclassified (×)" }[color]}. ` +
      `The first component explains ${percent(explained)} of the variance; chance level: at most ${percent(chance)}.`,
  },
  claims: {
    shown: (shown: number, all: number) => `Claims, one for each question and layer: ${shown} of ${all} shown`,
    none: (reason: string) => `No claims are made${reason && `: the run ${reason}`}.`,
  },
};

type Words<T> = T extends string ? string : T extends (...given: infer G) => infer R ? (...given: G) => Words<R> : { [K in keyof T]: Words<T[K]> };

export const pseudo = /[?&]pseudo\b/.test(globalThis.location?.search ?? "");

/** Every entry in ⟦⟧. */
function marked<T>(entry: T): T {
  if (typeof entry === "string") return `⟦${entry}⟧` as T;
  if (typeof entry === "function") return ((...given: unknown[]) => marked(entry(...given))) as T;
  if (Array.isArray(entry)) return entry.map(marked) as T;
  return Object.fromEntries(Object.entries(entry as object).map(([name, own]) => [name, marked(own)])) as T;
}

export const words: Words<typeof english> = pseudo ? marked(english) : english;
