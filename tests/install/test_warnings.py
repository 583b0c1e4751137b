"""The warnings that are errors: any of our own code, and of others' all but those that say what a later release will change."""

from __future__ import annotations

import warnings

import pytest


@pytest.mark.parametrize("kind", [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_a_release_that_begins_to_deprecate_breaks_no_test(kind: type[Warning]) -> None:
    with warnings.catch_warnings(record=True):
        warnings.warn_explicit("will change", kind, "there.py", 1, module="pyparsing.core")
    for ours in ("neural_microscope.run.log", "test_log"):
        with pytest.raises(kind):
            warnings.warn_explicit("will change", kind, "here.py", 1, module=ours)
    with pytest.raises(RuntimeWarning):
        warnings.warn_explicit("overflow", RuntimeWarning, "there.py", 1, module="numpy")
