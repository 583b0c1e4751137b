"""Measures that other packages have too, on the same network and images: attributions compared with captum, PCA with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.decomposition import PCA

import neural_microscope as nm
from neural_microscope.analysis import attribution, geometry

from . import peers
from .timing import Form, Variants, interleaved, table

STEPS = 50


def run(form: Form) -> list[str]:
    torch.set_num_threads(1)
    images = form.data.test.subset(slice(0, form.pick(200, 20)))
    parts = []
    for kind, model in {"MLP 784-128-64-10": nm.MLP(), "CNN 16-32-64": nm.CNN()}.items():
        for name, variants in _attributions(model.eval(), images).items():
            base = "captum" if "captum" in variants else "neural-microscope"
            parts.append(table(f"{name}, 200 images, {kind}", interleaved(variants, form.pick(5, 1)), base, {}))
    return [*parts, _components(form)]


def _attributions(model: Any, images: nm.data.ImageSet) -> dict[str, Variants]:
    captum, labels = peers.needed("captum.attr"), images.label_tensor()

    def theirs(method: str, **options: object) -> Variants:
        if captum is None:
            return {}
        way: Callable[..., object] = getattr(captum, method)(model).attribute
        return {"captum": lambda: way(images.tensor().requires_grad_(), target=labels, **options)}

    whole = {"n_steps": STEPS, "return_convergence_delta": True}  # as ours, which gives the error of completeness too
    by_step = theirs("IntegratedGradients", internal_batch_size=len(images), **whole)
    return {
        "Gradient × input": {
            "neural-microscope": lambda: attribution.gradient_times_input(model, images),
            **theirs("InputXGradient"),
        },
        f"Integrated gradients, {STEPS} steps": {
            "neural-microscope": lambda: attribution.integrated_gradients(model, images, steps=STEPS),
            **theirs("IntegratedGradients", **whole),
            **{f"{name}, one step at a time": way for name, way in by_step.items()},
        },
    }


def _components(form: Form) -> str:
    """Ten components of one layer, in float64."""
    images = form.data.test.subset(slice(0, form.pick(10_000, 200)))
    model = nm.MLP(nm.MLPConfig(hidden=form.pick((512, 256), (24, 16))))
    acts = nm.activations(model, images, "layers.0.hook_post")["layers.0.hook_post"]
    x = acts.values.astype(float)
    times = interleaved(
        {
            "scikit-learn PCA": lambda: PCA(10).fit_transform(x),
            "geometry.pca, no shuffle": lambda: geometry.pca(acts, components=10, draws=0),
            "geometry.pca, 20 shuffles as null": lambda: geometry.pca(acts, components=10),
        },
        form.pick(3, 1),
    )
    return table("Ten principal components of 10,000 images × 512 units", times, "scikit-learn PCA", {})
