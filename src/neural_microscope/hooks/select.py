"""Selection of hook points by names, collections and predicates, with an error for an empty selection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..errors import HookError, UnknownName, unknown
from .point import Site

_TOKEN = re.compile(r"(.*hook_(?:in|out)[^\[\]]*)\[(-?\d+)\]")
SCRIPTED = "belongs to a scripted module, which runs where no hook sees it"
NamesFilter = str | Iterable[str] | Callable[[str], bool] | None


def select(sites: Mapping[str, Site], names_filter: NamesFilter) -> list[Site]:
    """The sites that a filter selects, each once.

    None means all; a string one; an iterable each of its names; a predicate those names for which it is true.
    ``name@1`` means only the second call of that module in a forward pass; ``block.hook_out.0`` a part of a foreign
    module's output, ``block.hook_in`` the first tensor among its positional arguments, ``block.hook_out[0]`` a token of a
    sequence, ``attention.hook_pattern`` the weights of attention. An unknown name, and a filter that matches nothing, raise
    UnknownName with the nearest names.
    """
    open_ = {name: site for name, site in sites.items() if not site.closed}
    if not open_:
        raise UnknownName(
            "this model has no hook points; give it HookPoint modules, or wrap a plain module: hooked(module)"
        )
    if names_filter is None:
        return [site for site in open_.values() if not site.again]
    if callable(names_filter):
        meant = [site for name, site in open_.items() if names_filter(name)]
        found = list({id(site.module): site for site in reversed(meant)}.values())[::-1]  # by its first selected name
        if not found:
            raise UnknownName(f"the predicate matches no hook point; there are: {', '.join(open_)}")
        return found
    if not isinstance(names_filter, Iterable):
        raise HookError(f"a filter must be None, a name, names or a predicate; got {type(names_filter).__name__}")
    names = [names_filter] if isinstance(names_filter, str) else list(names_filter)
    if not names:
        raise UnknownName("the filter is an empty collection: it would select nothing; leave it out to select all")
    return list({site.label: site for site in (_checked(_one(sites, name)) for name in names)}.values())


def _checked(site: Site) -> Site:
    if site.closed:
        raise HookError(f"{site.name!r} {SCRIPTED}: put the module that was scripted or traced in its place")
    return site


def _one(sites: Mapping[str, Site], name: str) -> Site:
    if not isinstance(name, str):
        raise HookError(f"a hook point's name must be a string; got {type(name).__name__} {name!r}")
    if name in sites:
        return sites[name].when_named
    base, _, call = name.rpartition("@")
    if base and call.isdecimal():
        return replace(_one(sites, base), call=int(call))
    if token := _TOKEN.fullmatch(name):
        return replace(_one(sites, token[1]), name=name, token=int(token[2]))
    out = f"{name.removesuffix('hook_pattern')}hook_out"
    if name.endswith("hook_pattern") and out in sites:
        return replace(sites[out], name=name, pattern=True, named=True)
    for known, site in sites.items():
        whole = f"{known.removesuffix('hook_out')}hook_in" if name.rpartition("hook_in")[1] else known
        if site.module is not site.point and f"{name}.".startswith(f"{whole}."):
            part = name.removeprefix(whole).removeprefix(".") or None
            return replace(site, name=name, part=part, given=whole != known, named=True)
    raise unknown("hook point", name, sites)
