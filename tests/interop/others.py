"""Networks in the manner of others: written from their published descriptions, in plain torch, without a thought of hooks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LeNet(nn.Module):
    """LeNet-5 for 28 × 28 (LeCun et al. 1998), with the functional calls that tutorials use."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 4 * 4, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2)
        x = nn.functional.relu(self.fc1(x.flatten(1)))
        return self.fc3(nn.functional.relu(self.fc2(x)))


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016), the ReLU used twice and in place."""

    def __init__(self, before: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or before != planes:
            self.downsample = nn.Sequential(nn.Conv2d(before, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """The layout of ResNet-18 with one input channel; ``width`` 64 is the published one."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before, stages = width, []
        for stage in range(4):
            planes, stride = width * 2**stage, 1 if stage == 0 else 2
            stages.append(nn.Sequential(BasicBlock(before, planes, stride), BasicBlock(planes, planes, 1)))
            before = planes
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class Attention(nn.Module):
    """Self-attention with its softmax as a module, so that the pattern [example, head, query, key] is somebody's output."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.pattern, self.out = nn.Linear(width, 3 * width), nn.Softmax(dim=-1), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        examples, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(examples, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        pattern = self.pattern(q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5)
        return self.out((pattern @ v).transpose(1, 2).reshape(examples, tokens, width))


class VisionTransformer(nn.Module):
    """Patches of 7 × 7, two blocks, the mean over tokens (Dosovitskiy et al. 2021, small)."""

    def __init__(self, width: int = 24, heads: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, 7)
        self.places = nn.Parameter(torch.zeros(1, 16, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))
        self.attentions = nn.ModuleList(Attention(width, heads) for _ in range(depth))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        for k, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = x + attention(self.norms[2 * k](x))
            x = x + mlp(self.norms[2 * k + 1](x))
        return self.head(x.mean(1))


class Reused(nn.Module):
    """One layer that runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        for _ in range(3):
            x = torch.tanh(self.again(x))
        return self.last(x)


class TwoInputs(nn.Module):
    """An image and a number for each; one of them by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.number, self.last = nn.Linear(784, 12), nn.Linear(1, 12), nn.Linear(12, 10)

    def forward(self, images: Tensor, *, number: Tensor) -> Tensor:
        return self.last(torch.relu(self.image(images.flatten(1)) + self.number(number)))


class Named(nn.Module):
    """Gives a dict, and holds a part that gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.memory, self.head = nn.Linear(784, 12), nn.GRU(12, 8, batch_first=True), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.body(images.flatten(1))
        steps, _ = self.memory(features[:, None].expand(-1, 3, -1))
        return {"logits": self.head(steps[:, -1]), "features": features}
