// What the views call units, what they read, and the sums.

import type { Model } from "./engine";
import type { Link } from "./sums";
import { words } from "./words";

export function short(layer: string): string {
  return layer.replace(/\.hook_(post|out)$/, "");
}

/** A unit, a channel or a class, by number; in full with its layer. */
export function unitName(model: Model, layer: number, unit: number, full = true): string {
  const name = model.data.layers[layer];
  if (name === undefined) return words.names.class(unit);
  const own = words.names[model.units(name).each > 1 ? "channel" : "unit"](unit);
  return full ? words.names.of(own, short(name)) : own;
}

/** What a link reads from: a unit, a channel, a pixel or the whole image, if that has one channel. */
export function sourceName(model: Model, link: Link, source: number): string {
  if (link.from >= 0) return words.names.sum(link.parts.map((layer) => unitName(model, layer, source)));
  const [channels, rows, cols] = model.data.input;
  const own = (channel: number) => words.names.imageChannel(channel, channels);
  if (model.data.ops[link.place].kind === "conv2d") return channels > 1 ? own(source) : words.names.image;
  const pixel = words.names.pixel(placeName(source % (rows * cols), cols));
  return channels > 1 ? words.names.of(pixel, own(Math.floor(source / (rows * cols)))) : pixel;
}

/** The output of a link: a term of the glossary. */
export function sumName(model: Model, link: Link): string {
  if (link.to === model.data.layers.length) return "logit";
  const next = model.data.ops.slice(link.place + 1).find((op) => op.kind !== "hook" && op.kind !== "flatten");
  return next?.kind === "batchnorm" || next?.kind === "layernorm" ? "sum before normalization" : "pre-activation";
}

/** A position in a map of so many columns. */
export function placeName(position: number, cols: number): string {
  return words.names.position(Math.floor(position / cols), position % cols);
}

export function positionName(model: Model, link: Link, position: number): string {
  return placeName(position, model.shapes[link.place][2]);
}
