// Two pinned units side by side: their key numbers and pictures.

import type { JSX } from "preact";
import { useContext, useMemo } from "preact/hooks";
import { classOf } from "./classes";
import { Update } from "./address";
import { useTrace } from "./edges";
import { lead } from "./inspector";
import { type Lab, useLater } from "./lab";
import { short } from "./names";
import { number } from "./numbers";
import { Channels, Pixels, rounded } from "./parts";
import { preferredClass, valuesOf } from "./sets";
import type { SetProps } from "./set";
import { same, type State, type UnitPlace } from "./state";
import { ink, signed } from "./theme";
import { words } from "./words";

const MOST = 2;
const IMAGES = 6;

/** The pins with a unit pinned or taken off; a third takes the place of the first. */
export function pinned(pins: UnitPlace[], at: UnitPlace): UnitPlace[] {
  return pins.some((other) => same(other, at)) ? pins.filter((other) => !same(other, at)) : [...pins, at].slice(-MOST);
}

export function Pin({ state, at }: { state: State; at: UnitPlace }): JSX.Element {
  const update = useContext(Update);
  const on = state.pins.some((other) => same(other, at));
  return (
    <>
      <button type="button" aria-pressed={on} onClick={() => update({ pins: pinned(state.pins, at) })}>{on ? words.pins.on : words.pins.pin}</button>
      {on && (state.pins.length < MOST ? <span class="quiet">{words.pins.another}</span> : <button type="button" class="link" onClick={() => {
        update({ tab: "set" });
        requestAnimationFrame(() => lead(() => document.querySelector(".compared-title")));
      }}>{words.pins.compare}</button>)}
    </>
  );
}

export function Compared(props: SetProps): JSX.Element | null {
  const { lab, state, seen, unchanged, theme, onSelect } = props;
  const update = useContext(Update);
  const columns = state.pins.map((at) => ({ at, key: Object.values(at).join() }));
  if (!columns.length) return null;
  const parts = { lab, state, theme, seen, unchanged };
  return (
    <>
      <h3 class="compared-title">{words.pins.title}</h3>
      {columns.length < MOST && <p class="quiet">{words.pins.another}</p>}
      <div class="compared">
        {columns.map(({ at, key }, i) => (
          <section key={key} aria-label={nameOf(lab, at)} data-place={i}>
            <div class="row">
              <button type="button" class="link" onClick={() => onSelect(at)}>{nameOf(lab, at)}</button>
              <button type="button" class="close" aria-label={words.pins.off(nameOf(lab, at))} onClick={() => update({ pins: pinned(state.pins, at) })}>×</button>
            </div>
            <Column {...parts} at={at} />
          </section>
        ))}
      </div>
    </>
  );
}

function nameOf(lab: Lab, at: UnitPlace): string {
  return `${lab.models[at.network].data.name} ${short(lab.layer(at.network, at.layer))}:${at.unit}`;
}

function Column({ lab, state, theme, seen, unchanged, at }: Omit<SetProps, "onSelect"> & { at: UnitPlace }): JSX.Element {
  const model = lab.models[at.network];
  const layer = lab.layer(at.network, at.layer);
  const { count, each } = model.units(layer);
  const snapshot = lab.snapshot(at.network, state.frame);
  const { trace } = useTrace(lab, at.network, { ...state, changes: [] }, unchanged[at.network]);
  const values = useMemo(() => valuesOf(lab, at.network, at.layer, trace), [trace]);
  const pattern = useMemo(() => trace.pattern(layer, at.unit), [trace]);
  const most = pattern.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const { value: means } = useLater((signal) => lab.evaluators[at.network].means(snapshot, layer, signal), [layer, snapshot]);
  const own = seen[at.network].get(layer)!.subarray(at.unit * each, (at.unit + 1) * each);
  const top = useMemo(() => means && lab.images.labels.map((_, i) => i).sort((a, b) => means[b * count + at.unit] - means[a * count + at.unit] || a - b).slice(0, IMAGES), [means]);
  const rows: [string, string][] = [
    [words.pins.activation, number(own.reduce((a, b) => a + b, 0) / each)],
    [words.pins.prefers, classOf(preferredClass(lab, at))],
    [words.pins.effect, rounded(values.effect?.[at.unit], "nats")],
    [words.pins.selectivity, rounded(values.selectivity?.[at.unit])],
    [words.pins.contribution, rounded(values.contribution?.[at.unit])],
  ];
  return (
    <>
      <Channels images={lab.images} values={pattern} ramp={signed(theme, most)} size={112} words={words.pins.pattern(nameOf(lab, at))} />
      <small>{words.pins.range(number(most))} {words.card.channels(lab.images.channels)}</small>
      <dl>
        {rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <small>{words.pins.images}</small>
      <div class="thumbs wrap">
        {top?.map((i) => <Pixels key={i} values={lab.image(i)} rows={lab.images.rows} cols={lab.images.cols} ramp={ink(theme, lab.images.channels)} size={32} words={words.pins.image(i, lab.images.labels[i])} />)}
      </div>
    </>
  );
}
