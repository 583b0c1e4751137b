"""The command ``microscope``: from here on an interruption is one line, also while libraries are still being loaded."""

from __future__ import annotations

from .stops import Stops


def main() -> None:
    with Stops(at_once=True) as stops:
        from .cli import main as command_line

        try:
            command_line(stops)
        finally:
            stops.at_once = True  # until Python has ended


if __name__ == "__main__":
    main()
