"""Grad-CAM: which places of a layer's maps the target comes from."""

from __future__ import annotations

import torch
import xarray as xr
from torch import nn

from ...errors import HookError
from ...measure import measure
from .target import Images, Target, subject


@measure(
    "attribution",
    title="Grad-CAM",
    null="none of its own: `against_untrained`, `sanity_check`, `deletion_insertion`",
    replicates="image",
    interval="none",
    source="Selvaraju et al. 2017",
)
def grad_cam(
    model: nn.Module, images: Images, hook_point: str, *, target: Target = None, upsample: bool = True
) -> xr.Dataset:
    """``attribution`` = ReLU(sum over channels k of alpha_k A_k), A the maps of ``hook_point`` [example, channel, row, col].

    alpha_k: the mean over places of df/dA_k. Brought to the image's size by bilinear interpolation, or, with ``upsample``
    False, left on the maps' own grid. At least 0; all 0 where nothing in the maps speaks for the target. In a network of
    convolutions, global average pooling and one linear layer it is the class activation map over the number of places (Zhou et
    al. 2016), exactly. Errors: as `saliency`; HookError for a hook point without maps, or from which the target
    can't be reached. Source: Selvaraju et al. 2017.
    """
    explained = subject(model, images, target)
    maps, value = [], []
    for pixels, which in explained.batches():
        held, gradient, found = explained.at(hook_point, pixels, which)
        if held.ndim != 4:
            raise HookError(
                f"{hook_point!r} holds {list(held.shape)}; Grad-CAM needs maps [example, channel, row, col]: "
                "take a convolutional layer"
            )
        weight = gradient.mean((2, 3), keepdim=True)
        maps.append((weight * held).sum(1, keepdim=True).relu())
        value.append(found)
    heat = torch.cat(maps)
    if upsample:
        heat = nn.functional.interpolate(heat, explained.pixels.shape[2:], mode="bilinear", align_corners=False)
    source = "Selvaraju et al. 2017: ReLU(sum_k alpha_k A_k), alpha_k the spatial mean of df/dA_k"
    return explained.table(heat, torch.cat(value), explained.unit, source, maps_of=hook_point)
