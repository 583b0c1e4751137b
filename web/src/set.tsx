// The set of units: how it is chosen, what is done to it at once, and the effect of that beside random sets.

import type { ComponentChildren, JSX } from "preact";
import { useContext, useMemo, useRef, useState } from "preact/hooks";
import { classOf } from "./classes";
import { Actions } from "./actions";
import { Update } from "./address";
import { revealTiles } from "./choose";
import { nullBand, probability, pValue, shown } from "./chance";
import { Compared } from "./compare";
import { useTrace } from "./edges";
import type { Lab } from "./lab";
import { Here } from "./network";
import { short } from "./names";
import { named } from "./networks";
import { grouped, number } from "./numbers";
import { Fold, Hint, OnNull, rounded, Say } from "./parts";
import { allUnits, changesOf, ordered, preferredClass, searched, type SetEffect, toggled, useSetEffect, type Values, valuesOf } from "./sets";
import { type ChangeItem, isBlank, type Order, ORDERS, same, type State, type UnitPlace } from "./state";
import type { Theme } from "./theme";
import { words } from "./words";

const EFFECT = 3; // decimals of nats, as in the claims

export interface SetProps {
  lab: Lab;
  state: State;
  theme: Theme;
  /** Activations for the image shown, with and without the changes. */
  seen: Map<string, Float32Array>[];
  unchanged: Map<string, Float32Array>[];
  onSelect: (at: UnitPlace) => void;
}

export function SetPanel({ children, ...props }: SetProps & { children: ComponentChildren }): JSX.Element {
  const { lab, state, seen, unchanged } = props;
  const { set } = state;
  const update = useContext(Update);
  return (
    <section class="set" aria-label={words.sets.name}>
      <div class="row">
        <h2>{set.length ? words.sets.holds(set.length) : words.sets.empty}</h2>
        {set.length > 0 && <button type="button" aria-keyshortcuts="Escape" onClick={() => update({ set: [], setBy: null })}>{words.sets.clear}</button>}
      </div>
      {set.length ? <Members lab={lab} set={set} /> : <p class="quiet">{words.sets.how}</p>}
      {set.length > 0 && (
        <Actions lab={lab} units={set} state={state} name={words.sets.these(set.length)}>
          {lab.models.map((_, network) => <Result key={network} lab={lab} network={network} state={state} seen={seen[network]} unchanged={unchanged[network]} />)}
        </Actions>
      )}
      {children}
      <Compared {...props} />
      <Units {...props} />
    </section>
  );
}

const FEW = 16; // more members than these are listed folded

function Members({ lab, set }: { lab: Lab; set: UnitPlace[] }): JSX.Element {
  const found = new Map<string, { of: number; units: number[] }>();
  for (const at of set) {
    const layer = lab.layer(at.network, at.layer);
    const name = `${lab.models[at.network].data.name} ${short(layer)}`;
    found.set(name, { of: lab.models[at.network].units(layer).count, units: [...(found.get(name)?.units ?? []), at.unit] });
  }
  const all = [...found];
  const list = <p class="members">{all.map(([name, { units }]) => `${name}: ${units.sort((a, b) => a - b).join(", ")}`).join("; ")}</p>;
  return set.length > FEW ? <Fold name="members" summary={all.map(([name, { of, units }]) => words.sets.all(units.length, of, name)).join("; ")}>{() => list}</Fold> : list;
}

/** What the changes to a network's units of the set do to its loss, with verdict and null. */
function Result({ lab, network, state, seen, unchanged }: { lab: Lab; network: number; state: State; seen: Map<string, Float32Array>; unchanged: Map<string, Float32Array> }): JSX.Element | null {
  const items = changesOf(state, network);
  const { value: effect, stale } = useSetEffect(lab, network, lab.snapshot(network, state.frame), items);
  if (!items.length) return null;
  return (
    <>
      {!isBlank(state) && <Here name={named(lab, network)} seen={seen} unchanged={unchanged} />}
      {effect ? <Verdict lab={lab} network={network} effect={effect} stale={stale} byEffect={state.setBy === "effect"} /> : <p aria-busy="true">{words.common.running}</p>}
    </>
  );
}

function Verdict({ lab, network, effect, stale, byEffect }: { lab: Lab; network: number; effect: SetEffect; stale: boolean; byEffect: boolean }): JSX.Element {
  const { items, increase, draws, wanted } = effect;
  const others = lab.others(items);
  const done = !stale && draws.length === wanted;
  const p = pValue(increase, draws);
  const verdict = !wanted || byEffect ? "description" : shown(p) ? "shown" : "not shown";
  const [low, high] = draws.length ? nullBand(draws) : [null, null];
  const [from, to] = [Math.min(0, increase, ...draws), Math.max(0, increase, ...draws)];
  return (
    <div class="claim" data-verdict={done ? verdict : undefined} aria-busy={!done || undefined} data-increase={done ? increase : undefined} data-draws={done ? JSON.stringify(draws) : undefined}>
      <p aria-live="polite">
        {done && <span class="mark">{words.sets.verdict[verdict]}</span>}{" "}
        <strong class="sentence"><Say text={words.sets.raises(lab.models[network].data.name, kindOf(items), items.length, increase < 0, Math.abs(increase))} /></strong>
        {stale && <small> {words.common.updating}</small>}
      </p>
      {done && <p>{words.sets.means[byEffect && wanted ? "chosen" : verdict](items.length)}</p>}
      {low !== null && high !== null && (
        <p class="onset">
          <small>{number(from, EFFECT)}</small>
          <OnNull value={increase} low={low} high={high} from={from} to={to > from ? to : from + 1} words={words.sets.picture(...([increase, low, high].map((value) => number(value, EFFECT)) as [string, string, string]))} />
          <small>{number(to, EFFECT)}</small>
        </p>
      )}
      <p class="quiet">
        {!wanted ? words.sets.none(others) : !done ? words.sets.drawing(draws.length, wanted) : (
          <Say
            text={words.sets.null(wanted, items.length)}
            band={<span class="null-band">{number(low, EFFECT)} {words.sets.to} {number(high, EFFECT)}</span>}
            p={verdict === "description" ? words.sets.noTest : <span class="odds"><Hint text={words.p.glossLoss}>{probability(p, wanted)}</Hint></span>}
            n={grouped(lab.images.count)}
          />
        )}
      </p>
    </div>
  );
}

function kindOf(items: ChangeItem[]): ChangeItem["kind"] | "several" {
  return items.every(({ kind }) => kind === items[0].kind) ? items[0].kind : "several";
}

/** All units of a layer in an order, or those that a reader searches for; the first of them can be taken into the set. */
function Units({ lab, state, unchanged, onSelect }: SetProps): JSX.Element {
  const update = useContext(Update);
  const { network, layer } = state.list;
  const [text, setText] = useState("");
  const [first, setFirst] = useState(10);
  const traces = lab.models.map((_, i) => useTrace(lab, i, { ...state, changes: [] }, unchanged[i]).trace);
  const known = useRef(new WeakMap<object, Map<number, Values>>());
  const values = (at: { network: number; layer: number }): Values => {
    const trace = traces[at.network];
    const own = known.current.get(trace) ?? new Map<number, Values>();
    known.current.set(trace, own);
    if (!own.has(at.layer)) own.set(at.layer, valuesOf(lab, at.network, at.layer, trace));
    return own.get(at.layer)!;
  };
  const measured = (one: Order) => one === "index" || values(state.list)[one] !== null;
  const order = measured(state.list.order) ? state.list.order : "index";
  const inLayer = (units: UnitPlace[]) => units.filter((at) => at.network === network && at.layer === layer);
  const all = ordered(lab.models[network].units(lab.layer(network, layer)).count, order, values(state.list)).map((unit) => ({ network, layer, unit }));
  const rows = text.trim() ? searched(lab, text) : all;
  const count = Math.min(first, inLayer(all).length);
  function take(set: UnitPlace[], setBy: Order | null): void {
    update({ set, setBy });
    revealTiles();
  }
  const table = useMemo(
    () => (
      <table class="units">
        <thead>
          <tr>
            <td />
            {ORDERS.map((one) => (
              <th key={one} scope="col" aria-sort={one === order && !text ? (one === "index" ? "ascending" : "descending") : undefined}>
                <button type="button" class="link" title={words.sets.sort(words.sets.order[one])} disabled={!measured(one)} onClick={() => update({ list: { network, layer, order: one } })}>{words.sets.head[one]}</button>
              </th>
            ))}
            <th scope="col">{words.sets.prefers}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((at) => {
            const own = values(at);
            const name = `${lab.models[at.network].data.name} ${short(lab.layer(at.network, at.layer))}:${at.unit}`;
            return (
              <tr key={name}>
                <td><input type="checkbox" aria-label={words.sets.inside(name)} checked={state.set.some((other) => same(other, at))} onChange={() => update(edited(state, toggled(state.set, [at])))} /></td>
                <th scope="row"><button type="button" class="link" aria-label={words.sets.card(name)} aria-current={same(state.selected, at) || undefined} onClick={() => onSelect(at)}>{text.trim() ? name : at.unit}</button></th>
                <td>{rounded(own.effect?.[at.unit], "nats", true)}</td>
                <td>{rounded(own.selectivity?.[at.unit])}</td>
                <td>{rounded(own.contribution?.[at.unit])}</td>
                <td class="prefers" title={classOf(preferredClass(lab, at))}>{classOf(preferredClass(lab, at))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    ),
    [text, state.list, state.set, state.selected, ...traces],
  );
  return (
    <>
      <h3>{words.sets.choose}</h3>
      <div class="row top-units">
        <label>{words.sets.top} <input type="number" min={1} max={all.length} value={first} onInput={(e) => setFirst(Math.max(1, Math.floor(Number(e.currentTarget.value)) || 1))} /></label>
        <label>
          {words.sets.by}{" "}
          <select value={order} onChange={(e) => update({ list: { network, layer, order: e.currentTarget.value as Order } })}>
            {ORDERS.map((one) => <option key={one} value={one} disabled={!measured(one)}>{words.sets.order[one]}</option>)}
          </select>
        </label>
        <label>
          {words.sets.of}{" "}
          <select value={`${network}.${layer}`} onChange={(e) => {
            const [to, place] = e.currentTarget.value.split(".").map(Number);
            update({ list: { network: to, layer: place, order } });
          }}>
            {lab.models.map((model, i) => model.data.layers.map((name, k) => <option key={`${i}.${k}`} value={`${i}.${k}`}>{model.data.name} {short(name)}</option>))}
          </select>
        </label>
        <button type="button" class={state.set.length ? "" : "primary"} onClick={() => take(all.slice(0, count), order)}>{words.sets.select(count)}</button>
      </div>
      <div class="row">
        <label class="search">{words.sets.search} <input type="search" id="search" placeholder={words.sets.example(Math.min(3, lab.images.classes - 1))} value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => {
          if (e.key !== "Escape" || !text) return;
          e.preventDefault(); // the set stays
          setText("");
        }} /></label>
        {text.trim() && rows.length > 0 && <button type="button" onClick={() => take(rows, null)}>{words.sets.select(rows.length)}</button>}
      </div>
      <small aria-live="polite">{text.trim() ? words.sets.found(rows.length, allUnits(lab).length) : ""}</small>
      {rows.length > 0 && <div class="scroll" tabIndex={0} role="group" aria-label={words.sets.list}>{table}</div>}
      <p class="quiet"><Say text={words.sets.columns} /></p>
    </>
  );
}

/** A set that a reader edits by hand stays chosen by what it was chosen by, until it is empty. */
export function edited(state: State, set: UnitPlace[]): Partial<State> {
  return { set, setBy: set.length ? state.setBy : null };
}
