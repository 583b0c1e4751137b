// The innermost loops of linear layers and convolutions as WebAssembly: weighted sums of a matrix's rows, four numbers at a time. It is
// written here as bytes (WebAssembly core specification, section 5). engine.ts has the same loops in TypeScript, their reference and fallback.

/**
 * For every position the sum over terms: the number at x + position + term times the matrix's next row. A table holds byte offsets;
 * `row` is the bytes of a row, and of each position's sums at `y`.
 */
type Sums = (position: number, positionsEnd: number, terms: number, termsEnd: number, x: number, matrix: number, row: number, y: number) => void;

const [I32, V128, NOTHING] = [0x7f, 0x7b, 0x40];
const [POSITION, POSITIONS_END, TERMS, TERMS_END, X, MATRIX, ROW, Y] = [0, 1, 2, 3, 4, 5, 6, 7]; // parameters
const [HERE, COLUMN, TERM, AT, VALUE, SUM] = [8, 9, 10, 11, 12, 13]; // locals: four integers, then vectors
/** The most vectors of sums held at once. */
const WIDE = 8;

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32 = (value: number) => [0x41, ...signed(value)];
const [ADD, LESS_OR_EQUAL, LESS] = [[0x6a], [0x4d], [0x49]];
const [LOAD, SPLAT] = [[0x28, 2, 0], [0xfd, 0x09, 2, 0]];
const load4 = (offset: number) => [0xfd, 0x00, 2, ...unsigned(offset)];
const store4 = (offset: number) => [0xfd, 0x0b, 2, ...unsigned(offset)];
const ZERO4 = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
const [ADD4, MULTIPLY4] = [[0xfd, 0xe4, 0x01], [0xfd, 0xe6, 0x01]];
const add = (local: number, by: number[]) => [...get(local), ...by, ...ADD, ...set(local)];
/** Repeats `body` while `condition` holds. */
const loop = (condition: number[], body: number[]) => [0x02, NOTHING, 0x03, NOTHING, ...condition, 0x45, 0x0d, 1, ...body, 0x0c, 0, 0x0b, 0x0b];

/** The sums of one position in `wide` vectors of columns at a time, while so many are left. */
function columns(wide: number): number[] {
  const each = (make: (k: number) => number[]) => Array.from({ length: wide }, (_, k) => make(k)).flat();
  const term = [
    ...[...get(HERE), ...get(TERM), ...LOAD, ...ADD, ...SPLAT, ...set(VALUE)],
    ...each((k) => [...get(VALUE), ...get(AT), ...load4(16 * k), ...MULTIPLY4, ...get(SUM + k), ...ADD4, ...set(SUM + k)]),
    ...[...add(AT, get(ROW)), ...add(TERM, i32(4))],
  ];
  return loop(
    [...get(COLUMN), ...i32(16 * wide), ...ADD, ...get(ROW), ...LESS_OR_EQUAL],
    [
      ...each((k) => [...ZERO4, ...set(SUM + k)]),
      ...[...get(TERMS), ...set(TERM), ...get(MATRIX), ...get(COLUMN), ...ADD, ...set(AT)],
      ...loop([...get(TERM), ...get(TERMS_END), ...LESS], term),
      ...each((k) => [...get(Y), ...get(COLUMN), ...ADD, ...get(SUM + k), ...store4(16 * k)]),
      ...add(COLUMN, i32(16 * wide)),
    ],
  );
}

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

/** Signed LEB128. */
function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

function wasm(): Uint8Array<ArrayBuffer> {
  const text = (name: string) => [name.length, ...[...name].map((letter) => letter.charCodeAt(0))];
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const position = [
    ...[...get(X), ...get(POSITION), ...LOAD, ...ADD, ...set(HERE), ...i32(0), ...set(COLUMN)],
    ...[...columns(WIDE), ...columns(4), ...columns(1)],
    ...[...add(Y, get(ROW)), ...add(POSITION, i32(4))],
  ];
  const code = [2, 4, I32, 1 + WIDE, V128, ...loop([...get(POSITION), ...get(POSITIONS_END), ...LESS], position), 0x0b];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 8, ...new Array<number>(8).fill(I32), 0]), // one type: eight integers, no result
    ...section(2, [1, ...text("page"), ...text("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("sums"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

/** What a linear layer or convolution reads: the place of each position among padded maps, and of each input from a position. */
export interface Windows {
  positions: Int32Array;
  terms: Int32Array;
}

/** A memory that holds what was put there: tables, and matrices whose rows are padded to whole vectors. It grows and frees nothing. */
export class Kernel {
  private readonly memory = new WebAssembly.Memory({ initial: 1 });
  private readonly module = new WebAssembly.Instance(new WebAssembly.Module(wasm()), { page: { memory: this.memory } });
  private readonly sums = this.module.exports.sums as Sums;
  private readonly places = new WeakMap<Float32Array | Int32Array, number>();
  private used = 0;
  private readonly rooms = { x: { at: 0, size: 0 }, y: { at: 0, size: 0 } };

  /** Null where WebAssembly or its SIMD is missing. */
  static start(): Kernel | null {
    try {
      return new Kernel();
    } catch {
      return null;
    }
  }

  /** Adds to `y`, [out, position], the product of `weight`, [out, in], with the maps `x`, whose inputs are those from `first` on. */
  add(weight: Float32Array, out: number, { positions, terms }: Windows, x: Float32Array, first: number, inputs: number, y: Float32Array): void {
    const row = 4 * Math.ceil(out / 4);
    const matrix = this.place(weight, (weight.length / out) * row, (to) => turned(weight, out, row, to));
    const from = this.place(positions, positions.length, (to) => positions.forEach((one, i) => (to[i] = 4 * one)));
    const each = this.place(terms, terms.length, (to) => terms.forEach((one, i) => (to[i] = 4 * one)));
    const [into, found] = [this.room("x", x.length), this.room("y", positions.length * row)];
    new Float32Array(this.memory.buffer, into, x.length).set(x);
    this.sums(from, from + 4 * positions.length, each, each + 4 * inputs, into, matrix + 4 * first * row, 4 * row, found);
    const sums = new Float32Array(this.memory.buffer, found, positions.length * row);
    for (let o = 0, at = 0; o < out; o++) for (let i = o; i < sums.length; i += row, at++) y[at] += sums[i];
  }

  /** The address of what `key` stands for, which `fill` writes once. */
  private place<T extends Float32Array | Int32Array>(key: T, size: number, fill: (to: T) => void): number {
    let at = this.places.get(key);
    if (at === undefined) {
      at = this.allocated(size);
      fill(new (key.constructor as new (buffer: ArrayBuffer, at: number, size: number) => T)(this.memory.buffer, at, size));
      this.places.set(key, at);
    }
    return at;
  }

  private room(name: "x" | "y", size: number): number {
    const room = this.rooms[name];
    if (room.size < size) [room.at, room.size] = [this.allocated(size), size];
    return room.at;
  }

  private allocated(size: number): number {
    const at = this.used;
    this.used += 16 * Math.ceil(size / 4);
    const missing = this.used - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return at;
  }
}

/** [out, in] as [in, out], each row as long as `row`. */
export function turned(weight: Float32Array, out: number, row: number, into: Float32Array): void {
  const inputs = weight.length / out;
  for (let o = 0, from = 0; o < out; o++) for (let i = 0; i < inputs; i++, from++) into[i * row + o] = weight[from];
}
