// Which training images raised and lowered a prediction, and how far the estimates agree with networks that were trained without them.

import type { JSX } from "preact";
import { useContext } from "preact/hooks";
import { Update } from "./address";
import { Claims, Headline } from "./claims";
import { called } from "./classes";
import type { AskedData, ExtremesData, GroupData, Images, VerifiedData } from "./data";
import { imageAt } from "./data";
import type { Lab } from "./lab";
import { number } from "./numbers";
import { Numbers, Pixels, Say } from "./parts";
import type { State } from "./state";
import { ink, type Theme } from "./theme";
import { words } from "./words";

const SIZE = 30;
const ENDS = ["raise", "lower"] as const;

/** What the images with the larger influence did, in a word: they help a margin, and harm a loss. */
export function kindOf(end: (typeof ENDS)[number], sign: number): "helped" | "harmed" | "raised" | "lowered" {
  if (!sign) return end === "raise" ? "raised" : "lowered";
  return (end === "raise") === sign > 0 ? "helped" : "harmed";
}

/** Both ends of a list, that which helped first. */
export function ends(sign: number): (typeof ENDS)[number][] {
  return sign < 0 ? [...ENDS].reverse() : [...ENDS];
}

export function Influence({ lab, state, theme }: { lab: Lab; state: State; theme: Theme }): JSX.Element | null {
  const update = useContext(Update);
  const network = lab.models.findIndex((model) => model.data.influence);
  if (network < 0) return null;
  const influence = lab.models[network].data.influence!;
  const asked = influence.asked[state.asked];
  const pictures = lab.taught!;
  return (
    <section class="influence" id="influence" aria-label={words.influence.title}>
      <h2>{words.influence.title}</h2>
      <p class="quiet"><Say text={words.influence.how(lab.models[network].data.name)} /></p>
      {influence.asked.length > 1 && (
        <label>
          {words.influence.of}{" "}
          <select value={state.asked} onChange={(e) => {
            const next = Number(e.currentTarget.value);
            update({ asked: next, ...(influence.asked[next].probe !== null && { source: influence.asked[next].probe }) });
          }}>
            {influence.asked.map((one, i) => <option key={i} value={i}>{one.name}</option>)}
          </select>
          {influence.all > influence.asked.length && <small> {words.influence.first(influence.asked.length, influence.all)}</small>}
        </label>
      )}
      <div class="asked">
        {asked.image !== null && <Picture pictures={pictures} place={asked.image} theme={theme} size={64} words={words.influence.test(pictures.indices[asked.image], pictures.labels[asked.image])} />}
        <p>
          {asked.image === null ? asked.name : words.influence.test(pictures.indices[asked.image], pictures.labels[asked.image])}{" "}
          {asked.probe !== null && state.source !== asked.probe && <button type="button" onClick={() => update({ source: asked.probe! })}>{words.influence.show}</button>}
        </p>
      </div>
      {influence.verified.filter((one) => one.reason).map((one, i) => <p key={i} class="loud">{words.influence.refused(one.reason)}</p>)}
      {asked.estimates.map((one, i) => (
        <div key={i} class="estimate" data-method={one.method}>
          <h3><Say text={words.influence.estimated(one.method)} /></h3>
          {influence.verified.flatMap(({ claims }) => claims.filter((claim) => claim.network === one.method)).map((claim) => <Headline key={claim.id} claim={claim} />)}
          {ends(asked.sign).map((end) => <Row key={end} pictures={pictures} theme={theme} end={end} sign={asked.sign} found={one[end]} />)}
          <Numbers fold={`estimate.${state.asked}.${i}`} name={words.influence.table(asked.name, one.method)} head={words.influence.head} rows={() => ends(asked.sign).flatMap((end) => one[end].images.map((place, k) => [pictures.indices[place], called(pictures.labels[place]), one[end].values[k]]))} />
        </div>
      ))}
      {asked.groups.map((one, i) => <Groups key={i} found={one} asked={asked} verified={influence.verified[one.of]} pictures={pictures} theme={theme} />)}
      {influence.verified.length ? influence.verified.filter((one) => !one.reason).map((one, i) => <Verified key={i} found={one} />) : (
        <>
          <p class="quiet">{words.influence.unverified}</p>
          <pre>found = nm.influence.verify(run, nm.influence.alike(data.train), targets)</pre>
        </>
      )}
    </section>
  );
}

function Picture({ pictures, place, theme, size, words: told }: { pictures: Images; place: number; theme: Theme; size: number; words: string }): JSX.Element {
  return <Pixels values={imageAt(pictures, place)} rows={pictures.rows} cols={pictures.cols} ramp={ink(theme, pictures.channels)} size={size} words={told} />;
}

/** Pictures of training images, each above its class. */
function Thumbs({ pictures, places, theme, told }: { pictures: Images; places: number[]; theme: Theme; told: (place: number, i: number) => string }): JSX.Element {
  return (
    <div class="thumbs taught">
      {places.map((place, i) => (
        <span key={place} title={told(place, i)}>
          <Picture pictures={pictures} place={place} theme={theme} size={SIZE} words={told(place, i)} />
          <small aria-hidden="true">{called(pictures.labels[place])}</small>
        </span>
      ))}
    </div>
  );
}

function Row({ pictures, theme, end, sign, found }: { pictures: Images; theme: Theme; end: (typeof ENDS)[number]; sign: number; found: ExtremesData }): JSX.Element {
  const kind = kindOf(end, sign);
  return (
    <div data-kind={kind}>
      <h4>{words.influence.most[kind]}</h4>
      {found.images.length ? <Thumbs pictures={pictures} places={found.images} theme={theme} told={(place, i) => words.influence.image(pictures.indices[place], pictures.labels[place], found.values[i])} /> : <p class="quiet">{words.influence.none}</p>}
    </div>
  );
}

function Groups({ found, asked, verified, pictures, theme }: { found: AskedData["groups"][number]; asked: AskedData; verified: VerifiedData; pictures: Images; theme: Theme }): JSX.Element {
  const list = (end: (typeof ENDS)[number], groups: GroupData[]) => (
    <div key={end} data-kind={kindOf(end, asked.sign)}>
      <h4>{words.influence.sets[kindOf(end, asked.sign)]}</h4>
      {groups.map((one, i) => (
        <div key={i} class="group">
          <Thumbs pictures={pictures} places={one.images} theme={theme} told={(place) => words.influence.member(pictures.indices[place], pictures.labels[place])} />
          <p class="quiet">{words.influence.without(one.size, one.images.length, one.effect, one.low, one.high, verified.seeds)}</p>
        </div>
      ))}
    </div>
  );
  if (!found.raise.length && !found.lower.length) return <></>;
  return (
    <div class="groups">
      <h3>{words.influence.measured}</h3>
      <p class="quiet">{words.influence.grouped(asked.name, verified.sets)}</p>
      {ends(asked.sign).map((end) => found[end].length > 0 && list(end, found[end]))}
    </div>
  );
}

/** Each method's agreement with retraining between its null and its ceiling. */
function Verified({ found }: { found: VerifiedData }): JSX.Element {
  const all = [...found.low, ...found.nullLow, 0].filter((value) => value !== null);
  const from = Math.min(...all);
  return (
    <div class="verified">
      <h3>{words.influence.agreement}</h3>
      <p class="quiet"><Say text={words.influence.read(found.sets, found.seeds, found.targets)} /></p>
      {found.methods.map((method, i) => (
        <div key={method} class="method" data-method={method}>
          <p><strong>{method}</strong> <span class="value">{number(found.value[i], 2)}</span> <small>{words.influence.numbers(...([found.low[i], found.high[i], found.nullLow[i], found.nullHigh[i], found.ceiling].map((one) => number(one, 2)) as [string, string, string, string, string]))}</small></p>
          <Agreement value={found.value[i]} low={found.low[i]} high={found.high[i]} nullLow={found.nullLow[i]} nullHigh={found.nullHigh[i]} ceiling={found.ceiling} from={from} words={words.influence.picture(method, number(found.value[i], 2), number(found.ceiling, 2))} />
        </div>
      ))}
      <Claims claims={found.claims} />
    </div>
  );
}

type Ends = Record<"value" | "low" | "high" | "nullLow" | "nullHigh" | "ceiling", number | null>;

function Agreement({ value, low, high, nullLow, nullHigh, ceiling, from, words: told }: Ends & { from: number; words: string }): JSX.Element {
  const x = (v: number) => 6 + (252 * (v - from)) / (1 - from);
  return (
    <svg class="onnull" viewBox="0 0 264 22" width="264" height="22" role="img" aria-label={told}>
      <line x1={x(from)} x2={x(1)} y1="11" y2="11" class="axis" />
      {nullLow !== null && nullHigh !== null && <rect x={x(nullLow)} width={Math.max(2, x(nullHigh) - x(nullLow))} y="4" height="14" class="null" />}
      {low !== null && high !== null && <line x1={x(low)} x2={x(high)} y1="11" y2="11" class="interval" />}
      {ceiling !== null && <path d={`M${x(ceiling)} 1v20m-4-20h8`} class="ceiling" />}
      {value !== null && <circle cx={x(value)} cy="11" r="4" class="value" />}
    </svg>
  );
}
