"""Grad-CAM: positions of a layer's maps that the target depends on."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor, nn

from ...errors import HookError
from ...measure import of
from .planted import random_images, seen
from .target import Images, Target, of_pixels, subject


@of_pixels(
    title="Grad-CAM", source="Selvaraju et al. 2017: ReLU(sum_k alpha_k A_k), alpha_k the spatial mean of df/dA_k"
)
def grad_cam(
    model: nn.Module, images: Images, hook_point: str, *, target: Target = None, upsample: bool = True
) -> xr.Dataset:
    """Grad-CAM: positions of a convolutional layer's maps that the target depends on.

    In a network of convolutions, global average pooling and one linear layer it is the class activation map divided by
    the number of places (Zhou et al. 2016), exactly.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        hook_point: Name of a hook point that holds maps, such as ``layers.1.hook_post``.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        upsample: True to bring the map to the image's size by bilinear interpolation, False for the maps' own grid.

    Returns:
        ``attribution`` [example, row, col] = ReLU(sum over channels k of alpha_k A_k), A the maps
        [example, channel, row, col], alpha_k the mean over places of df/dA_k; and ``value`` [example], f itself. At
        least 0; all 0 where no map has a positive effect on the target.

    Raises:
        HookError: A hook point without maps, or from which the target can't be reached.
        DataError: As `saliency`.

    >>> cnn = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4,), head=(16,)))
    >>> nm.analysis.attribution.grad_cam(cnn, digits.test.subset(range(3)), "layers.0.hook_post")["attribution"].shape
    (3, 8, 8)
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
    return explained.table(heat, torch.cat(value), explained.unit, maps_of=hook_point)


# Its phantom.


def _activation_map(model: nn.Module, images: Tensor, hook_point: str) -> float:
    """The maximum of the class activation map, divided by the number of positions."""
    held = model.get_submodule("1")(model.get_submodule("0")(images))
    cam = torch.einsum("k,ekrc->erc", model.get_parameter("4.weight")[0], held).relu()
    return float(cam.max().detach() / images[0].numel())


@of(grad_cam).calibrated_on(
    "convolution, global average pooling, linear: the class activation map",
    _activation_map,
    1e-12,
    empty="a network whose last layer has zero weights; alarm: a map that is not 0",
    name="Grad-CAM",
    read=lambda found: found["attribution"].max(),
    alarm=seen,
    target=0,
    upsample=False,
)
def _pooled(seed: int, planted: bool) -> tuple[nn.Module, Tensor, str]:
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        head = model.get_parameter("4.weight")
        head.copy_(head.abs() * planted)
    return model.double(), random_images(seed, 1), "1.hook_out"
