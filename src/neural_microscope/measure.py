"""Measures: each is one object with its formula, null, phantoms, rules for claims, and pictures.

Calibration, the report, the explorer, the tables of the documentation and the contract tests read the register `MEASURES`; none lists
measures by hand. A measure is added by one file that applies `measure` to a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any, Literal, TypeVar, cast

import numpy as np
import xarray as xr

from .claim import Claim
from .data import ImageSet
from .doors import door
from .errors import MicroscopeError, unknown

DECLARED, ALLOWED = 0.05, 0.09
"""The declared rate of false alarms, and the highest that passes on 200 empty phantoms: 18 of them, the 99% bound of 5%."""

EMPTY_KINDS = ("untrained MLP", "untrained CNN", "random labels", "shuffled labels")
"""Networks without structure to find: untrained ones, one trained on random labels, a trained one analyzed with shuffled labels."""

UNTRAINED = EMPTY_KINDS[:2]
LABELS = EMPTY_KINDS[2:]

Scope = Literal["network", "layer", "pair"]
"""The subject of a result: a network, one of its hidden layers, or a pair of networks."""

Part = Literal["training", "layers", "units", "side"]
"""The part of a page: training and predictions, layers, their units, or pairs of networks."""

Form = str | Callable[..., Any]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Instrument:
    """A measure, a phantom with planted truth for it, and an empty phantom."""

    name: str
    """Its name in the field's terms: "class selectivity (AUC)"."""
    measure: str
    """Area and function: "selectivity.class_selectivity"."""
    planted: str
    """The planted truth, in a few words."""
    empty: str
    """The empty phantom, and the condition for an alarm."""
    read: Callable[[int], tuple[float, float]]
    """seed -> (the truth, what was measured)."""
    tolerance: float
    """The allowed distance of the measured value from the truth, in its own unit."""
    alarm: Callable[..., bool]
    """seed -> true if the instrument raises an alarm on an empty phantom drawn with this seed. That of `Measure.calibrated_on` also
    takes ``planted``: true to use the phantom with the planted truth instead.
    """
    unit: str = "1"


@dataclass(frozen=True)
class Rule:
    """A rule for claims about a measure's results, and the empty networks on which such a claim is false by construction."""

    name: str
    """The claim in a few words; its family: "a unit matters"."""
    question: str
    scope: Scope
    claims: Callable[[Any], Iterable[Claim]]
    """Network or layer results -> claims, without verdicts."""
    false_on: tuple[str, ...]
    """The `EMPTY_KINDS` on which any claim of it is false."""
    why: str = ""
    """The reason that it is not false on the others."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """For a rule about units: the columns of the unit table, a template for each, filled with a claim's numbers."""


@dataclass(frozen=True)
class Description:
    """A description of a measure's results without a test: counts and sizes."""

    scope: Scope
    claims: Callable[[Any], Iterable[Claim]]


@dataclass(frozen=True)
class Picture:
    """A page's picture of a result: a form of `plots` by its name, or a custom function, and its caption."""

    form: Form
    """Called with the result of ``takes``, and ``theme``."""
    caption: str = ""
    scope: Scope | Literal["page"] | None = None
    """One picture for each network, layer or pair; ``page``: one for all networks. By default the subject of the result."""
    more: bool = False
    """Folded by default."""
    takes: Callable[[Any], Mapping[str, Any]] | None = None
    """(network, layer or pair) -> the arguments of the form by name; None for no picture. By default the form takes the
    result; in a picture of a network the results of its layers, and in one of a page those of its networks, by name.
    """


@dataclass(frozen=True)
class Asked:
    """The way in which the default analysis computes a measure, for a network or layer."""

    scope: Scope
    look: Callable[[Any], xr.Dataset | xr.DataArray | None]


@dataclass(eq=False)
class Measure:
    """A measure's metadata besides its formula, which stays a plain function."""

    function: Callable[..., Any]
    area: str
    title: str
    """Its name in the field's terms."""
    null: str = "none, a description"
    """Its null, or that it is a description. ``{draws}`` in these words, those of the interval and
    the source is replaced by the argument of this name.
    """
    replicates: str = "–"
    """The unit of replication."""
    interval: str = "–"
    source: str = ""
    family: str = "–"
    """Tests that are corrected together."""
    unit: str = ""
    """The variable [unit] that a unit's card shows, if any, with its interval and its null."""
    also: tuple[str, ...] = ()
    """Further variables [unit] that the card shows below it."""
    units: str = "1"
    """Its unit of measurement, in words that may follow a number."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """Calls of the default analysis, by variant; empty: on request only."""
    pictures: list[Picture] = field(default_factory=list)
    descriptions: list[Description] = field(default_factory=list)
    part: Part | None = None
    """The part of a page that shows it; by default training for a network's, layers for a layer's."""
    place: int = 0
    """Its position on a page: ascending; 0: at the end, by name."""
    rules: list[Rule] = field(default_factory=list)
    instruments: list[Instrument] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Area and function: "selectivity.class_selectivity"."""
        return f"{self.area}.{self.function.__name__}"

    @property
    def scope(self) -> Scope | None:
        """The subject in the default analysis; None: on request only."""
        return next((asked.scope for asked in self.asked.values()), None)

    def on(self, scope: Scope, variant: str = "") -> Callable[[Function], Function]:
        """Decorates a function (network or layer) -> Dataset, which the default analysis then calls.

        Args:
            scope: The subject of the result.
            variant: Appended to this measure's name, as ``/variant``, under which the result is kept; empty: the name
                alone.
        """

        def keep(look: Function) -> Function:
            self.asked[variant] = Asked(scope, look)
            return look

        return keep

    def rule(
        self,
        name: str,
        question: str,
        *,
        scope: Scope = "layer",
        false_on: tuple[str, ...] = EMPTY_KINDS,
        why: str = "",
        columns: Mapping[str, str] | None = None,
    ) -> Callable[[Function], Function]:
        """Decorates a function (network or layer) -> claims: a rule, one family of the page.

        Args:
            name: The claim in a few words, its family: "a unit matters".
            question: The question that it answers.
            scope: The subject of its claims.
            false_on: The `EMPTY_KINDS` on which any claim of it is false.
            why: The reason that it is not false on the others.
            columns: For a rule about units, the columns of the unit table, see `Rule`; None: none.

        Raises:
            MicroscopeError: A rule that is not false on every empty network, without a reason.
        """
        if len(false_on) < len(EMPTY_KINDS) and not why:
            raise MicroscopeError(
                f"the rule {name!r} gives no reason why it is not false on every empty network; give why="
            )

        def keep(claims: Function) -> Function:
            self.rules.append(Rule(name, question, scope, claims, false_on, why, columns or {}))
            return claims

        return keep

    def describe(self, scope: Scope, *, part: Part | None = None) -> Callable[[Function], Function]:
        """Decorates a function (network, layer or pair) -> descriptions: claims without a test.

        They belong to no family.

        Args:
            scope: The subject of the claims.
            part: The part of a page that shows the measure; None: unchanged.
        """

        def keep(claims: Function) -> Function:
            self._placed(part)
            self.descriptions.append(Description(scope, claims))
            return claims

        return keep

    def picture(
        self,
        form: Form,
        caption: str = "",
        *,
        scope: Scope | Literal["page"] | None = None,
        part: Part | None = None,
        more: bool = False,
        takes: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> None:
        """Adds a picture of its results to a page; see `Picture`.

        Args:
            form: A function of `plots` by its name, or a custom function.
            caption: The caption.
            scope: The subject of one picture, ``page`` for all networks; None: that of the result.
            part: The part of a page that shows the measure; None: unchanged.
            more: True to fold it by default.
            takes: Function of the subject that gives the form's arguments by name, or None for no picture; None: the
                form takes the result.
        """
        self._placed(part)
        self.pictures.append(Picture(form, caption, scope, more, takes))

    def _placed(self, part: Part | None) -> None:
        self.part = part or self.part

    def calibrated_on(
        self,
        planted: str,
        truth: float | Callable[..., float],
        tolerance: float,
        *,
        empty: str,
        read: str | Callable[[Any], float] = "",
        alarm: str | Callable[[Any], bool] = "",
        name: str = "",
        unit: str = "1",
        exact: bool = False,
        **settings: Any,
    ) -> Callable[[Function], Function]:
        """Decorates a function (seed, planted) -> arguments of the measure: an instrument.

        The function returns one argument, a tuple of them, or a dict of them by name.

        Args:
            planted: The planted truth, in a few words.
            truth: A number, or a function of the planted phantom.
            tolerance: The allowed distance of the measured value from the truth, in its own unit.
            empty: The empty phantom, and the condition for an alarm.
            read: Function of the result that gives the measured value, or the variable whose first value it is; empty:
                the unit's.
            alarm: Function of the result, true if an empty one claims anything, or the variable that does; empty: the
                verdict ``…_shown`` of the variable read.
            name: Name of the instrument; empty: the measure's title.
            unit: The unit of the truth and the measured value.
            exact: True if an identity keeps it silent, which is tested once for all seeds.
            **settings: Arguments of the measure; ``seed`` is added if it takes one.
        """
        variable = (read if isinstance(read, str) else "") or self.unit
        verdict = (alarm if isinstance(alarm, str) else "") or f"{variable}_shown"
        seeded = "seed" in inspect.signature(self.function).parameters

        def keep(phantom: Function) -> Function:
            def found(seed: int, made: Any) -> Any:
                options = {"seed": seed, **settings} if seeded else settings
                if isinstance(made, dict):
                    return self.function(**options | made)
                return self.function(*made if isinstance(made, tuple) else (made,), **options)

            @wraps(phantom)
            def reading(seed: int) -> tuple[float, float]:
                made = phantom(seed, True)
                given = made.values() if isinstance(made, dict) else made if isinstance(made, tuple) else (made,)
                result = found(seed, made)
                measured = read(result) if callable(read) else result[variable].values.flat[0]
                return float(truth(*given) if callable(truth) else truth), float(measured)

            def alarmed(seed: int, planted: bool = False) -> bool:
                return tried(0 if exact else seed, planted)

            @cache
            def tried(seed: int, planted: bool) -> bool:
                result = found(seed, phantom(seed, planted))
                return bool(alarm(result) if callable(alarm) else np.any(result[verdict]))

            self.instruments.append(
                Instrument(name or self.title, self.name, planted, empty, reading, tolerance, alarmed, unit)
            )
            return phantom

        return keep

    def explained(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes of a result: null, interval and source in words, seed, hook point, and number of examples.

        Args:
            arguments: The arguments of the call that gave it, by name.
        """
        said = {word: getattr(self, word).format_map(arguments) for word in ("null", "interval", "source")}
        said |= {word: arguments[word] for word in ("seed",) if word in arguments}
        arrays = [one for one in arguments.values() if isinstance(one, xr.DataArray)]
        sizes = [one.sizes["example"] for one in arrays if "example" in one.dims]
        sizes += [len(one) for one in arguments.values() if isinstance(one, ImageSet)]
        point = arguments.get("hook_point") or next((one.name for one in arrays if one.name), "")
        return said | {"hook_point": point} | ({"n_examples": sizes[0]} if sizes else {})

    def row(self) -> str:
        """Its line in the tables of the documentation."""
        parameters = inspect.signature(self.function).parameters
        words = self.explained({name: one.default for name, one in parameters.items()})
        return f"| `{self.function.__name__}` | {words['null']} | {self.replicates} | {words['interval']} | {self.family} |"


MEASURES: dict[str, Measure] = {}
"""Every measure by area and function; `every` returns them in an order independent of imports."""


def measure(area: str, **words: Any) -> Callable[[Function], Function]:
    """Registers a function as a measure of an area.

    A result without the attributes of `Measure.explained` is given them.

    Args:
        area: The module of `analysis` that holds it, in one word: "causal", "geometry".
        **words: The other fields of `Measure`.

    >>> from neural_microscope.measure import MEASURES, measure
    >>> @measure("geometry", title="mean activation")
    ... def mean_activation(acts):
    ...     return acts.mean("example")
    >>> MEASURES.pop("geometry.mean_activation").title
    'mean activation'
    """

    def make(function: Function) -> Function:
        signature = inspect.signature(function)
        entered = door(function)

        @wraps(function)
        def explaining(*args: Any, **options: Any) -> Any:
            result = entered(*args, **options)
            if not isinstance(result, xr.Dataset | xr.DataArray):
                return result
            given = signature.bind(*args, **options)
            given.apply_defaults()
            return result.assign_attrs(made.explained(given.arguments) | result.attrs)

        made = Measure(explaining, area, **words)
        MEASURES[made.name] = made
        return cast(Function, explaining)

    return make


def of(function: Callable[..., Any] | str) -> Measure:
    """The registered measure of a function or a name.

    Args:
        function: A measure, or its area and name: "selectivity.class_selectivity".

    Raises:
        UnknownName: No such measure; the message suggests the nearest name.

    >>> from neural_microscope.measure import of
    >>> of(nm.analysis.selectivity.class_selectivity).name
    'selectivity.class_selectivity'
    """
    if isinstance(function, str):
        if function not in MEASURES:
            raise unknown("measure", function, MEASURES)
        return MEASURES[function]
    for one in MEASURES.values():
        if one.function is function:
            return one
    raise unknown("measure", getattr(function, "__name__", function), MEASURES)


def every() -> list[Measure]:
    """Every registered measure, by name.

    >>> from neural_microscope.measure import every, of
    >>> of(nm.analysis.selectivity.class_selectivity) in every()
    True
    """
    return [MEASURES[name] for name in sorted(MEASURES)]


def on_pages() -> list[Measure]:
    """Every registered measure in the order of a page; measures without a place last, by name."""
    return sorted(every(), key=lambda one: (not one.place, one.place))


def rules() -> list[tuple[Measure, Rule]]:
    """Every rule of every registered measure: the families of a page.

    >>> from neural_microscope.measure import of, rules
    >>> of(nm.analysis.causal.ablate_all) in [measure for measure, rule in rules()]
    True
    """
    return [(one, rule) for one in every() for rule in one.rules]
