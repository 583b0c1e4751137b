// The second timeline: branches with a change of training beside their twins without it, both with the band of their orders.

import type { JSX } from "preact";
import { useContext, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Update } from "./address";
import { Claims, Headline } from "./claims";
import type { ReplayData, Spread } from "./data";
import type { Lab } from "./lab";
import { short } from "./names";
import { named } from "./networks";
import { grouped, number } from "./numbers";
import { forkAt, forking, lostIn, type Mark, marksOf, measuredAt, reach, replayAt, type ReplayPlace, replaysOf } from "./otherwise";
import { Fold, Numbers, Say } from "./parts";
import { Copy } from "./share";
import type { State, UnitPlace } from "./state";
import { words } from "./words";

const ROLES = ["twin", "branch"] as const;

interface BandsProps {
  steps: number[];
  values: Spread;
  /** Pixels: the picture, and the room left and right of the plot. */
  width: number;
  height: number;
  left: number;
  right: number;
  /** A step's place, from 0 at the left end to 1 at the right one. */
  along: (step: number) => number;
  /** Steps with a line and a label of their own. */
  marks: Mark[];
  /** The step shown. */
  here: number;
  /** The labels of the axis's ends; without them the axis is another picture's. */
  ends?: string[];
  shown: (value: number) => string;
  words: string;
  svg?: { current: SVGSVGElement | null };
}

const [TOP, BOTTOM, LABEL] = [16, 6, 14];
/** The width of a letter. */
const LETTER = 6;

/** Whether the words of a mark stand on its left: those of the fork where there is room, others where there is none on the right. */
export function onLeft({ name, text }: Mark, x: number, left: number, width: number): boolean {
  const long = 4 + LETTER * (text as string).length;
  return name === "fork" ? x - long >= left : x + long > width;
}

/** The mean of twins and branches over training, each on the band from its lowest to its highest order. */
function Bands({ steps, values, width, height, left, right, along, marks, here, ends = [], shown, words: told, svg }: BandsProps): JSX.Element {
  const bottom = height - BOTTOM - (ends.length && LABEL);
  const [low, high] = reach(values);
  const x = (step: number) => left + (width - left - right) * along(step);
  const y = (value: number | null) => TOP + ((bottom - TOP) * (high - (value ?? low))) / (high - low);
  const points = (all: (number | null)[]) => all.map((value, i) => `${x(steps[i]).toFixed(1)},${y(value).toFixed(1)}`);
  const at = measuredAt(steps, here);
  return (
    <svg ref={svg} class="bands" viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={told}>
      {ROLES.map((role) => <polygon key={role} class={`band ${role}`} points={[...points(values[role].high), ...points(values[role].low).reverse()].join(" ")} />)}
      {ROLES.map((role) => <polyline key={role} class={`curve ${role}`} points={points(values[role].mean).join(" ")} />)}
      {marks.map((mark) => {
        const [at, before] = [x(mark.step), onLeft(mark, x(mark.step), left, width)];
        return (
          <g key={mark.name} class={mark.name}>
            <line x1={at} x2={at} y1={TOP - 4} y2={bottom} />
            <text x={at + (before ? -4 : 4)} y={mark.name === "fork" ? bottom - 2 : 10} class={before ? "end" : ""}>{mark.text}</text>
          </g>
        );
      })}
      {along(here) >= 0 && <line class="here" x1={x(here)} x2={x(here)} y1={TOP - 4} y2={bottom} />}
      {at >= 0 && ROLES.map((role) => <circle key={role} class={`dot ${role}`} cx={x(steps[at])} cy={y(values[role].mean[at])} r="3.5" />)}
      {[high, low].map((value, i) => <text key={i} class="end" x={left - 6} y={i ? bottom : TOP + 8}>{shown(value)}</text>)}
      {ends.map((text, i) => <text key={i} x={i ? width - right : left} y={height - 2} class={i ? "end" : ""}>{text}</text>)}
    </svg>
  );
}

/** Mean and range of both at the step shown, or that they have not parted yet. */
function Values({ replay, values, step, digits }: { replay: ReplayData; values: Spread; step: number; digits: number }): JSX.Element {
  const at = measuredAt(replay.steps!, step);
  return (
    <ul class="legend">
      {([...ROLES].reverse() as (typeof ROLES)[number][]).map((role) => (
        <li key={role} class={role} data-role={role}>
          <svg width="26" height="10" aria-hidden="true"><rect class={`band ${role}`} width="26" height="10" /><line x1="0" x2="26" y1="5" y2="5" class={`curve ${role}`} /></svg>{" "}
          <Say text={words.otherwise[role]} />{" "}
          {at >= 0 && <small class="value">{words.otherwise.value(...([values[role].mean[at], values[role].low[at], values[role].high[at]].map((one) => number(one, digits)) as [string, string, string]))}</small>}
        </li>
      ))}
    </ul>
  );
}

/** The step and the orders that the values are of. */
function When({ replay, step }: { replay: ReplayData; step: number }): JSX.Element {
  const at = measuredAt(replay.steps!, step);
  return <>{at < 0 ? words.otherwise.before(replay.at!) : words.otherwise.at(replay.steps![at], replay.orders!)}</>;
}

export function ReplayChoice({ lab, at, hide, label }: { lab: Lab; at: ReplayPlace | null; hide: boolean; label: string }): JSX.Element {
  const update = useContext(Update);
  const all = replaysOf(lab);
  const place = all.findIndex((one) => one.network === at?.network && one.place === at.place);
  const several = lab.models.filter((model) => model.data.replays).length > 1;
  return (
    <label class="replays">
      {label}{" "}
      <select value={place} onChange={(e) => update({ replay: all[Number(e.currentTarget.value)] ?? null })}>
        {(hide || place < 0) && <option value={-1}>{words.otherwise.none}</option>}
        {all.map((one, i) => {
          const { title, name } = replayAt(lab, one)!;
          return <option key={i} value={i}>{`${several ? `${named(lab, one.network)}: ` : ""}${title ?? name}`}</option>;
        })}
      </select>
    </label>
  );
}

/** Below training time, on the same axis: the replay chosen, and what is claimed of it. */
export function Second({ lab, at, frame, left, right, along }: { lab: Lab; at: ReplayPlace | null; frame: number; left: number; right: number; along: (step: number) => number }): JSX.Element {
  const update = useContext(Update);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const replay = replayAt(lab, at);
  const drawn = replay?.steps ? replay : null;
  useLayoutEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(() => setWidth(box.current!.clientWidth));
    observer.observe(box.current);
    setWidth(box.current.clientWidth);
    return () => observer.disconnect();
  }, [drawn === null]);
  const step = at ? lab.step(at.network, frame) : 0;
  const [claim] = replay?.claims ?? [];
  return (
    <div class="second" role="group" aria-label={words.otherwise.label}>
      <div class="row headline">
        <ReplayChoice lab={lab} at={at} hide={true} label={words.otherwise.title} />
        {claim && <Headline claim={claim} />}
        {replay?.wrong && <p class="loud">{replay.wrong}</p>}
        {replay && <button type="button" class="link" onClick={() => update({ tab: "training" })}>{words.otherwise.more}</button>}
      </div>
      {drawn && (
        <>
          <Values replay={drawn} values={drawn.loss!} step={step} digits={3} />
          <div class="timeline" ref={box}>
            {width > 0 && <Bands steps={drawn.steps!} values={drawn.loss!} width={width} height={84} left={left} right={right} along={along} marks={marksOf(drawn)} here={step} shown={(v) => number(v, 2)} words={lossInWords(drawn)} />}
          </div>
          <p class="quiet note">{words.otherwise.loss}: <When replay={drawn} step={step} /></p>
        </>
      )}
    </div>
  );
}

function lossInWords(replay: ReplayData): string {
  const { twin, branch } = replay.loss!;
  return words.otherwise.picture(replay.title!, replay.at!, replay.until!, number(twin.mean.at(-1), 3), number(branch.mean.at(-1), 3), replay.orders!);
}

const SIDE = 268;

/** The replay in the inspector: its claims with their reasons, and the effect of the unit that takes over. */
export function Otherwise({ lab, state }: { lab: Lab; state: State }): JSX.Element | null {
  const loss = useRef<SVGSVGElement>(null);
  if (!replaysOf(lab).length) return null;
  const { replay: at } = state;
  const replay = replayAt(lab, at);
  return (
    <section class="otherwise" id="otherwise" aria-label={words.otherwise.title}>
      <h2>{words.otherwise.title}</h2>
      <p class="quiet"><Say text={words.otherwise.how} /></p>
      <ReplayChoice lab={lab} at={at} hide={false} label={words.otherwise.which} />
      {replay?.wrong && <p class="loud">{replay.wrong}</p>}
      {replay?.orders !== undefined && <p class="quiet">{words.otherwise.size(replay.orders, replay.nulls!)}</p>}
      {replay?.claims && <Claims claims={replay.claims} />}
      {replay?.steps && at && (
        <>
          <Picture lab={lab} network={at.network} replay={replay} values={replay.loss!} state={state} title={words.otherwise.loss} words={lossInWords(replay)} svg={loss} />
          {replay.takeover && <Picture lab={lab} network={at.network} replay={replay} values={replay.takeover.effect} state={state} title={words.otherwise.effect(replay.takeover.unit, replay.takeover.layer)} words={words.otherwise.effect(replay.takeover.unit, replay.takeover.layer)} />}
          <Numbers
            fold={`replay.${at.network}.${at.place}`}
            name={replay.title!}
            head={words.otherwise.head}
            shown={[grouped, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]}
            pictures={() => (loss.current ? [loss.current] : [])}
            caption={() => lossInWords(replay)}
            rows={() => replay.steps!.map((step, i) => [step, ...[...ROLES.flatMap((role) => [replay.loss![role].mean[i], replay.loss![role].low[i], replay.loss![role].high[i]]), replay.change!.value[i], replay.change!.nullLow[i], replay.change!.nullHigh[i]].map((value) => value ?? NaN)])}
          />
        </>
      )}
    </section>
  );
}

function Picture({ lab, network, replay, values, state, title, words: told, svg }: { lab: Lab; network: number; replay: ReplayData; values: Spread; state: State; title: string; words: string; svg?: BandsProps["svg"] }): JSX.Element {
  const step = lab.step(network, state.frame);
  const [at, last] = [replay.at!, Math.max(replay.until!, lab.models[network].data.steps.at(-1)!)];
  return (
    <figure>
      <h3>{title}</h3>
      <Bands steps={replay.steps!} values={values} width={SIDE} height={120} left={40} right={8} along={(one) => (one - at) / (last - at)} marks={marksOf(replay).slice(1)} here={step} ends={[words.otherwise.fork(at), words.time.at(last)]} shown={(v) => number(v, 2)} words={told} svg={svg} />
      <Values replay={replay} values={values} step={step} digits={3} />
      <p class="quiet"><When replay={replay} step={step} /></p>
    </figure>
  );
}

/** On a unit's card: what became of the network without it, or the Python that finds out. */
export function Lost({ lab, at, state }: { lab: Lab; at: UnitPlace; state: State }): JSX.Element | null {
  const update = useContext(Update);
  const { data } = lab.models[at.network];
  const found = lostIn(lab, at);
  if (!found.length && !data.forks) return null;
  if (found.length) {
    return (
      <section class="lost" aria-label={words.otherwise.lost}>
        <h3>{words.otherwise.lost}</h3>
        {found.map((one) => {
          const replay = replayAt(lab, one)!;
          return (
            <div key={one.place}>
              {replay.claims?.slice(0, 1).map((claim) => <Headline key={claim.id} claim={claim} />)}
              {replay.wrong && <p class="quiet">{replay.wrong}</p>}
              <button type="button" onClick={() => update({ replay: one, tab: "training" })}>{words.otherwise.open(replay.title ?? replay.name)}</button>
            </div>
          );
        })}
      </section>
    );
  }
  const step = forkAt(data.forks!, lab.step(at.network, state.frame), data.steps.at(-1)!);
  const layer = lab.layer(at.network, at.layer);
  const text = forking(data.python.run, short(layer), at.unit, lab.models[at.network].units(layer).count, step);
  return (
    <Fold name="lost" summary={words.otherwise.lost}>
      {() => (
        <>
          <p class="quiet">{words.otherwise.make(step)}</p>
          <Copy label={words.common.copy} text={() => text} told={() => words.share.copied} />
          <pre>{text}</pre>
        </>
      )}
    </Fold>
  );
}
