// A layer's map: every included image and the current drawing, projected on two principal components.

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useLater } from "./lab";
import { short } from "./names";
import { Say } from "./parts";
import { type MapProps, Scatter } from "./scatter";
import type { State } from "./state";
import { words } from "./words";

export function LayerMap(props: MapProps): JSX.Element {
  const { lab, state, seen, effect } = props;
  const { network, layer: place, color } = state.map;
  const model = lab.models[network];
  const layer = lab.layer(network, place);
  const plane = model.data.maps[layer];
  const snapshot = lab.snapshot(network, state.frame);
  const { value: means, stale } = useLater((signal) => lab.evaluators[network].means(snapshot, layer, signal), [network, layer, snapshot], `${network} ${layer}`);
  const scores = useMemo(() => means && plane && projected(means, plane), [means, plane]);
  const own = useMemo(() => plane && projected(channelMeans(seen[network].get(layer)!, model.units(layer).each), plane), [seen, plane]);
  const predicted = effect.value?.after.predicted ?? null;
  const updating = stale || effect.stale;
  const set = (part: Partial<State["map"]>) => props.onMap({ ...state.map, ...part });
  const [large, setLarge] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);

  const content = (
    <>
      <div class="choices">
        <label>
          {words.map.network}
          <select value={network} onChange={(e) => set({ network: Number(e.currentTarget.value), layer: 0 })}>
            {lab.models.map((m, i) => <option key={i} value={i}>{m.data.name}</option>)}
          </select>
        </label>
        <label>
          {words.map.layer}
          <select value={place} onChange={(e) => set({ layer: Number(e.currentTarget.value) })}>
            {model.data.layers.map((name, i) => <option key={name} value={i}>{short(name)}</option>)}
          </select>
        </label>
        <label>
          {words.map.color}
          <select value={color} onChange={(e) => set({ color: e.currentTarget.value as State["map"]["color"] })}>
            {(["class", "said", "error"] as const).map((name) => <option key={name} value={name}>{words.map.colors[name]}</option>)}
          </select>
        </label>
      </div>
      {!plane && <p class="quiet">{words.map.none}</p>}
      {plane && !scores && <p aria-busy="true">{words.common.running}</p>}
      {plane && scores && own && <Scatter key={`${network} ${place}`} {...props} scores={scores} own={own} predicted={predicted} />}
      {plane && <p class="quiet"><Say text={words.map.axes(lab.images.count, short(layer), plane.explained, plane.chance[0])} /></p>}
    </>
  );
  return (
    <section class="map" aria-label={words.map.title} aria-busy={updating || undefined}>
      <div class="row">
        <h2>{words.map.title} <small>{updating && words.common.updating}</small></h2>
        <button type="button" ref={opener} aria-haspopup="dialog" onClick={() => setLarge(true)}>{words.map.larger}</button>
      </div>
      {large ? (
        <Large
          onClose={() => {
            setLarge(false);
            opener.current!.focus();
          }}
        >
          {content}
        </Large>
      ) : (
        content
      )}
    </section>
  );
}

/** The map over the page. */
function Large({ children, onClose }: { children: JSX.Element; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} class="inside map" aria-label={words.map.title} onClose={onClose} onKeyDown={(event) => event.stopPropagation()} onClick={(event) => event.target === dialog.current && dialog.current!.close()}>
      <header>
        <h2>{words.map.title}</h2>
        <button type="button" class="close" aria-label={words.common.close} onClick={() => dialog.current!.close()}>×</button>
      </header>
      {children}
    </dialog>
  );
}

function channelMeans(values: Float32Array, each: number): Float32Array {
  return Float32Array.from({ length: values.length / each }, (_, unit) => {
    let sum = 0;
    for (let i = unit * each; i < (unit + 1) * each; i++) sum += values[i];
    return sum / each;
  });
}

/** [image, 2] of [image, unit]. */
function projected(means: Float32Array, plane: { center: number[]; directions: number[][] }): Float32Array {
  const count = plane.center.length;
  const found = new Float32Array((2 * means.length) / count);
  for (let i = 0; i < means.length / count; i++) {
    for (let k = 0; k < 2; k++) {
      let sum = 0;
      for (let unit = 0; unit < count; unit++) sum += (means[i * count + unit] - plane.center[unit]) * plane.directions[k][unit];
      found[2 * i + k] = sum;
    }
  }
  return found;
}
