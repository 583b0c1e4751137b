// The innermost loops of linear layers, convolutions, ReLU and max pooling as WebAssembly, four numbers at a time. They are written here as
// bytes (WebAssembly core specification, section 5). engine.ts has the same loops in TypeScript, their reference and fallback.

/**
 * For every position the sum over terms: the number at x + position + term times the matrix's next row. A table holds byte offsets;
 * `row` is the bytes of a row, and of each position's sums at `y`.
 */
type Sums = (position: number, positionsEnd: number, terms: number, termsEnd: number, x: number, matrix: number, row: number, y: number) => void;

/** Adds sums [position, column] to `y` [column, position]: the columns of one vector. `row` is the bytes of a row of sums, `map` those of a column at `y`. */
type Turn = (from: number, fromEnd: number, row: number, y: number, map: number) => void;

/** x below 0 becomes 0. */
type Relu = (x: number, xEnd: number) => void;

/** The maxima of pairs of columns of two rows that are `row` bytes long, four at a time; the last four may overlap those before. */
type Pool = (x: number, row: number, y: number, yEnd: number) => void;

const [I32, V128, NOTHING] = [0x7f, 0x7b, 0x40];
// Of `sums`:
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
const [ADD4, MULTIPLY4, MAX4] = [[0xfd, 0xe4, 0x01], [0xfd, 0xe6, 0x01], [0xfd, 0xe9, 0x01]];
/** The numbers at four places of two vectors that follow each other. */
const pick4 = (...places: number[]) => [0xfd, 0x0d, ...places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte))];
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

interface Code {
  parameters: number;
  /** Local vectors and integers, numbered behind the parameters. */
  vectors: number;
  integers: number;
  body: number[];
}

function sums(): Code {
  const position = [
    ...[...get(X), ...get(POSITION), ...LOAD, ...ADD, ...set(HERE), ...i32(0), ...set(COLUMN)],
    ...[...columns(WIDE), ...columns(4), ...columns(1)],
    ...[...add(Y, get(ROW)), ...add(POSITION, i32(4))],
  ];
  return { parameters: 8, integers: 4, vectors: 1 + WIDE, body: loop([...get(POSITION), ...get(POSITIONS_END), ...LESS], position) };
}

function turn(): Code {
  const [from, end, row, y, map, to, a, t] = [0, 1, 2, 3, 4, 5, 6, 10]; // a and t: four vectors each
  const body = [
    ...[0, 1, 2, 3].flatMap((k) => [...get(from), ...load4(0), ...set(a + k), ...add(from, get(row))]),
    ...[[0, 4, 1, 5], [2, 6, 3, 7]].flatMap((places, k) => [0, 2].flatMap((pair) => [...get(a + pair), ...get(a + pair + 1), ...pick4(...places), ...set(t + 2 * k + pair / 2)])),
    ...[...get(y), ...set(to)],
    ...[0, 1, 2, 3].flatMap((column) => [
      ...[...get(to), ...get(to), ...load4(0)],
      ...[...get(t + 2 * (column >> 1)), ...get(t + 2 * (column >> 1) + 1), ...pick4(...(column % 2 ? [2, 3, 6, 7] : [0, 1, 4, 5]))],
      ...[...ADD4, ...store4(0), ...add(to, get(map))],
    ]),
    ...add(y, i32(16)),
  ];
  return { parameters: 5, integers: 1, vectors: 8, body: loop([...get(from), ...get(end), ...LESS], body) };
}

function relu(): Code {
  const [x, end] = [0, 1];
  return { parameters: 2, integers: 0, vectors: 0, body: loop([...get(x), ...get(end), ...LESS], [...get(x), ...get(x), ...load4(0), ...ZERO4, ...MAX4, ...store4(0), ...add(x, i32(16))]) };
}

function pool(): Code {
  const [x, row, y, end, below, a] = [0, 1, 2, 3, 4, 5];
  const body = [
    ...[...get(x), ...get(row), ...ADD, ...set(below)],
    ...[0, 1].flatMap((k) => [...get(x), ...load4(16 * k), ...get(below), ...load4(16 * k), ...MAX4, ...set(a + k)]),
    ...[...get(y), ...get(a), ...get(a + 1), ...pick4(0, 2, 4, 6), ...get(a), ...get(a + 1), ...pick4(1, 3, 5, 7), ...MAX4, ...store4(0)],
    ...[...add(x, i32(32)), ...add(y, i32(16))],
  ];
  return { parameters: 4, integers: 1, vectors: 2, body: loop([...get(y), ...get(end), ...LESS], body) };
}

function wasm(): Uint8Array<ArrayBuffer> {
  const text = (name: string) => [name.length, ...[...name].map((letter) => letter.charCodeAt(0))];
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const all = Object.entries({ sums: sums(), turn: turn(), relu: relu(), pool: pool() });
  const codes = all.map(([, { integers, vectors, body }]) => [2, integers, I32, vectors, V128, ...body, 0x0b]);
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [all.length, ...all.flatMap(([, { parameters }]) => [0x60, parameters, ...new Array<number>(parameters).fill(I32), 0])]), // no results
    ...section(2, [1, ...text("page"), ...text("memory"), 2, 0, 1]),
    ...section(3, [all.length, ...all.keys()]),
    ...section(7, [all.length, ...all.flatMap(([name], i) => [...text(name), 0, i])]),
    ...section(10, [all.length, ...codes.flatMap((code) => [...unsigned(code.length), ...code])]),
  ]);
}

let code: WebAssembly.Module | null | undefined;

/** The loops, compiled once: workers are given what the page compiled. Null where WebAssembly or its SIMD is missing. */
export function compiled(): WebAssembly.Module | null {
  if (code === undefined) {
    try {
      code = new WebAssembly.Module(wasm());
    } catch {
      code = null; // no WebAssembly, or not its SIMD
    }
  }
  return code;
}

/** What a linear layer or convolution reads: the place of each position among padded maps, and of each input from a position. */
export interface Windows {
  positions: Int32Array;
  terms: Int32Array;
}

/** A memory that holds what was put there: tables, and matrices whose rows are padded to whole vectors. It grows and frees nothing. */
export class Kernel {
  private readonly memory = new WebAssembly.Memory({ initial: 1 });
  private readonly sums: Sums;
  private readonly turn: Turn;
  private readonly max0: Relu;
  private readonly max4: Pool;
  private readonly places = new WeakMap<Float32Array | Int32Array, number>();
  private used = 0;
  private readonly rooms = { x: { at: 0, size: 0 }, sums: { at: 0, size: 0 }, y: { at: 0, size: 0 } };

  constructor(code: WebAssembly.Module) {
    const { exports } = new WebAssembly.Instance(code, { page: { memory: this.memory } });
    [this.sums, this.turn, this.max0, this.max4] = [exports.sums as Sums, exports.turn as Turn, exports.relu as Relu, exports.pool as Pool];
  }

  /** Adds to `y`, [out, position], the product of `weight`, [out, in], with the maps `x`, whose inputs are those from `first` on. */
  add(weight: Float32Array, out: number, { positions, terms }: Windows, x: Float32Array, first: number, inputs: number, y: Float32Array): void {
    const row = 4 * Math.ceil(out / 4);
    const matrix = this.place(weight, (weight.length / out) * row, (to) => turned(weight, out, row, to));
    const from = this.place(positions, positions.length, (to) => positions.forEach((one, i) => (to[i] = 4 * one)));
    const each = this.place(terms, terms.length, (to) => terms.forEach((one, i) => (to[i] = 4 * one)));
    const map = positions.length;
    const [into, found, to] = [this.room("x", x.length), this.room("sums", map * row), this.room("y", map * row)];
    this.at(into, x.length).set(x);
    this.sums(from, from + 4 * map, each, each + 4 * inputs, into, matrix + 4 * first * row, 4 * row, found);
    if (map % 4) {
      const sums = this.at(found, map * row);
      for (let o = 0, at = 0; o < out; o++) for (let i = o; i < sums.length; i += row, at++) y[at] += sums[i];
      return;
    }
    this.at(to, y.length).set(y);
    for (let o = 0; o < row; o += 4) this.turn(found + 4 * o, found + 4 * (o + map * row), 4 * row, to + 4 * o * map, 4 * map);
    y.set(this.at(to, y.length));
  }

  relu(x: Float32Array, y: Float32Array): void {
    const into = this.room("x", x.length);
    this.at(into, x.length).set(x);
    this.max0(into, into + 4 * x.length);
    y.set(this.at(into, x.length));
  }

  /** Maxima of 2 × 2 windows of maps that are `cols` wide, an even number of rows and at least 8 columns. */
  pool(x: Float32Array, cols: number, y: Float32Array): void {
    const [into, to, wide] = [this.room("x", x.length), this.room("y", y.length), cols >> 1];
    this.at(into, x.length).set(x);
    for (let row = 0; row * wide < y.length; row++) {
      const [from, end] = [into + 8 * row * cols, to + 4 * (row + 1) * wide];
      this.max4(from, 4 * cols, end - 4 * wide, end - 4 * (wide % 4));
      if (wide % 4) this.max4(from + 4 * (2 * wide - 8), 4 * cols, end - 16, end);
    }
    y.set(this.at(to, y.length));
  }

  private at(place: number, size: number): Float32Array {
    return new Float32Array(this.memory.buffer, place, size);
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

  private room(name: keyof Kernel["rooms"], size: number): number {
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
