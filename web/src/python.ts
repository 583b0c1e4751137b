// The Python code that reproduces the numbers of the current view.

import type { Lab } from "./lab";
import { first } from "./networks";
import { replayAt } from "./otherwise";
import { changesOf } from "./sets";
import type { ChangeItem, State } from "./state";

export function python(lab: Lab, state: State, pixels: Float32Array): string {
  const drawn = typeof state.source !== "number";
  const lines = [...(drawn ? ["import base64"] : []), "from pathlib import Path", ""];
  if (drawn || state.changes.some((c) => c.kind === "clamp")) lines.push("import torch", "");
  lines.push("import neural_microscope as nm", "", 'folder = Path(".")  # where the runs are');
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
      lines.push(...listed(lab, `${names[i]}_changes`, mine, run, net));
      lines.push(`with ${net}.hooks(${names[i]}_changes):`, ...answers.map((line) => `    ${line}`));
    } else lines.push(...answers);
    lines.push(`print(${quoted(data.name)}, "predicts", int(${names[i]}_logits.argmax()), "and its accuracy is", ${names[i]}_accuracy)`);
    const set = changesOf(state, i);
    if (set.length) {
      lines.push(...listed(lab, `${names[i]}_set`, set, run, net), `with ${net}.hooks(${names[i]}_set):`, `    ${names[i]}_changed = nm.evaluate(${net}, ${run}.probe)`);
      lines.push(`${names[i]}_increase = ${names[i]}_changed.loss - nm.evaluate(${net}, ${run}.probe).loss`);
      lines.push(`print(${quoted(data.name)}, "loss with the set changed, less without, in nats:", ${names[i]}_increase)`);
    }
    const replay = state.replay?.network === i ? replayAt(lab, state.replay) : null;
    if (replay && !replay.wrong) {
      lines.push(`${names[i]}_replay = nm.Replay.open(folder / ${quoted(`${data.python.run}.replays/${replay.name}`)})`);
      lines.push(`for claim in nm.replays.claims(${names[i]}_replay):`, "    print(claim.verdict, claim.sentence)");
    }
    if (state.selected?.network === i) lines.push(...card(lab, state, names[i]));
    if (state.map.network === i) lines.push(`${names[i]}_map = nm.analysis.geometry.pca(${run}.activations(${quoted(lab.layer(i, state.map.layer))}))["score"]`, `print(${names[i]}_map)`);
  });
  return lines.flatMap(broken).join("\n") + "\n";
}

const WIDE = 44; // characters of a line that the inspector shows whole

/** A line that is too wide, divided at its longest pair of brackets, one argument a line; its comment stands above it. */
export function broken(line: string): string[] {
  if (line.length <= WIDE) return [line];
  const indent = /^ */.exec(line)![0];
  const comment = /  (# [^"]*)$/.exec(line);
  if (comment) return [indent + comment[1], ...broken(line.slice(0, comment.index))];
  const { open, close, commas } = longestBrackets(line);
  if (close - open < 2) return [line];
  const body = `${indent}    ${line.slice(open + 1, close)}`;
  const ends = [...commas, close];
  const index = line[open] === "[" && /[\w)\]]/.test(line[open - 1]); // a comma would make it a tuple
  const parts = ends.map((end, i) => `${indent}    ${line.slice(i ? ends[i - 1] + 1 : open + 1, end).trim()}${index ? "" : ","}`);
  return [line.slice(0, open + 1), ...(index || body.length <= WIDE ? [body] : parts.filter((part) => part.trim() !== ",").flatMap(broken)), indent + line.slice(close)];
}

/** The pair with most between, outside of strings, and the commas between it alone. */
function longestBrackets(line: string): { open: number; close: number; commas: number[] } {
  let longest = { open: 0, close: 0, commas: [] as number[] };
  const within: { open: number; commas: number[] }[] = [];
  for (let i = 0, quote = ""; i < line.length; i++) {
    if (quote) {
      if (line[i] === "\\") i++;
      else if (line[i] === quote) quote = "";
    } else if (`"'`.includes(line[i])) quote = line[i];
    else if ("([{".includes(line[i])) within.push({ open: i, commas: [] });
    else if (line[i] === ",") within.at(-1)?.commas.push(i);
    else if (")]}".includes(line[i])) {
      const { open, commas } = within.pop()!;
      if (i - open > longest.close - longest.open) longest = { open, close: i, commas };
    }
  }
  return longest;
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
    `${name} = torch.frombuffer(bytearray(drawn), dtype=torch.uint8).reshape(1, ${lab.models[0].data.input.join(", ")}) / 255`,
  ];
}

/** Changes as a list of pairs; the same change to several units of a layer is one pair. */
function listed(lab: Lab, name: string, changes: ChangeItem[], run: string, net: string): string[] {
  const alike = new Map<string, ChangeItem[]>();
  for (const change of changes) {
    const key = `${change.layer} ${change.kind} ${change.value}`;
    alike.set(key, [...(alike.get(key) ?? []), change]);
  }
  const pairs = [...alike.values()].map((own) => `    (${quoted(lab.layer(own[0].network, own[0].layer))}, ${maker(lab, own, run, net)}),`);
  return [`${name} = [`, ...pairs, "]"];
}

/** The intervention that changes units of one layer alike. */
function maker(lab: Lab, alike: ChangeItem[], run: string, net: string): string {
  const [change] = alike;
  const model = lab.models[change.network];
  const layer = lab.layer(change.network, change.layer);
  const unit = `${model.units(layer).each > 1 ? "channel" : "unit"}=${alike.length > 1 ? `[${alike.map((one) => one.unit).join(", ")}]` : change.unit}`;
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
  return claims.map((claim) => `print(${claim.call.replace(/(?<![\w.])run\b/g, `${variable}_run`)})`);
}
