"""Doors to other tools: each takes a network or a run and gives what that tool opens, with the same numbers.

Nothing here is imported until it is called, and the other tools are not dependencies: where one is absent, the error says
what to install.
"""

from .callbacks import lightning_callback, trainer_callback
from .estimators import Activations
from .hub import from_hub, to_hub
from .lens import activation_cache, to_transformer_lens
from .netcdf import to_netcdf
from .onnx_file import to_onnx
from .tensorboard import to_tensorboard

__all__ = [
    "Activations",
    "activation_cache",
    "from_hub",
    "lightning_callback",
    "to_hub",
    "to_netcdf",
    "to_onnx",
    "to_tensorboard",
    "to_transformer_lens",
    "trainer_callback",
]
