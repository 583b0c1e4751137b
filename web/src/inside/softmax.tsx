// From logits to probabilities, class by class.

import type { JSX } from "preact";
import { called } from "../classes";
import { softmax } from "../engine";
import { Exact } from "../edges";
import { Say } from "../parts";
import { words } from "../words";
import type { StepProps } from "./step";

export function Softmax({ trace, unit }: StepProps): JSX.Element {
  const logits = trace.outputs.at(-1)!;
  const [all, most] = [softmax(logits), Math.max(...logits)];
  const powers = Array.from(logits, (v) => Math.exp(v - most));
  const { head } = words.inside;
  return (
    <>
      <p><Say text={words.inside.softmax(all.length)} sum={<Exact value={powers.reduce((a, b) => a + b, 0)} />} most={<Exact value={most} />} /></p>
      <table class="products">
        <thead><tr><th scope="col">{head.class}</th><th scope="col">{head.logit}</th><th scope="col">{head.power}</th><th scope="col">{head.probability}</th><td /></tr></thead>
        <tbody>
          {powers.map((power, label) => (
            <tr key={label} class={label === unit ? "sum" : ""} data-term>
              <th scope="row">{called(label)}</th><td><Exact value={logits[label]} digits={2} /></td><td><Exact value={power} digits={4} /></td><td><Exact value={all[label]} digits={4} strong={label === unit} /></td>
              <td><span class="track"><span class="fill" style={{ width: `${100 * all[label]}%` }} /></span></td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
