"""Sets of small grey images and their labels."""

from __future__ import annotations

from .batch import batches
from .imageset import Dataset, ImageSet

__all__ = ["Dataset", "ImageSet", "batches"]
