"""Sets of small images and their labels: MNIST and its kin, scikit-learn's digits, any folder of IDX files.

    digits = load("mnist")
    probe = digits.test.balanced(1000, seed=0)
    logits = model(probe.tensor())

Invalid data raise a `neural_microscope.errors.DataError` that names the file.
"""

from __future__ import annotations

from .batch import batches
from .convert import convert
from .imageset import Dataset, ImageSet, Task, examples
from .source import data_folder, load, load_or_digits

__all__ = ["Dataset", "ImageSet", "Task", "batches", "convert", "data_folder", "examples", "load", "load_or_digits"]
