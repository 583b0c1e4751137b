// Numbers as the page writes them.

/** A formatted number: three significant digits, a true minus sign, a dash where undefined. */
export function number(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) < 1e-9) value = 0;
  const text = digits === undefined ? Number(value.toPrecision(3)).toString() : value.toFixed(digits);
  return (/^-0\.?0*$/.test(text) ? text.slice(1) : text).replace("-", "−");
}

/** A number with its sign, also above 0. */
export function signed(value: number, digits?: number): string {
  const text = number(value, digits);
  return value > 0 && Number(text) ? `+${text}` : text;
}

export function points(share: number): string {
  return signed(100 * share, 1);
}

const grouping = new Intl.NumberFormat("en"); // made once: each one takes longer than a tile takes to draw

export function grouped(value: number): string {
  return grouping.format(value);
}
