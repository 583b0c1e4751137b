"""Attention patterns: the weights that torch's attention computes, also where a fused kernel never writes them down.

A pattern is computed from the same queries, keys and masks that the module gives to torch. Where no hook replaces it, the module's own
result is passed on.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import HookError
from .tables import put

Run = Callable[[Any], Any]
_ARGUMENTS = (
    "query",
    "key",
    "value",
    "key_padding_mask",
    "need_weights",
    "attn_mask",
    "average_attn_weights",
    "is_causal",
)


class _Watched:
    """The functions that see a module's patterns, and the entries in its tables of hooks."""

    def __init__(self, module: nn.Module) -> None:
        self.runs: list[Run] = []
        self.open: dict[int, list[Any]] = {}
        """By thread: what was begun and has not ended."""
        own = type(module).forward is nn.MultiheadAttention.forward
        before, after = (self._ask, self._answer) if own else (self._enter, self._leave)
        entries = (("_forward_pre_hooks", before), ("_forward_hooks", after))
        self.detach = [put(module, table, run, whole=True) for table, run in entries]

    def seen(self, pattern: Tensor) -> Tensor | None:
        """The replacement of a pattern; None if nothing replaces it."""
        changed = None
        for run in tuple(self.runs):
            result = run(pattern if changed is None else changed)
            changed = changed if result is None else result
        return changed

    def _enter(self, module: nn.Module, *given: Any) -> None:
        mode = _Intercepted(self.seen)
        mode.__enter__()
        self.open.setdefault(threading.get_ident(), []).append(mode)

    def _leave(self, module: nn.Module, *given: Any) -> None:
        if begun := self.open.get(threading.get_ident()):
            begun.pop().__exit__(None, None, None)

    def _ask(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        given = dict(zip(_ARGUMENTS, args, strict=False)) | kwargs
        self.open.setdefault(threading.get_ident(), []).append(given)
        return (), given | {"need_weights": True, "average_attn_weights": False}

    def _answer(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        given = self.open[threading.get_ident()].pop()
        if output is None:  # the module raised
            return None
        value, pattern = output
        changed = self.seen(pattern)
        if changed is not None:
            value, pattern = _attended(module, changed, given["value"]), changed
        if given.get("average_attn_weights", True):
            pattern = pattern.mean(-3)
        return value, pattern if given.get("need_weights", True) else None


_WATCHED: WeakKeyDictionary[nn.Module, _Watched] = WeakKeyDictionary()


def watch(module: nn.Module, run: Run) -> Callable[[], None]:
    """Calls ``run`` on every pattern [example, head, query, key] of a module, until the returned function is called."""
    watched = _WATCHED.get(module) or _WATCHED.setdefault(module, _Watched(module))
    watched.runs.append(run)

    def remove() -> None:
        watched.runs.remove(run)
        if not watched.runs and module in _WATCHED:
            del _WATCHED[module]
            for detach in watched.detach:
                detach()

    return remove


class _Intercepted(TorchFunctionMode):
    """Passes the pattern of each `scaled_dot_product_attention` to a function, which may replace it."""

    def __init__(self, seen: Callable[[Tensor], Tensor | None]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        pattern, values, dropout = _pattern(*args, **kwargs)
        changed = self.seen(pattern)
        if changed is None:
            return func(*args, **kwargs)
        return functional.dropout(changed, dropout, training=dropout > 0) @ values


def _pattern(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, float]:
    """(the pattern, the values, the dropout) of a call of `scaled_dot_product_attention`."""
    if enable_gqa:
        key, value = (one.repeat_interleave(query.shape[-3] // one.shape[-3], -3) for one in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    nowhere = scores.isneginf().all(-1, keepdim=True)
    return scores.softmax(-1).masked_fill(nowhere, 0), value, dropout_p


def _attended(module: Any, pattern: Tensor, value: Tensor) -> Tensor:
    """The output of `nn.MultiheadAttention` for a pattern [example, head, query, key]."""
    if pattern.ndim != 4 or module.bias_k is not None or module.add_zero_attn:
        raise HookError(
            "the pattern of an nn.MultiheadAttention can be replaced for batches, without add_bias_kv and add_zero_attn; it can be read"
        )
    value = value if module.batch_first else value.transpose(0, 1)
    width, bias = module.embed_dim, module.in_proj_bias
    weight = module.v_proj_weight if module.in_proj_weight is None else module.in_proj_weight[2 * width :]
    values = functional.linear(value, weight, None if bias is None else bias[2 * width :])
    heads = pattern @ values.unflatten(-1, (module.num_heads, -1)).transpose(1, 2)
    output = functional.linear(heads.transpose(1, 2).flatten(2), module.out_proj.weight, module.out_proj.bias)
    return output if module.batch_first else output.transpose(0, 1)
