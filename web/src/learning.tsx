// A pair of classes over training: how many of a class's images are predicted as another, and as the class itself.

import type { JSX } from "preact";
import { useContext, useRef } from "preact/hooks";
import { Update } from "./address";
import type { Lab } from "./lab";
import { first, named } from "./networks";
import { grouped } from "./numbers";
import { Numbers } from "./parts";
import { bothWays } from "./pair";
import type { Pair, State } from "./state";
import { growing, longestOf, ticks } from "./time";
import { words } from "./words";

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [280, 118, 28, 8, 18];
const [APART, LABEL, LETTER] = [12, 34, 6]; // pixels: between two labels of lines, the width of one of a step, and of a letter

/** The counts are Python's, by the recorded weights; nothing is computed here. */
export function PairOverTime({ lab, network, state, pair }: { lab: Lab; network: number; state: State; pair: Pair }): JSX.Element {
  const update = useContext(Update);
  const picture = useRef<SVGSVGElement>(null);
  const { confusion, steps } = lab.models[network].data;
  const { label, predicted } = pair;
  const RIGHT = Math.min(90, 10 + LETTER * Math.max(...[label, predicted].map((as) => words.pair.line(as).length)));
  const size = confusion[0][label].reduce((a, b) => a + b, 0);
  const of = (as: number) => confusion.map((counts) => counts[label][as]);
  const shown = lab.models[longestOf(lab, state.shown ?? first(lab))].data.steps;
  const last = Math.max(1, shown.at(-1)!);
  const along = growing(shown) ? Math.asinh : (step: number) => step;
  const x = (step: number) => LEFT + ((WIDTH - LEFT - RIGHT) * along(step)) / along(last);
  const marks = (growing(shown) ? ticks(last) : [0, last]).filter((step) => step === last || x(last) - x(step) > LABEL);
  const y = (n: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - n / Math.max(1, size));
  const here = lab.snapshot(network, state.frame);
  const lines = [...(label === predicted ? [] : [label]), predicted].map((as) => ({ as, counts: of(as), own: as === label && as !== predicted }));
  const ends = lines.map(({ counts }) => y(counts.at(-1)!));
  if (ends.length > 1 && Math.abs(ends[0] - ends[1]) < APART) {
    const middle = Math.min(HEIGHT - BOTTOM - APART / 2, Math.max(TOP + APART / 2, (ends[0] + ends[1]) / 2));
    const side = ends[0] <= ends[1] ? -APART / 2 : APART / 2;
    [ends[0], ends[1]] = [middle + side, middle - side];
  }
  const sentence = bothWays(named(lab, network), pair, steps, confusion);

  /** The page's snapshot at which this network's is nearest to a step, on the picture. */
  function go(place: number): void {
    let nearest = 0;
    for (let i = 1; i < lab.frames; i++) if (Math.abs(x(lab.step(network, i)) - place) < Math.abs(x(lab.step(network, nearest)) - place)) nearest = i;
    update({ frame: nearest });
  }

  return (
    <section class="learning" aria-label={words.pair.name(named(lab, network), label, predicted)}>
      <h3>{words.pair.title(label, predicted)}</h3>
      <p>{sentence}</p>
      <svg
        ref={picture}
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
        {[0, size].map((n) => <text key={n} x={LEFT - 4} y={y(n) + 4} class="end">{grouped(n)}</text>)}
        {marks.map((step) => <text key={step} x={x(step)} y={HEIGHT - 4} text-anchor="middle">{grouped(step)}</text>)}
        <line x1={x(steps[here])} x2={x(steps[here])} y1="2" y2={y(0)} class="here" />
        {lines.map(({ as, counts, own }, i) => (
          <g key={as}>
            <polyline class={own ? "curve own" : "curve"} points={counts.map((n, s) => `${x(steps[s])},${y(n)}`).join(" ")} />
            {counts.map((n, s) => <circle key={s} class={own ? "dot own" : "dot"} cx={x(steps[s])} cy={y(n)} r={s === here ? 3.5 : 1.5} />)}
            <text x={WIDTH - RIGHT + 6} y={ends[i] + 4} class={own ? "" : "ink"}>{words.pair.line(as)}</text>
          </g>
        ))}
      </svg>
      <p class="quiet">{words.pair.rule(label === predicted)}</p>
      <Numbers
        fold={`pair.${network}`}
        name={words.pair.name(words.names.at(named(lab, network), "", steps[here]), label, predicted)}
        head={words.pair.head(label, predicted)}
        rows={() => steps.map((step, s) => [step, ...(label === predicted ? [predicted] : [predicted, label]).map((as) => confusion[s][label][as])])}
        shown={[grouped]}
        pictures={() => (picture.current ? [picture.current] : [])}
        caption={() => sentence}
        onRow={(row) => go(x(steps[row]))}
        current={here}
      />
    </section>
  );
}
