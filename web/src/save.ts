// Saves pictures and tables as files.

export function csv(head: string[], rows: (string | number)[][]): string {
  const cell = (value: string | number) => {
    const text = String(value).replaceAll("−", "-").replaceAll("–", "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
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

/** An SVG with the page's styles inlined, on the page's background. */
export function standalone(drawing: SVGSVGElement): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [from, to] = [drawing, copy].map((svg) => [...svg.querySelectorAll("*")]);
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const name of STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
    to[i].removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("style", `background:${getComputedStyle(document.documentElement).backgroundColor}`);
  return new XMLSerializer().serializeToString(copy);
}

export function savePicture(name: string, picture: HTMLCanvasElement | SVGSVGElement): void {
  if (picture instanceof SVGSVGElement) download(new Blob([standalone(picture)], { type: "image/svg+xml" }), `${name}.svg`);
  else picture.toBlob((blob) => blob && download(blob, `${name}.png`));
}
