// A pair of classes over training: the share of each class's images that is predicted as the other, and of the first as itself.

import type { JSX } from "preact";
import { useContext, useRef } from "preact/hooks";
import { Update } from "./address";
import type { Lab } from "./lab";
import { first, named } from "./networks";
import { grouped } from "./numbers";
import { Fold, Numbers } from "./parts";
import { bothWays, FEW, MOST, settledAt } from "./pair";
import type { Pair, State } from "./state";
import { growing, longestOf, ticks } from "./time";
import { words } from "./words";

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [280, 150, 36, 8, 18];
const [APART, LABEL, LETTER] = [12, 34, 6]; // pixels: between two labels of lines, the width of one of a step, and of a letter

/** Places of labels below each other, as close to those given as they can be without touching. */
function apart(places: number[]): number[] {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const found = [...places];
  order.forEach((i, k) => k && (found[i] = Math.max(found[i], found[order[k - 1]] + APART)));
  let most = HEIGHT - BOTTOM;
  for (const i of order.reverse()) {
    found[i] = Math.min(found[i], most);
    most = found[i] - APART;
  }
  return found;
}

/** The counts are Python's, by the recorded weights; nothing is computed here. */
export function PairOverTime({ lab, network, state, pair }: { lab: Lab; network: number; state: State; pair: Pair }): JSX.Element {
  const update = useContext(Update);
  const picture = useRef<SVGSVGElement>(null);
  const { confusion, steps } = lab.models[network].data;
  const { label, predicted } = pair;
  const RIGHT = Math.min(90, 10 + LETTER * words.pair.line(label, predicted).length);
  const of = (from: number, as: number) => confusion.map((counts) => counts[from][as] / Math.max(1, counts[from].reduce((a, b) => a + b, 0)));
  const shown = lab.models[longestOf(lab, state.shown ?? first(lab))].data.steps;
  const last = Math.max(1, shown.at(-1)!);
  const along = growing(shown) ? Math.asinh : (step: number) => step;
  const x = (step: number) => LEFT + ((WIDTH - LEFT - RIGHT) * along(step)) / along(last);
  const marks = (growing(shown) ? ticks(last) : [0, last]).filter((step) => step === last || x(last) - x(step) > LABEL);
  const y = (share: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
  const here = lab.snapshot(network, state.frame);
  const others = [{ from: label, as: label, kind: "own" }, { from: predicted, as: label, kind: "other" }];
  const lines = [...(label === predicted ? [] : others), { from: label, as: predicted, kind: "" }].map((line) => ({ ...line, shares: of(line.from, line.as) }));
  const ends = apart(lines.map(({ shares }) => y(shares.at(-1)!)));
  const bound = label === predicted ? MOST : FEW;
  const settled = settledAt(pair, confusion);
  const told = bothWays(named(lab, network), pair, steps, confusion);
  const sentence = told.join(" ");

  /** The page's snapshot at which this network's is nearest to a step, on the picture. */
  function go(place: number): void {
    let nearest = 0;
    for (let i = 1; i < lab.frames; i++) if (Math.abs(x(lab.step(network, i)) - place) < Math.abs(x(lab.step(network, nearest)) - place)) nearest = i;
    update({ frame: nearest });
  }

  return (
    <section class="learning" aria-label={words.pair.name(named(lab, network), label, predicted)}>
      <h3>{words.pair.title(named(lab, network), label, predicted)}</h3>
      <svg
        ref={picture}
        class="shown"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={sentence}
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          go(((event.clientX - box.left) / box.width) * WIDTH);
        }}
      >
        <rect x="0" y="0" width={WIDTH} height={HEIGHT} fill-opacity="0" />
        <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(0)} y2={y(0)} class="axis" />
        {[0, 1].map((share) => <text key={share} x={LEFT - 4} y={y(share) + 4} class="end">{words.pair.share(share)}</text>)}
        {marks.map((step) => <text key={step} x={x(step)} y={HEIGHT - 4} text-anchor="middle">{grouped(step)}</text>)}
        <line x1={x(steps[here])} x2={x(steps[here])} y1="2" y2={y(0)} class="here" />
        {lines.map(({ from, as, kind, shares }, i) => (
          <g key={kind}>
            <polyline class={`curve ${kind}`} points={shares.map((share, s) => `${x(steps[s])},${y(share)}`).join(" ")} />
            {shares.map((share, s) => <circle key={s} class={`dot ${kind}`} cx={x(steps[s])} cy={y(share)} r={s === here ? 3.5 : 1.5} />)}
            <text x={WIDTH - RIGHT + 6} y={ends[i] + 4} class={kind === "own" ? "" : "ink"}>{words.pair.line(from, as)}</text>
          </g>
        ))}
        <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(bound)} y2={y(bound)} class="bound" />
        <text x={WIDTH - RIGHT - 6} y={y(bound) - 4} class="end">{words.pair.share(bound)}</text>
        {settled >= 0 && (
          <g class="settled">
            <line x1={x(steps[settled])} x2={x(steps[settled])} y1={TOP} y2={y(0)} class="bound" />
            <text x={x(steps[settled]) + (x(steps[settled]) > WIDTH / 2 ? -4 : 4)} y={y(0.6)} class={x(steps[settled]) > WIDTH / 2 ? "end" : ""}>{words.pair.since(steps[settled])}</text>
          </g>
        )}
      </svg>
      {told.map((one, i) => <p key={i} class={i && told.length > 1 ? "quiet" : ""}>{one}</p>)}
      <p class="quiet">{words.pair.also((state.shown ?? first(lab)).length > 1)}</p>
      <Fold name={`rule.${network}`} summary={words.pair.rule}>{() => <p class="quiet">{words.pair.ruled(label === predicted)}</p>}</Fold>
      <Numbers
        fold={`pair.${network}`}
        name={words.pair.name(words.names.at(named(lab, network), "", steps[here]), label, predicted)}
        head={words.pair.head([...lines].reverse().map(({ from, as }) => ({ label: from, predicted: as })))}
        rows={() => steps.map((step, s) => [step, ...[...lines].reverse().map(({ from, as }) => confusion[s][from][as])])}
        shown={[grouped]}
        pictures={() => (picture.current ? [picture.current] : [])}
        caption={() => sentence}
        onRow={(row) => go(x(steps[row]))}
        current={here}
      />
    </section>
  );
}
