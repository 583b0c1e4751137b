// The column beside the networks: one panel of several, chosen by tabs. In a narrow window it is a sheet that opens above time.

import { Component, type JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useMedia } from "./parts";
import type { Tab } from "./state";
import { words } from "./words";

/** Windows up to this width show the panels as a sheet. */
export const NARROW = "(max-width: 75rem)";

/** The headings of the panel shown, and the lower end of the tabs above them. */
function headings(): { all: HTMLElement[]; top: number } {
  const all = [...document.querySelectorAll<HTMLElement>(".panel:not([hidden]) :is(h2, h3, h4, summary)")].filter((one) => one.checkVisibility());
  return { all, top: document.querySelector(".tabs")!.getBoundingClientRect().bottom };
}

const NEAR = 12; // pixels

/** The number of the heading under which a reader is who scrolled the panel; 0 at its top. */
export function placeInPanel(): number {
  const { all, top } = headings();
  return Math.max(0, all.findLastIndex((one) => one.getBoundingClientRect().top < top + NEAR));
}

const SETTLES = 4000; // milliseconds in which a panel's parts are computed

/** Keeps a part of the inspector below the tabs as its panel fills, until the reader does something. */
export function lead(find: () => Element | null | undefined): () => void {
  const column = document.querySelector(".inspector")!;
  const stop = new AbortController();
  const go = () => {
    const { top } = headings();
    column.scrollTop = Math.floor(column.scrollTop + (find()?.getBoundingClientRect().top ?? top) - top); // a part of a pixel lower, not below the tabs
  };
  const observer = new MutationObserver(go);
  const end = () => {
    stop.abort();
    observer.disconnect();
  };
  observer.observe(column, { childList: true, subtree: true });
  for (const name of ["wheel", "pointerdown", "keydown"]) addEventListener(name, end, { signal: stop.signal, capture: true });
  setTimeout(end, SETTLES);
  go();
  return end;
}

/** Goes to the heading that a link names. */
function useLinkedPlace(): void {
  const wanted = useRef(Number(new URLSearchParams(location.hash.slice(1)).get("at")));
  useEffect(() => (wanted.current ? lead(() => headings().all[wanted.current]) : undefined), []);
}

export interface InspectorProps {
  tabs: readonly Tab[];
  /** The chosen panel; null is that of the unit, or, in a narrow window, none. */
  tab: Tab | null;
  /** What the chosen panel is about: with another one it is shown from its top. */
  about: string;
  panels: Record<Tab, () => JSX.Element | null>;
  /** Whether the panel stays as it is for now, marked: a moving pen is not slowed down. */
  wait: boolean;
  onTab: (tab: Tab) => void;
  onClose: () => void;
}

export function Inspector({ tabs, tab, about, panels, wait, onTab, onClose }: InspectorProps): JSX.Element {
  const narrow = useMedia(NARROW);
  const shown = tab ?? (narrow ? null : "unit");
  const visited = useRef(new Set<Tab>());
  if (shown) visited.current.add(shown);
  const list = useRef<HTMLDivElement>(null);
  const column = useRef<HTMLElement>(null);
  useLayoutEffect(() => column.current!.scrollTo(0, 0), [shown, about]);
  useLinkedPlace();

  function onKeyDown(event: KeyboardEvent): void {
    const at = tabs.indexOf((event.target as HTMLElement).dataset.tab as Tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    list.current!.querySelector<HTMLElement>(`[data-tab="${next}"]`)!.focus();
    onTab(next);
  }

  return (
    <aside ref={column} class={shown ? "inspector open" : "inspector"} aria-label={words.inspector.title}>
      <div class={tabs.length > 6 ? "tabs many" : "tabs"}>
        <div role="tablist" aria-label={words.inspector.title} ref={list} onKeyDown={onKeyDown}>
          {tabs.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              data-tab={name}
              aria-selected={shown === name}
              aria-controls={shown === name ? `panel-${name}` : undefined}
              tabIndex={name === (shown ?? "unit") ? 0 : -1}
              onClick={() => onTab(name)}
            >
              {words.names.tabs[name]}
            </button>
          ))}
        </div>
        {narrow && <button type="button" class="close" aria-label={words.inspector.close} hidden={!shown} onClick={onClose}>×</button>}
      </div>
      {tabs.filter((name) => (name === "unit" ? shown === "unit" : visited.current.has(name))).map((name) => (
        <div key={name} class="panel" role="tabpanel" id={`panel-${name}`} aria-labelledby={`tab-${name}`} hidden={shown !== name} aria-busy={(wait && shown === name) || undefined}>
          <Kept active={shown === name && !wait} content={panels[name]} />
        </div>
      ))}
    </aside>
  );
}

/** What stays as it is while not active. A panel that was seen keeps its state so, but for a unit's. */
export class Kept extends Component<{ active: boolean; content: () => JSX.Element | null }> {
  override shouldComponentUpdate(next: { active: boolean }): boolean {
    return next.active;
  }

  override render(): JSX.Element | null {
    return this.props.content();
  }
}
