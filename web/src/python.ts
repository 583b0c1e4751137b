// The Python code that reproduces the numbers of the current view.

import type { Lab } from "./lab";
import type { ChangeItem, State } from "./state";

export function python(lab: Lab, state: State, pixels: Float32Array): string {
  const lines = ["import neural_microscope as nm"];
  if (state.changes.some((c) => c.kind === "clamp") || typeof state.source !== "number") lines.push("import torch");
  if (typeof state.source !== "number") lines.push("import base64");
  lab.models.forEach((model, i) => {
    const { data } = model;
    const step = data.steps[lab.snapshot(i, state.frame)];
    lines.push("", `run = nm.Run.open(${quoted(data.python.run)})  # ${data.name.replaceAll("\n", " ")}`);
    lines.push(data.python.module ? `model = nm.hooked(run.model(step=${step}, into=module))  # module: an instance of yours` : `model = run.model(step=${step})`);
    lines.push(...image(lab, state, pixels));
    const mine = state.changes.filter((c) => c.network === i);
    if (mine.length) {
      lines.push("changes = [", ...mine.map((c) => `    (${quoted(lab.layer(i, c.layer))}, ${maker(lab, c)}),`), "]");
      lines.push("with model.hooks(changes):", "    logits = model(images)", "    accuracy = nm.evaluate(model, run.probe).accuracy");
    } else lines.push("logits = model(images)", "accuracy = nm.evaluate(model, run.probe).accuracy");
    if (state.selected?.network === i) lines.push(...card(lab, state));
    if (state.map.network === i) lines.push(`places = nm.analysis.geometry.pca(run.activations(${quoted(lab.layer(i, state.map.layer))}))["score"]`);
  });
  return lines.join("\n") + "\n";
}

/** A Python string literal, safe for any name. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function image(lab: Lab, state: State, pixels: Float32Array): string[] {
  if (typeof state.source === "number") return [`images = run.probe.subset([${state.source}]).tensor()`];
  const bytes = String.fromCharCode(...Array.from(pixels, (v) => Math.round(255 * v)));
  return [
    `drawn = base64.b64decode("${btoa(bytes)}")`,
    `images = torch.frombuffer(bytearray(drawn), dtype=torch.uint8).reshape(1, 1, ${lab.images.rows}, ${lab.images.cols}) / 255`,
  ];
}

function maker(lab: Lab, change: ChangeItem): string {
  const model = lab.models[change.network];
  const layer = lab.layer(change.network, change.layer);
  const unit = `${model.units(layer).each > 1 ? "channel" : "unit"}=${change.unit}`;
  if (change.kind === "zero") return `nm.interventions.zero(${unit})`;
  if (change.kind === "scale") return `nm.interventions.scale(${change.value}, ${unit})`;
  if (change.kind === "clamp") return `nm.interventions.patch(torch.full((1, ${model.shape(layer).join(", ")}), ${float(change.value)}), ${unit})`;
  return `nm.interventions.patch(model.run_with_cache(run.probe.subset([${change.value}]).tensor())[1][${quoted(layer)}], ${unit})`;
}

function float(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function card(lab: Lab, state: State): string[] {
  const { network, layer, unit } = state.selected!;
  const name = lab.layer(network, layer);
  const claims = lab.claims[network].filter((claim) => claim.hook_point === name && claim.unit === unit && claim.call);
  return claims.map((claim) => `${claim.rule.replace(/\W+/g, "_")} = ${claim.call}`);
}
