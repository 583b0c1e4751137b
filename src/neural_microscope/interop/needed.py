"""Other tools, imported when they are asked for."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MicroscopeError


def needed(module: str, install: str) -> Any:
    """The module, or a MicroscopeError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MicroscopeError(
            f"this needs {install}, which is not installed: pip install {install} ({error})"
        ) from None
