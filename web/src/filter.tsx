// Filters the included images by class, or to those that a network misclassifies.

import type { JSX } from "preact";
import { called } from "./classes";
import { NO_CHANGES } from "./engine";
import { type Lab, useLater } from "./lab";
import type { State } from "./state";
import { words } from "./words";

export function amongOf(lab: Lab, state: State): { list: number[]; ready: boolean } {
  const { label, mistakes } = state.filter;
  const all = lab.images.labels.map((_, i) => i).filter((i) => label === null || lab.images.labels[i] === label);
  if (mistakes === null) return { list: all, ready: true };
  const predicted = lab.evaluators[mistakes].known(lab.snapshot(mistakes, state.frame));
  return predicted ? { list: all.filter((i) => predicted[i] !== lab.images.labels[i]), ready: true } : { list: all, ready: false };
}

export function Filter({ lab, state, count, ready, onFilter }: { lab: Lab; state: State; count: number; ready: boolean; onFilter: (filter: State["filter"], amend?: boolean) => void }): JSX.Element {
  const { label, mistakes } = state.filter;
  // Once the predictions are known, the list is rebuilt.
  useLater(
    async (signal) => {
      if (mistakes === null || ready) return;
      await lab.evaluators[mistakes].answers(lab.snapshot(mistakes, state.frame), NO_CHANGES, signal);
      onFilter({ ...state.filter }, true);
    },
    [mistakes, state.frame, ready],
  );
  return (
    <fieldset class="filter">
      <legend>{words.filter.title}</legend>
      <label>
        {words.filter.label}
        <select value={label ?? ""} onChange={(e) => onFilter({ ...state.filter, label: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) })}>
          <option value="">{words.filter.all}</option>
          {Array.from({ length: lab.images.classes }, (_, c) => <option key={c} value={c}>{called(c)}</option>)}
        </select>
      </label>
      <small aria-live="polite">{ready ? words.filter.found(count) : words.common.running}</small>
      <select aria-label={words.filter.mistakes} value={mistakes ?? ""} onChange={(e) => onFilter({ ...state.filter, mistakes: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) })}>
        <option value="">{words.filter.any}</option>
        {lab.models.map((m, i) => <option key={i} value={i}>{words.filter.by(m.data.name)}</option>)}
      </select>
    </fieldset>
  );
}
