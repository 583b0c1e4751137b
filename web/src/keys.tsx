// Keyboard shortcuts, and the list of them.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { TABS } from "./state";
import { words } from "./words";

/** Each shortcut's keys, as events name them. */
export const KEYS = {
  earlier: ["ArrowLeft", ","],
  later: ["ArrowRight", "."],
  imageBefore: ["["],
  imageAfter: ["]"],
  ablate: ["a"],
  take: ["x"],
  pin: ["p"],
  inside: ["i"],
  reset: ["r"],
  undo: ["u", "Control+z"],
  redo: ["U", "Control+Z", "Control+y"],
  search: ["/"],
  tab: TABS.map((_, i) => String(i + 1)),
  close: ["Escape"],
  keys: ["?"],
};

export type Acts = Record<keyof typeof KEYS, (key: string) => void>;

const SHOWN: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", U: "Shift+U", "Control+z": "Ctrl+Z", "Control+Z": "Ctrl+Shift+Z", "Control+y": "Ctrl+Y" };

/** With `single` false, as some ways of typing need it, only Escape and keys with Ctrl are shortcuts. */
export function useKeys(acts: Acts, single: boolean): void {
  const now = useRef({ acts, single });
  now.current = { acts, single };
  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      const control = event.ctrlKey || event.metaKey;
      if (event.defaultPrevented || (event.altKey && !event.getModifierState("AltGraph"))) return;
      const typed = target.matches("input:not([type=checkbox], [type=radio], [type=range]), textarea, select");
      const own = event.key.length > 1 ? event.key : event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase(); // whatever Caps Lock says
      const key = control && !event.getModifierState("AltGraph") ? `Control+${own}` : own;
      if (key !== "Escape" && typed && (!control || target.matches("input"))) return;
      if (key.length === 1 || key.startsWith("Arrow")) {
        if (!now.current.single || document.querySelector("dialog[open]")) return;
        if (key.startsWith("Arrow") && (event.shiftKey || target.closest("input, .scroll, [role=tablist]"))) return;
      }
      const found = Object.entries(KEYS).find(([, keys]) => keys.includes(key));
      if (!found) return;
      event.preventDefault();
      now.current.acts[found[0] as keyof Acts](key);
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export function KeyList({ tabs, single, onSingle, onClose }: { tabs: number; single: boolean; onSingle: (single: boolean) => void; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const own = dialog.current!;
    own.showModal();
    return () => own.close(); // gives the focus back
  }, []);
  return (
    <dialog
      ref={dialog}
      class="keys"
      aria-labelledby="keys-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()} // what lies below stays open
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <header class="row">
        <h2 id="keys-title">{words.keys.title}</h2>
        <button type="button" class="close" aria-label={words.common.close} onClick={onClose}>×</button>
      </header>
      <dl>
        {(Object.keys(KEYS) as (keyof typeof KEYS)[]).map((name) => (
          <div key={name}>
            <dt>{(name === "tab" ? KEYS.tab.slice(0, tabs) : KEYS[name]).map((key) => <kbd key={key}>{SHOWN[key] ?? key.toUpperCase()}</kbd>)}</dt>
            <dd>{words.keys.does[name]}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">{words.keys.note}</p>
      <label class="choice"><input type="checkbox" checked={single} onChange={(event) => onSingle(event.currentTarget.checked)} /> {words.keys.on}</label>
    </dialog>
  );
}
