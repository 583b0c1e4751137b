// A linear layer's unit: each input times its weight, summed; then the bias.

import type { JSX } from "preact";
import { channelsOf } from "../data";
import { Exact } from "../edges";
import { sourceName, sumName } from "../names";
import { Pixels, Say } from "../parts";
import { biasOf, contributions, flattened, windowOf } from "../sums";
import { signed } from "../theme";
import { words } from "../words";
import { Amount, Captioned, LARGE, Mapped, rampOf, reach } from "./pictures";
import type { StepProps } from "./step";

const LISTED = 8;
const SIDE = 168;

export function Products({ trace, link, unit, theme, lab }: StepProps): JSX.Element {
  const { model } = trace;
  const terms = Array.from({ length: link.sources }, (_, source) => {
    const { weights, values, rows, cols } = windowOf(trace, link, unit, source, 0);
    const name = (i: number) => (rows * cols > 1 ? words.inside.within(sourceName(model, link, source), Math.floor(i / cols), i % cols) : sourceName(model, link, source));
    return Array.from(weights, (weight, i) => ({ name: name(i), weight, value: values[i], product: weight * values[i] }));
  }).flat();
  const sum = (some: typeof terms) => some.reduce((total, { product }) => total + product, 0);
  const order = [...terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const rest = order.slice(LISTED);
  const most = Math.abs(order[0].product) || 1;
  const { channels, rows, cols } = lab.images;
  const pictures = link.from < 0 && terms.length === channels * rows * cols;
  const picture = (what: "value" | "weight" | "product", channel: number, caption: string, told: string) => {
    const values = Float32Array.from(terms, (term) => term[what]);
    const ramp = what === "value" ? rampOf(values, theme, true) : signed(theme, reach(values));
    return <Captioned text={caption} ramp={ramp}><Pixels values={channelsOf(values, channels)[channel]} rows={rows} cols={cols} ramp={ramp} size={channels > 1 ? SIDE / 2 : SIDE} words={told} /></Captioned>;
  };
  const read = link.from >= 0 ? (flattened(model, link).length ? "map" : "activation") : pictures ? "pixel" : "input";
  const { head, captions, told } = words.inside;
  return (
    <>
      <p><Say text={words.inside.products[read](terms.length)} /></p>
      {pictures && Array.from({ length: channels }, (_, c) => (
        <div key={c} class={channels > 1 ? "equation pictures line" : "equation pictures"}>
          {picture("value", c, captions.image(channels > 1 ? words.names.imageChannel(c, channels) : ""), told.pixels)} × {picture("weight", c, captions.weights, told.weights)} = {picture("product", c, captions.products, told.products)}
        </div>
      ))}
      <table class="products">
        <thead>
          <tr><th scope="col">{pictures ? head.pixel : head.input}</th><th scope="col">{pictures ? head.value : head.activation}</th><th scope="col">{head.weight}</th><th scope="col">{head.product}</th><td /></tr>
        </thead>
        <tbody>
          {order.slice(0, LISTED).map(({ name, weight, value, product }) => (
            <tr key={name} data-term>
              <th scope="row">{name}</th><td><Exact value={value} /></td><td><Exact value={weight} /></td><td><Exact value={product} /></td>
              <td><Amount value={product} most={most} /></td>
            </tr>
          ))}
          {rest.length > 0 && <tr data-rest><th scope="row">{words.inside.rest(rest.length)}</th><td /><td /><td><Exact value={sum(rest)} /></td><td /></tr>}
          <tr class="sum" data-total><th scope="row">{head.dot}</th><td /><td /><td><Exact value={sum(terms)} strong /></td><td /></tr>
        </tbody>
      </table>
    </>
  );
}

export function Bias({ trace, link, unit, position, onPosition, ramps }: StepProps): JSX.Element {
  const { model } = trace;
  const name = sumName(model, link);
  const { captions } = words.inside;
  const own = words.names.sums[name as keyof typeof words.names.sums];
  const bias = biasOf(trace, link, unit);
  const [, rows = 1, cols = 1] = model.shapes[link.place];
  const made = trace.outputs[link.place].subarray(unit * rows * cols, (unit + 1) * rows * cols);
  const map = (values: Float32Array, text: string) =>
    rows * cols > 1 && (
      <Captioned text={text} ramp={ramps.get(link.place)}>
        <Mapped values={values} rows={rows} cols={cols} ramp={ramps.get(link.place)!} size={LARGE} words={text} box={[position % cols, Math.floor(position / cols), 1, 1]} onPick={(col, row) => onPosition(row * cols + col)} />
      </Captioned>
    );
  return (
    <>
      <p><Say text={words.inside.bias(rows * cols > 1, name)} /></p>
      <div class="convolution">
        {map(made.map((v) => v - bias), captions.sum)}
        <div class="equation large line">
          <Captioned text={captions.sum}><Exact value={contributions(trace, link, unit, position).reduce((a, b) => a + b, 0)} /></Captioned> +{" "}
          <Captioned text={captions.bias}><Exact value={bias} /></Captioned> ={" "}
          <Captioned text={own}><Exact value={made[position]} strong /></Captioned>
        </div>
        {map(made, own)}
      </div>
    </>
  );
}
