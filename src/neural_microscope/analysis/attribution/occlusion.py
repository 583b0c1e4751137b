"""Perturbation methods: occlusion and single-pixel responses."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor, nn

from ... import named
from ...errors import DataError
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...models import MLP
from .planted import first, network, reads_the_patch
from .target import BATCH, Baseline, Images, Target, absent, as_parameters, by_unit, of_pixels, subject


@of_pixels(
    title="Occlusion",
    source="Zeiler & Fergus 2014: f(x) - f(x with the patch covered), mean over the patches that cover a pixel",
)
def occlusion(
    model: nn.Module,
    images: Images,
    *,
    target: Target = None,
    patch: int = 3,
    stride: int = 1,
    baseline: Baseline = "black",
) -> xr.Dataset:
    """Fall of the target when a patch of the image is covered, averaged over the patches that cover a pixel.

    One forward pass for each patch and image. With ``patch`` 1 it is exact for a linear model: w (x - b). Black on
    black changes nothing: 0 exactly.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        patch: Side of a square patch, in pixels; the last ones are truncated at the border.
        stride: Distance between patches, in pixels.
        baseline: Values of absent pixels: ``black``, ``mean`` of the images, ``blur``, a brightness, or an image
            [row, col].

    Returns:
        ``attribution`` [example, row, col], the mean of f(x) - f(x with a patch covered), positive where covering
        lowers the target; and ``value`` [example] = f(x), both in the target's unit.

    Raises:
        DataError: Not 1 <= stride <= patch <= the image; otherwise as `saliency`.
    """
    explained = subject(model, images, target)
    covers = _patches(explained.pixels.shape[2], explained.pixels.shape[3], patch, stride).to(explained.pixels.device)
    start = absent(baseline, explained.pixels)
    value = explained.values(explained.pixels, explained.everyone)
    total = torch.zeros_like(explained.pixels[:, 0], dtype=torch.float64)
    for cover in covers.split(max(1, BATCH // len(explained))):
        covered = torch.where(cover[:, None, None], start, explained.pixels)  # [patch, example, 1, row, col]
        which = explained.everyone.repeat(len(cover))
        drop = value - explained.values(covered.flatten(0, 1), which).view(len(cover), -1)
        total += torch.einsum("pe,prc->erc", drop.double(), cover.double())
    maps = (total / covers.double().sum(0)).to(value.dtype)
    return explained.table(maps, value, explained.unit, patch=patch, stride=stride)


def _patches(rows: int, cols: int, patch: int, stride: int) -> Tensor:
    """Masks [patch, row, col] that together cover every pixel."""
    if not 1 <= stride <= patch <= min(rows, cols):
        raise DataError(f"patch is {patch} and stride {stride}; needed: 1 <= stride <= patch <= {min(rows, cols)}")

    def along(size: int) -> Tensor:
        begin = torch.arange(-(-(size - patch) // stride) + 1)[:, None] * stride
        place = torch.arange(size)
        return (place >= begin) & (place < begin + patch)

    return (along(rows)[:, None, :, None] & along(cols)[None, :, None, :]).flatten(0, 1)


@measure(
    "attribution",
    title="Single-pixel responses",
    null="none: a description, shown with the untrained network's",
    replicates="–",
    interval="none",
    source="f(e_i), one lit pixel on black; with biases and ReLUs it differs from the response to a part of a digit",
)
def single_pixels(model: nn.Module, hook_point: str, *, image_shape: tuple[int, int] | None = None) -> xr.Dataset:
    """Response of each unit of a hook point (of a channel: the mean of its map) to one lit pixel on black.

    The three maps differ: because of biases and ReLUs the response to one pixel says little about the response to many;
    a unit that is off for every single pixel may be on for a digit. Compare with `occlusion` on real images.
    Descriptive, without a null of its own: show the untrained network's with it.

    Args:
        model: Network, or any torch module.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        image_shape: (rows, columns) of an image; None: those of the model's config.

    Returns:
        Activations of the units.

        * ``response`` [unit, row, col] = f(e_i), ``black`` [unit] = f(0).
        * ``slope`` [unit, row, col]: f(0) + slope x brightness would be the response if the network were linear near
          black (the gradient there).
        * ``path_product`` [unit, row, col], for an `MLP` without normalization only: the product of the weights up to
          the unit (W2 W1, over ``pixel_std``), the response if all ReLUs were open.

    Raises:
        UnknownName: A hook point that does not exist.
        DataError: No ``image_shape`` for a model whose config does not hold it, or a diverged network.

    >>> lit = nm.analysis.attribution.single_pixels(model, "layers.0.hook_post")
    >>> lit["response"].dims
    ('unit', 'row', 'col')
    """
    shape = image_shape or getattr(getattr(model, "config", None), "image_shape", None)
    if shape is None:
        raise DataError("this model's config does not hold its images' size; give image_shape=(rows, cols)")
    lit = as_parameters(model, torch.eye(shape[0] * shape[1]).reshape(-1, 1, *shape))
    lens, black = hooked(model), torch.zeros_like(lit[:1])

    def answer(pixels: Tensor) -> Tensor:
        return by_unit(lens.run_with_hooks(pixels, stop_at=hook_point), hook_point)

    with evaluation(lens):
        with torch.no_grad():
            response = torch.cat([answer(some) for some in lit.split(BATCH)])
            dark = answer(black)[0]
        copies = black.repeat(len(dark), 1, 1, 1).requires_grad_()  # one for each unit's gradient
        (slope,) = torch.autograd.grad(answer(copies).diagonal().sum(), copies)
    found = {"response": response.T, "slope": slope, **_path_product(model, hook_point)}
    maps = {name: (("unit", "row", "col"), values.reshape(-1, *shape).cpu().numpy()) for name, values in found.items()}
    result = xr.Dataset(
        {**maps, "black": ("unit", dark.cpu().numpy())},
        attrs={"n_examples": len(lit)},
    )
    for name, array in result.items():
        named.finite(array.rename(hook_point))
        array.attrs["units"] = "activation" if name in ("response", "black") else "activation per unit of brightness"
    return result


def _path_product(model: nn.Module, hook_point: str) -> dict[str, Tensor]:
    """The product of the weights from the pixels to the units of a hook point, [unit, pixel], if there is one."""
    if not isinstance(model, MLP) or model.config.norm != "none":
        return {}
    weights = [parameter.detach() for name, parameter in model.named_parameters() if name.endswith(".weight")]
    through = len(weights) if hook_point == "logits" else _number(hook_point) + 1
    product = torch.eye(weights[0].shape[1]).to(weights[0])
    for weight in weights[:through]:
        product = weight @ product
    return {"path_product": product / model.config.pixel_std} if through else {}


def _number(hook_point: str) -> int:
    """The layer's number, 3 of ``layers.3.hook_post``; -1 for the input, which no weights precede."""
    return int(hook_point.split(".")[1]) if hook_point.startswith("layers.") else -1


# Phantoms.


reads_the_patch(occlusion, "occlusion", patch=1)  # larger patches would blur the patch's edge


@of(single_pixels).calibrated_on(
    "a network with every ReLU open: W2 W1",
    lambda model, hook_point: float(_path_product(model, hook_point)["path_product"][1, 8]),
    1e-12,
    empty="a network with every unit off; alarm: any response",
    name="single lit pixels",
    unit="activation",
    read=lambda found: (found["response"] - found["black"])[1].values.flat[8],
    alarm=lambda found: (found["response"] != found["black"]).any(),
)
def _open(seed: int, planted: bool) -> tuple[MLP, str]:
    """A network without biases and with weights above 0; or with every first unit off."""
    model = network(seed, 4, 3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parameter.abs() if name.endswith("weight") else torch.zeros_like(parameter))
        if not planted:
            first(model)[1].fill_(-1000)
    return model, "layers.1.hook_post"
