// The images selected with a lasso on the map.

import type { JSX } from "preact";
import { called } from "./classes";
import type { Lab } from "./lab";
import { Pixels, Say } from "./parts";
import { ink, type Theme } from "./theme";
import { words } from "./words";

export function Chosen({ lab, chosen, predicted, onImage, theme }: { lab: Lab; chosen: number[]; predicted: Uint8Array | null; onImage: (i: number) => void; theme: Theme }): JSX.Element {
  const { images } = lab;
  const counts = new Array<number>(images.classes).fill(0);
  for (const i of chosen) counts[images.labels[i]]++;
  const wrong = predicted ? chosen.filter((i) => predicted[i] !== images.labels[i]).length : null;
  const told = counts.map((n, c) => [n, c]).filter(([n]) => n).sort((a, b) => b[0] - a[0]).map(([n, c]) => `${n} × ${called(c)}`).join(", ");
  return (
    <div class="chosen" aria-live="polite">
      <p>
        <Say text={words.chosen.told(told, wrong)} count={<strong>{words.chosen.selected(chosen.length)}</strong>} />
      </p>
      <div class="thumbs wrap" role="group" aria-label={words.chosen.title}>
        {chosen.slice(0, 60).map((i) => (
          <button type="button" class="thumb" key={i} aria-label={words.chosen.image(i, images.labels[i])} onClick={() => onImage(i)}>
            <Pixels values={lab.image(i)} rows={images.rows} cols={images.cols} ramp={ink(theme, images.channels)} size={28} words="" />
          </button>
        ))}
        {chosen.length > 60 && <small>{words.chosen.more(chosen.length - 60)}</small>}
      </div>
    </div>
  );
}
