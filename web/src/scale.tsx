// Where the layers' colors end: at the largest activations of the snapshot shown, or of all of them.

import type { JSX } from "preact";
import type { State } from "./state";
import { words } from "./words";

const CHOICES = ["this", "all"] as const;

export function ScaleChoice({ scale, onScale }: { scale: State["scale"]; onScale: (scale: State["scale"]) => void }): JSX.Element {
  return (
    <label>
      {words.scale.title}{" "}
      <select value={scale} onChange={(e) => onScale(e.currentTarget.value as State["scale"])}>
        {CHOICES.map((choice) => <option key={choice} value={choice}>{words.scale[choice]}</option>)}
      </select>
    </label>
  );
}
