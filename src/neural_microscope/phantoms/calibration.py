"""Calibration: every instrument on its phantom and on empty ones; every rule of a page on networks without planted structure."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from .. import __version__, analysis, files
from ..claim import Claim, say
from ..doors import door
from ..errors import DataError, unknown
from ..measure import ALLOWED, DECLARED, EMPTY_KINDS, MEASURES, Instrument, rules
from ..processes import Job, Steps, one_by_one, side_by_side
from . import fingerprint
from .pages import KINDS, PLANTED_KINDS, page
from .record import Kept, open_record, save

Progress = Callable[[str, int, int], None]

PAGES, PLANTED_PAGES = 200, 20
"""Pages of each empty kind, and of each planted one."""
RATE = "pages with a false claim"
FOUND = 0.8
"""The share of planted units that must be found."""


@door
def instruments(names: Sequence[str] = ()) -> list[Instrument]:
    """Instruments of every registered measure (`measure.MEASURES`), or of some.

    Args:
        names: Beginnings of names of instruments or measures; empty: all.

    Raises:
        UnknownName: A name of none; the message suggests the nearest ones.
    """
    every = [instrument for measure in MEASURES.values() for instrument in measure.instruments]
    for name in names:
        if not any(one.startswith(name) for i in every for one in (i.name, i.measure)):
            raise unknown(
                "measure or instrument",
                name,
                dict.fromkeys(w for i in every for w in (i.measure, i.name)),
                "(docs/measures.md lists the measures)",
            )
    return [i for i in every if not names or i.name.startswith(tuple(names)) or i.measure.startswith(tuple(names))]


def _key(*parts: object) -> str:
    return json.dumps(parts)


@door
def recalibrate(
    names: Sequence[str] = (),
    *,
    empties: int = 200,
    pages: int = PAGES,
    seed: int = 0,
    output: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`calibrate` and `calibrate_pages` in one record; results already in ``output`` that are still valid are reused.

    Args:
        names: Names of measures or instruments, and "pages"; empty: all.
        empties: Number of empty phantoms for each instrument.
        pages: Number of pages of each empty kind; 0: none.
        seed: Seed of the first phantom.
        output: File to write; None: none.
        workers: Processes.
        progress: Function of what is counted, how many are done, and their total.

    Raises:
        FileError: Before any work, ``output`` can't be written.
        DataError: Names together with ``output``: a record holds a full calibration.
    """
    if names and output is not None:
        raise DataError("a record holds a full calibration; leave out the names: unchanged results are reused")
    if output is not None:
        files.writable(output)
    kept = Kept(output.with_suffix(".jsonl") if output else None)
    old = open_record(output) if output is not None and output.exists() else xr.Dataset()
    chosen = instruments([name for name in names if name != "pages"]) if set(names) != {"pages"} else []
    for row in (old.sel(instrument=name) for name in (old["instrument"].values if "hash" in old else ())):
        words = (str(row[name].values) for name in ("hash", "instrument"))
        key = _key("instrument", *words, old.attrs["n_empty"], old.attrs["seed"])
        kept[key] = [float(row[name]) for name in ("truth", "measured", "false_alarms")]
    result = calibrate(chosen, empties=empties, seed=seed, kept=kept, workers=workers, progress=progress)
    if pages and (not names or "pages" in names):
        planted = max(1, pages * PLANTED_PAGES // PAGES)
        same = (
            "pages" in old
            and old.attrs.get("rules_hash") == fingerprint.of_rules()
            and int(old["pages"].max()) == pages
        )
        found = (
            old.drop_dims("instrument")
            if same
            else calibrate_pages(pages, planted, kept=kept, workers=workers, progress=progress)
        )
        result = result.merge(found, join="exact").assign_attrs(rules_hash=found.attrs["rules_hash"])
    if output is not None:
        save(result, output)
    return result


@door
def calibrate(
    chosen: Iterable[Instrument | str] | None = None,
    *,
    empties: int = 200,
    seed: int = 0,
    kept: Kept | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Each instrument's reading of its phantom, and its false alarms on empty ones, [instrument].

    Args:
        chosen: Instruments, or names of them or of measures; None: all registered.
        empties: Number of empty phantoms for each instrument.
        seed: Seed of the first phantom; the others follow.
        kept: Results to reuse and to add to; None: none.
        workers: Processes.
        progress: Function of what is counted (instruments), how many are done, and their total.

    Returns:
        ``truth``, ``measured`` and ``error`` (measured - truth) in the instrument's own unit; ``tolerance``;
        ``recovered``, true if the error is within it; ``false_alarms``, the share of empty phantoms (0..1) with a
        claim,
        0.05 being declared; ``silent``, true if it is at most 0.09, the 99% bound at 200. The coordinate ``hash``
        changes
        with the measure and its phantoms.

    Raises:
        UnknownName: A name of no measure or instrument.

    >>> nm.phantoms.calibrate(["predictions.calibration_error"], empties=1)["recovered"].values.tolist()
    [True, True]
    """
    given = instruments() if chosen is None else list(chosen)
    found = [one for i in given for one in ([i] if isinstance(i, Instrument) else instruments([i]))]
    marks = [fingerprint.of_measure(MEASURES[i.measure]) if i.measure in MEASURES else "" for i in found]
    jobs = {
        _key("instrument", mark, i.name, empties, seed): partial(_read, i if workers == 1 else i.name, empties, seed)
        for i, mark in zip(found, marks, strict=True)
    }
    read = _each("instruments", jobs, Kept() if kept is None else kept, workers, progress)
    rows = [[*row, i.tolerance] for row, i in zip(read, found, strict=True)]
    truth, measured, rate, tolerance = np.array(rows, float).reshape(-1, 4).T
    columns = {
        "truth": truth,
        "measured": measured,
        "error": measured - truth,
        "tolerance": tolerance,
        "recovered": np.abs(measured - truth) <= tolerance,
        "false_alarms": rate,
        "silent": rate <= ALLOWED,
    }
    words = {
        word: ("instrument", [getattr(i, word) for i in found]) for word in ("measure", "planted", "empty", "unit")
    }
    return xr.Dataset(
        {name: ("instrument", column) for name, column in columns.items()},
        coords={"instrument": [i.name for i in found], **words, "hash": ("instrument", marks)},
        attrs={"n_empty": empties, "seed": seed, "declared": DECLARED, "allowed": ALLOWED, "version": __version__},
    )


def _read(instrument: Instrument | str, empties: int, seed: int) -> list[float]:
    """[truth, measured, share of false alarms]; an instrument given by its name can be sent to another process."""
    if isinstance(instrument, str):
        (instrument,) = (one for one in instruments() if one.name == instrument)
    rate = np.mean([bool(instrument.alarm(seed + i)) for i in range(empties)]) if empties else np.nan
    return [*(float(x) for x in instrument.read(seed)), float(rate)]


@door
def calibrate_pages(
    pages: int = PAGES,
    planted: int = PLANTED_PAGES,
    *,
    kept: Kept | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Every rule of a page on networks of each empty and each planted kind, judged as on a page.

    Args:
        pages: Number of networks of each empty kind.
        planted: Number of networks of each planted kind.
        kept: Results to reuse and to add to; None: none.
        workers: Processes.
        progress: Function of what is counted (pages), how many are done, and their total.

    Returns:
        [kind] holds ``pages``, and ``pages_false`` with a claim that is false there.
        [kind, rule]: ``false_here``, true if any claim of the rule is false there; ``asked``, pages with a test;
        ``able``,
        pages on which its draws allow a claim; ``claimed``, pages with a claim; ``alone``, pages with a claim at 5%
        without
        the other rules; ``least_p``, corrected within the rule.
        [plant]: units ``planted_units``, ``planted_found`` of them, their mean effect ``planted_effect``,
        ``must_find``,
        true if a claim about them is correct.
    """
    mark = fingerprint.of_rules()
    keys = [
        (kind, seed)
        for seed in range(max(pages, planted))
        for kind in KINDS
        if seed < (pages if kind in EMPTY_KINDS else planted)
    ]
    jobs = {_key("page", mark, *key): partial(page, *key) for key in keys}
    found = _each("pages", jobs, Kept() if kept is None else kept, workers, progress)
    return _table(dict(zip(keys, found, strict=True)), mark)


def _each(
    what: str,
    jobs: Mapping[str, Callable[[], Any]],
    kept: Kept,
    workers: int,
    progress: Progress | None,
) -> list[Any]:
    """The result of each job; a result kept under its key is reused. Parallel jobs must be picklable."""
    missing: list[Job] = [partial(_done, key, job) for key, job in jobs.items() if key not in kept]
    progress = progress or (lambda what, done, total: None)

    def steps() -> Steps:
        yield missing

    def tell(*counts: Any) -> None:
        kept.add(*counts[-2:])
        progress(what, len(kept.keys() & jobs), len(jobs))

    progress(what, len(jobs) - len(missing), len(jobs))
    if workers > 1 and len(missing) > 1:
        side_by_side({what: steps()}, tell, workers)
    else:
        one_by_one(steps(), tell)
    return [kept[key] for key in jobs]


def _done(key: str, job: Callable[[], Any], tell: Callable[..., None]) -> None:
    tell(key, job())


def _table(found: dict[tuple[str, int], dict[str, list[float]]], mark: str) -> xr.Dataset:
    every = [rule for _, rule in rules()]
    kinds = []
    for kind in KINDS:
        rows = [[row[r.name] for r in every] for (k, _), row in found.items() if k == kind]
        tests, least, claims, able = np.moveaxis(np.reshape(rows, (-1, len(every), 4)), 2, 0)  # each [page, rule]
        false_here = np.array([kind in rule.false_on for rule in every])
        alone = least < min(DECLARED, 1 / len(every))  # above 1 / rules the page's correction excludes it
        counted = {"asked": tests > 0, "able": able > 0, "claimed": claims > 0, "alone": alone & (tests > 0)}
        about = {
            "pages": len(tests),
            "pages_false": ((claims > 0) & false_here).any(1).sum(),
            "false_here": ("rule", false_here),
            "least_p": ("rule", least.min(0, initial=1)),
        }
        kinds.append(xr.Dataset(about | {name: ("rule", on.sum(0)) for name, on in counted.items()}))
    power = {}
    for kind in PLANTED_KINDS:
        for name in (n for n in next((row for (k, _), row in found.items() if k == kind), {}) if "," in n):
            units, hits, effect = np.array([row[name] for (k, _), row in found.items() if k == kind]).sum(0)
            power[f"{name}: {kind}"] = (units, hits, effect / max(units, 1), name != "a unit matters, idle")
    columns = np.array(list(power.values()), float).reshape(-1, 4).T
    planted = dict(zip(("planted_units", "planted_found", "planted_effect"), columns, strict=False))
    return (
        xr.concat(kinds, "kind")
        .assign({name: ("plant", column) for name, column in planted.items()})
        .assign(must_find=("plant", columns[3].astype(bool)))
        .assign_coords(kind=list(KINDS), rule=[r.name for r in every], plant=list(power))
        .assign_attrs(rules_hash=mark)
    )


def most_false(pages: int) -> int:
    """The highest count that passes: a true rate stays at or below it in 99% of calibrations (18 of 200 at 5%)."""
    return int(stats.binom.ppf(0.99, pages, DECLARED))


@door
def failures(record: xr.Dataset) -> list[str]:
    """Failures in words: instruments, pages, rules and planted units.

    Args:
        record: A calibration.
    """
    found = []
    if "instrument" in record:
        bad = ~(record["recovered"] & record["silent"])
        found += [f"instrument {name}" for name in record["instrument"][bad].values]
    for kind in EMPTY_KINDS if "kind" in record else ():
        row = record.sel(kind=kind)
        n, most = int(row["pages"]), most_false(int(row["pages"]))
        if row["pages_false"] > most:
            found.append(
                f"{int(row['pages_false'])} of {n} pages ({kind}) have a false claim; at most {most} are allowed"
            )
        for name in row["rule"][row["false_here"]].values:
            rule = row.sel(rule=name)
            if not rule["able"]:
                found.append(
                    f"{str(name)!r} can never be shown on {kind} (tested on {int(rule['asked'])} of {n} pages)"
                )
            if rule["alone"] > most:
                found.append(
                    f"{str(name)!r} alone is shown on {int(rule['alone'])} of {n} pages ({kind}); at most {most} are allowed"
                )
    for name in record["plant"].values if "plant" in record.dims else ():
        row = record.sel(plant=name)
        share = float(row["planted_found"] / row["planted_units"])
        if (share < FOUND) if row["must_find"] else share > DECLARED:
            found.append(f"{name}: shown for {int(row['planted_found'])} of {int(row['planted_units'])} units")
    return found


@door
def outdated(record: xr.Dataset) -> list[str]:
    """Names of measures whose code changed since the record was made, and "rules".

    "rules" if those of the pages, or their measures, changed.

    Args:
        record: A calibration.
    """
    marks = dict(zip(record["measure"].values, record["hash"].values, strict=True)) if "hash" in record.coords else {}
    names = dict.fromkeys(i.measure for i in instruments())
    found = [name for name in names if marks.get(name) != fingerprint.of_measure(MEASURES[name])]
    return found + ["rules"] * (record.attrs.get("rules_hash") != fingerprint.of_rules())


@door
def page_rate(record: xr.Dataset) -> str:
    """The record's rate of pages with a false claim, as a sentence; empty if the record holds no pages.

    Args:
        record: A calibration.
    """
    return next((claim.sentence for claim in claims(record) if claim.rule == RATE), "")


def claims(record: xr.Dataset, networks: int = 1) -> list[Claim]:
    """A page's claims about a calibration: the rate of false claims, instruments that pass, and the meaning of the rates.

    Args:
        record: A calibration.
        networks: Number of networks on the page.
    """
    found = []
    if "kind" in record and int(record["pages"].sel(kind=list(EMPTY_KINDS)).sum()):
        empty = record.sel(kind=list(EMPTY_KINDS))
        found.append(
            say(
                RATE,
                "A check of the method: of {pages:,} trial reports on networks with nothing to find, {false:,} ({rate:2%}) made a "
                "false claim (allowed: 5%; measured with version {version}).",
                false=int(empty["pages_false"].sum()),
                pages=int(empty["pages"].sum()),
                rate=float(empty["pages_false"].sum() / empty["pages"].sum()),
                version=str(record.attrs.get("version", "unknown")),
            )
        )
    if "instrument" in record:
        found.append(
            say(
                "instruments that are calibrated",
                "{good:,} of {size:,} instruments (a measure with data whose answer is known), each also tried alone, recover the "
                "answer, with false alarms on at most {allowed:0%} of {empty:,} data sets with nothing to find.",
                good=int((record["recovered"] & record["silent"]).sum()),
                size=record.sizes["instrument"],
                empty=int(record.attrs["n_empty"]),
                allowed=ALLOWED,
            )
        )
        several = " ({together:0%} for {networks:,} networks)" if networks > 1 else ""
        found.append(
            say(
                "error rates",
                f"The limit is {{declared:0%}} for all claims about a network together{several}, and {{declared:0%}} for each instrument; "
                "on {empty:,} data sets, up to {allowed:0%} is within chance.",
                declared=DECLARED,
                networks=networks,
                together=min(1.0, DECLARED * networks),
                allowed=ALLOWED,
                empty=int(record.attrs["n_empty"]),
            )
        )
    return [replace(claim, network="calibration") for claim in found]


for _area in analysis.__all__:  # a measure is registered, with its instruments, when its file is imported
    importlib.import_module(f"{analysis.__name__}.{_area}")
