"""Words at the ticks of an axis that do not lie over each other."""

from __future__ import annotations

from matplotlib.axis import Axis


def apart(axis: Axis) -> bool:
    """True if the words at the ticks of a figure's axis lie apart."""
    axis.axes.get_figure(root=True).draw_without_rendering()
    low, high = sorted(axis.get_view_interval())
    ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [text.get_window_extent() for text in ticks if text.get_visible() and text.get_text()]
    return not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
