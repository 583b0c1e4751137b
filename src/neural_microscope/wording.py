"""Numbers in words: templates of sentences and what fills them, p values, counts and classes that tie."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping
from typing import Any

Numbers = Mapping[str, float | int | str]
"""Numbers of a template, by name."""


def fill(template: str, numbers: Numbers) -> str:
    """The template with its numbers; NaN is a dash, and a range of two NaN is "not defined".

    Args:
        template: Text with ``{x:2}`` for two decimals, ``{x:1%}`` a share in percent, ``{x:,}`` a whole number,
            ``{x:g}`` three significant digits, ``{x:step}`` a step, ``{x:#image}`` counted, ``{x:rises3}`` "rises by
            0.012", "falls by 0.012" or "falls by less than 0.001", ``{x:upto3}`` "up to 0.012" or "below 0.001",
            ``{x:is|are}`` the first word for 1, else the second.
        numbers: Numbers by name.
    """
    return _WORDS.format(template, **numbers).replace("– to –", UNDEFINED)


UNDEFINED = "not defined (too few)"
"""Stands for an undefined interval: there are too few images or units."""


class _Words(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, str):
            return value
        if math.isnan(value):
            return "–"
        if "|" in format_spec:
            return format_spec.split("|")[value != 1]
        if format_spec == ",":
            return f"{int(value):,}"
        if format_spec == "g":
            return significant(value)
        if format_spec == "step":
            return f"step {int(value):,}"
        if format_spec.startswith("#"):
            return count(int(value), f"{format_spec[1:]}s")
        if format_spec.startswith("upto"):
            digits = int(format_spec[4:])
            least = 10.0**-digits
            return f"below {number(least, digits)}" if 2 * value < least else f"up to {number(value, digits)}"
        if format_spec.startswith("rises"):
            return (
                f"{'falls' if value < 0 else 'rises'} by "
                f"{'' if 2 * abs(value) >= 10.0 ** -int(format_spec[5:]) else 'less than '}"
                f"{number(max(abs(value), 10.0 ** -int(format_spec[5:])), int(format_spec[5:]))}"
            )
        if format_spec.endswith("%"):
            return f"{number(100 * value, int(format_spec[:-1]))}%"
        return number(value, int(format_spec or 2))


_WORDS = _Words()


def number(value: float, digits: int = 2) -> str:
    """A number for prose: a fixed number of decimals and a true minus sign; a dash for NaN.

    Args:
        value: The number.
        digits: Number of decimals.
    """
    if math.isnan(value):
        return "–"
    # + 0.0: no minus before a zero; times 1 + 1e-12: halves are rounded up, here as in `significant`, whatever their last bit
    return f"{round(value * (1 + 1e-12), digits) + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def significant(value: float) -> str:
    """Three significant digits, at least those before the point: ``0.00912``, ``96.7``, ``1,797``. A rounded value keeps its zeros
    (0.4702: ``0.470``), one that is exactly so short has none (``0.5``).

    Args:
        value: The number.
    """
    if math.isnan(value):
        return "–"
    if 999.5 <= abs(value) < 1e9:
        text = f"{value * (1 + 1e-12):,.0f}"
    else:
        text = f"{value * (1 + 1e-12):.3g}"
        text = text if math.isclose(float(text), value, rel_tol=1e-7) else f"{value * (1 + 1e-12):#.3g}".rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def probability(p: float, floor: float = 0.0, draws: int = 0) -> str:
    """``p = 0.012``, ``p < 0.001``, ``p ≤ 0.048 (20 draws)`` at the draws' floor, or "p not defined".

    Args:
        p: The p value; NaN: not defined.
        floor: The smallest p that the draws can give.
        draws: Number of draws of the null; 0: its law is known.
    """
    if math.isnan(p):
        return "p not defined"
    if draws and p <= floor * (1 + 1e-9):
        return f"p ≤ {significant(math.ceil(floor * 1e4) / 1e4)} ({count(draws, 'draws')})"
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3)}"


def count(n: int, of: str) -> str:
    """``1 image``, ``1,000 images``.

    Args:
        n: Number of things.
        of: The things, in the plural.
    """
    return f"{n:,} {of.removesuffix('s') if n == 1 else of}"


NAMED = 4
"""Classes that a sentence names at most where they tie."""


def tied(classes: Iterable[int]) -> str:
    """``class 6``, ``classes 2, 5 and 8``; of many their number: ``9 classes``.

    Args:
        classes: The classes that tie.
    """
    names = [f"{one:,}" for one in classes]
    if len(names) > NAMED:
        return f"{len(names)} classes"
    return f"classes {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"class {''.join(names) or '–'}"


def goes(values: Any) -> tuple[str, dict[str, float]]:
    """(template, numbers): ``rises from {start:g} to {end:g}`` or ``falls …``, and the values ``start`` and ``end``.

    ``is {end:g}`` if the first and the last value are equal to three digits.

    Args:
        values: A course, of which the first and the last value count.
    """
    start, end = float(values[0]), float(values[-1])
    if math.isnan(start) or f"{start:.3g}" == f"{end:.3g}":
        words = "is {end:g}"
    else:
        words = f"{'falls' if end < start else 'rises'} from {{start:g}} to {{end:g}}"
    return words, {"start": start, "end": end}
