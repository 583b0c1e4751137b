"""Which hook points are meant: names, collections and predicates, and an error when nothing is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from ..errors import HookError, UnknownName, unknown
from .point import Site

NamesFilter = str | Collection[str] | Callable[[str], bool] | None


def select(sites: Mapping[str, Site], names_filter: NamesFilter) -> list[Site]:
    """The sites a filter means, in the model's order.

    None means all; a string one; a collection each of its names; a predicate those names for which it is true.
    ``name@1`` means only the second call of that module in a forward pass. An unknown name, and a filter that matches
    nothing, raise UnknownName with the nearest names.
    """
    if names_filter is None:
        return list(sites.values())
    if callable(names_filter):
        found = [site for name, site in sites.items() if names_filter(name)]
        if not found:
            raise UnknownName(f"the predicate matches no hook point; there is: {', '.join(sites)}")
        return found
    names = [names_filter] if isinstance(names_filter, str) else list(names_filter)
    if not names:
        raise UnknownName("the filter is an empty collection: it would select nothing; leave it out to select all")
    chosen = [_one(sites, name) for name in names]
    order = {name: i for i, name in enumerate(sites)}
    return sorted(dict.fromkeys(chosen), key=lambda site: (order[site.name], site.call or 0))


def _one(sites: Mapping[str, Site], name: str) -> Site:
    if not isinstance(name, str):
        raise HookError(f"a hook point is named by a string; got {type(name).__name__} {name!r}")
    if name in sites:
        return sites[name]
    base, _, call = name.rpartition("@")
    if base in sites and call.isdecimal():
        return replace(sites[base], call=int(call))
    raise unknown("hook point", name, sites)
