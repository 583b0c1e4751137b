"""The command ``microscope``: an interruption prints one line, also while libraries are loading."""

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
