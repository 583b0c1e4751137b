"""Selection of hook points by names, collections and predicates, with an error for an empty selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..errors import HookError, UnknownName, unknown
from .point import Site

NamesFilter = str | Iterable[str] | Callable[[str], bool] | None


def select(sites: Mapping[str, Site], names_filter: NamesFilter) -> list[Site]:
    """The sites that a filter selects, each once.

    None means all; a string one; an iterable each of its names; a predicate those names for which it is true.
    ``name@1`` means only the second call of that module in a forward pass. An unknown name, and a filter that matches
    nothing, raise UnknownName with the nearest names.
    """
    if not sites:
        raise UnknownName(
            "this model has no hook points; give it HookPoint modules, or wrap a plain module: hooked(module)"
        )
    if names_filter is None:
        return [site for site in sites.values() if not site.again]
    if callable(names_filter):
        meant = [site for name, site in sites.items() if names_filter(name)]
        found = list({id(site.module): site for site in reversed(meant)}.values())[::-1]  # by its first selected name
        if not found:
            raise UnknownName(f"the predicate matches no hook point; there is: {', '.join(sites)}")
        return found
    if not isinstance(names_filter, Iterable):
        raise HookError(f"a filter must be None, a name, names or a predicate; got {type(names_filter).__name__}")
    names = [names_filter] if isinstance(names_filter, str) else list(names_filter)
    if not names:
        raise UnknownName("the filter is an empty collection: it would select nothing; leave it out to select all")
    return list({site.label: site for site in (_one(sites, name) for name in names)}.values())


def _one(sites: Mapping[str, Site], name: str) -> Site:
    if not isinstance(name, str):
        raise HookError(f"a hook point's name must be a string; got {type(name).__name__} {name!r}")
    if name in sites:
        return sites[name].when_named
    base, _, call = name.rpartition("@")
    if base in sites and call.isdecimal():
        return replace(sites[base], call=int(call), named=True)
    raise unknown("hook point", name, sites)
