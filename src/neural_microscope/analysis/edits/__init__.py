"""Edits of a network: the distance from networks that were really trained that way, and the price of an edit."""

from .distance import distance_from_retrained
from .price import edit_price

__all__ = ["distance_from_retrained", "edit_price"]
