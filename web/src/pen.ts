// Drawing: strokes on a square, their ink, and MNIST's centering of it.

import { imageAt, type Images, summed } from "./data";

/** Side of the drawing, in ink cells. */
export const SIDE = 280;
export const RADIUS = SIDE / 20;
const APART = 3; // least distance, in cells, between recorded points

/** x, y, x, y, … of each stroke, whole cells. */
export type Strokes = number[][];

export class Ink {
  readonly cells = new Float32Array(SIDE * SIDE);
  strokes: Strokes = [];
  /** The cells with ink: looking for them among all takes as long as a network's pass. */
  box: Box | null = null;

  static of(strokes: Strokes): Ink {
    const ink = new Ink();
    for (const stroke of strokes) {
      ink.begin(stroke[0], stroke[1]);
      for (let i = 2; i < stroke.length; i += 2) ink.to(stroke[i], stroke[i + 1], 0);
    }
    return ink;
  }

  /** Clears in place, so references to this ink stay valid. */
  clear(): void {
    this.cells.fill(0);
    this.strokes = [];
    this.box = null;
  }

  begin(x: number, y: number): void {
    this.strokes.push([inside(x), inside(y)]);
    this.line(inside(x), inside(y), inside(x), inside(y));
  }

  /** Extends the stroke to a point; one nearer than `apart` to the last is ignored. */
  to(x: number, y: number, apart = APART): boolean {
    const stroke = this.strokes.at(-1);
    if (!stroke) return false;
    [x, y] = [inside(x), inside(y)];
    const [fromX, fromY] = stroke.slice(-2);
    if (Math.hypot(x - fromX, y - fromY) < apart) return false;
    this.line(fromX, fromY, x, y);
    stroke.push(x, y);
    return true;
  }

  /** Inks a line with a round pen of RADIUS, antialiased over one cell. */
  private line(x0: number, y0: number, x1: number, y1: number): void {
    const reach = RADIUS + 1;
    const [left, right] = [Math.max(0, Math.floor(Math.min(x0, x1) - reach)), Math.min(SIDE - 1, Math.ceil(Math.max(x0, x1) + reach))];
    const [top, bottom] = [Math.max(0, Math.floor(Math.min(y0, y1) - reach)), Math.min(SIDE - 1, Math.ceil(Math.max(y0, y1) + reach))];
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy || 1;
    let [first, last, start, end] = [SIDE, -1, SIDE, -1];
    for (let row = top; row <= bottom; row++) {
      for (let col = left; col <= right; col++) {
        const t = Math.min(1, Math.max(0, ((col - x0) * dx + (row - y0) * dy) / length));
        const distance = Math.hypot(col - x0 - t * dx, row - y0 - t * dy);
        const ink = Math.min(1, Math.max(0, RADIUS + 0.5 - distance));
        const at = row * SIDE + col;
        if (ink <= this.cells[at]) continue;
        this.cells[at] = ink;
        if (row < first) first = row;
        if (row > last) last = row;
        if (col < start) start = col;
        if (col > end) end = col;
      }
    }
    if (last >= 0) this.box = joined(this.box, { top: first, left: start, height: last - first + 1, width: end - start + 1 });
  }
}

function inside(value: number): number {
  return Math.round(Math.min(SIDE - 1, Math.max(0, value)));
}

export interface Box {
  top: number;
  left: number;
  height: number;
  width: number;
}

function joined(a: Box | null, b: Box): Box {
  if (!a) return b;
  const [top, left] = [Math.min(a.top, b.top), Math.min(a.left, b.left)];
  return { top, left, height: Math.max(a.top + a.height, b.top + b.height) - top, width: Math.max(a.left + a.width, b.left + b.width) - left };
}

function boundsOf(pixels: Float32Array, rows: number, cols: number): Box | null {
  let [top, bottom, left, right] = [rows, -1, cols, -1];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      if (pixels[r * cols + c] <= 0) continue;
      [top, bottom] = [Math.min(top, r), r];
      [left, right] = [Math.min(left, c), Math.max(right, c)];
    }
  }
  return bottom < 0 ? null : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** How a dataset's images were prepared: the medians of the ink's longer side and center of mass. */
export interface Usual {
  side: number;
  /** In pixels from the center of the first one, rounded to halves. */
  row: number;
  col: number;
}

/** For MNIST: 20 pixels, with the center of mass on pixel (14, 14), half a pixel beyond the middle of the image. */
export function usual(images: Images): Usual {
  const { rows, cols } = images;
  const found = { side: [] as number[], row: [] as number[], col: [] as number[] };
  for (let i = 0; i < images.count; i++) {
    const pixels = summed(imageAt(images, i), images.channels);
    const box = boundsOf(pixels, rows, cols);
    if (!box) continue;
    const [row, col] = centerOfMass(pixels, rows, cols);
    found.side.push(Math.max(box.height, box.width));
    found.row.push(row);
    found.col.push(col);
  }
  const [side, row, col] = [found.side, found.row, found.col].map((all) => all.sort((a, b) => a - b)[all.length >> 1]);
  return side ? { side, row: Math.round(2 * row) / 2, col: Math.round(2 * col) / 2 } : { side: Math.min(rows, cols), row: (rows - 1) / 2, col: (cols - 1) / 2 };
}

function centerOfMass(pixels: Float32Array, rows: number, cols: number): [number, number] {
  let [mass, massRows, massCols] = [0, 0, 0];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const value = pixels[r * cols + c];
      mass += value;
      massRows += value * r;
      massCols += value * c;
    }
  }
  return [massRows / mass, massCols / mass];
}

/**
 * The ink as a network input: its bounding box is scaled to the usual longer side, each pixel the mean of the cells it covers;
 * then shifted by whole pixels to bring its center of mass as near as possible to the usual one (LeCun et al. 1998).
 */
export function centered(cells: Float32Array, gridSide: number, rows: number, cols: number, as: Usual, box = boundsOf(cells, gridSide, gridSide)): Float32Array {
  const found = new Float32Array(rows * cols);
  if (!box) return found;
  const scale = as.side / Math.max(box.height, box.width);
  const [height, width] = [box.height, box.width].map((n) => Math.max(1, Math.round(n * scale)));
  const small = reduced(cells, gridSide, box, height, width);
  const [row, col] = centerOfMass(small, height, width);
  const [top, left] = [Math.round(as.row - row), Math.round(as.col - col)];
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const [row, col] = [r + top, c + left];
      if (row >= 0 && row < rows && col >= 0 && col < cols) found[row * cols + col] = small[r * width + c];
    }
  }
  return found;
}

/** The same values in every channel. */
export function alike(values: Float32Array, channels: number): Float32Array {
  return Float32Array.from({ length: channels * values.length }, (_, i) => values[i % values.length]);
}

/** Means over areas, first along rows, then along columns. */
function reduced(cells: Float32Array, gridSide: number, box: Box, height: number, width: number): Float32Array {
  const narrow = new Float64Array(box.height * width);
  spans(box.width, width, (c, from, share) => {
    for (let r = 0; r < box.height; r++) narrow[r * width + c] += share * cells[(box.top + r) * gridSide + box.left + from];
  });
  const found = new Float32Array(height * width);
  const sums = new Float64Array(height * width);
  spans(box.height, height, (r, from, share) => {
    for (let c = 0; c < width; c++) sums[r * width + c] += share * narrow[from * width + c];
  });
  found.set(sums);
  return found;
}

/** Enumerates which of `from` cells overlap each of `to` pixels, with the share of the pixel that each covers. */
function spans(from: number, to: number, tell: (pixel: number, cell: number, share: number) => void): void {
  const step = from / to;
  for (let pixel = 0; pixel < to; pixel++) {
    const [start, end] = [pixel * step, (pixel + 1) * step];
    for (let cell = Math.floor(start); cell < Math.min(from, Math.ceil(end)); cell++) {
      const share = (Math.min(end, cell + 1) - Math.max(start, cell)) / step;
      if (share > 0) tell(pixel, cell, share);
    }
  }
}
