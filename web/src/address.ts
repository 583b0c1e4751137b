// The state, kept in the address, and one history of it: the browser's. Back and Forward go through all of it; undo and redo from change to
// change, past what only looks.

import { createContext } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Lab } from "./lab";
import { missions } from "./missions";
import { firstReplay } from "./otherwise";
import { type Bounds, fromHash, initial, type State, toHash } from "./state";
import { linksOf } from "./sums";

const known = new WeakMap<Lab, Bounds>();

export function boundsOf(lab: Lab): Bounds {
  if (!known.has(lab)) {
    known.set(lab, {
      images: lab.images.count,
      classes: lab.images.classes,
      frames: lab.frames,
      missions: missions(lab).length,
      replays: lab.models.map((model) => model.data.replays?.length ?? 0),
      asked: lab.models.reduce((most, model) => Math.max(most, model.data.influence?.asked.length ?? 0), 0),
      links: lab.models.map((model) => linksOf(model).map(({ place, sources }) => ({ place, sources, units: model.shapes[place][0] }))),
      units: lab.models.map((model) => model.data.layers.map((layer) => model.units(layer).count)),
    });
  }
  return known.get(lab)!;
}

export function startOf(lab: Lab): State {
  return initial(lab.frames, lab.images.opening, firstReplay(lab));
}

/** The state encoded in the address. */
export function addressed(lab: Lab): State {
  return fromHash(location.hash, startOf(lab), boundsOf(lab));
}

/** Parts of the address that say where the reader looks: cards, tabs, walks, contributions, lists, the map, cells, missions, sections. */
const LOOKS = "s v x e l m y j k q g o".split(" ");

function changedKeys(from: string, to: string): string[] {
  const [before, after] = [from, to].map((hash) => new URLSearchParams(hash));
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
}

/** A name for what leads from one address to the next, if a run of the same is one step of the history: a dragged slider, a growing stroke. */
function gesture(from: string, to: string): string {
  const [before, after] = [from, to].map((hash) => new URLSearchParams(hash));
  const changed = changedKeys(from, to).join();
  if (changed === "t" || changed === "y") return changed;
  if (after.get("d") && /^[di,]*d[di,]*$/.test(changed)) return `stroke ${after.get("d")!.split("-").length}`;
  const kinds = after.get("c")?.replace(/([sc])[^_]*/g, "$1");
  if (changed === "c" && kinds && /[sc]/.test(kinds)) return kinds; // a factor or a value of the same units
  return changed === "x" && before.has("x") && after.has("x") ? "x" : "";
}

export interface Store {
  state: State;
  /** Changes parts of the state: a step of the history, or with `amend` a correction of the last one. */
  update: (part: Partial<State> | ((now: State) => Partial<State>), amend?: boolean) => void;
  /** To before the last change, and to after the next one. */
  undo: (() => void) | null;
  redo: (() => void) | null;
}

/** The sections that are not as they were at first. */
export const Folds = createContext<string[]>([]);

/** The store's `update`, for every view. */
export const Update = createContext<Store["update"]>(() => undefined);

export function useStore(lab: Lab, first: State): Store {
  const [state, setState] = useState(first);
  const wanted = useRef(first);
  const written = useRef(location.hash.slice(1));
  const last = useRef("");
  // The number of this step, kept by the browser with its address, and that of the newest.
  const at = useRef<number>(history.state?.at ?? 0);
  const newest = useRef(at.current);
  // By step, whether it changed more than where the reader looks: "1" or "0". Each address has those up to itself.
  const kinds = useRef<string>(history.state?.kinds ?? "0");
  const [, redraw] = useState(at.current);

  function write(hash: string, push: boolean): void {
    const step = push ? at.current + 1 : at.current;
    const changes = changedKeys(written.current, hash).some((key) => !LOOKS.includes(key)) || (!push && kinds.current[step] === "1");
    const known = kinds.current.slice(0, step) + (changes ? "1" : "0");
    try {
      // Whole, because a frame without an address of its own resolves the rest against its parent's.
      history[push ? "pushState" : "replaceState"]({ at: step, kinds: known }, "", location.href.replace(/#.*$/, "") + (hash && `#${hash}`));
    } catch {
      return; // browsers refuse some hundred steps a second
    }
    kinds.current = known + (push ? "" : kinds.current.slice(step + 1));
    written.current = hash;
    arrive(step, push);
  }

  function arrive(step: number, isNew: boolean): void {
    at.current = step;
    if (isNew) newest.current = step;
    redraw(step);
  }

  /** Unpacks a snapshot before showing it for the first time. */
  function go(next: State): void {
    wanted.current = next;
    if (lab.loaded(next.frame)) setState(next);
    else lab.load(next.frame).then(() => wanted.current.frame === next.frame && setState(wanted.current));
  }

  function update(part: Partial<State> | ((now: State) => Partial<State>), amend = false): void {
    const next = { ...wanted.current, ...(typeof part === "function" ? part(wanted.current) : part) };
    const hash = toHash(next, startOf(lab));
    if (hash !== written.current) {
      const now = gesture(written.current, hash);
      const blank = new URLSearchParams(written.current).get("d") === ""; // a first stroke belongs to the clearing before it
      write(hash, !(amend || blank || (now && now === last.current)));
      last.current = now;
    }
    go(next);
  }

  const moved = useRef<(event: PopStateEvent) => void>(() => undefined);
  moved.current = (event) => {
    last.current = "";
    written.current = location.hash.slice(1);
    // Without a number it is a new step: a link, or an address that was typed.
    arrive(event.state?.at ?? at.current + 1, event.state === null);
    if (event.state === null) {
      kinds.current = `${kinds.current.slice(0, at.current)}1`;
      history.replaceState({ at: at.current, kinds: kinds.current }, "");
    }
    go(addressed(lab));
  };
  useEffect(() => {
    write(toHash(first, startOf(lab)), false);
    const listen = (event: PopStateEvent) => moved.current(event);
    addEventListener("popstate", listen);
    return () => removeEventListener("popstate", listen);
  }, []);

  const [lastChange, nextChange] = [kinds.current.lastIndexOf("1", at.current), kinds.current.indexOf("1", at.current + 1)];
  return { state, update, undo: lastChange > 0 ? () => history.go(lastChange - 1 - at.current) : null, redo: nextChange > 0 && nextChange <= newest.current ? () => history.go(nextChange - at.current) : null };
}
