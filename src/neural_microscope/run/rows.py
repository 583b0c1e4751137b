"""Rows of a table that grows by one row per step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Write = Callable[[str, int, Any], None]
"""Writes one chunk of one array of the log: (name, number of the chunk, values)."""


class Rows:
    """Rows of one group of the log, buffered until a chunk is full, so that no chunk is written twice."""

    def __init__(self, group: str, columns: Sequence[str], write: Write, length: int) -> None:
        self.group = group
        self.columns: dict[str, list[Any]] = {name: [] for name in columns}
        self.write = write
        self.length = length
        """The number of rows of a chunk."""
        self.count = 0
        """The number of rows added so far, written or not."""

    def add(self, row: Mapping[str, Any]) -> None:
        for name, values in self.columns.items():
            values.append(row[name])
        self.count += 1
        if self.count % self.length == 0:
            self.flush()

    def flush(self) -> None:
        """Writes the buffered rows as the chunk to which they belong."""
        for name, values in self.columns.items():
            if values:
                self.write(f"{self.group}/{name}", (self.count - 1) // self.length, values)
                self.columns[name] = []

    def tail(self) -> dict[str, Tensor]:
        """The rows not yet in a chunk, as stored in the state file: ``tail.<group>.<column>`` [step, …]."""
        return {
            f"tail.{self.group}.{name}": torch.tensor(values, dtype=torch.float64)
            for name, values in self.columns.items()
            if values
        }

    def restore(self, count: int, state: Mapping[str, Tensor]) -> None:
        """Continues after ``count`` rows, of which ``state`` holds the `tail`."""
        self.count = count
        for name in self.columns:
            tail = state.get(f"tail.{self.group}.{name}")
            self.columns[name] = [] if tail is None else tail.tolist()
