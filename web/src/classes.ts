// Names of classes, such as "sneaker"; classes without names are called by their numbers.

let names: string[] = [];

export function nameClasses(all: string[]): void {
  names = all;
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

/** What an image is: "a 7", or "class sneaker". */
export function kindOf(label: number): string {
  return names.length ? `class ${called(label)}` : `a ${label}`;
}

/** A claim's text with names after the numbers of classes, as on the report's page: "class 7 (sneaker)". */
export function withNames(text: string): string {
  if (!names.length) return text;
  const known = (number: string) => (Number(number) < names.length ? `${number} (${names[Number(number)]})` : number);
  return text.replace(/\b(?:[Cc]lass(?:es)?|(?:misclassified|predicted) as) \d+(?:, \d+)*(?: and \d+)?/g, (found) => found.replace(/\d+/g, known));
}
