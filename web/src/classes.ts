// Names of classes, such as "sneaker"; classes without names are called by their numbers. Whether images are of digits.

let names: string[] = [];
let digits = true;

/** `dataset`: its name, by which images of digits are known where classes have no names. */
export function nameClasses(all: string[], dataset = "digits"): void {
  names = all;
  digits = !all.length && /(^|[^\w-])(mnist|digits)/i.test(dataset);
}

export function ofDigits(): boolean {
  return digits;
}

export function called(label: number): string {
  return names[label] ?? String(label);
}

/** A unit's preferred class; a dash where it has none. */
export function classOf(label: number | null): string {
  return label === null ? "–" : called(label);
}

/** Where classes have names, a class's. */
export function nameOf(label: number | null): string {
  return label === null ? "" : (names[label] ?? "");
}

/** A name that is no longer than a label may be. */
export function shortened(name: string, most = 14): string {
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** What an image is: "a 7", "class sneaker", or "class 7". */
export function kindOf(label: number): string {
  return digits ? `a ${label}` : `class ${called(label)}`;
}

/** A claim's text with names after the numbers of classes, as on the report's page: "class 7 (sneaker)". */
export function withNames(text: string): string {
  if (!names.length) return text;
  const known = (number: string) => (Number(number) < names.length ? `${number} (${names[Number(number)]})` : number);
  return text.replace(/\b(?:[Cc]lass(?:es)?|(?:misclassified|predicted) as) \d+(?:, \d+)*(?: and \d+)?/g, (found) => found.replace(/\d+/g, known));
}
