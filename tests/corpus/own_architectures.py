"""Networks in plain torch, each with a habit that people reported: in-place edits, reused layers, tuples, dicts, weights that pass
through modules, recomputation, other orders of axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from architectures import CLASSES, Architecture, floats, tokens
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, spectral_norm
from torch.utils.checkpoint import checkpoint


class LeNet(nn.Module):
    """Two convolutions and three dense layers; ReLU and pooling are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(6, 12), nn.Linear(12, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x.flatten(1))))))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions with squeeze and excitation, ReLU6 in place."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(2, 2, 3, padding=1, groups=2), nn.Conv2d(2, 6, 1)
        self.norm, self.act = nn.BatchNorm2d(6), nn.ReLU6(inplace=True)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 2, 1), nn.ReLU(inplace=True))
        self.excite = nn.Sequential(nn.Conv2d(2, 6, 1), nn.Hardsigmoid(inplace=True))
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.pointwise(self.depthwise(x))))
        x *= self.excite(self.squeeze(x))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """A residual block: one ReLU used twice, in place, and an addition in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


def resnet() -> nn.Module:
    blocks = nn.Sequential(Block(4), nn.MaxPool2d(2), Block(4))
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)
    )


class Dense(nn.Module):
    """Every layer sees all earlier ones; each is recomputed in the backward pass, by either kind of checkpoint."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(2 + 3 * k, 3, 3, padding=1) for k in range(3))
        self.head, self.reentrant = nn.Linear(11, CLASSES), reentrant

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            new = checkpoint(layer, x, use_reentrant=self.reentrant) if x.requires_grad else layer(x)
            x = torch.cat([x, new.relu()], 1)
        return self.head(x.mean((2, 3)))


class Stochastic(nn.Module):
    """Residual blocks without a nonlinearity after the sum, of which training drops some."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)) for _ in range(3)
        )
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x.clone())
        return self.head(x.amax((2, 3)))


class UNet(nn.Module):
    """Down, up, and a connection across; gives a map for each class."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.pool = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True)), nn.MaxPool2d(2)
        self.middle = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.LeakyReLU(0.1, inplace=True))
        self.up, self.last = nn.ConvTranspose2d(6, 4, 2, 2), nn.Conv2d(8, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        across = self.down(x)
        return self.last(torch.cat([across, self.up(self.middle(self.pool(across)))], 1))


class TiedAutoencoder(nn.Module):
    """A decoder whose weight is the encoder's, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.act = nn.Linear(16, 6), nn.Sigmoid()
        self.bias = nn.Parameter(torch.zeros(16))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.act(self.encoder(x)), self.encoder.weight.T, self.bias)


class VAE(nn.Module):
    """Gives (reconstruction, mean, log variance); random in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.mean, self.log_variance = nn.Sequential(nn.Linear(16, 10), nn.Tanh()), *_pair(10, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 10), nn.Tanh(), nn.Linear(10, 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        noise = torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else 0
        return self.decoder(mean + noise), mean, log_variance


def _pair(before: int, after: int) -> tuple[nn.Module, nn.Module]:
    return nn.Linear(before, after), nn.Linear(before, after)


class Coupling(nn.Module):
    """A step of a normalizing flow: gives (values, log determinant), the second a number for each example."""

    def __init__(self, swap: bool) -> None:
        super().__init__()
        self.net, self.swap = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8)), swap

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = x.chunk(2, 1)[::-1] if self.swap else x.chunk(2, 1)
        scale, shift = self.net(kept).tanh().chunk(2, 1)
        return torch.cat([kept, changed * scale.exp() + shift], 1), scale.sum(1)


class Flow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Coupling(bool(k % 2)) for k in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, determinant = step(x)
            total += determinant
        return x, total


class LastStep(nn.Module):
    """A recurrent layer, and the classes from its output at the last step."""

    def __init__(self, layer: nn.Module, width: int, *, first: bool = False) -> None:
        super().__init__()
        self.layer, self.head, self.first = layer, nn.Linear(width, CLASSES), first

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.layer(x.transpose(0, 1) if self.first else x)
        return self.head(steps[-1] if self.first else steps[:, -1])


class Cells(nn.Module):
    """An LSTM cell called once for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(3, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0])


class Packed(nn.Module):
    """A GRU over packed sequences, an object that is neither tensor nor plain tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.layer = nn.Embedding(20, 5, padding_idx=0), nn.GRU(5, 7, batch_first=True)
        self.head = nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.full((len(x),), x.shape[1]) - torch.arange(len(x)) % 2
        packed = nn.utils.rnn.pack_padded_sequence(self.words(x), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.layer(packed)[1][-1])


class MixerBlock(nn.Module):
    """Mixes tokens, then channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.tokens = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 16))
        self.channels = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.blocks = nn.Conv2d(1, 8, 2, 2), nn.Sequential(MixerBlock(), MixerBlock())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class ChannelsLast(nn.Module):
    """Maps [example, row, col, channel] through layers that mix the last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Linear(1, 5), nn.LayerNorm(5)
        self.rows, self.act, self.out = nn.Linear(8, 8), nn.GELU(), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x.permute(0, 2, 3, 1)))
        x = self.act(self.rows(x.transpose(1, 3)).transpose(1, 3))
        return self.out(x.mean((1, 2)))


class SetAttention(nn.Module):
    """Attention over a set without positions or a graph; gives the classes and the pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.attention = nn.Linear(3, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.enter(x)
        mixed, pattern = self.attention(x, x, x, need_weights=True, average_attn_weights=False)
        return self.head((x + mixed).mean(1)), pattern


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, and torch's own encoder with its fast path."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.places = nn.Conv2d(1, 8, 4, 4), nn.Embedding(5, 8)
        self.start = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.start.expand(len(x), -1, -1), x], 1) + self.places(torch.arange(5))
        return self.head(self.encoder(x)[:, 0])


class Linear(nn.Module):
    """Attention whose cost is linear in the tokens, written by hand with einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.qkv = nn.Embedding(20, 8), nn.Linear(8, 24, bias=False)
        self.pattern, self.head = nn.Softmax(-1), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.words(x)).chunk(3, -1)
        context = torch.einsum("ntd,nte->nde", self.pattern(k), v)
        return self.head(torch.einsum("ntd,nde->nte", self.pattern(q), context).mean(1))


class Siamese(nn.Module):
    """One tower for two images; the classes from the difference."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(inplace=True))
        self.head = nn.Linear(10, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head((self.tower(left) - self.tower(right)).abs())


class Heads(nn.Module):
    """Several tasks from one trunk, in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(16, 10), nn.ELU(inplace=True))
        self.heads = nn.ModuleDict({"logits": nn.Linear(10, CLASSES), "size": nn.Linear(10, 1)})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = self.trunk(x)
        return {name: head(hidden) for name, head in self.heads.items()}


@dataclass
class Answer:
    logits: Tensor
    hidden: tuple[Tensor, ...]
    note: str = ""


class Dataclass(nn.Module):
    """Gives a dataclass with a tuple in it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Answer:
        hidden = [x]
        for layer in self.layers:
            hidden.append(layer(hidden[-1]).tanh_())
        return Answer(self.head(hidden[-1]), tuple(hidden))


class Found(NamedTuple):
    boxes: Tensor
    logits: Tensor


class Detector(nn.Module):
    """Gives a named tuple of boxes and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(inplace=True), nn.Flatten())
        self.boxes, self.logits = nn.Linear(36, 4), nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Found:
        body = self.body(x)
        return Found(self.boxes(body).sigmoid(), self.logits(body))


class Shared(nn.Module):
    """One layer three times, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.layer, self.head = nn.Linear(16, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.alias, self.act = self.layer, nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        for layer in (self.layer, self.alias, self.layer):
            x = self.act(layer(x))
        return self.head(x)


class FixedPoint(nn.Module):
    """Iterates one layer until it stands still, as often as the examples need."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.step, self.head = nn.Linear(16, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        given, state = self.enter(x), torch.zeros(len(x), 8)
        for _ in range(40):
            after = torch.tanh(0.3 * self.step(state) + given)
            if (after - state).abs().max() < 1e-3:
                break
            state = after
        return self.head(state)


class Greedy(nn.Module):
    """Writes into its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.sub_(0.3).mul_(2))


class Experts(nn.Module):
    """Each example goes to one of three experts, which see different numbers of them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(16, 3), nn.ModuleList(nn.Linear(16, 8) for _ in range(3))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(1)
        chosen, out = weights.argmax(1), x.new_zeros(len(x), 8)
        for number, expert in enumerate(self.experts):
            here = chosen == number
            out[here] = weights[here, number, None] * expert(x[here])
        return self.head(out)


def weight_norm() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(16, 8)), nn.Tanh(), parametrizations.orthogonal(nn.Linear(8, CLASSES))
    )


def old_spectral_norm() -> nn.Module:
    return nn.Sequential(spectral_norm(nn.Linear(16, 8)), nn.Softplus(), nn.Linear(8, CLASSES))


class Causal(nn.Module):
    """Dilated causal convolutions over time with gates."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**k) for k in range(3))
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers):
            value, gate = layer(functional.pad(x, (2**k, 0))).chunk(2, 1)
            x = x + torch.tanh(value) * torch.sigmoid(gate)
        return self.head(x[:, :, -1])


class Spectral(nn.Module):
    """Fourier layers: complex numbers inside, real ones outside."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum, self.act, self.head = Transform(), nn.Mish(inplace=True), nn.Linear(9 * 2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(torch.view_as_real(self.spectrum(x)).flatten(1)))


class Transform(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(9, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x) * self.weight


class Graph(nn.Module):
    """Graph convolution over a fixed graph of six nodes, its adjacency a buffer."""

    def __init__(self) -> None:
        super().__init__()
        links = torch.eye(6) + torch.eye(6).roll(1, 0) + torch.eye(6).roll(-1, 0)
        self.register_buffer("links", links / 3)
        self.first, self.act, self.second = nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.links @ self.act(self.links @ self.first(x))).mean(1)


class Points(nn.Module):
    """A cloud of points: one dense layer for all points, and their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.each(x.transpose(1, 2)).amax(2))


class Capsules(nn.Module):
    """Vectors that vote for vectors; the length of each is a class."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.votes = nn.Conv2d(1, 8, 5, 3), nn.Linear(4, CLASSES * 4)

    def forward(self, x: Tensor) -> Tensor:
        capsules = self.first(x).flatten(1).unflatten(1, (-1, 4))
        return self.votes(capsules).unflatten(-1, (CLASSES, 4)).mean(1).norm(dim=-1)


class StateSpace(nn.Module):
    """A linear state for each channel, stepped through time."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave, self.head = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.decay = nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 6)
        for step in self.enter(x).unbind(1):
            state = state * self.decay + step
        return self.head(functional.silu(self.leave(state)))


class Denoiser(nn.Module):
    """Takes noisy values and a time, as a diffusion model does; the time by keyword or by place."""

    def __init__(self) -> None:
        super().__init__()
        self.time, self.enter, self.leave = nn.Linear(2, 8), nn.Linear(16, 8), nn.Linear(8, 16)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        waves = torch.stack([time.sin(), time.cos()], 1)
        return self.leave(functional.silu(self.enter(x) + self.time(waves)))


def _twice(*shape: int) -> Any:
    return lambda count: (torch.randn(count, *shape), torch.randn(count, *shape))


def video() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(2),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    )


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 32), nn.Unflatten(1, (8, 2, 2)), nn.ReLU(True), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh()
    )


def vgg() -> nn.Module:
    conv = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(True), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2)]
    return nn.Sequential(
        nn.Sequential(*conv), nn.Flatten(), nn.Dropout(), nn.Linear(96, 10), nn.ReLU(True), nn.Linear(10, CLASSES)
    )


image, row, time = floats(1, 8, 8), floats(16), floats(5, 3)

OWN = [
    Architecture("perceptron", "MLP", mlp, image),
    Architecture("perceptron", "weight_norm and orthogonal", weight_norm, row),
    Architecture("perceptron", "old spectral_norm", old_spectral_norm, row),
    Architecture("perceptron", "writes into its input", Greedy, row),
    Architecture("perceptron", "mixture of experts", Experts, row),
    Architecture("convolution", "LeNet", LeNet, image),
    Architecture("convolution", "VGG, in-place ReLU, color", vgg, floats(3, 8, 8)),
    Architecture("convolution", "separable, squeeze and excite", Separable, floats(2, 8, 8)),
    Architecture("convolution", "3-D over video", video, floats(1, 4, 6, 6)),
    Architecture("convolution", "capsules", Capsules, image),
    Architecture("residual", "ResNet, in-place sum", resnet, image),
    Architecture("residual", "pre-activation", Stochastic, image),
    Architecture("residual", "DenseNet, checkpointed", lambda: Dense(False), floats(2, 6, 6)),
    Architecture("residual", "DenseNet, reentrant checkpoint", lambda: Dense(True), floats(2, 6, 6)),
    Architecture("encoder–decoder", "U-Net", UNet, image),
    Architecture("encoder–decoder", "autoencoder, tied weights", TiedAutoencoder, row),
    Architecture("generative", "VAE", VAE, row),
    Architecture("generative", "normalizing flow", Flow, floats(8)),
    Architecture("generative", "GAN generator", generator, floats(6)),
    Architecture("generative", "denoiser, two inputs", Denoiser, lambda n: (torch.randn(n, 16), torch.rand(n))),
    Architecture("recurrent", "LSTM", lambda: LastStep(nn.LSTM(3, 8, batch_first=True), 8), time),
    Architecture(
        "recurrent",
        "GRU, two layers, both ways",
        lambda: LastStep(nn.GRU(3, 4, 2, batch_first=True, bidirectional=True), 8),
        time,
    ),
    Architecture("recurrent", "RNN, sequence first", lambda: LastStep(nn.RNN(3, 8), 8, first=True), time),
    Architecture("recurrent", "LSTM cell in a loop", Cells, time),
    Architecture("recurrent", "GRU over packed sequences", Packed, tokens(5)),
    Architecture("mixer", "MLP-Mixer", Mixer, image),
    Architecture("mixer", "maps channels-last", ChannelsLast, image),
    Architecture("attention", "set attention with pattern", SetAttention, time),
    Architecture("attention", "vision transformer of torch", VisionTransformer, image),
    Architecture("attention", "linear attention", Linear, tokens(6)),
    Architecture("several outputs", "dict of heads", Heads, row),
    Architecture("several outputs", "dataclass with a tuple", Dataclass, row),
    Architecture("several outputs", "detector, named tuple", Detector, image),
    Architecture("shared weights", "siamese, two inputs", Siamese, _twice(1, 8, 8)),
    Architecture("shared weights", "one layer, two names", Shared, row),
    Architecture("shared weights", "fixed point", FixedPoint, row),
    Architecture("sequence convolution", "dilated and causal", Causal, floats(4, 10)),
    Architecture("sequence convolution", "Fourier layer, complex", Spectral, floats(16)),
    Architecture("graph and set", "graph convolution", Graph, floats(6, 4)),
    Architecture("graph and set", "point cloud", Points, floats(9, 3)),
    Architecture("state space", "linear state space", StateSpace, time),
]
