// The page: the image on the left, the networks in the middle, the selected unit's card on the right; below, training time, map and missions.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Trace } from "./backward";
import { Card } from "./card";
import { Digit } from "./digit";
import { Filter, amongOf } from "./filter";
import { Guide } from "./guide";
import type { Lab } from "./lab";
import { missions } from "./missions";
import { LayerMap } from "./map";
import { NetworkColumn } from "./network";
import { grouped, useMedia } from "./parts";
import { centered, Ink, SIDE } from "./pen";
import { CHANGED, type ChangeItem, fromHash, initial, type State, toHash, type UnitPlace } from "./state";
import { theme as themeNow } from "./theme";
import { python } from "./python";
import { Time } from "./time";

export function App({ lab, first }: { lab: Lab; first: State }): JSX.Element {
  const { state, update } = useAddress(lab, first);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const theme = useMemo(themeNow, [dark]);
  const [hover, setHover] = useState<UnitPlace | null>(null);
  const ink = useRef(new Ink());
  const [drawn, setDrawn] = useState(0);
  const waiting = useRef(0);

  const drawing = typeof state.source !== "number";
  useMemo(() => {
    if (typeof state.source !== "number" && state.source !== ink.current.strokes) ink.current = Ink.of(state.source);
  }, [state.source]);
  const pixels = useMemo(
    () => (typeof state.source === "number" ? lab.image(state.source) : centered(ink.current.cells, SIDE, lab.images.rows, lab.images.cols, lab.usual)),
    [state.source, drawn],
  );
  const seen = useMemo(
    () =>
      lab.models.map((model, i) => {
        const snapshot = lab.snapshot(i, state.frame);
        return model.forward(pixels, snapshot, lab.changes(i, state.changes, snapshot));
      }),
    [pixels, state.frame, state.changes],
  );
  const unchanged = useMemo(
    () => (state.changes.length ? lab.models.map((model, i) => model.forward(pixels, lab.snapshot(i, state.frame))) : seen),
    [pixels, state.frame, state.changes, seen],
  );
  const pointed = useMemo(() => path(lab, hover, pixels, state.frame), [hover, pixels, state.frame]);
  const among = useMemo(() => amongOf(lab, state), [state.filter, state.frame]);

  /** Redraws the ink once per frame, however many pointer events arrive. */
  function onInk(done: boolean): void {
    if (done) {
      cancelAnimationFrame(waiting.current);
      waiting.current = 0;
      setDrawn((n) => n + 1);
      update({ source: ink.current.strokes });
    } else if (!waiting.current) {
      waiting.current = requestAnimationFrame(() => {
        waiting.current = 0;
        performance.mark("ink");
        setDrawn((n) => n + 1);
      });
    }
  }

  function onClear(): void {
    ink.current.clear();
    setDrawn((n) => n + 1);
    update({ source: ink.current.strokes });
  }

  // Independent of the image, so not rendered again while the reader draws.
  const time = useMemo(() => <Time lab={lab} frame={state.frame} onFrame={(frame) => update({ frame })} />, [state.frame]);
  const guide = useMemo(() => <Guide lab={lab} state={state} update={update} />, [state]);

  return (
    <>
      <header class="top">
        <h1>{drawing || state.selected || state.changes.length ? "Inside the network" : "Ablate a unit"}</h1>
        <p>
          Draw a digit or choose a test image. Click a unit to ablate, scale, clamp or patch it, and see how the prediction changes.
        </p>
        {lab.page.note && <p class="loud">{lab.page.note}</p>}
      </header>
      <main>
      <div class={state.selected ? "bench with-card" : "bench"}>
        <section class="left" aria-label="The image">
          <Digit
            images={lab.images}
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
          <Filter lab={lab} state={state} count={among.list.length} ready={among.ready} onFilter={(filter) => update({ filter })} />
          <Changes lab={lab} state={state} onChange={(changes) => update({ changes })} onSelect={(selected) => update({ selected })} />
        </section>
        <div class="networks">
          {lab.models.map((_, i) => (
            <NetworkColumn
              key={i}
              lab={lab}
              network={i}
              state={state}
              theme={theme}
              seen={seen[i]}
              unchanged={unchanged[i]}
              hover={hover}
              added={pointed && hover?.network === i ? pointed.added : null}
              onSelect={(selected) => update({ selected })}
              onHover={setHover}
            />
          ))}
        </div>
        {state.selected && (
          <Card
            key={Object.values(state.selected).join()}
            lab={lab}
            at={state.selected}
            state={state}
            theme={theme}
            pixels={pixels}
            seen={seen}
            onChange={(changes) => update({ changes })}
            onImage={(source) => update({ source })}
            onClose={() => update({ selected: null })}
          />
        )}
      </div>
      {time}
      <div class="below">
        <LayerMap lab={lab} state={state} theme={theme} seen={seen} onMap={(map) => update({ map })} onImage={(source) => update({ source })} />
        {guide}
      </div>
      <Python text={() => python(lab, state, pixels)} />
      </main>
      <footer>
        <p class="quiet">
          {grouped(lab.images.count)} test images of {lab.page.images.dataset}. Weights are rounded for storage; each network states how closely its predictions agree with those of the recorded weights. Predictions for drawings and changed units are computed in this page, which loads nothing from outside. Measures and claims were computed in Python at the last snapshot.
        </p>
      </footer>
    </>
  );
}

/** For the unit under the pointer: its gradient with respect to the pixels, and its contribution to each logit. */
function path(lab: Lab, at: UnitPlace | null, pixels: Float32Array, frame: number): { pattern: Float32Array; added: Float32Array; words: string } | null {
  if (!at) return null;
  const model = lab.models[at.network];
  const layer = lab.layer(at.network, at.layer);
  const trace = new Trace(model, pixels, lab.snapshot(at.network, frame));
  const word = model.units(layer).each > 1 ? "channel" : "unit";
  return { pattern: trace.pattern(layer, at.unit), added: trace.contributions(layer, at.unit), words: `${word} ${at.unit} of ${layer.replace(/\.hook_(post|out)$/, "")}` };
}

function Python({ text }: { text: () => string }): JSX.Element {
  const [told, setTold] = useState("");
  const [open, setOpen] = useState(false);
  const copy = () => navigator.clipboard.writeText(text()).then(() => setTold("Copied."), () => setTold("This browser blocks copying; select the text instead."));
  return (
    <details class="python" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show me the Python for this view</summary>
      <div class="scroll" tabIndex={0} role="group" aria-label="Python">
        <pre>{open && text()}</pre>
      </div>
      <div class="row">
        <button type="button" onClick={copy}>Copy</button>
        <span aria-live="polite" class="quiet">{told}</span>
      </div>
    </details>
  );
}

function Changes({ lab, state, onChange, onSelect }: { lab: Lab; state: State; onChange: (changes: ChangeItem[]) => void; onSelect: (at: UnitPlace) => void }): JSX.Element | null {
  if (!state.changes.length) return null;
  return (
    <section class="changes" aria-label="Changes">
      <h2>{state.changes.length === 1 ? "One change" : `${state.changes.length} changes`}</h2>
      <ul>
        {state.changes.map((change) => (
          <li key={`${change.network}.${change.layer}.${change.unit}`}>
            <button type="button" class="link" onClick={() => onSelect({ network: change.network, layer: change.layer, unit: change.unit })}>
              {lab.models[change.network].data.name} {lab.layer(change.network, change.layer).replace(/\.hook_(post|out)$/, "")} {change.unit}
            </button>{" "}
            {CHANGED[change.kind]}
            {change.kind === "scale" ? ` by ${change.value}` : change.kind === "clamp" ? ` to ${change.value}` : change.kind === "patch" ? ` from image ${change.value}` : ""}{" "}
            <button type="button" aria-label={`Restore ${lab.layer(change.network, change.layer)} ${change.unit}`} onClick={() => onChange(state.changes.filter((c) => c !== change))}>×</button>
          </li>
        ))}
      </ul>
      <button type="button" onClick={() => onChange([])}>Reset all</button>
    </section>
  );
}

/** The state, kept in the address: a copied address opens the same view. */
function useAddress(lab: Lab, first: State): { state: State; update: (part: Partial<State>) => void } {
  const [state, setState] = useState(first);
  const wanted = useRef(first);
  const written = useRef(location.hash.slice(1));
  useEffect(() => {
    const hash = toHash(state, initial(lab.frames, lab.images.opening));
    written.current = hash;
    if (hash === location.hash.slice(1)) return;
    try {
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    } catch {
      // Inside a srcdoc frame there is no address to keep the state in; all else works.
    }
  }, [state]);
  /** Unpacks a snapshot before showing it for the first time. */
  function go(next: State): void {
    wanted.current = next;
    if (lab.loaded(next.frame)) setState(next);
    else lab.load(next.frame).then(() => wanted.current.frame === next.frame && setState(wanted.current));
  }
  useEffect(() => {
    const moved = () => location.hash.slice(1) !== written.current && go(addressed(lab));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return { state, update: (part) => go({ ...wanted.current, ...part }) };
}

/** The state encoded in the address. */
export function addressed(lab: Lab): State {
  return fromHash(location.hash, initial(lab.frames, lab.images.opening), {
    images: lab.images.count,
    classes: lab.images.classes,
    frames: lab.frames,
    missions: missions(lab).length,
    units: lab.models.map((model) => model.data.layers.map((layer) => model.units(layer).count)),
  });
}
