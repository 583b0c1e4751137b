"""What reading a network costs beside just running it: 784-512-256-10, ReLU, four hook points saved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import neural_microscope as nm

from .timing import interleaved, table

Call = Callable[[torch.Tensor], object]
NAMES = ["layers.0.hook_pre", "layers.0.hook_post", "layers.1.hook_pre", "layers.1.hook_post"]

OUTPUTS = [f"{i}.hook_out" for i in range(1, 5)]


def transformer_lens(model: nm.MLP) -> Call | None:
    """The same network as a HookedRootModule, where TransformerLens is installed."""
    try:
        from transformer_lens import HookedRootModule
        from transformer_lens.hook_points import HookPoint
    except ImportError:
        return None

    class Lens(HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.linears = nn.ModuleList([model.layers[0].linear, model.layers[1].linear])
            self.last = model.output
            self.pre, self.post = (nn.ModuleList([HookPoint(), HookPoint()]) for _ in range(2))
            self.setup()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            x = images.flatten(1)
            for linear, pre, post in zip(self.linears, self.pre, self.post, strict=True):
                x = post(torch.relu(pre(linear(x))))
            return self.last(x)

    return Lens().eval().run_with_cache


def run() -> list[str]:
    torch.set_num_threads(1)
    model = nm.MLP(nm.MLPConfig(hidden=(512, 256))).eval()
    plain = nn.Sequential(
        nn.Flatten(), model.layers[0].linear, nn.ReLU(), model.layers[1].linear, nn.ReLU(), model.output
    ).eval()
    foreign, lens = nm.hooked(plain), transformer_lens(model)
    parts = []
    with torch.no_grad():
        for title, images, repeats, aim in (
            ("One batch of 1,024 images", torch.rand(1024, 1, 28, 28), 3, "≤ 1.08"),
            ("One image", torch.rand(1, 1, 28, 28), 200, "overhead ≤ half of TransformerLens's"),
        ):

            def times(call: Call, x: torch.Tensor = images, n: int = repeats) -> Callable[[], None]:
                def loop() -> None:
                    for _ in range(n):
                        call(x)  # and let it go: kept results would make the next call pay for new memory

                return loop

            variants = {
                "plain torch forward": times(plain),
                "our model, nothing hooked": times(model),
                "run_with_cache, four hook points": times(lambda x: model.run_with_cache(x, names_filter=NAMES)),
                "hooked(plain torch), four outputs": times(lambda x: foreign.run_with_cache(x, names_filter=OUTPUTS)),
            }
            if lens:
                variants["TransformerLens run_with_cache, four hook points"] = times(lens)
            medians = {name: t / repeats for name, t in interleaved(variants, 25).items()}
            parts.append(table(title, medians, "plain torch forward", {"run_with_cache, four hook points": aim}))
        many = torch.rand(10_000, 1, 28, 28)
        medians = interleaved(
            {
                "plain torch forward, 1,024 at a time": times(
                    lambda x: [plain(b) for b in x.split(1024)] and None, many, 1
                ),
                "activations, four hook points": lambda: nm.activations(model, many, NAMES),
            },
            9,
        )
        parts.append(
            table(
                "Activations of 10,000 images",
                medians,
                "plain torch forward, 1,024 at a time",
                {"activations, four hook points": "≤ 1.20"},
            )
        )
    return parts
