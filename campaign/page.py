"""docs/reliability.md, from what the parts of the campaign left in .campaign."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".campaign"
PAGE = ROOT / "docs" / "reliability.md"


def code() -> str:
    """SHA-256 of the package's Python, in the order of its paths."""
    found = hashlib.sha256()
    package = ROOT / "src" / "neural_microscope"
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def keep(part: str, result: dict[str, Any]) -> None:
    KEPT.mkdir(exist_ok=True)
    about = {"code": code(), "date": datetime.now(UTC).date().isoformat(), "python": platform.python_version()}
    (KEPT / f"{part}.json").write_text(json.dumps(result | about, indent=1), "utf-8")


def write() -> None:
    """Writes the page; a part that was not run yet is left out."""
