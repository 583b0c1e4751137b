// Every word on the screen. In a sentence `[term]` or `[term|shown]` has its explanation from the glossary, and `{name}` is a place that
// the view fills (parts.tsx: Say). With ?pseudo in the address each entry is shown in ⟦⟧: what is outside of them was written elsewhere.

import { grouped, number } from "./numbers";

/** "1 image", "2 images". */
const count = (n: number, one: string, more = `${one}s`) => `${grouped(n)} ${n === 1 ? one : more}`;

const percent = (share: number, digits?: number) => `${number(100 * share, digits)}%`;

const dot = (each: string, n: number) => `${each} is multiplied by its weight; the [dot product] is the sum of all ${n} products.`;
const these = (n: number) => (n === 1 ? "this unit" : `these ${count(n, "unit")}`);
const doing = { zero: "ablating", scale: "scaling", clamp: "clamping", patch: "patching", several: "changing" };

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
    pause: "Pause",
  },
  names: {
    unit: (i: number) => `unit ${i}`,
    channel: (i: number) => `channel ${i}`,
    class: (i: number) => `class ${i}`,
    of: (unit: string, layer: string) => `${unit} of ${layer}`,
    image: "the image",
    pixel: (position: string) => `pixel in ${position}`,
    position: (row: number, col: number) => `row ${row}, column ${col}`,
    sums: { logit: "logit", "pre-activation": "pre-activation", "sum before normalization": "sum before normalization" },
  },
  numbers: {
    title: "The numbers",
    csv: "CSV",
    kinds: { PNG: "PNG", SVG: "SVG" },
    saveTable: (name: string) => `Save the table as CSV: ${name}`,
    savePicture: (i: number, kind: string, name: string) => `Save picture ${i} as ${kind}: ${name}`,
  },
  python: {
    title: "The Python for this view",
    code: "Code",
  },
  share: {
    link: "Copy link",
    linked: "Link copied: it opens exactly this view.",
    linkedHere: "Link copied. It opens this view on this computer; to others send this file, and what follows # in the link.",
    copied: "Copied.",
    blocked: "This browser blocks copying. Copy the selected text:",
  },
  confusion: {
    title: "Confusion matrix",
    name: (network: string) => `${network} confusion matrix`,
    true: "true class",
    predicted: (label: number) => `predicted ${label}`,
    down: "true class",
    across: "predicted class",
    caption: (before: boolean) => `True class (rows) against predicted class (columns): images${before ? ", and how many more or fewer than before" : ""}.`,
    saved: (title: string, images: number, accuracy: number, chance: number, changes: number) =>
      `${title}${changes ? ` with ${count(changes, "unit")} changed` : ""}: true class (rows) against predicted class (columns) of ${grouped(images)} images. Accuracy ${percent(accuracy, 1)}; chance level, always the most frequent class: ${percent(chance, 1)}.`,
  },
  filter: {
    title: "Filter images",
    label: "Class",
    all: "all",
    mistakes: "Misclassified by",
    any: "any or none",
    found: (n: number) => (n ? count(n, "image") : "No images match. Choose another class or network."),
  },
  top: {
    title: "Ablate a unit",
    told: "Draw a digit or choose an image; click a unit to change it.",
    undo: "Undo",
    redo: "Redo",
    reset: "Reset all",
    about: "About this page",
    page: (n: number, dataset: string) =>
      `${grouped(n)} test images of ${dataset}. Weights are rounded for storage; each network states under Confusion how closely its predictions agree with those of the recorded weights. Predictions for drawings and changed units are computed in this page, which loads nothing from outside. Measures and claims were computed in Python at the last snapshot.`,
    nothing: "No unit is chosen: click a tile.",
  },
  networks: {
    title: "Show",
    these: (names: string[]) => names.join(" and "),
    seed: (name: string, seed: number | null) => `${name} seed ${seed}`,
  },
  network: {
    step: (step: number) => `step ${grouped(step)}${step ? "" : ", untrained"}`,
    wider: "This network is wider than the page: scroll its row sideways, or use arrow keys in it.",
    details: (name: string) => `Details of ${name}`,
    stored: (kind: string) => `The weights in this page, stored as ${kind}, predict the same class as the recorded ones on {agreement} of these images; the largest error of a logit is {logit}.`,
    numbers: (layer: string) => `The numbers: ${layer}`,
    probabilities: "The numbers: probabilities",
    range: (top: string) => `0 to ${top}`,
    units: (n: number, map: number[] | null, channels = map !== null) => `${count(n, channels ? "channel" : "unit")}${map ? ` of ${map.join(" × ")}` : ""}`,
    strip: (name: string, layer: string, units: string) => `${name} ${layer}: ${units}, arrow keys move between them`,
    blank: "Nothing is drawn: this is an empty image.",
    was: (label: number, p: string) => `Unchanged it predicts ${label} (p = ${p}).`,
    predicts: "Predicts",
    classes: (name: string, best: number, p: string) => `${name}: probabilities of the classes. ${best}: ${p}`,
  },
  effect: {
    all: (n: number) => `Accuracy on ${grouped(n)} images`,
    none: "No changes.",
    here: ([now, p]: [number, string], [was, before]: [number, string]) => `On this image it now predicts ${now} (p = ${p}); unchanged, ${was} (p = ${before}).`,
    falls: (drop: number) => (drop < 0 ? "rises by" : drop > 0 ? "falls by" : "changes by"),
    before: (accuracy: string, n: number) => `${accuracy}% before: with ${n === 1 ? "this change" : `these ${n} changes`} it`,
    counts: (lost: number, won: number) => `(${lost} newly wrong, ${won} newly right; 95% interval over images).`,
    check: "The accuracy above is a quick check, apart from the claims, which test the loss.",
    caption: (n: number, before: number, after: number, range: string, draws: number) =>
      `Accuracy on ${grouped(n)} images: ${number(100 * before, 1)}% before, ${number(100 * after, 1)}% after.${range && ` Null: random units in their place change it by ${range} points (${draws} draws).`}`,
  },
  image: {
    told: (index: number, place: number, label: number, dataset: string) => `Probe image ${index} (${dataset} test image ${grouped(place)}): a ${label}.`,
    named: (index: number, label: number) => `Probe image ${index}, a ${label}`,
    drawing: "A drawing",
  },
  time: {
    title: "Training time",
    one: "This page holds one snapshot.",
    play: "Play",
    backward: "Play backward",
    pause: "Pause",
    previous: "Previous snapshot",
    next: "Next snapshot",
    snapshot: "Snapshot",
    of: (at: number, all: number) => `${at} of ${all} in this page`,
    slider: "Snapshot of training",
    steps: (networks: [string, number][]) => networks.map(([name, step]) => `${name} step ${grouped(step)}`).join(", "),
    start: "step 0",
    at: (step: number) => `step ${grouped(step)}`,
    accuracy: "test accuracy (%)",
    loss: "test loss (nats)",
    numbers: "The numbers: accuracy and loss over training",
    caption: (name: string, step: number) => `${name}: test accuracy and loss on all test images of the dataset over training steps; the marked step is ${grouped(step)}.`,
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
  edge: {
    close: "Close the contribution",
    products: (n: number, position: string | null) =>
      n === 1
        ? "weight {weight} × activation {activation} = contribution {value}"
        : `${n} weights × ${n} activations ${position ? `in the window at ${position}` : "of its map"}, summed = contribution {value}`,
    total: (n: number, sum: string) => `${n === 1 ? "The contribution" : `All ${n} contributions`} ({sum}) and the bias ({bias}) sum to the [${sum}] {value}.`,
    strongest: "Strongest contributions",
    into: (position: string | null, n: number, sum: string) =>
      `To this ${position ? `channel, at ${position}, its highest` : "unit"}: [contribution|weight × activation]. With the bias, ${n === 1 ? "it sums" : `all ${n} sum`} to {value}, the [${sum}].`,
    to: "Contributions to it",
    out: "From it:",
    from: "Contributions from it",
  },
  inside: {
    open: (unit: string) => `Step inside ${unit}`,
    title: (unit: string) => `Inside ${unit}`,
    where: (network: string, step: number) => `${network}, step ${grouped(step)}, this image`,
    class: "Class",
    step: (i: number, title: string) => `${i}. ${title}`,
    back: "← Back",
    next: "Next →",
    progress: (i: number, of: number, title: string) => `Step ${i} of ${of}: ${title}. Arrow keys step too.`,
    titles: {
      conv2d: "Convolution", linear: "Dot product", bias: "Bias", relu: "ReLU", tanh: "tanh", gelu: "GELU", batchnorm: "Batch normalization", layernorm: "Layer normalization",
      maxpool: "Max pooling", avgpool: "Average pooling", softmax: "Softmax", normalize: "Normalization", flatten: "Flattening", zero: "Ablated", scale: "Scaled", clamp: "Clamped", patch: "Patched",
    },
    products: {
      pixel: (n: number) => dot("Each pixel", n),
      input: (n: number) => dot("Each input", n),
      map: (n: number) => dot("Each value of the previous layer's maps", n),
      activation: (n: number) => dot("Each activation of the previous layer", n),
    },
    head: {
      pixel: "pixel", input: "input", activation: "activation", weight: "× weight", product: "= product", dot: "dot product", sum: "sum",
      class: "class", logit: "logit", power: "e^(logit − largest)", probability: "/ sum = probability",
    },
    within: (source: string, row: number, col: number) => `${source}, row ${row}, column ${col}`,
    rest: (n: number) => `the other ${n}, summed`,
    listed: (name: string, numbers: string[]) => `${name}: ${numbers.join(", ")}`,
    captions: {
      image: "image",
      weights: (reach: number) => `weights, ±${number(reach)}`,
      products: (reach: number) => `products, ±${number(reach)}`,
      slides: (source: string) => `${source}, with the window`,
      window: "window",
      kernel: "kernel",
      windowProducts: "products",
      theirSum: "their sum",
      sums: (reach: number) => `the sums, ±${number(reach)}: click a position`,
      sum: "sum of the products",
      bias: "bias",
      before: "before",
      after: "after",
      poolWindow: (rows: number, cols: number) => `window of ${rows} × ${cols}`,
    },
    told: {
      pixels: "the pixels", weights: "the weights, one for each pixel", products: "the products, one for each pixel",
      slides: "what the window slides over", sums: "the sum at each position", before: "the map before", after: "the map after",
    },
    convolution: (maps: number) =>
      `The [kernel]'s window slides over ${maps ? (maps > 1 ? `all ${maps} maps of the previous layer` : "the previous layer's map") : "the image"}. At each position, what it covers is multiplied by the kernel and summed: one value of the map of sums.`,
    channels: "The products of each channel, summed. Select a channel to see its window.",
    slide: "Slide",
    position: (position: string) => `Position: ${position}`,
    bias: (mapped: boolean, sum: string) => `The [bias], learned like the weights and the same for every image${mapped ? " and position" : ""}, is added. The result is the [${sum}].`,
    activation: {
      relu: "The [activation function] keeps what is above 0 and sets the rest to 0. The result is the activation.",
      tanh: "The [activation function] squeezes the value between −1 and 1. The result is the activation.",
      gelu: "The [activation function] keeps large values and takes those far below 0 to 0. The result is the activation.",
    },
    normalization: (title: string, size: number | null) =>
      `[layer normalization, batch normalization|${title}] subtracts a mean, divides by a standard deviation, ${size ? `both over the ${size} values of this image` : "both estimated in training"}, then scales and shifts by learned numbers.`,
    pooling: (title: string, kind: "maxpool" | "avgpool", window: number[], from: number[], to: number[]) =>
      `[pooling|${title}] keeps ${kind === "maxpool" ? "the largest" : "the mean"} of each ${window.join(" × ")} window, so the map shrinks from ${from.join(" × ")} to ${to.join(" × ")}.`,
    changed: (channel: boolean, title: string) => `You changed this ${channel ? "channel" : "unit"}: ${title.toLowerCase()}. What follows reads the new value.`,
    softmax: (classes: number) =>
      `The [softmax] turns the ${classes} logits into probabilities that sum to 1: e to the power of each logit, divided by their sum, {sum}. The largest logit, {most}, is subtracted first, which changes no probability.`,
  },
  card: {
    this: (word: string) => `this ${word}`,
  },
  actions: {
    title: (name: string) => `Change ${name}`,
    ablate: "Ablate",
    restore: "Restore",
    scale: (factor: string) => `Scale by ${factor}`,
    clamp: (value: string) => `Clamp to ${value}`,
    from: "Patch from image",
    patch: "Patch",
    done: {
      zero: () => "Set to 0 on every image.",
      scale: (value: string) => `Scaled by ${value}.`,
      clamp: (value: string) => `Clamped to ${value}.`,
      patch: (value: string) => `Patched from image ${value}.`,
    },
  },
  sets: {
    name: "Set of units",
    empty: "No units in the set",
    holds: (n: number) => `${count(n, "unit")} in the set`,
    these,
    how: "Shift-click tiles, drag a box over them, or select the first of a list below. Then ablate them all at once and compare with random sets.",
    member: ", in the set",
    clear: "Clear",
    several: "Select several",
    done: (n: number) => `Done: ${count(n, "unit")}`,
    choose: "Select by a measure",
    top: "Top",
    by: "by",
    of: "of",
    order: { index: "index", effect: "ablation effect", selectivity: "selectivity", contribution: "contribution to the predicted class" },
    head: { index: "unit", effect: "effect", selectivity: "selectivity", contribution: "logit" },
    prefers: "class",
    columns: "Effect: loss increase in nats when the unit is ablated. Selectivity and preferred class, as the effect, at the last snapshot. Logit: contribution to the predicted class on this image, activation × gradient.",
    sort: (order: string) => `Sort by ${order}`,
    select: (n: number) => `Select ${count(n, "unit")}`,
    search: "Search",
    example: "19, layers.1:19 or class 3",
    found: (n: number, all: number) => (n ? `${n} of ${count(all, "unit")}` : "No unit matches. Search for an index, a layer, or a class."),
    list: "List of units",
    inside: (unit: string) => `${unit} in the set`,
    card: (unit: string) => `Open the card of ${unit}`,
    raises: (network: string, kind: keyof typeof doing, n: number, falls: boolean, size: string) => `${network}: ${doing[kind]} ${these(n)} ${falls ? "lowers" : "raises"} the loss by ${size} nats.`,
    verdict: { shown: "shown", "not shown": "not shown", description: "description" },
    means: {
      shown: (n: number) => `It raises the loss more than the same change to ${n === 1 ? "another unit" : `${n} random units`}.`,
      "not shown": (n: number) => `It is not shown that it raises the loss more than the same change to ${n === 1 ? "another unit" : `${n} random units`}.`,
      description: () => "There is no test of it.",
      chosen: () => "The units were chosen by this effect on these images, so the comparison is no test.",
    },
    picture: (value: string, low: string, high: string) => `loss increase ${value} nats, null ${low} to ${high}`,
    none: (others: number) => (others ? `Only ${count(others, "other set")} of this size: too few for a null.` : "There is no other set of this size, so there is no null."),
    drawing: (n: number, all: number) => `Null: ${n} of ${all} draws …`,
    null: (draws: number, n: number) => `Gray band, the null: ${draws} draws of [random units|${n === 1 ? "another unit" : `${n} random units`}] in the same layers, changed alike: {band} nats (2.5 to 97.5%); {p}. Not corrected for other sets that you try. {n} images, one network.`,
    to: "to",
    noTest: "no p-value",
  },
  guide: {
    name: "Missions",
    title: (n: number) => `${count(n, "mission")}: predict first, then look`,
    failed: (reason: string) => `The experiment failed: ${reason}`,
    prediction: "Your prediction",
    commit: "Commit and run the experiment",
    withdraw: "Withdraw",
    late: (first: string) => `You predicted ${first} when you first saw the answer. A prediction made after that does not count.`,
    results: "Results",
    see: "See it in the network",
    unit: "Unit",
    use: (unit: number) => `Use the selected unit, ${unit}`,
    card: "Open its card",
    range: (last: number) => `0 to ${last}; click a tile to select it`,
  },
  missions: {
    percent: (value: number) => `${value}%`,
    lost: {
      title: ([a]: number[]) => `Which unit does class ${a} need?`,
      question: (network: string, layer: string, [a]: number[]) => `Each unit of ${network} ${layer} is ablated alone. Which ablation makes the most images of class ${a} wrong?`,
      detail: (unit: number, [chosen, judged]: number[], [n, m]: number[], [a]: number[], _: number[]) =>
        `Unit ${unit} was chosen on one half of the images: without it ${chosen} of ${n} images of class ${a} are newly wrong. On the other half: ${judged} of ${m}.`,
      note: "Images newly right are subtracted.",
    },
    confused: {
      title: ([a, b]: number[]) => `Which unit separates ${a} from ${b}?`,
      question: (network: string, layer: string, [a, b]: number[]) => `Each unit of ${network} ${layer} is ablated alone. Which ablation confuses the most images of classes ${a} and ${b} with each other?`,
      detail: (unit: number, [chosen, judged]: number[], [n, m]: number[], [a, b]: number[], before: number[]) =>
        `Unit ${unit} was chosen on one half of the images: without it ${chosen} of ${n} images of classes ${a} and ${b} are predicted as the other (with it ${before[0]}). On the other half: ${judged} of ${m} (with it ${before[1]}).`,
      note: "",
    },
    isUnit: (unit: number, given: number) => (given === unit ? `Yes: it is unit ${unit}.` : `Not unit ${given}: it is unit ${unit}.`),
    without: (unit: number, [chosen, judged]: number[]) => `Without unit ${unit}: ${chosen} and ${judged}.`,
    median: (unit: number, [chosen, judged]: number[], n: number) => `Without unit ${unit}, the median of ${n}: ${chosen} and ${judged}.`,
    unitHead: ([n, m]: number[]) => ["unit", `chosen on: of ${count(n, "image")}`, `judged on: of ${count(m, "image")}`],
    selective: {
      title: "Is the most selective unit the most important one?",
      question: (network: string, layer: string, n: number) => `One of ${n} units of ${network} ${layer} is the most class-selective. Rank the units by how much ablating each one raises the loss: where does this unit stand?`,
      options: ["first", "in the upper half", "in the lower half"],
      answer: (right: boolean, rank: number, n: number) => `${right ? "Yes" : "No"}: it is number ${rank} of ${n}.`,
      detail: (unit: number, selectivity: number, loss: number) => `Unit ${unit} has the highest selectivity, ${number(selectivity, 2)}; ablating it changes the loss by ${number(loss)} nats. One network.`,
      head: ["unit", "loss increase (nats)", "selectivity"],
    },
    together: {
      two: "Do both networks misclassify the same images?",
      one: "Are its final errors also its early errors?",
      end: (network: string) => `${network} at the end`,
      middle: "the same network half-way",
      question: ([a, b]: string[]) => `How many of the images that ${a} misclassifies does ${b} also misclassify? If the errors were independent, the share would equal the second error rate on all images.`,
      label: "Percent of these images",
      answer: (share: number, both: number, first: number) => `${percent(share, 0)}: ${both} of ${first}.`,
      none: (network: string) => `${network} misclassifies none of these images.`,
      detail: ([a, b]: string[], [first, second, both]: number[], n: number, given: number, close: number) =>
        `${a} misclassifies ${first} of ${count(n, "image")}, ${b} ${second}, both ${both}. If the errors were independent, both would misclassify about ${number((first * second) / n)}. You predicted ${given}%; within ${100 * close} points counts as correct.`,
      head: ([a, b]: string[]) => ["image", "label", `${a} predicts`, `${b} predicts`],
    },
    sparing: {
      title: "How many units can be ablated?",
      question: (network: string, layer: string, n: number) => `Units of ${network} ${layer} are ablated at random. How many of the ${n} must be ablated before accuracy falls below 50%?`,
      label: "Percent of the units",
      answer: (crossing: number) => (Number.isNaN(crossing) ? "Accuracy does not fall below 50%, even with all units ablated." : `About ${percent(crossing)} of them.`),
      detail: (crossing: number, n: number, sets: number, given: number, close: number) =>
        `${Number.isNaN(crossing) ? "" : `With ${percent(crossing)} of the ${n} units ablated, the median of ${sets} random sets falls below 50%. `}You predicted ${given}%; within ${100 * close} points counts as correct.`,
      head: (sets: number) => ["ablated (%)", `accuracy (%), median of ${sets} sets`, "lowest", "highest"],
    },
  },
  keys: {
    title: "Keyboard shortcuts",
    open: "Keyboard shortcuts",
    label: "?",
    on: "Single keys are shortcuts",
    note: "On a unit's tile, arrow keys move, Enter opens its card, and Shift with either takes units into the set. A shortcut about a unit means the tile with the focus, else the set while its tab is open, else the unit whose card is open.",
    does: {
      earlier: "Previous snapshot",
      later: "Next snapshot",
      imageBefore: "Previous image",
      imageAfter: "Next image",
      ablate: "Ablate or restore the unit or the set",
      take: "Take the unit into the set, or out of it",
      pin: "Pin the unit to compare it with another",
      inside: "Step inside the unit",
      reset: "Reset all changes",
      undo: "Undo",
      redo: "Redo",
      search: "Search for a unit",
      tab: "Open a tab of the inspector",
      close: "Close what was opened last, then clear the set",
      keys: "Show this list",
    },
  },
  pins: {
    title: "Two units side by side",
    pin: "Pin to compare",
    on: "Pinned",
    another: "Pin another unit to compare.",
    compare: "Compare",
    off: (unit: string) => `Unpin ${unit}`,
    activation: "activation",
    prefers: "preferred class",
    effect: "ablation effect (nats)",
    selectivity: "selectivity",
    contribution: "contribution",
    pattern: (unit: string) => `the effective pattern of ${unit} for this image`,
    range: (most: string) => `pattern, ±${most}`,
    images: "top-activating images",
    image: (i: number, label: number) => `image ${i}, a ${label}`,
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
