// Taking units into the set on the tiles: Shift with a click, with Enter or with an arrow key; a box; or, without Shift, while several are selected.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { UnitPlace } from "./state";

const SLACK = 6; // pixels that a click may move

/** The unit of a tile. */
export function placeOf(tile: Element): UnitPlace {
  const { network } = tile.closest<HTMLElement>("[data-network]")!.dataset;
  const { layer } = tile.closest<HTMLElement>("[data-layer]")!.dataset;
  return { network: Number(network), layer: Number(layer), unit: Number((tile as HTMLElement).dataset.unit) };
}

export interface Choosing {
  /** Whether a plain click takes a unit into the set. */
  several: boolean;
  onToggle: (units: UnitPlace[]) => void;
  onAdd: (units: UnitPlace[]) => void;
  /** The units in a box, instead of the set or with `also` added to it. */
  onBox: (units: UnitPlace[], also: boolean) => void;
}

/** Scrolls to the tile of the selected unit, or to the first of the set. */
export function revealTiles(): void {
  requestAnimationFrame(() => document.querySelector(".tile[aria-pressed=true], .tile.in-set")?.scrollIntoView({ block: "nearest", inline: "nearest" }));
}

export function useChoosing(area: RefObject<HTMLElement>, given: Choosing): void {
  const now = useRef(given);
  now.current = given;
  useEffect(() => {
    const own = area.current!;
    const tileAt = (event: Event) => (event.target as Element).closest?.(".tile") ?? null;
    let start: { x: number; y: number; also: boolean } | null = null;
    let box: HTMLElement | null = null;

    function onClick(event: MouseEvent): void {
      const tile = tileAt(event);
      if (!tile || !(event.shiftKey || now.current.several)) return;
      event.stopPropagation();
      now.current.onToggle([placeOf(tile)]);
    }

    function onKey(event: KeyboardEvent): void {
      const tile = tileAt(event);
      if (!tile || !event.shiftKey) return;
      const next = document.activeElement; // the strip has moved the focus
      if (event.key.startsWith("Arrow") && next?.classList.contains("tile")) now.current.onAdd([placeOf(tile), placeOf(next)]);
      if (event.key !== "Enter") return;
      event.preventDefault(); // no click
      now.current.onToggle([placeOf(tile)]);
    }

    function onDown(event: PointerEvent): void {
      if (event.pointerType === "touch" || event.button !== 0 || !(event.target as Element).closest(".strip")) return;
      start = { x: event.clientX, y: event.clientY, also: event.shiftKey || now.current.several };
      addEventListener("pointermove", onMove);
      addEventListener("pointerup", onUp);
      addEventListener("keydown", onEscape, true);
    }

    function onMove(event: PointerEvent): void {
      const [dx, dy] = [event.clientX - start!.x, event.clientY - start!.y];
      if (!box && Math.hypot(dx, dy) < SLACK) return;
      event.preventDefault();
      box ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "box" }));
      Object.assign(box.style, { left: `${start!.x + Math.min(0, dx)}px`, top: `${start!.y + Math.min(0, dy)}px`, width: `${Math.abs(dx)}px`, height: `${Math.abs(dy)}px` });
    }

    function onUp(): void {
      const drawn = box?.getBoundingClientRect();
      const also = start!.also;
      end();
      if (!drawn) return;
      const stop = (event: Event) => event.stopPropagation();
      addEventListener("click", stop, true); // a box is no click
      setTimeout(() => removeEventListener("click", stop, true));
      const inside = [...own.querySelectorAll(".tile")].filter((tile) => {
        const { left, right, top, bottom } = tile.getBoundingClientRect();
        return left < drawn.right && right > drawn.left && top < drawn.bottom && bottom > drawn.top;
      });
      if (inside.length) now.current.onBox(inside.map(placeOf), also);
    }

    function onEscape(event: KeyboardEvent): void {
      if (event.key !== "Escape" || !box) return;
      event.stopPropagation();
      event.preventDefault();
      end();
    }

    function end(): void {
      box?.remove();
      [box, start] = [null, null];
      removeEventListener("pointermove", onMove);
      removeEventListener("pointerup", onUp);
      removeEventListener("keydown", onEscape, true);
    }

    own.addEventListener("click", onClick, true);
    own.addEventListener("keydown", onKey);
    own.addEventListener("pointerdown", onDown);
    return () => {
      end();
      own.removeEventListener("click", onClick, true);
      own.removeEventListener("keydown", onKey);
      own.removeEventListener("pointerdown", onDown);
    };
  }, []);
}
