"""A run, or several on the same images, as one offline, interactive HTML page.

The page computes everything it shows of a drawing or an intervention itself, from the stored weights; the
measures of single units and their nulls are computed here. It has no analysis of its own.
"""

from .graph import UnsupportedLayer, operations
from .page import write
from .show import Shown, show

__all__ = ["Shown", "UnsupportedLayer", "operations", "show", "write"]
