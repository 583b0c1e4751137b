"""The command line in this process: what is printed, and the code with which a process would end."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from typing import NamedTuple
from unittest import mock

from neural_microscope import cli


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def microscope(*words: object) -> Ended:
    """``microscope WORDS`` without a process of its own, which would import torch again. A warning is printed as it would be there;
    an exception that a user would see as a traceback comes out.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["microscope", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        warnings.showwarning = lambda *what, **more: print(warnings.formatwarning(*what[:4]), file=sys.stderr)
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())
