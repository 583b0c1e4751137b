// Saves pictures and tables as files.

export function csv(head: string[], rows: (string | number)[][]): string {
  const cell = (value: string | number) => {
    const text = Number.isNaN(value) ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

/** A name as part of a file's name. */
export function fileName(name: string): string {
  return name.replace(/[^\w.-]+/g, "-");
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function saveTable(name: string, head: string[], rows: (string | number)[][]): void {
  download(new Blob([csv(head, rows)], { type: "text/csv" }), `${name}.csv`);
}

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "font-size", "font-family", "text-anchor"];

/** An SVG with the page's styles inlined, on the page's background; the caption is its description. */
export function standalone(drawing: SVGSVGElement, caption: string): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [from, to] = [drawing, copy].map((svg) => [...svg.querySelectorAll("*")]);
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const name of STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
    to[i].removeAttribute("class");
  });
  copy.prepend(Object.assign(document.createElementNS("http://www.w3.org/2000/svg", "desc"), { textContent: caption }));
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("style", `background:${getComputedStyle(document.documentElement).backgroundColor}`);
  return new XMLSerializer().serializeToString(copy);
}

const [LINE, EDGE] = [18, 12]; // pixels: a line of the caption, the margin around

/** The words in lines no wider than `width`. */
function wrapped(context: CanvasRenderingContext2D, words: string, width: number): string[] {
  const lines = [""];
  for (const word of words.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (context.measureText(longer).width > width && lines.at(-1)) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** A picture with its caption below, on the page's background. */
export function captioned(picture: HTMLCanvasElement, caption: string): HTMLCanvasElement {
  const scale = devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const sheet = document.createElement("canvas");
  const context = sheet.getContext("2d")!;
  const font = `13px ${style.fontFamily}`;
  const width = Math.max(320, picture.width / scale);
  context.font = font;
  const lines = wrapped(context, caption, width);
  [sheet.width, sheet.height] = [(width + 2 * EDGE) * scale, picture.height + (lines.length * LINE + 3 * EDGE) * scale];
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.drawImage(picture, EDGE * scale, EDGE * scale);
  context.scale(scale, scale);
  [context.font, context.fillStyle, context.textBaseline] = [font, style.color, "top"];
  lines.forEach((line, i) => context.fillText(line, EDGE, picture.height / scale + 2 * EDGE + i * LINE));
  return sheet;
}

export function savePicture(name: string, picture: HTMLCanvasElement | SVGSVGElement, caption: string): void {
  if (picture instanceof SVGSVGElement) download(new Blob([standalone(picture, caption)], { type: "image/svg+xml" }), `${name}.svg`);
  else captioned(picture, caption).toBlob((blob) => blob && download(blob, `${name}.png`));
}
