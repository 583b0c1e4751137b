// The confusion matrix: a table on the page, saved as a table or as a picture; a cell is chosen to be shown over training.

import type { ComponentChildren, JSX } from "preact";
import { useContext, useRef, useState } from "preact/hooks";
import { Update } from "./address";
import { called } from "./classes";
import type { Answers } from "./evaluate";
import { Fold, Saves } from "./parts";
import type { Pair } from "./state";
import { signed } from "./numbers";
import { amount, color, css, theme } from "./theme";
import { words } from "./words";

const [CELL, LABELS] = [44, 64]; // pixels of the picture
const FITS = 5; // characters of a class's name beside a cell
const MOVES: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The share of its full color that a cell has: a correct one by its class, an error by the most frequent error. */
function shareOf(confusion: number[][]): (label: number, predicted: number) => number {
  const most = Math.max(1, ...confusion.flatMap((counts, label) => counts.filter((_, predicted) => predicted !== label)));
  return (label, predicted) => confusion[label][predicted] / (label === predicted ? Math.max(1, confusion[label].reduce((a, b) => a + b, 0)) : most);
}

/** `before`: without the changes; `told`: what these do to the accuracy, for the picture; `children`: the chosen cell over training. */
export function Confusion({ network, name, now, before, changes, told, pair, children }: { network: number; name: string; now: Answers; before: Answers; changes: number; told: string; pair: Pair | null; children: ComponentChildren }): JSX.Element {
  const classes = now.confusion.map((_, label) => label);
  const share = shareOf(now.confusion);
  const title = words.confusion.name(name);
  const sizes = now.confusion.map((counts) => counts.reduce((a, b) => a + b, 0));
  const update = useContext(Update);
  const [focus, setFocus] = useState<Pair>(pair ?? { label: 0, predicted: 0 });
  const body = useRef<HTMLTableSectionElement>(null);
  const images = sizes.reduce((a, b) => a + b, 0);
  /** Arrow keys move between cells; the page's own shortcuts leave them alone in a table. */
  function onKeyDown(event: KeyboardEvent): void {
    const [down, right] = MOVES[event.key] ?? [0, 0];
    if (!down && !right) return;
    event.preventDefault();
    const [row, col] = [focus.label + down, focus.predicted + right].map((place) => Math.min(classes.length - 1, Math.max(0, place)));
    body.current!.rows[row].querySelectorAll("button")[col].focus();
  }
  return (
    <Fold name={`matrix.${network}`} opened summary={words.confusion.title}>{() => (
      <>
      <p class="quiet" id={`caption-${network}`}>{words.confusion.caption(changes > 0)}</p>
      <div class="scroll" tabIndex={0} role="group" aria-label={words.confusion.title}>
        <table class="confusion" aria-describedby={`caption-${network}`}>
          <thead>
            <tr>
              <td />
              {classes.map((c) => <th key={c} scope="col">{called(c)}</th>)}
            </tr>
          </thead>
          <tbody ref={body} onKeyDown={onKeyDown}>
            {now.confusion.map((counts, label) => (
              <tr key={label}>
                <th scope="row" title={called(label)}>{called(label)}</th>
                {counts.map((count, predicted) => {
                  const more = count - before.confusion[label][predicted];
                  const chosen = pair?.label === label && pair.predicted === predicted;
                  const kind = predicted === label ? "right" : count ? "wrong" : "none";
                  return (
                    <td key={predicted} class={kind} style={{ "--share": `${Math.round(45 * share(label, predicted))}%` }}>
                      <button
                        type="button"
                        aria-label={words.confusion.cell(label, predicted, count)}
                        aria-pressed={chosen}
                        tabIndex={focus.label === label && focus.predicted === predicted ? 0 : -1}
                        onFocus={() => setFocus({ label, predicted })}
                        onClick={() => {
                          update({ pair: chosen ? null : { label, predicted } });
                          if (!chosen) requestAnimationFrame(() => body.current?.closest(".matrix")?.querySelector(".learning .shown")?.scrollIntoView({ block: "nearest" }));
                        }}
                      >
                        {count}
                        {more !== 0 && <small> {signed(more)}</small>}
                      </button>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {children}
      <Saves
        name={title}
        head={[words.confusion.true, ...classes.map(words.confusion.predicted)]}
        rows={() => classes.map((label) => [called(label), ...now.confusion[label]])}
        pictures={() => [drawn(now.confusion)]}
        kinds={["PNG"]}
        caption={() => words.confusion.saved(title, images, now.accuracy, Math.max(...sizes) / images, changes) + told}
      />
      </>
    )}</Fold>
  );
}

/** The matrix as a picture, in the page's colors. */
function drawn(confusion: number[][]): HTMLCanvasElement {
  const [now, share, scale] = [theme(), shareOf(confusion), devicePixelRatio || 1];
  const side = LABELS + confusion.length * CELL;
  const canvas = Object.assign(document.createElement("canvas"), { width: side * scale, height: side * scale });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  [context.textAlign, context.textBaseline] = ["center", "middle"];
  const text = (words: string, x: number, y: number, weight = "normal") => {
    context.font = `${weight} 14px ${getComputedStyle(document.documentElement).fontFamily}`;
    context.fillStyle = css(now.ink);
    context.fillText(words, x, y);
  };
  const middle = LABELS + (confusion.length * CELL) / 2;
  text(words.confusion.across, middle, 14);
  context.rotate(-Math.PI / 2);
  text(words.confusion.down, -middle, 14);
  context.rotate(Math.PI / 2);
  confusion.forEach((counts, label) => {
    const at = LABELS + (label + 0.5) * CELL;
    text(called(label).slice(0, FITS), at, LABELS - 16, "bold");
    text(called(label).slice(0, FITS), LABELS - 16, at, "bold");
    counts.forEach((count, predicted) => {
      const [x, y] = [LABELS + predicted * CELL, LABELS + label * CELL];
      context.fillStyle = label === predicted ? color(amount(now, 1), 0.45 * share(label, predicted)) : css(now.ink, 0.3 * share(label, predicted));
      context.fillRect(x, y, CELL - 1, CELL - 1);
      if (count) text(String(count), x + CELL / 2, y + CELL / 2, label === predicted ? "bold" : "normal");
    });
  });
  return canvas;
}
