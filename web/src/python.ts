// The Python code that reproduces the numbers of the current view.

import type { Lab } from "./lab";
import { first } from "./networks";
import type { ChangeItem, State } from "./state";

export function python(lab: Lab, state: State, pixels: Float32Array): string {
  const drawn = typeof state.source !== "number";
  const lines = [...(drawn ? ["import base64"] : []), "from pathlib import Path", ""];
  if (drawn || state.changes.some((c) => c.kind === "clamp")) lines.push("import torch", "");
  lines.push("import neural_microscope as nm", "", 'folder = Path(".")  # the folder that holds the recorded runs: change it where you run this elsewhere');
  const names = variables(lab);
  const shown = state.shown ?? first(lab);
  lab.models.forEach((model, i) => {
    if (!shown.includes(i)) return;
    const { data } = model;
    const [run, net, images] = ["run", "model", "images"].map((what) => `${names[i]}_${what}`);
    const step = data.steps[lab.snapshot(i, state.frame)];
    lines.push("", `${run} = nm.Run.open(folder / ${quoted(data.python.run)})`);
    lines.push(data.python.module ? `${net} = nm.hooked(${run}.model(step=${step}, into=${names[i]}_module))  # ${names[i]}_module: an instance of yours` : `${net} = ${run}.model(step=${step})`);
    lines.push(...image(lab, state, pixels, run, images));
    const mine = state.changes.filter((c) => c.network === i);
    const answers = [`${names[i]}_logits = ${net}(${images})`, `${names[i]}_accuracy = nm.evaluate(${net}, ${run}.probe).accuracy`];
    if (mine.length) {
      lines.push(`${names[i]}_changes = [`, ...mine.map((c) => `    (${quoted(lab.layer(i, c.layer))}, ${maker(lab, c, run, net)}),`), "]");
      lines.push(`with ${net}.hooks(${names[i]}_changes):`, ...answers.map((line) => `    ${line}`));
    } else lines.push(...answers);
    lines.push(`print(${quoted(data.name)}, "predicts", int(${names[i]}_logits.argmax()), "and its accuracy is", ${names[i]}_accuracy)`);
    if (state.selected?.network === i) lines.push(...card(lab, state, names[i]));
    if (state.map.network === i) lines.push(`${names[i]}_map = nm.analysis.geometry.pca(${run}.activations(${quoted(lab.layer(i, state.map.layer))}))["score"]`, `print(${names[i]}_map)`);
  });
  return lines.join("\n") + "\n";
}

/** The beginning of each network's variables: its name, as far as Python takes it. */
function variables(lab: Lab): string[] {
  const names = lab.models.map((model, i) => model.data.name.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^[\d_]+|_+$/g, "") || `network_${i}`);
  return names.map((name, i) => (names.indexOf(name) === i ? name : `${name}_${i}`));
}

/** A Python string literal, safe for any name. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function image(lab: Lab, state: State, pixels: Float32Array, run: string, name: string): string[] {
  if (typeof state.source === "number") return [`${name} = ${run}.probe.subset([${state.source}]).tensor()`];
  const bytes = String.fromCharCode(...Array.from(pixels, (v) => Math.round(255 * v)));
  return [
    `drawn = base64.b64decode("${btoa(bytes)}")`,
    `${name} = torch.frombuffer(bytearray(drawn), dtype=torch.uint8).reshape(1, 1, ${lab.images.rows}, ${lab.images.cols}) / 255`,
  ];
}

function maker(lab: Lab, change: ChangeItem, run: string, net: string): string {
  const model = lab.models[change.network];
  const layer = lab.layer(change.network, change.layer);
  const unit = `${model.units(layer).each > 1 ? "channel" : "unit"}=${change.unit}`;
  if (change.kind === "zero") return `nm.interventions.zero(${unit})`;
  if (change.kind === "scale") return `nm.interventions.scale(${change.value}, ${unit})`;
  if (change.kind === "clamp") return `nm.interventions.patch(torch.full((1, ${model.shape(layer).join(", ")}), ${float(change.value)}), ${unit})`;
  return `nm.interventions.patch(${net}.run_with_cache(${run}.probe.subset([${change.value}]).tensor())[1][${quoted(layer)}], ${unit})`;
}

function float(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function card(lab: Lab, state: State, variable: string): string[] {
  const { network, layer, unit } = state.selected!;
  const name = lab.layer(network, layer);
  const claims = lab.claims[network].filter((claim) => claim.hook_point === name && claim.unit === unit && claim.call);
  return claims.flatMap((claim) => {
    const result = `${variable}_${claim.rule.replace(/\W+/g, "_")}`;
    return [`${result} = ${claim.call.replace(/(?<![\w.])run\b/g, `${variable}_run`)}`, `print(${result})`];
  });
}
