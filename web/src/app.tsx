// The page: the image on the left, the networks in the middle, the inspector on the right, training time below.

import type { JSX } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { boundsOf, Folds, type Store, Update, useStore } from "./address";
import { Card } from "./card";
import { placeOf, revealTiles, useChoosing } from "./choose";
import { pinned } from "./compare";
import { Digit } from "./digit";
import { SETTLED } from "./edges";
import { Filter, amongOf } from "./filter";
import { Guide } from "./guide";
import { Inside, insideOf } from "./inside";
import { Influence } from "./influence";
import { Inspector, Kept, NARROW } from "./inspector";
import { Invitation, Questions } from "./invitation";
import { KeyList, useKeys } from "./keys";
import { type Lab, useEffectOf, useLater, usePrepared, useRandom } from "./lab";
import { LayerMap } from "./map";
import { short, unitName } from "./names";
import { EffectInWords, type Judged, NetworkDetails, NetworkMatrix, NetworkRow } from "./network";
import { first, Networks } from "./networks";
import { Fold, useMedia } from "./parts";
import { alike, centered, Ink, SIDE } from "./pen";
import { Otherwise } from "./replay";
import { edited, SetPanel } from "./set";
import { changed, toggled } from "./sets";
import { AT_FIRST, type ChangeItem, misfits, same, type State, type Tab, tabsOf, type UnitPlace } from "./state";
import { Copy, linkOf, Share, Told } from "./share";
import { theme as themeNow } from "./theme";
import { python } from "./python";
import { ScaleChoice } from "./scale";
import { Legend, PHONE, Time } from "./time";
import { words } from "./words";

export function App({ lab, start }: { lab: Lab; start: State }): JSX.Element {
  const { state, update: change, undo, redo } = useStore(lab, start);
  /** Choosing a unit shows its card, and its network. */
  const update = useCallback<Store["update"]>((given, amend) => {
    if (typeof given === "function") return change(given, amend);
    const part = given;
    const at = part.selected?.network;
    const hidden = at !== undefined && !(wanted.current ?? first(lab)).includes(at);
    change({ ...(at !== undefined && { tab: "unit" }), ...(hidden && { shown: [at] }), ...part }, amend);
  }, []);
  const wanted = useRef(state.shown);
  wanted.current = state.shown;

  const dark = useMedia("(prefers-color-scheme: dark)");
  const theme = useMemo(themeNow, [dark]);
  const [narrow, phone] = [useMedia(NARROW), useMedia(PHONE)];
  const [hover, setHover] = useState<UnitPlace | null>(null);
  const ink = useRef<Ink>(null!);
  ink.current ??= new Ink();
  const [drawn, setDrawn] = useState(0);
  const waiting = useRef(0);
  /** Whether the pen moved just now. */
  const [moving, setMoving] = useState(false);
  const resting = useRef(0);

  const drawing = typeof state.source !== "number";
  useMemo(() => {
    if (typeof state.source !== "number" && state.source !== ink.current.strokes) ink.current = Ink.of(state.source);
  }, [state.source]);
  const pixels = useMemo(
    () => (typeof state.source === "number" ? lab.image(state.source) : alike(centered(ink.current.cells, SIDE, lab.images.rows, lab.images.cols, lab.usual, ink.current.box), lab.images.channels)),
    [state.source, drawn],
  );
  const shown = state.shown ?? first(lab);
  const tabs = tabsOf(boundsOf(lab));
  const seen = useMemo(
    () =>
      lazily(lab.models.length, (i) => {
        const snapshot = lab.snapshot(i, state.frame);
        return lab.models[i].forward(pixels, snapshot, lab.changes(i, state.changes, snapshot));
      }),
    [pixels, state.frame, state.changes],
  );
  const unchanged = useMemo(
    () => (state.changes.length ? lazily(lab.models.length, (i) => lab.models[i].forward(pixels, lab.snapshot(i, state.frame))) : seen),
    [pixels, state.frame, state.changes, seen],
  );
  const effects: Judged[] = lab.models.map((_, i) => {
    const snapshot = lab.snapshot(i, state.frame);
    const effect = useEffectOf(lab, i, snapshot, state.changes, shown.includes(i) || state.selected?.network === i || (state.tab === "map" && state.map.network === i));
    return { ...effect, drops: useRandom(lab, i, snapshot, effect) };
  });
  usePrepared(lab, shown, state.frame);
  const { value: pointed } = useLater(() => path(lab, hover, pixels, state.frame, seen), [hover, hover && pixels, hover && seen], JSON.stringify(hover));
  const among = useMemo(() => amongOf(lab, state), [state.filter, state.frame]);

  /** Filters the images; the one shown is then one of them, unless the filter came with an address. `amend`: its predictions were still missing. */
  const choosing = useRef(false);
  function filtered(filter: State["filter"], amend = false): void {
    const { list, ready } = amongOf(lab, { ...state, filter });
    const given = amend && !choosing.current;
    choosing.current = !ready;
    const inside = given || !ready || !list.length || drawing || list.includes(state.source as number);
    update({ filter, ...(inside ? {} : { source: list[0] }) }, amend);
  }

  /** Redraws the ink once per frame, however many pointer events arrive. */
  function onInk(done: boolean): void {
    clearTimeout(resting.current);
    if (done) {
      cancelAnimationFrame(waiting.current);
      waiting.current = 0;
      setMoving(false);
      setDrawn((n) => n + 1);
      update({ source: ink.current.strokes });
      return;
    }
    resting.current = window.setTimeout(setMoving, SETTLED, false);
    if (!waiting.current) {
      waiting.current = requestAnimationFrame(() => {
        waiting.current = 0;
        setMoving(true);
        setDrawn((n) => n + 1);
      });
    }
  }

  function onClear(): void {
    ink.current.clear();
    setDrawn((n) => n + 1);
    update({ source: ink.current.strokes });
  }

  // Focus follows a reader who opens a card, and returns to the unit's tile.
  const asked = useRef(false);
  const left = useRef(state.selected);
  function select(selected: UnitPlace | null): void {
    asked.current = true;
    update(selected ? { selected } : { selected, tab: null });
  }
  useLayoutEffect(() => {
    if (asked.current) (state.selected ? document.querySelector<HTMLElement>(".card") : tileOf(left.current))?.focus({ preventScroll: true });
    if (asked.current) tileOf(state.selected)?.scrollIntoView({ block: "nearest", inline: "nearest" }); // not outside its column, nor below a sheet
    asked.current = false;
    left.current = state.selected;
  }, [state.selected]);
  useEffect(() => {
    if (start.selected || start.set.length) revealTiles(); // of a link
  }, []);
  const [several, setSeveral] = useState(false);
  const networks = useRef<HTMLDivElement>(null);
  /** Where it does not cover the tiles, the set is shown once there is one. */
  function choose(set: UnitPlace[], part: Partial<State> = edited(state, set)): void {
    update({ ...part, ...(set.length && !narrow ? { tab: "set" as const } : {}) });
  }
  const taken = (units: UnitPlace[]) => choose([...state.set, ...units.filter((at) => !state.set.some((other) => same(other, at)))]);
  useChoosing(networks, {
    several,
    onToggle: (units) => choose(toggled(state.set, units)),
    onAdd: taken,
    onBox: (units, also) => (also ? taken(units) : choose(units, { set: units, setBy: null })),
  });

  // Shortcuts, in the words of keys.tsx.
  const [single, setSingle] = useState(true);
  const [listed, setListed] = useState(false);
  const [told, setTold] = useState(() => (misfits(location.hash, start) ? words.share.misfits : ""));
  function reveal(tab: Tab, selector: string): void {
    update({ tab });
    requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus());
  }
  function meant(): UnitPlace[] {
    const tile = document.activeElement?.closest(".tile");
    return tile ? [placeOf(tile)] : state.tab === "set" && state.set.length ? state.set : state.selected ? [state.selected] : [];
  }
  const images = among.list;
  const image = (by: number) => images.length && update({ source: images[(Math.max(drawing ? -1 : images.indexOf(state.source as number), by < 0 ? 0 : -1) + by + images.length) % images.length] });
  useKeys(
    {
      earlier: () => update({ frame: Math.max(0, state.frame - 1) }),
      later: () => update({ frame: Math.min(lab.frames - 1, state.frame + 1) }),
      imageBefore: () => image(-1),
      imageAfter: () => image(1),
      ablate: () => {
        const units = meant();
        const all = units.every((at) => state.changes.some((change) => same(change, at) && change.kind === "zero"));
        update({ changes: changed(state.changes, units, all ? null : "zero") });
      },
      take: () => meant().length && choose(toggled(state.set, meant())),
      pin: () => meant().length === 1 && update({ pins: pinned(state.pins, meant()[0]) }),
      inside: () => {
        const [at, ...more] = meant();
        const opened = at && !more.length && insideOf(lab, state, at, seen[at.network]);
        if (opened) update({ inside: opened });
      },
      reset: () => update({ changes: [] }),
      undo: () => undo?.(),
      redo: () => redo?.(),
      search: () => reveal("set", "#search"),
      tab: (key) => Number(key) <= tabs.length && reveal(tabs[Number(key) - 1], `#tab-${tabs[Number(key) - 1]}`),
      close: () => {
        if (several) setSeveral(false);
        else if (narrow && state.tab) select(null);
        else if (state.tab === "set" && state.set.length) update({ set: [], setBy: null });
        else if (state.selected) select(null);
        else if (state.set.length) update({ set: [], setBy: null });
      },
      keys: () => setListed(true),
    },
    single,
  );

  // Independent of the image, so not rendered again while the reader draws.
  const time = useMemo(() => <Time lab={lab} shown={shown} theme={theme} frame={state.frame} onFrame={(frame) => update({ frame })} scale={state.scale} onScale={(scale) => update({ scale })} replay={state.replay} />, [state.frame, state.scale, theme, shown.join(), state.replay]);
  const invitation = () => (
    <Invitation
      lab={lab}
      state={state}
      shown={shown}
      pixels={pixels}
      seen={seen}
      unchanged={unchanged}
      update={(part) => {
        asked.current = part.selected !== undefined;
        update(part);
      }}
    />
  );
  const panels: Record<Tab, () => JSX.Element | null> = {
    unit: () =>
      state.selected ? (
        <Card
          key={Object.values(state.selected).join()}
          lab={lab}
          at={state.selected}
          state={state}
          theme={theme}
          pixels={pixels}
          seen={seen}
          onImage={(source) => update({ source })}
          onClose={() => select(null)}
        >
          {state.changes.some((one) => one.network === state.selected!.network) && <EffectInWords lab={lab} state={state} effect={effects[state.selected.network]} seen={seen[state.selected.network]} unchanged={unchanged[state.selected.network]} />}
        </Card>
      ) : narrow ? (
        <p class="quiet">{words.top.nothing}</p>
      ) : (
        invitation()
      ),
    set: () => (
      <>
        <SetPanel {...{ lab, state, theme, seen, unchanged }} onSelect={select}>
          <Changes lab={lab} state={state} onChange={(changes) => update({ changes })} onSelect={select} />
        </SetPanel>
      </>
    ),
    confusion: () => (
      <>
        <div class="matrices">{shown.map((i) => <NetworkMatrix key={i} lab={lab} network={i} state={state} effect={effects[i]} />)}</div>
        {shown.map((i) => <NetworkDetails key={i} lab={lab} network={i} state={state} seen={seen[i]} unchanged={unchanged[i]} effect={effects[i]} />)}
      </>
    ),
    map: () => <LayerMap lab={lab} state={state} theme={theme} seen={seen} effect={effects[state.map.network]} onMap={(map) => update({ map, ...((map.network !== state.map.network || map.layer !== state.map.layer) && { look: AT_FIRST }) })} onLook={(look) => update({ look })} onImage={(source) => update({ source })} />,
    missions: () => (
      <>
        <section class="questions" aria-label={words.invitation.questions}>
          <h2>{words.invitation.questions}</h2>
          <Questions lab={lab} state={state} shown={shown} seen={seen} unchanged={unchanged} update={update} />
        </section>
        <Guide lab={lab} state={state} update={update} onRemoved={() => setTold(words.guide.removed)} />
      </>
    ),
    training: () => (
      <>
        <Otherwise lab={lab} state={state} />
        <Influence lab={lab} state={state} theme={theme} />
      </>
    ),
    python: () => <Python text={python(lab, state, pixels)} />,
  };

  // Like training time, not rendered again while the reader draws.
  const header = useMemo(
    () => (
      <header class="top">
        <h1>{words.top.title}</h1>
        {lab.page.note ? <p class="loud">{lab.page.note}</p> : several ? <p class="choosing">{words.sets.choosing}</p> : <p class="quiet">{words.top.told()}</p>}
        <Networks
          lab={lab}
          shown={shown}
          onShown={(chosen) => {
            const own = chosen.join() === first(lab).join() ? null : chosen;
            update({ shown: own, ...(state.selected && !chosen.includes(state.selected.network) && { selected: null, tab: null }) });
          }}
        />
        <div class="row">
          <button type="button" aria-pressed={several} onClick={() => {
            setSeveral(!several);
            if (several && state.set.length) update({ tab: "set" });
          }}>{several ? words.sets.done(state.set.length) : words.sets.several}</button>
          <button type="button" disabled={!undo} aria-keyshortcuts="Control+Z" onClick={() => undo?.()}>{words.top.undo}</button>
          <button type="button" disabled={!redo} aria-keyshortcuts="Control+Shift+Z" onClick={() => redo?.()}>{words.top.redo}</button>
          <button type="button" disabled={!state.changes.length} onClick={() => update({ changes: [] })}>{words.top.reset}</button>
          <button type="button" aria-label={words.keys.open} aria-keyshortcuts="?" aria-haspopup="dialog" onClick={() => setListed(true)}>{words.keys.label}</button>
          <Share link={() => linkOf(lab, state)} guesses={Object.keys(state.answers).length > 0} />
        </div>
      </header>
    ),
    [state, several, !undo, !redo],
  );
  const reading = () => (
    <>
    <ul class="reading" aria-label={words.reading.title}>
      {(["activation", "dead", "changed", "picked", "raises", "lowers", "earlier"] as const).map((name) => <li key={name} class={name}>{words.reading[name]}</li>)}
    </ul>
    {phone && (
      <>
        <p class="quiet">{words.reading.curves}</p>
        <Legend lab={lab} shown={shown} frame={state.frame} />
        <ScaleChoice scale={state.scale} onScale={(scale) => update({ scale })} />
      </>
    )}
    </>
  );
  const filter = useMemo(() => <Filter lab={lab} state={state} count={among.list.length} ready={among.ready} onFilter={filtered} />, [state, among]);

  // What a changed unit adds is not what the unchanged network says.
  const altered = hover && state.changes.some((one) => same(one, hover));

  return (
    <Update.Provider value={update}>
    <Folds.Provider value={state.folds}>
      {header}
      <main>
        {narrow && <Kept active={!moving} content={invitation} />}
        <section class="left" aria-label={words.digit.title}>
          <Digit
            images={lab.images}
            networks={shown.length}
            source={state.source}
            ink={ink.current}
            pixels={pixels}
            pattern={pointed && pointed.pattern}
            patternWords={pointed?.words ?? ""}
            theme={theme}
            among={among.list}
            onInk={onInk}
            onImage={(index) => update({ source: index })}
            onClear={onClear}
          />
          {narrow ? <Fold name="filter" summary={state.filter.label === null && state.filter.mistakes === null ? words.filter.title : words.filter.some(among.list.length)}>{() => filter}</Fold> : filter}
          {phone ? <Fold name="reading" summary={words.reading.title}>{reading}</Fold> : reading()}
          <footer>
            <Fold name="about" summary={words.top.about}>{() => <p class="quiet">{words.top.page(lab.images.count, lab.page.images.dataset)}</p>}</Fold>
          </footer>
        </section>
        <div class="networks" ref={networks} style={{ "--shown": shown.length }}>
          {shown.map((i) => (
            <NetworkRow
              key={i}
              lab={lab}
              network={i}
              state={state}
              theme={theme}
              seen={seen[i]}
              unchanged={unchanged[i]}
              hover={hover}
              effect={effects[i]}
              added={pointed && hover?.network === i && !altered ? pointed.added : null}
              onSelect={select}
              onHover={setHover}
            />
          ))}
        </div>
        <Inspector tabs={tabs} tab={state.tab} about={Object.values(state.selected ?? {}).join()} panels={panels} wait={moving} onTab={(tab) => update({ tab })} onClose={() => select(null)} />
        {time}
      </main>
      <Told text={told} onGone={() => setTold("")} />
      {listed && <KeyList tabs={tabs.length} single={single} onSingle={setSingle} onClose={() => setListed(false)} />}
      {state.inside && <Inside key={`${state.inside.network}.${state.inside.layer}`} lab={lab} state={state} theme={theme} seen={seen} inside={state.inside} />}
    </Folds.Provider>
    </Update.Provider>
  );
}

/** Values that are computed when they are first asked for: a network that is not shown takes no time. */
function lazily<T>(count: number, make: (i: number) => T): T[] {
  const all: T[] = [];
  for (let i = 0; i < count; i++) {
    Object.defineProperty(all, i, { configurable: true, enumerable: true, get: () => (Object.defineProperty(all, i, { value: make(i) }), all[i]) });
  }
  return all;
}

/** The tile of a unit. */
function tileOf(at: UnitPlace | null): HTMLElement | null {
  return at && document.querySelector<HTMLElement>(`[data-network="${at.network}"] [data-layer="${at.layer}"] [data-unit="${at.unit}"]`);
}

/** For the unit under the pointer: its gradient with respect to the pixels, and its contribution to each logit. */
async function path(lab: Lab, at: UnitPlace | null, pixels: Float32Array, frame: number, seen: Map<string, Float32Array>[]): Promise<{ pattern: Float32Array; added: Float32Array; words: string } | null> {
  if (!at) return null;
  const layer = lab.layer(at.network, at.layer);
  const traced = (what: "pattern" | "contributions") => lab.evaluators[at.network].traced(what, pixels, lab.snapshot(at.network, frame), layer, at.unit);
  const [pattern, added] = await Promise.all([traced("pattern"), traced("contributions")]);
  const { each } = lab.models[at.network].units(layer);
  const own = seen[at.network].get(layer)!.subarray(at.unit * each, (at.unit + 1) * each);
  return { pattern, added, words: words.digit.pattern(unitName(lab.models[at.network], at.layer, at.unit), own.reduce((a, b) => a + b, 0) / each, each > 1, lab.images.channels) };
}

function Python({ text }: { text: string }): JSX.Element {
  return (
    <section class="python" aria-label={words.python.title}>
      <h2>{words.python.title}</h2>
      <Copy label={words.common.copy} text={() => text} told={() => words.share.copied} />
      <div class="scroll" tabIndex={0} role="group" aria-label={words.python.code}>
        <pre>{text}</pre>
      </div>
    </section>
  );
}

/** More changes than these are listed folded. */
const FEW = 6;

function Changes({ lab, state, onChange, onSelect }: { lab: Lab; state: State; onChange: (changes: ChangeItem[]) => void; onSelect: (at: UnitPlace) => void }): JSX.Element | null {
  if (!state.changes.length) return null;
  const layerOf = ({ network, layer }: UnitPlace) => `${lab.models[network].data.name} ${short(lab.layer(network, layer))}`;
  const counts = new Map<string, { where: string; kind: ChangeItem["kind"]; n: number }>();
  for (const change of state.changes) {
    const [where, { kind }] = [layerOf(change), change];
    counts.set(`${where} ${kind}`, { where, kind, n: (counts.get(`${where} ${kind}`)?.n ?? 0) + 1 });
  }
  return (
    <section class="changes" aria-label={words.changes.label}>
      <h2>{words.changes.title(state.changes.length)}</h2>
      <Fold name="changes" opened={state.changes.length <= FEW} summary={[...counts.values()].map(({ where, kind, n }) => words.changes.many(n, where, kind)).join("; ")}>{() => (
      <ul>
        {state.changes.map((change) => (
          <li key={`${change.network}.${change.layer}.${change.unit}`}>
            <button type="button" class="link" onClick={() => onSelect({ network: change.network, layer: change.layer, unit: change.unit })}>
              {layerOf(change)} {change.unit}
            </button>{" "}
            {words.changes.how[change.kind](change.value)}{" "}
            <button type="button" aria-label={words.changes.restore(`${layerOf(change)} ${change.unit}`)} onClick={() => onChange(state.changes.filter((c) => c !== change))}>×</button>
          </li>
        ))}
      </ul>
      )}</Fold>
    </section>
  );
}
