import type { Trace } from "../backward";
import type { Lab } from "../lab";
import type { State } from "../state";
import type { Link } from "../sums";
import type { Ramp, Theme } from "../theme";

export interface InsideProps {
  lab: Lab;
  state: State;
  theme: Theme;
  trace: Trace;
  network: number;
  /** The unit's layer; after the last one, the unit is a class. */
  layer: number;
  unit: number;
}

/** What every step of a computation knows. */
export interface StepProps extends InsideProps {
  /** The linear layer or convolution whose output is followed. */
  link: Link;
  /** The position in the link's map; 0 without a map. */
  position: number;
  onPosition: (position: number) => void;
  /** The colors of the unit's map after an operation, by its place. */
  ramps: Map<number, Ramp>;
}
