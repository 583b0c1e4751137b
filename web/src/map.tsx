// A layer's map: every included image and the current drawing, projected on two principal components.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useLater } from "./lab";
import { grouped, number, Term } from "./parts";
import { type MapProps, Scatter } from "./scatter";
import type { State } from "./state";

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
  return (
    <section class="map" aria-label="Map of a layer" aria-busy={updating || undefined}>
      <h2>Map of the images <small>{updating && "updating …"}</small></h2>
      <div class="row">
        <label>
          Network{" "}
          <select value={network} onChange={(e) => set({ network: Number(e.currentTarget.value), layer: 0 })}>
            {lab.models.map((m, i) => <option key={i} value={i}>{m.data.name}</option>)}
          </select>
        </label>
        <label>
          Layer{" "}
          <select value={place} onChange={(e) => set({ layer: Number(e.currentTarget.value) })}>
            {model.data.layers.map((name, i) => <option key={name} value={i}>{name}</option>)}
          </select>
        </label>
        <label>
          Color by{" "}
          <select value={color} onChange={(e) => set({ color: e.currentTarget.value as State["map"]["color"] })}>
            <option value="class">class</option>
            <option value="said">predicted class</option>
            <option value="error">correct or misclassified</option>
          </select>
        </label>
      </div>
      {!plane && <p class="quiet">This layer was not recorded, or has fewer than two units.</p>}
      {plane && !scores && <p aria-busy="true">Running all images …</p>}
      {plane && scores && own && <Scatter {...props} scores={scores} own={own} predicted={predicted} />}
      {plane && (
        <p class="quiet">
          {grouped(lab.images.count)} images on the two <Term word="principal components" /> of {layer} at the end of training ({number(100 * plane.explained[0])}% and {number(100 * plane.explained[1])}% of its variance; chance level at most {number(100 * plane.chance[0])}%). The axes are the same at every snapshot.
        </p>
      )}
    </section>
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
