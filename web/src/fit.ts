// How large the tiles of each layer are, so that a network's layers stand side by side in the room there is; which labels fit on an axis, and where on a map.

/** A layer to be placed: its units, and the side of each one's map (1 for a unit). */
export interface Block {
  count: number;
  side: number;
}

export interface Fitted {
  /** From one tile to the next, in pixels, and tiles in a line. */
  pitch: number;
  columns: number;
}

/** The least distance of two tiles: a finger hits them. */
export const LEAST = 24;
/** Room for edges between two blocks, for a block's label, and for the classes. */
export const [GAP, LABEL, CLASSES] = [32, 112, 116];
/** What classes with names need more. */
export const NAMES = 44;

/** Pitch at scale 1, and at most. */
const SIZES = (side: number): [number, number] => (side === 1 ? [16, 40] : side <= 20 ? [32, 72] : [44, 110]);

const widthOf = (one: Fitted) => Math.max(LABEL, one.columns * one.pitch);

/** Blocks one beside the other with the largest tiles that fit, or `over` the room by so many pixels with the largest that make no block wider. `classes`: what these need. */
export function inRow(blocks: Block[], width: number, height: number, classes = CLASSES): { blocks: Fitted[]; over: number } {
  const all: Fitted[][] = [];
  let over = 0;
  for (let scale = 3; scale >= 0.5; scale -= 0.05) {
    const found = blocks.map(({ count, side }) => {
      const [base, most] = SIZES(side);
      const pitch = Math.max(LEAST, Math.min(most, Math.floor(base * scale)));
      const lines = Math.max(1, Math.floor(height / pitch));
      return { pitch, columns: Math.ceil(count / lines) };
    });
    over = found.reduce((sum, one) => sum + widthOf(one) + GAP, classes) - width;
    if (over <= 0) return { blocks: found, over: 0 };
    all.push(found);
  }
  return { blocks: all.at(-1)!.map((least, i) => all.find((found) => widthOf(found[i]) <= widthOf(least))![i]), over };
}

/** A block below the other, as wide as the room. */
export function stacked(blocks: Block[], width: number): Fitted[] {
  return blocks.map(({ count, side }) => {
    const pitch = side === 1 ? LEAST + 3 : side <= 20 ? 44 : 60;
    return { pitch, columns: Math.max(1, Math.min(count, Math.floor(width / pitch))) };
  });
}

/** Pixels from one label of an axis to the next. */
const ROOM = 38;

/** The steps whose labels have room on an axis, first and last among them; null for the others. */
export function spaced(steps: number[], at: (step: number) => number): (number | null)[] {
  const last = steps.length - 1;
  let end = at(steps[0]);
  return steps.map((step, i) => {
    const room = i === 0 || i === last || (at(step) - end >= ROOM && at(steps[last]) - at(step) >= ROOM);
    if (room) end = at(step);
    return room ? step : null;
  });
}

interface Label {
  text: string;
  /** Its middle, and its width, in pixels. */
  x: number;
  y: number;
  width: number;
}

/** Labels within the picture, none over another: from the top down each moves as far down as it must, and what lies too low then up. Sums of fractions round, so two lines apart are a little less. */
export function apart(labels: Label[], line: number, width: number, height: number): Label[] {
  const placed: Label[] = [];
  const meets = (a: Label, b: Label) => Math.abs(a.y - b.y) < line - 0.01 && Math.abs(a.x - b.x) < (a.width + b.width) / 2 + 4;
  const ordered = labels.map((label) => ({ ...label, x: Math.min(width - label.width / 2 - 2, Math.max(label.width / 2 + 2, label.x)), y: Math.max(line / 2, label.y) })).sort((a, b) => a.y - b.y);
  const place = (label: Label, way: 1 | -1): Label => {
    let own = label;
    for (let other; (other = placed.find((one) => meets(one, own))); ) own = { ...own, y: other.y + way * line };
    return own;
  };
  for (const label of ordered) {
    const below = place(label, 1);
    placed.push(below.y <= height - line / 2 ? below : place({ ...label, y: Math.min(label.y, height - line / 2) }, -1));
  }
  return placed;
}
