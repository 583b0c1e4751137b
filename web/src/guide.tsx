// The missions: a question, a prediction to commit to, an experiment and its result.

import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { revealTiles } from "./choose";
import { Claims } from "./claims";
import { NARROW } from "./inspector";
import { type Lab, useLater } from "./lab";
import { missions, type Mission, type Outcome } from "./missions";
import { Fold, Numbers, Say } from "./parts";
import { type ChangeItem, same, type State, type UnitPlace } from "./state";
import { words } from "./words";

export interface GuideProps {
  lab: Lab;
  state: State;
  update: (part: Partial<State>) => void;
  /** Called when changes of the reader's own were removed. */
  onRemoved: () => void;
}

export function Guide({ lab, state, update, onRemoved }: GuideProps): JSX.Element {
  const all = useMemo(() => missions(lab), [lab]);
  const kept = useRef<Kept[]>(all.map(() => ({ done: {}, first: null, view: null, before: null })));
  const open = state.mission !== null && state.mission < all.length ? state.mission : null;

  /** Leaves a mission: what it put into the network is taken out again, and the image and the snapshot are those from before. */
  function left(): Partial<State> {
    if (!state.staged || open === null) return {};
    const { view, before } = kept.current[open];
    const put = (at: UnitPlace | null) => !view || [...(view.changes ?? []), view.selected ?? null].some((other) => same(other, at));
    return { staged: false, changes: state.changes.filter((change) => !put(change)), set: state.set.filter((at) => !put(at)), ...(put(state.selected) ? { selected: null } : {}), ...(before && view?.source === state.source && { source: before.source }), ...(before && view?.frame === state.frame && { frame: before.frame }) };
  }

  return (
    <section class="guide" aria-label={words.guide.name}>
      <h2>{words.guide.title(all.length)}</h2>
      <ol>
        {all.map((mission, i) => (
          <li key={i}>
            <button type="button" class="link" aria-expanded={open === i} onClick={() => update({ mission: open === i ? null : i, ...left() })}>
              {mission.title}
            </button>
            {open === i && <Steps key={i} kept={kept.current[i]} mission={mission} number={i} lab={lab} state={state} update={update} onRemoved={onRemoved} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** What is known of a mission on this visit. */
interface Kept {
  /** The outcomes of its experiments, by prediction; or why there is none. */
  done: Record<number, Promise<Outcome | string>>;
  /** The prediction with which its answer was first seen. */
  first: number | null;
  /** What its answer shows. */
  view: Partial<State> | null;
  /** What the page showed before. */
  before: Pick<State, "source" | "frame"> | null;
}

function outcomeOf(mission: Mission, answer: number): Promise<Outcome | string> {
  return mission.experiment(answer).catch((error: Error) => words.guide.failed(error.message));
}

function Steps({ mission, number, kept, lab, state, update, onRemoved }: GuideProps & { mission: Mission; number: number; kept: Kept }): JSX.Element {
  const { predict } = mission;
  const [chosen, setGiven] = useState<number | null>(null);
  const name = `mission-${number}`;
  const answer = state.answers[number] !== undefined && possible(lab, predict, state.answers[number]) ? state.answers[number] : null;
  const given = answer ?? chosen;
  const committed = answer !== null;
  // An experiment is done once for each prediction.
  const { value, stale } = useLater(async () => (answer === null ? null : await (kept.done[answer] ??= outcomeOf(mission, answer))), [answer]);
  const outcome = stale ? null : value;
  if (outcome && typeof outcome !== "string") {
    kept.first ??= answer;
    kept.view = outcome.view;
  }

  /** Before the answer is shown. */
  function withdraw(): void {
    const { [number]: _, ...answers } = state.answers;
    setGiven(null);
    update({ answers });
  }

  /** Shows the outcome in the network as it is at the end of training, with no changes but the outcome's own. */
  function see(view: Partial<State>): void {
    const put = (own: ChangeItem) => view.changes?.some((other) => same(other, own) && other.kind === own.kind && other.value === own.value);
    if (!state.changes.every(put)) onRemoved();
    if (!state.staged) kept.before = { source: state.source, frame: state.frame };
    const tab = view.selected ? "unit" : view.set ? "set" : state.tab;
    update({ selected: null, changes: [], staged: true, tab: !view.selected && matchMedia(NARROW).matches ? null : tab, ...view }); // a sheet would cover it
    document.querySelector(".networks")!.scrollIntoView();
    revealTiles();
  }

  return (
    <div class="mission">
      <p><Say text={mission.question} /></p>
      <fieldset disabled={committed}>
        <legend>{words.guide.prediction}</legend>
        {predict.kind === "choice" &&
          predict.options.map((option, i) => (
            <label key={i} class="choice">
              <input type="radio" name={name} checked={given === i} onChange={() => setGiven(i)} /> {option}
            </label>
          ))}
        {predict.kind !== "choice" && committed && <p>{mission.named(given!)}</p>}
        {predict.kind === "number" && !committed && (
          <label>
            {predict.label} <input type="number" min={predict.from} max={predict.to} value={given ?? ""} onInput={(e) => setGiven(within(e.currentTarget.value, predict.from, predict.to))} />
          </label>
        )}
        {predict.kind === "unit" && !committed && <UnitGuess {...{ lab, state, update, predict, given, setGiven }} />}
      </fieldset>
      {!committed && (
        <button type="button" class="primary" disabled={given === null} onClick={() => update({ answers: { ...state.answers, [number]: given! } })}>
          {words.guide.commit}
        </button>
      )}
      <div aria-live="polite">
        {committed && !outcome && (
          <p aria-busy="true">
            {words.common.running} <button type="button" onClick={withdraw}>{words.guide.withdraw}</button>
          </p>
        )}
        {typeof outcome === "string" && <p class="loud">{outcome}</p>}
        {outcome && typeof outcome !== "string" && (
          <div class="outcome" data-right={outcome.right}>
            <p>
              <strong>{words.guide.judged(outcome.right, outcome.answer)}</strong> <Say text={outcome.detail} />
            </p>
            {kept.first !== null && kept.first !== answer && <p class="loud">{words.guide.late(mission.named(kept.first))}</p>}
            {outcome.claims.length > 0 && (
              <Fold name={`tested.${number}`} summary={words.guide.claims(outcome.claims.filter((claim) => claim.verdict === "shown").length, outcome.claims.length)}>{() => <Claims claims={outcome.claims} />}</Fold>
            )}
            <Numbers fold={`results.${number}`} summary={words.guide.results} name={mission.title} head={outcome.head} rows={() => outcome.rows} />
            {outcome.view && <button type="button" onClick={() => see(outcome.view!)}>{words.guide.see(outcome.view.changes?.length ?? 0, outcome.view.set !== undefined && state.set.length > 0)}</button>}
          </div>
        )}
      </div>
    </div>
  );
}

function UnitGuess({ lab, state, update, predict, given, setGiven }: Omit<GuideProps, "onRemoved"> & { predict: { network: number; layer: number }; given: number | null; setGiven: (unit: number | null) => void }): JSX.Element {
  const { count } = lab.models[predict.network].units(lab.layer(predict.network, predict.layer));
  const here = state.selected && state.selected.network === predict.network && state.selected.layer === predict.layer ? state.selected.unit : null;
  return (
    <div class="row">
      <label>
        {words.guide.unit} <input type="number" min={0} max={count - 1} value={given ?? ""} onInput={(e) => setGiven(within(e.currentTarget.value, 0, count - 1))} />
      </label>
      {here !== null ? (
        <button type="button" onClick={() => setGiven(here)}>{words.guide.use(here)}</button>
      ) : (
        <button type="button" disabled={given === null} onClick={() => given !== null && update({ selected: { network: predict.network, layer: predict.layer, unit: given } })}>{words.guide.card}</button>
      )}
      <span class="quiet">{words.guide.range(count - 1)}</span>
    </div>
  );
}

/** False for a prediction from an address that this mission can't have. */
function possible(lab: Lab, predict: Mission["predict"], answer: number): boolean {
  if (predict.kind === "choice") return answer < predict.options.length;
  if (predict.kind === "number") return answer >= predict.from && answer <= predict.to;
  return answer < lab.models[predict.network].units(lab.layer(predict.network, predict.layer)).count;
}

function within(text: string, from: number, to: number): number | null {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? Math.min(to, Math.max(from, Math.round(value))) : null;
}
