// Text for the clipboard; where the browser refuses, it is shown, selected.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { startOf } from "./address";
import { placeInPanel } from "./inspector";
import type { Lab } from "./lab";
import { type State, toHash } from "./state";
import { words } from "./words";

/** The message stays until the reader goes on: a press elsewhere, Esc, or the focus leaving. */
export function Copy({ label, text, told }: { label: string; text: () => string; told: () => string }): JSX.Element {
  const [copied, setCopied] = useState<string | null>(null);
  const [refused, setRefused] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.select(), [refused]);
  useEffect(() => {
    if (!copied) return;
    const gone = () => setCopied(null);
    addEventListener("pointerdown", gone);
    return () => removeEventListener("pointerdown", gone);
  }, [copied]);

  async function copy(): Promise<void> {
    setRefused(null);
    try {
      await navigator.clipboard.writeText(text());
      setCopied(told());
    } catch {
      setRefused(text());
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !(copied ?? refused)) return;
    event.preventDefault(); // what else Esc closes stays
    setCopied(null);
    setRefused(null);
  }

  return (
    <span class="copy" onKeyDown={onKeyDown} onFocusOut={() => setCopied(null)}>
      <button type="button" onClick={copy}>{label}</button>
      <span class="told" role="status">
        {copied}
        {refused !== null && (
          <label>
            {words.share.blocked}
            <textarea ref={field} readOnly rows={3} value={refused} onBlur={() => setRefused(null)} />
          </label>
        )}
      </span>
    </span>
  );
}

/** A message until the reader goes on: a press or a key. */
export function Told({ text, onGone }: { text: string; onGone: () => void }): JSX.Element {
  useEffect(() => {
    if (!text) return;
    const events = ["pointerdown", "keydown"];
    for (const event of events) addEventListener(event, onGone);
    return () => events.forEach((event) => removeEventListener(event, onGone));
  }, [text]);
  return <p class="told" role="status">{text}</p>;
}

/** The link of the view for others: without the reader's predictions, the mission and the sections of panels that are not in sight. */
export function linkOf(lab: Lab, state: State): string {
  const folds = state.folds.filter((name) => document.querySelector(`[data-fold="${name}"]`)?.checkVisibility());
  const shown = { ...state, answers: {}, folds: folds.filter((name) => !/^(results|tested)/.test(name)), ...(state.tab !== "missions" && { mission: null, staged: false }) };
  const place = placeInPanel();
  const parts = [toHash(shown, startOf(lab)), place && `at=${place}`].filter(Boolean).join("&");
  return location.href.replace(/#.*$/, "") + (parts && `#${parts}`);
}

/** The link of this view. `guesses`: whether the reader made predictions, which it leaves out. */
export function Share({ link, guesses }: { link: () => string; guesses: boolean }): JSX.Element {
  return <Copy label={words.share.link} text={link} told={() => words.share.linked(location.protocol.startsWith("http"), guesses)} />;
}
