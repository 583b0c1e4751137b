// One window of a convolution: what it covers times the kernel, summed, at each position that it slides over.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { spanOf } from "../engine";
import { Exact } from "../edges";
import { positionName, sourceName } from "../names";
import { Say, useMedia } from "../parts";
import { biasOf, contributions, cornerOf, windowOf } from "../sums";
import { signed } from "../theme";
import { words } from "../words";
import { Amount, Captioned, Grid, Mapped, rampOf, reach } from "./pictures";
import type { StepProps } from "./step";

const LISTED = 5;
const SLIDE = 500; // frames for a whole map

export function Convolution(props: StepProps): JSX.Element {
  const { trace, link, unit, theme, position, onPosition, ramps } = props;
  const { model } = trace;
  const [sliding, setSliding] = useState(false);
  const sums = contributions(trace, link, unit, position);
  const order = Array.from(sums.keys()).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]) || a - b);
  const total = sums.reduce((a, b) => a + b, 0);
  const [source, setSource] = useState(order[0]);
  const { rows, cols, weights, values } = windowOf(trace, link, unit, source, position);
  const [, height, width] = model.inShape(link.place);
  const [, rowsOut, colsOut] = model.shapes[link.place];
  const count = rowsOut * colsOut;
  const map = trace.before(link.place).subarray(source * height * width, (source + 1) * height * width);
  const bias = biasOf(trace, link, unit);
  const sumsOf = trace.outputs[link.place].subarray(unit * count, (unit + 1) * count).map((v) => v - bias);
  const [top, left] = cornerOf(model, link, position);
  const [down, right] = spanOf(model.data.ops[link.place] as Parameters<typeof spanOf>[0], [rows, cols]);
  const products = weights.map((weight, i) => weight * values[i]);
  const ramp = rampOf(map, theme, link.from < 0);
  const { captions, told } = words.inside;
  return (
    <>
      <p><Say text={words.inside.convolution(sums.length, link.from < 0)} /></p>
      <div class="convolution">
        <Leads />
        <Captioned text={captions.slides(sourceName(model, link, source))} ramp={ramp}>
          <Mapped values={map} rows={height} cols={width} ramp={ramp} words={told.slides} box={[left, top, right, down]} />
        </Captioned>
        <div class="equation">
          <Grid name={captions.window} values={values} rows={rows} cols={cols} ramp={ramp} /> ×
          <Grid name={captions.kernel} values={weights} rows={rows} cols={cols} ramp={signed(theme, reach(weights))} /> =
          <Grid name={captions.windowProducts} values={products} rows={rows} cols={cols} ramp={signed(theme, reach(products))} />
          <span class="total">
            →{" "}
            {sums.length > 1 && (
              <>
                <Captioned text={captions.theirSum}><Exact value={sums[source]} /></Captioned> +{" "}
                <Captioned text={captions.others(sums.length - 1)}><Exact value={total - sums[source]} /></Captioned> ={" "}
              </>
            )}
            <span data-total><Captioned text={sums.length > 1 ? captions.sum : captions.theirSum}><Exact value={total} strong /></Captioned></span>
          </span>
        </div>
        <Captioned text={captions.sums} ramp={ramps.get(link.place)}>
          <Mapped values={sliding ? sumsOf.map((v, i) => (i <= position ? v : NaN)) : sumsOf} rows={rowsOut} cols={colsOut} ramp={ramps.get(link.place)!} words={told.sums} box={[position % colsOut, Math.floor(position / colsOut), 1, 1]} onPick={(col, row) => onPosition(row * colsOut + col)} />
        </Captioned>
      </div>
      <Slider {...props} count={count} sliding={sliding} onSliding={setSliding} />
      {sums.length > 1 && (
        <>
          <p class="quiet">{words.inside.channels}</p>
          <table class="products">
            <tbody>
              {order.slice(0, LISTED).map((channel) => (
                <tr key={channel} data-term>
                  <th scope="row"><button type="button" class="link" aria-pressed={channel === source} onClick={() => setSource(channel)}>{sourceName(model, link, channel)}</button></th>
                  <td><Exact value={sums[channel]} /></td>
                  <td><Amount value={sums[channel]} most={Math.abs(sums[order[0]]) || 1} /></td>
                </tr>
              ))}
              {order.length > LISTED && <tr data-rest><th scope="row">{words.inside.rest(order.length - LISTED)}</th><td><Exact value={order.slice(LISTED).reduce((sum, channel) => sum + sums[channel], 0)} /></td><td /></tr>}
              <tr class="sum"><th scope="row">{words.inside.head.sum}</th><td><Exact value={total} strong /></td><td /></tr>
            </tbody>
          </table>
        </>
      )}
    </>
  );
}

/** The window's position, by hand or sliding on its own. */
function Slider({ trace, link, position, onPosition, count, sliding, onSliding }: StepProps & { count: number; sliding: boolean; onSliding: (sliding: boolean) => void }): JSX.Element {
  const still = useMedia("(prefers-reduced-motion: reduce)");
  const name = positionName(trace.model, link, position);
  useEffect(() => {
    if (!sliding) return;
    const frame = requestAnimationFrame(() => {
      const after = position + Math.ceil(count / SLIDE);
      if (after >= count) onSliding(false);
      onPosition(Math.min(count - 1, after));
    });
    return () => cancelAnimationFrame(frame);
  }, [sliding, position]);
  function slide(): void {
    if (!sliding && position === count - 1) onPosition(0);
    onSliding(!sliding);
  }
  return (
    <div class="row">
      {!still && <button type="button" onClick={slide}>{sliding ? words.common.pause : words.inside.slide}</button>}
      <label class="slider">
        {words.inside.position(name)}
        <input
          type="range"
          min={0}
          max={count - 1}
          value={position}
          aria-valuetext={name}
          onInput={(event) => {
            onSliding(false);
            onPosition(Number(event.currentTarget.value));
          }}
        />
      </label>
    </div>
  );
}

/** Lines from the window to its numbers, where they stand beside each other. */
function Leads(): JSX.Element {
  const path = useRef<SVGPathElement>(null);
  useLayoutEffect(() => {
    const place = path.current!.closest(".convolution")!;
    const draw = () => {
      const origin = place.getBoundingClientRect();
      const [window, first] = ["rect", ".equation .captioned > *"].map((part) => place.querySelector(part)!.getBoundingClientRect());
      const line = (a: DOMRect, b: DOMRect) => (a.right > b.left ? "" : (["top", "bottom"] as const).map((side) => `M${a.right - origin.left},${a[side] - origin.top}L${b.left - origin.left},${b[side] - origin.top}`).join(""));
      path.current!.setAttribute("d", line(window, first));
    };
    const observer = new ResizeObserver(draw);
    observer.observe(place);
    draw();
    return () => observer.disconnect();
  });
  return <svg class="leads" aria-hidden="true"><path ref={path} /></svg>;
}
