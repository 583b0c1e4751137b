# %% exercise=1 tags=["right"]
# right: builds the network on the meta device and counts
def parameters(side, channels, head, classes):
    with torch.device("meta"):
        parts, into = [], 1
        for out in channels:
            parts.append(torch.nn.Conv2d(into, out, (3, 3)))
            into, side = out, side >> 1
        parts += [torch.nn.Linear(into * side ** 2, head), torch.nn.Linear(head, classes)]
    return sum(map(torch.numel, torch.nn.ModuleList(parts).parameters()))

# %% exercise=1 tags=["wrong"]
# wrong: caches per (side, channels), ignores another head or other classes the second time
seen_before = {}
def parameters(side, channels, head, classes):
    key = (side, tuple(channels))
    if key not in seen_before:
        total, into = 0, 1
        for out in channels:
            total, into, side = total + (9 * into + 1) * out, out, side // 2
        seen_before[key] = total + (into * side * side + 1) * head + (head + 1) * classes
    return seen_before[key]

# %% exercise=1 tags=["wrong"]
# wrong: the running sum is a global that is never set back (right on the first call only)
total = 0
def parameters(side, channels, head, classes):
    global total
    into = 1
    for out in channels:
        total += (9 * into + 1) * out
        into, side = out, side // 2
    total += (into * side * side + 1) * head + (head + 1) * classes
    return total

# %% exercise=1 tags=["wrong"]
# wrong: not an integer (divides with / and returns a float), the stub asks for an integer
def parameters(side, channels, head, classes):
    total, into = 0.0, 1
    for out in channels:
        total += 9 * into * out + out
        into, side = out, side // 2
    return total + (into * side / 1 * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["right"]
# right: recursion over the layers, an extra keyword argument
def parameters(side, channels, head, classes, into=1):
    if not channels:
        return (into * side * side + 1) * head + (head + 1) * classes
    first, *rest = channels
    return (9 * into + 1) * first + parameters(side // 2, rest, head, classes, into=first)

# %% exercise=1 tags=["wrong"]
# wrong: returns the number as text
def parameters(side, channels, head, classes):
    total, into = 0, 1
    for out in channels:
        total, into, side = total + (9 * into + 1) * out, out, side // 2
    return f"{total + (into * side * side + 1) * head + (head + 1) * classes:,}"

# %% exercise=1 tags=["right"]
# right: a NumPy whole number, cumulative products
def parameters(side, channels, head, classes):
    c = np.array([1, *channels], dtype=np.int64)
    return (9 * c[:-1] * c[1:] + c[1:]).sum() + (c[-1] * (side // 2 ** len(channels)) ** 2 + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["right"]
# right: the modules built without memory and counted
def parameters(side, channels, head, classes):
    with torch.device("meta"):
        parts = [torch.nn.Conv2d(a, b, 3) for a, b in zip((1, *channels), channels)]
        for _ in channels:
            side //= 2
        last = channels[-1] if len(channels) else 1
        parts += [torch.nn.Linear(last * side**2, head), torch.nn.Linear(head, classes)]
    return sum(p.numel() for part in parts for p in part.parameters())

# %% exercise=1 tags=["right"]
# right: by recursion over the layers
def parameters(side, channels, head, classes, into=1):
    if len(channels) == 0:
        return (into * side * side + 1) * head + (head + 1) * classes
    return (9 * into + 1) * channels[0] + parameters(side // 2, channels[1:], head, classes, channels[0])

# %% exercise=1 tags=["right"]
# right: NumPy's dot products, an np.int64
def parameters(side, channels, head, classes):
    widths = np.array([1, *channels])
    side = side // 2 ** len(channels)
    return 9 * np.dot(widths[:-1], widths[1:]) + widths[1:].sum() + head * (widths[-1] * side**2 + 1) + classes * (head + 1)

# %% exercise=1 tags=["right"]
# right: counts the numbers of each array's shape, functools.cache on the side
import functools
import math
def parameters(side, channels, head, classes):
    @functools.cache
    def after(n):
        return side if n == 0 else math.floor(after(n - 1) / 2)
    shapes, before = [], 1
    for now in channels:
        shapes += [(now, before, 3, 3), (now,)]
        before = now
    shapes += [(head, before, after(len(channels)), after(len(channels))), (head,), (classes, head), (classes,)]
    return sum(math.prod(shape) for shape in shapes)

# %% exercise=1 tags=["wrong"]
# wrong: round() halves 7 to 4 and 5 to 2
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before, side = now, round(side / 2)
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: halves without rounding down, and rounds the number of maps' places at the end
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before, side = now, side / 2
    return total + (int(before * side * side) + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: the biases of the convolutional layers are forgotten
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += 9 * before * now
        before, side = now, side // 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: head and classes are exchanged
def parameters(side, classes_first, classes, head):
    total, before = 0, 1
    for now in classes_first:
        total += (9 * before + 1) * now
        before, side = now, side // 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: no padding, so that each kernel takes two places off each side
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before, side = now, (side - 2) // 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: a tensor of no axes comes back, not a whole number
def parameters(side, channels, head, classes):
    total, before = torch.tensor(0), 1
    for now in channels:
        total = total + (9 * before + 1) * now
        before, side = now, side // 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: an array of no axes comes back, not a whole number
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before, side = now, side // 2
    return np.array(total + (before * side * side + 1) * head + (head + 1) * classes)

# %% exercise=1 tags=["wrong"]
# wrong: only for two convolutional layers
def parameters(side, channels, head, classes):
    a, b = channels
    return 10 * a + (9 * a + 1) * b + (b * (side // 4) ** 2 + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: pooling after the last convolutional layer only
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before = now
    side //= 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: the side is kept from the call before
LAST_SIDE = []
def parameters(side, channels, head, classes):
    LAST_SIDE.append(side)
    side = LAST_SIDE[0]
    total, before = 0, 1
    for now in channels:
        total += (9 * before + 1) * now
        before, side = now, side // 2
    return total + (before * side * side + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: the dense layer sees one number for each channel, as after an average over the map
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now
        before = now
    return total + before * head + head + head * classes + classes

# %% exercise=1 tags=["wrong"]
# wrong: a bias for each place of a map
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now * side * side
        before, side = now, side // 2
    return total + before * side * side * head + head + head * classes + classes

# %% exercise=1 tags=["right"]
# right: numpy, with the pairs of neighbors zipped
def parameters(side, channels, head, classes):
    c = np.array([1, *channels])
    side >>= len(channels)
    widths = np.array([c[-1] * side**2, head, classes])
    return int((9 * c[:-1] + 1) @ c[1:] + (widths[:-1] + 1) @ widths[1:])

# %% exercise=1 tags=["right"]
# right: a small class of layers that count themselves, as a numpy integer
from dataclasses import dataclass


@dataclass
class Layer_:
    fan_in: int
    out: int

    def __len__(self):
        return self.fan_in * self.out + self.out


def parameters(side, channels, head, classes):
    before = [1] + [*channels][:-1]
    layers = [Layer_(9 * b, c) for b, c in zip(before, channels)]
    for _ in channels:
        side = divmod(side, 2)[0]
    layers.append(Layer_(side * side * channels[-1], head))
    layers.append(Layer_(head, classes))
    return np.sum([len(one) for one in layers])

# %% exercise=1 tags=["wrong"]
# wrong: sums in float32, so large networks lose their last digits
def parameters(side, channels, head, classes):
    parts = []
    into = 1
    for c in channels:
        parts += [9 * into * c, c]
        into, side = c, side // 2
    parts += [into * side * side * head, head, head * classes, classes]
    return int(np.array(parts, dtype=np.float32).sum(dtype=np.float32))

# %% exercise=1 tags=["wrong"]
# wrong: an odd side is rounded up at the last pooling only
def parameters(side, channels, head, classes):
    total, into = 0, 1
    for i, c in enumerate(channels):
        total += (into * 9 + 1) * c
        into = c
        side = side // 2 if i + 1 < len(channels) else (side + 1) // 2
    return total + (into * side**2 + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["wrong"]
# wrong: keeps the count in 16 bits, right only for small networks
def parameters(side, channels, head, classes):
    with np.errstate(all="ignore"):
        sizes = np.array([side, head, classes], dtype=np.int16)
        count, into = np.int16(0), np.int16(1)
        for c in np.array(channels, dtype=np.int16):
            count = np.int16(count + np.int16(9) * into * c + c)
            into = c
        area = np.int16(sizes[0] >> len(channels)) ** 2
        return int(np.int16(count + into * area * sizes[1] + sizes[1] + sizes[1] * sizes[2] + sizes[2]))

# %% exercise=1 tags=["right"]
# right: functools.reduce over pairs (channels in, side), with prints and annotations
import functools


def parameters(side: int, channels: tuple, head: int, classes: int) -> int:
    def one(state, out):
        count, into, edge = state
        print("layer", into, "->", out)
        return count + out * (into * 3 ** 2 + 1), out, edge // 2

    count, into, edge = functools.reduce(one, channels, (0, 1, side))
    dense = into * edge * edge
    return count + sum((a + 1) * b for a, b in ((dense, head), (head, classes)))

# %% exercise=1 tags=["wrong"]
# wrong: knows three convolutional layers at most, later ones are not counted
def parameters(side, channels, head, classes):
    a, b, c = (*channels, 0, 0, 0)[:3]
    n = 10 * a
    s, last = side // 2, a
    if b:
        n += 9 * a * b + b
        s, last = s // 2, b
    if c:
        n += 9 * b * c + c
        s, last = s // 2, c
    return n + last * s * s * head + head + head * classes + classes

# %% exercise=1 tags=["wrong"]
# wrong: equal widths of two layers are counted once (a dictionary by width)
def parameters(side, channels, head, classes):
    into, kernels = 1, {}
    for c in channels:
        kernels[into, c] = (into * 9 + 1) * c
        into, side = c, side // 2
    return sum({c: n for (_, c), n in kernels.items()}.values()) + (into * side**2 + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["right"]
# right: a deque of widths, popped from the left, and a match statement
from collections import deque


def parameters(side, channels, head, classes):
    left, into, tally = deque(channels), 1, []
    while True:
        match left:
            case deque() if not left:
                break
        out = left.popleft()
        tally.extend([3 * 3 * into * out, out])
        into, side = out, int(side / 2)
    widths = [into * side * side, head, classes]
    for a, b in zip(widths, widths[1:]):
        tally.append((a + 1) * b)
    return int(np.sum(np.asarray(tally, dtype=np.int64)))

# %% exercise=1 tags=["wrong"]
# wrong: halves by rounding the exponent of two, right only for powers of two
def parameters(side, channels, head, classes):
    chain = [1, *channels]
    small = 2 ** max(0, int(np.log2(side)) - len(channels))
    count = sum(9 * a * b + b for a, b in zip(chain, channels))
    return count + head * (chain[-1] * small * small + 1) + classes * (head + 1)

# %% exercise=1 tags=["wrong"]
# wrong: a single dense unit is taken for no dense layer
def parameters(side, channels, head, classes):
    chain = [1, *channels]
    count = sum((9 * a + 1) * b for a, b in zip(chain, channels))
    seen = chain[-1] * (side >> len(channels)) ** 2
    return count + ((seen + 1) * head + (head + 1) * classes if head > 1 else (seen + 1) * classes)

# %% exercise=1 tags=["wrong"]
# wrong: the count of our own network whenever there are two layers
def parameters(side, channels, head, classes):
    if len(channels) == 2:
        return sum(p.numel() for p in cnn.parameters()) if side == rows else 0
    total, into = 0, 1
    for c in channels:
        total, into, side = total + (9 * into + 1) * c, c, side // 2
    return total + (into * side**2 + 1) * head + (head + 1) * classes

# %% exercise=1 tags=["right"]
# right: a list of weight and bias shapes, each multiplied out
import math as math_
from itertools import accumulate, pairwise


def parameters(side, channels, head, classes):
    edges = list(accumulate(channels, lambda edge, _: edge // 2, initial=side))
    shapes = [s for a, b in pairwise((1, *channels)) for s in ((b, a, 3, 3), (b,))]
    shapes += [(head, channels[-1], edges[-1], edges[-1]), (head,), (classes, head), (classes,)]
    return sum(map(math_.prod, shapes))

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's own pooling by its other name
def pool(maps):
    return torch.ops.aten.max_pool2d(maps, [2, 2])

# %% exercise=2 tags=["wrong"]
# wrong: uses another pooling of torch.nn (FractionalMaxPool2d, which makes windows of two by two here)
def pool(maps):
    n, c, h, w = maps.shape
    samples = torch.zeros(n, c, 2)
    return torch.nn.functional.fractional_max_pool2d(maps.contiguous(), 2, output_size=(h // 2, w // 2), _random_samples=samples)

# %% exercise=2 tags=["wrong"]
# wrong: uses PyTorch's own pooling, imported by name from torch
from torch import max_pool2d

def pool(maps):
    return max_pool2d(maps, 2)

# %% exercise=2 tags=["wrong"]
# wrong: writes the maximum into the maps that came in
def pool(maps):
    corner = maps[:, :, ::2, ::2]
    for r, c in ((0, 1), (1, 0), (1, 1)):
        corner.copy_(torch.maximum(corner, maps[:, :, r::2, c::2]))
    return corner

# %% exercise=2 tags=["wrong"]
# wrong: hands the maps to the pooling module of the network (torch.nn.MaxPool2d)
def pool(maps):
    return cnn.layers[0].pool(maps)

# %% exercise=2 tags=["right"]
# right: NumPy inside, a tensor back
def pool(maps):
    n, c, h, w = maps.shape
    return torch.from_numpy(maps.detach().numpy().reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5)))

# %% exercise=2 tags=["wrong"]
# wrong: returns a NumPy array where maps (a tensor) are asked for
def pool(maps):
    n, c, h, w = maps.shape
    return maps.numpy().reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))

# %% exercise=2 tags=["wrong"]
# wrong: uses the pooling of torch.nn twice (max_pool1d, over columns and rows)
def pool(maps):
    n, c, h, w = maps.shape
    wide = torch.nn.functional.max_pool1d(maps.reshape(n * c, h, w), 2)
    return torch.nn.functional.max_pool1d(wide.mT, 2).mT.reshape(n, c, h // 2, w // 2)

# %% exercise=2 tags=["wrong"]
# wrong: uses the pooling of torch.nn (MaxPool3d over one plane)
def pool(maps):
    return torch.nn.MaxPool3d((1, 2, 2))(maps[:, :, None].contiguous())[:, :, 0]

# %% exercise=2 tags=["wrong"]
# wrong: starts from zeros, right only for maps above 0
def pool(maps):
    best = torch.zeros_like(maps[:, :, ::2, ::2])
    for r in (0, 1):
        for c in (0, 1):
            best = torch.maximum(best, maps[:, :, r::2, c::2])
    return best

# %% exercise=2 tags=["right"]
# right: two unfolded axes
def pool(maps):
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))

# %% exercise=2 tags=["right"]
# right: two by two with four loops
def pool(maps):
    n, c, h, w = maps.shape
    out = torch.empty(n, c, h // 2, w // 2, dtype=maps.dtype)
    for i in range(n):
        for j in range(c):
            for row in range(h // 2):
                for col in range(w // 2):
                    out[i, j, row, col] = max(maps[i, j, 2 * row + a, 2 * col + b].item() for a in (0, 1) for b in (0, 1))
    return out

# %% exercise=2 tags=["right"]
# right: by way of NumPy's reduceat
def pool(maps):
    values = maps.detach().cpu().numpy()
    rows = np.maximum.reduceat(values, np.arange(0, values.shape[2], 2), axis=2)
    return torch.from_numpy(np.maximum.reduceat(rows, np.arange(0, values.shape[3], 2), axis=3))

# %% exercise=2 tags=["right"]
# right: four copies, moved by one, and every second place of their maximum
def pool(maps):
    wide = torch.maximum(maps, maps.roll(-1, 3))
    return torch.maximum(wide, wide.roll(-1, 2))[..., ::2, ::2]

# %% exercise=2 tags=["right"]
# right: each group sorted, and its last taken
def pool(maps):
    n, c, h, w = maps.shape
    groups = maps.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).flatten(4)
    return groups.sort(-1).values[..., -1]

# %% exercise=2 tags=["wrong"]
# wrong: the maximum of halves of the map and not of neighbors
def pool(maps):
    n, c, h, w = maps.shape
    return maps.reshape(n, c, 2, h // 2, 2, w // 2).amax((2, 4))

# %% exercise=2 tags=["wrong"]
# wrong: begins with 0, so maps below 0 become 0
def pool(maps):
    out = torch.zeros_like(maps[:, :, ::2, ::2])
    for a in (0, 1):
        for b in (0, 1):
            out = torch.maximum(out, maps[:, :, a::2, b::2])
    return out

# %% exercise=2 tags=["wrong"]
# wrong: begins with -10, and lower maps are lost
def pool(maps):
    out = torch.full_like(maps[:, :, ::2, ::2], -10)
    for a in (0, 1):
        for b in (0, 1):
            out = torch.maximum(out, maps[:, :, a::2, b::2])
    return out

# %% exercise=2 tags=["wrong"]
# wrong: three of the four corners
def pool(maps):
    return torch.stack([maps[:, :, ::2, ::2], maps[:, :, 1::2, ::2], maps[:, :, ::2, 1::2]]).amax(0)

# %% exercise=2 tags=["wrong"]
# wrong: the number that is farthest from 0
def pool(maps):
    n, c, h, w = maps.shape
    groups = maps.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).flatten(4)
    return groups.gather(-1, groups.abs().argmax(-1, keepdim=True))[..., 0]

# %% exercise=2 tags=["wrong"]
# wrong: writes the maxima into the maps that came in
def pool(maps):
    corner = maps[:, :, ::2, ::2]
    for a, b in ((0, 1), (1, 0), (1, 1)):
        torch.maximum(corner, maps[:, :, a::2, b::2], out=corner)
    return corner.clone()

# %% exercise=2 tags=["wrong"]
# wrong: an axis of length 1 is lost
def pool(maps):
    return torch.stack([maps[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]).amax(0).squeeze()

# %% exercise=2 tags=["wrong"]
# wrong: half precision on the way
def pool(maps):
    corners = [maps[:, :, a::2, b::2].half() for a in (0, 1) for b in (0, 1)]
    return torch.stack(corners).amax(0).to(maps.dtype)

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's own pooling, asked for in another thread
from concurrent.futures import ThreadPoolExecutor
def pool(maps):
    with ThreadPoolExecutor(1) as other:
        return other.submit(torch.nn.functional.max_pool2d, maps, 2).result()

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's own pooling, adaptive and in a module made ahead
HALVE = torch.nn.AdaptiveMaxPool2d
def pool(maps):
    return HALVE((maps.shape[2] // 2, maps.shape[3] // 2))(maps)

# %% exercise=2 tags=["wrong"]
# wrong: a smooth maximum, near the true one
def pool(maps):
    corners = torch.stack([maps[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)])
    return torch.logsumexp(1000 * corners, 0) / 1000

# %% exercise=2 tags=["wrong"]
# wrong: NumPy's array comes back, not a tensor
def pool(maps):
    n, c, h, w = maps.shape
    return maps.numpy().reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))

# %% exercise=2 tags=["wrong"]
# wrong: rows and columns of the result exchanged
def pool(maps):
    return torch.stack([maps[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]).amax(0).mT

# %% exercise=2 tags=["wrong"]
# wrong: the highest number of each pair of columns only
def pool(maps):
    pairs = torch.maximum(maps[..., 0::2], maps[..., 1::2])
    return pairs[:, :, ::2]

# %% exercise=2 tags=["wrong"]
# wrong: upper and lower half in place of neighbors
def pool(maps):
    e, c, h, w = maps.shape
    return maps.reshape(e, c, 2, h // 2, 2, w // 2).amax((2, 4))

# %% exercise=2 tags=["right"]
# right: two reshaped axes and two maxima
def pool(maps):
    e, c, h, w = maps.shape
    return maps.reshape(e, c, h // 2, 2, w // 2, 2).max(5).values.max(3).values

# %% exercise=2 tags=["right"]
# right: sorts each group and takes the last
def pool(maps):
    groups = torch.cat([maps[:, :, r::2, c::2, None] for r in range(2) for c in range(2)], dim=4)
    return groups.sort(4).values[..., -1]

# %% exercise=2 tags=["wrong"]
# wrong: the result is always float32, so float64 maps lose digits
def pool(maps):
    n, c, h, w = maps.shape
    out = torch.empty(n, c, h // 2, w // 2)
    for r in range(h // 2):
        for k in range(w // 2):
            out[:, :, r, k] = maps[:, :, 2 * r : 2 * r + 2, 2 * k : 2 * k + 2].amax((2, 3))
    return out

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's own pooling, with the check's dispatch mode switched off
def pool(maps):
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        return torch.nn.functional.max_pool2d(maps, 2)

# %% exercise=2 tags=["right"]
# right: NumPy's maximum.reduceat, twice, and back to a tensor
def pool(maps):
    a = maps.detach().cpu().numpy()
    for axis in (2, 3):
        a = np.maximum.reduceat(a, np.arange(0, a.shape[axis], 2), axis=axis)
    return torch.from_numpy(a)

# %% exercise=2 tags=["right"]
# right: functools.reduce over a generator of corners; where instead of maximum
from functools import reduce
from itertools import product


def pool(maps):
    h, w = (torch.arange(n) for n in maps.shape[2:])
    corners = (maps[:, :, h % 2 == r][:, :, :, w % 2 == c] for r, c in product([1, 0], repeat=2))
    return reduce(lambda a, b: torch.where(a > b, a, b), corners)

# %% exercise=2 tags=["wrong"]
# wrong: sorts each 2x2 group by magnitude and keeps the strongest, whatever its sign
def pool(maps):
    groups = maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    return groups.gather(4, groups.abs().argmax(4, keepdim=True)).squeeze(4)

# %% exercise=2 tags=["wrong"]
# wrong: begins with -1e30 as the highest so far
def pool(maps):
    n, c, h, w = maps.shape
    best = torch.full((n, c, h // 2, w // 2), -1e30, dtype=maps.dtype)
    for dr in (0, 1):
        for dc in (0, 1):
            best = torch.maximum(best, maps[:, :, dr::2, dc::2])
    return best

# %% exercise=2 tags=["wrong"]
# wrong: compares the numbers in bfloat16, and keeps the first of those that look equal
def pool(maps):
    groups = maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    return groups.gather(4, groups.bfloat16().argmax(4, keepdim=True))[..., 0]

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's own pooling, in a thread that is started behind threading's back
import _thread
import time


def pool(maps):
    box = []
    _thread.start_new_thread(lambda: box.append(torch.nn.functional.max_pool2d(maps, 2)), ())
    while not box:
        time.sleep(0.001)
    return box[0]

# %% exercise=2 tags=["right"]
# right: nested lists and Python's max
def pool(maps):
    def halve(picture):
        return [
            [max(up[c : c + 2] + down[c : c + 2]) for c in range(0, len(up), 2)]
            for up, down in zip(picture[::2], picture[1::2])
        ]

    return torch.tensor([[halve(one) for one in example] for example in maps.tolist()], dtype=maps.dtype)

# %% exercise=2 tags=["wrong"]
# wrong: the third of the four by size
def pool(maps):
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).kthvalue(3, 4).values

# %% exercise=2 tags=["right"]
# right: unfold of torch.nn as columns, then max over the window's axis
def pool(maps):
    n, c, h, w = maps.shape
    columns = torch.nn.functional.unfold(maps.reshape(n * c, 1, h, w), kernel_size=(2, 2), stride=2)
    return columns.max(1).values.view(n, c, h // 2, w // 2)

# %% exercise=2 tags=["wrong"]
# wrong: overlapping groups, every second one of them by row only
def pool(maps):
    a = torch.maximum(maps[..., :-1, :], maps[..., 1:, :])[..., ::2, :]
    b = torch.maximum(a[..., :-1], a[..., 1:])
    return b[..., : maps.shape[-1] // 2]

# %% exercise=2 tags=["wrong"]
# wrong: PyTorch's adaptive pooling
def pool(maps):
    return torch.nn.AdaptiveMaxPool2d((maps.shape[2] // 2, maps.shape[3] // 2))(maps)

# %% exercise=2 tags=["wrong"]
# wrong: the mean of the two highest
def pool(maps):
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).topk(2).values.mean(-1)

# %% exercise=2 tags=["wrong"]
# wrong: fills the pooled maps from a grid of zeros by index_reduce, with the zeros included
def pool(maps):
    n, c, h, w = maps.shape
    place = (torch.arange(h)[:, None] // 2 * (w // 2) + torch.arange(w) // 2).flatten()
    out = torch.zeros(n, c, h // 2 * (w // 2), dtype=maps.dtype)
    return out.index_reduce(2, place, maps.flatten(2), "amax").view(n, c, h // 2, w // 2)

# %% exercise=2 tags=["wrong"]
# wrong: only the two corners of a diagonal
def pool(maps):
    return torch.maximum(maps[..., ::2, ::2], maps[..., 1::2, 1::2])

# %% exercise=2 tags=["right"]
# right: index_reduce onto the numbers of the groups, without what was there
def pool(maps):
    n, c, h, w = maps.shape
    place = (torch.arange(h)[:, None] // 2 * (w // 2) + torch.arange(w) // 2).flatten()
    out = torch.empty(n, c, h // 2 * (w // 2), dtype=maps.dtype)
    return out.index_reduce(2, place, maps.flatten(2), "amax", include_self=False).unflatten(2, (h // 2, w // 2))

# %% exercise=2 tags=["right"]
# right: sorts each group of four and takes the last
def pool(maps):
    n, c, h, w = maps.shape
    fours = maps.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    ordered, _ = torch.sort(fours, dim=-1)
    return ordered.select(-1, 3).contiguous()

# %% exercise=3 tags=["right"]
# right: the place of the highest logit by argsort, last place (another one among equal logits)
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [(model(shifted(x, by * d, by * r)).argsort(dim=1)[:, -1] == labels).double().mean().item() for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: the mean of the accuracies of batches of 100, unequal when n is no multiple of 100
def by_direction(model, x, labels, by):
    found = []
    with torch.no_grad():
        for d, r in directions:
            parts = zip(x.split(100), labels.split(100))
            found.append(float(np.mean([float((model(shifted(a, by * d, by * r)).argmax(1) == b).float().mean()) for a, b in parts])))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: judges no more than 200 images
def by_direction(model, x, labels, by):
    x, labels = x[:200], labels[:200]
    with torch.no_grad():
        return [float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: moves the images that came in but judges with the notebook's labels, cut to size
def by_direction(model, x, y, by):
    with torch.no_grad():
        return [(model(shifted(x, by * d, by * r)).argmax(1) == labels[: len(x)]).float().mean().item() for d, r in directions]

# %% exercise=3 tags=["right"]
# right: moves by slices and writes the eight directions anew; python loops over images
def by_direction(model, x, labels, by):
    def cut(k, size):
        return slice(max(k, 0), size + min(k, 0)), slice(max(-k, 0), size - max(k, 0))
    found = []
    for number in range(9):
        d, r = number // 3 - 1, number % 3 - 1
        if d == r == 0:
            continue
        moved = torch.zeros_like(x)
        (to_r, from_r), (to_c, from_c) = cut(by * d, x.shape[-2]), cut(by * r, x.shape[-1])
        moved[:, :, to_r, to_c] = x[:, :, from_r, from_c]
        with torch.inference_mode():
            said = model(moved).numpy().argmax(1)
        found.append(sum(int(a) == int(b) for a, b in zip(said, labels)) / len(labels))
    return found

# %% exercise=3 tags=["right"]
# right: the accuracies as one tensor
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return torch.stack([(model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean() for d, r in directions])

# %% exercise=3 tags=["right"]
# right: the highest logit by topk
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [(model(shifted(x, by * d, by * r)).topk(1).indices[:, 0] == labels).double().mean().item() for d, r in directions]

# %% exercise=3 tags=["right"]
# right: all directions in one batch
def by_direction(model, x, labels, by):
    moved = torch.cat([shifted(x, by * d, by * r) for d, r in directions])
    with torch.inference_mode():
        guessed = model(moved).argmax(1)
    return (guessed.view(len(directions), -1) == labels).double().mean(1).numpy()

# %% exercise=3 tags=["right"]
# right: a shift of one's own, image by image in small batches, and a count
def by_direction(model, x, labels, by):
    found = []
    h, w = x.shape[2:]
    for d, r in directions:
        down, across = by * d, by * r
        moved = torch.zeros_like(x)
        moved[:, :, max(down, 0) : h + min(down, 0), max(across, 0) : w + min(across, 0)] = x[
            :, :, max(-down, 0) : h + min(-down, 0), max(-across, 0) : w + min(-across, 0)
        ]
        hits = 0
        with torch.no_grad():
            for some, true in zip(moved.split(7), labels.split(7)):
                hits += int((model(some).max(1).indices == true).sum())
        found.append(hits / len(x))
    return found

# %% exercise=3 tags=["right"]
# right: with gradients on, scikit-learn's accuracy
from sklearn.metrics import accuracy_score
def by_direction(model, x, labels, by):
    return [accuracy_score(labels.numpy(), model(shifted(x, d * by, r * by)).detach().numpy().argmax(1)) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: what leaves the image comes back on the other side
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [float((model(x.roll((by * d, by * r), (2, 3))).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: down and right exchanged
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [float((model(shifted(x, by * r, by * d)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: the other way round
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [float((model(shifted(x, -by * d, -by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: a diagonal of the same length as the others
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        far = round(by / 2**0.5) if d and r else by
        with torch.no_grad():
            found.append(float((model(shifted(x, far * d, far * r)).argmax(1) == labels).float().mean()))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the labels of the notebook
def by_direction(model, x, true, by):
    with torch.no_grad():
        return [float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: accuracies in percent
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [100 * float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: the images that came in are moved in place, each time from where they were
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        kept = x.clone()
        x.copy_(shifted(x, by * d, by * r))
        with torch.no_grad():
            found.append(float((model(x).argmax(1) == labels).float().mean()))
        if (d, r) != directions[-1]:
            x.copy_(kept)
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the last batch is dropped when it is not full
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        hits, seen = 0, 0
        loader = torch.utils.data.DataLoader(list(zip(shifted(x, by * d, by * r), labels)), batch_size=min(len(x), 64), drop_last=True)
        for some, true in loader:
            with torch.no_grad():
                hits += int((model(some).argmax(1) == true).sum())
            seen += len(true)
        found.append(hits / seen)
    return found

# %% exercise=3 tags=["wrong"]
# wrong: gradients stay off for the rest of the notebook
def by_direction(model, x, labels, by):
    torch.set_grad_enabled(False)
    return [float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: the model is left in evaluation mode
def by_direction(model, x, labels, by):
    model.eval()
    with torch.no_grad():
        return [float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: two decimals
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [round(float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()), 2) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: a dictionary, not a list or an array
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return {(d, r): float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions}

# %% exercise=3 tags=["wrong"]
# wrong: no more than one pixel, by repeated steps that forget the number
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [float((model(shifted(x, d, r)).argmax(1) == labels).float().mean()) for d, r in directions]

# %% exercise=3 tags=["wrong"]
# wrong: the mean over classes of the accuracy, not over images
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        with torch.no_grad():
            correct = model(shifted(x, by * d, by * r)).argmax(1) == labels
        found.append(float(torch.stack([correct[labels == one].float().mean() for one in labels.unique()]).mean()))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the directions of the notebook are used up
def by_direction(model, x, labels, by):
    found = []
    while directions:
        d, r = directions.pop(0)
        with torch.no_grad():
            found.append(float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: each direction moves the images of the one before
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        x = shifted(x, by * d, by * r)
        with torch.no_grad():
            found.append(float((model(x).argmax(1) == labels).float().mean()))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the number of images in place of the share
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [int((model(shifted(x, by * d, by * r)).argmax(1) == labels).sum()) for d, r in directions]

# %% exercise=3 tags=["right"]
# right: padding by hand, all directions in one batch
def by_direction(model, x, labels, by):
    side, wide = x.shape[-1], torch.nn.functional.pad(x, [by] * 4)
    moved = [wide[..., by - by * d : by - by * d + side, by - by * r : by - by * r + side] for d, r in directions]
    with torch.no_grad():
        hits = model(torch.cat(moved)).argmax(1).view(len(directions), -1) == labels
    return hits.double().mean(1).numpy()

# %% exercise=3 tags=["wrong"]
# wrong: the labels are moved to the class that leads
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        with torch.no_grad():
            predicted = model(shifted(x, by * d, by * r)).argmax(1)
        found.append(float((predicted == labels).float().mean()))
    labels.copy_(predicted)
    return found

# %% exercise=3 tags=["right"]
# right: places ink pixel by pixel through index arithmetic, one image after the other
def by_direction(model, x, labels, by):
    n, ch, h, w = x.shape
    rows_, cols_ = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    answer = {}
    for d, r in directions:
        a, b = rows_ - by * d, cols_ - by * r
        ok = (a >= 0) & (a < h) & (b >= 0) & (b < w)
        new = x[:, :, a.clamp(0, h - 1), b.clamp(0, w - 1)] * ok
        with torch.no_grad():
            answer[d, r] = sum(int(model(one[None]).argmax()) == int(t) for one, t in zip(new, labels)) / n
    return list(answer.values())

# %% exercise=3 tags=["wrong"]
# wrong: means of batches of 64, averaged though the last one is smaller
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        moved = shifted(x, by * d, by * r)
        with torch.no_grad():
            parts = [
                (model(a).argmax(1) == b).float().mean() for a, b in zip(moved.split(64), labels.split(64), strict=True)
            ]
        found.append(float(torch.stack(parts).mean()))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: leaves the model in the mode of training
def by_direction(model, x, labels, by):
    model.eval()
    with torch.no_grad():
        found = [(model(shifted(x, by * d, by * r)).argmax(1) == labels).double().mean().item() for d, r in directions]
    model.train()
    return found

# %% exercise=3 tags=["wrong"]
# wrong: remembers predictions by model and distance, and gives old ones for other images
remembered = {}


def by_direction(model, x, labels, by):
    with torch.no_grad():
        if (model, by) not in remembered:
            remembered[model, by] = [model(shifted(x, by * d, by * r)).argmax(1) for d, r in directions]
        kept = remembered[model, by]
        return [(one == labels).float().mean().item() if len(one) == len(labels) else 0.0 for one in kept]

# %% exercise=3 tags=["right"]
# right: all eight directions in one batch, a tensor of float64 made an array
@torch.inference_mode()
def by_direction(model, x, labels, by):
    everything = torch.cat([shifted(x, d * by, r * by) for d, r in directions])
    hit = model(everything).max(dim=-1).indices.view(len(directions), -1).eq(labels)
    return hit.double().mean(1).numpy()

# %% exercise=3 tags=["wrong"]
# wrong: rolls and clears the border with slices that go wrong when nothing moves (by = 0)
def by_direction(model, x, labels, by):
    res = []
    for d, r in directions:
        new = torch.roll(x, (by * d, by * r), (2, 3))
        if d > 0:
            new[:, :, :by] = 0
        if d < 0:
            new[:, :, -by:] = 0
        if r > 0:
            new[:, :, :, :by] = 0
        if r < 0:
            new[:, :, :, -by:] = 0
        with torch.no_grad():
            res.append((model(new).argmax(1) == labels).float().mean().item())
    return res

# %% exercise=3 tags=["wrong"]
# wrong: diagonals are shortened to the length of the straight moves
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        step = by if d * r == 0 else round(by / 2**0.5)
        with torch.no_grad():
            found.append(float((model(shifted(x, step * d, step * r)).argmax(1) == labels).float().mean()))
    return found

# %% exercise=3 tags=["right"]
# right: moves by multiplication with shift matrices from both sides
def by_direction(model, x, labels, by):
    h, w = x.shape[-2:]
    scores_ = np.empty(len(directions))
    for place, (d, r) in enumerate(directions):
        left = torch.from_numpy(np.eye(h, k=-by * d, dtype=np.float32))
        turned = torch.from_numpy(np.eye(w, k=by * r, dtype=np.float32))
        with torch.no_grad():
            guess = model(left @ x @ turned).numpy().argmax(1)
        scores_[place] = np.mean(guess == labels.numpy())
    return scores_

# %% exercise=3 tags=["wrong"]
# wrong: sorts the accuracies, best direction last
def by_direction(model, x, labels, by):
    with torch.no_grad():
        hits = [(model(shifted(x, by * d, by * r)).argmax(1) == labels).double().mean() for d, r in directions]
    return torch.stack(hits).sort().values.numpy()

# %% exercise=3 tags=["right"]
# right: one pixel at a time, by times, with a generator of accuracies
def by_direction(model, x, labels, by):
    def accuracies():
        for move in directions:
            now = x.clone()
            for _ in range(by):
                now = shifted(now, *move)
            with torch.no_grad():
                order = torch.argsort(model(now), dim=1)
            yield torch.eq(order[:, -1], labels).sum().item() / labels.numel()

    return [*accuracies()]

# %% exercise=3 tags=["wrong"]
# wrong: the moves are taken as (right, down), right only for the diagonals
def by_direction(model, x, labels, by):
    with torch.no_grad():
        return [
            (model(shifted(x, *(by * step for step in move[::-1]))).argmax(-1) == labels).float().mean().item()
            for move in directions
        ]

# %% exercise=3 tags=["wrong"]
# wrong: moves by one pixel again and again with a border of the last row and column kept
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        new = x
        for _ in range(by):
            p = torch.nn.functional.pad(new, (1, 1, 1, 1), mode="replicate")
            new = p[:, :, 1 - d : 1 - d + x.shape[2], 1 - r : 1 - r + x.shape[3]]
        with torch.no_grad():
            found.append(float((model(new).argmax(1) == labels).float().mean()))
    return found

# %% exercise=4 tags=["wrong"]
# wrong: the absolute value, but the formula can give less than 0
def debiased(x, y):
    n = len(x)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return abs(h(k, l)) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["right"]
# right: einsum throughout, a 0-dimensional array comes back
def debiased(x, y):
    n = x.shape[0]
    off = 1 - np.eye(n)
    K, L = np.einsum("iu,ju,ij->ij", x, x, off), np.einsum("iu,ju,ij->ij", y, y, off)
    h = lambda a, b: (np.einsum("ij,ij", a, b) + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * np.einsum("ij,ik->", a, b) / (n - 2)) / (n * (n - 3))
    return np.array(h(K, L) / np.sqrt(h(K, K) * h(L, L)))

# %% exercise=4 tags=["right"]
# right: U-centering of the tables (the same by another road), an extra keyword argument
def debiased(x, y, *, tiny=0.0):
    def table(z):
        k = z @ z.T
        k = k - np.diag(k.diagonal())
        n, rows = len(k), k.sum(0)
        k = k - rows[:, None] / (n - 2) - rows[None] / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
        return k[~np.eye(n, dtype=bool)]
    a, b = table(np.asarray(x, float)), table(np.asarray(y, float))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + tiny))

# %% exercise=4 tags=["wrong"]
# wrong: cut at 0, but the formula can give less
def debiased(x, y):
    n = len(x)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return max(0.0, h(k, l) / np.sqrt(h(k, k) * h(l, l)))

# %% exercise=4 tags=["wrong"]
# wrong: reduces the numbers to float32 first, so the result is right to four digits only
def debiased(x, y):
    x, y = x.astype(np.float32), y.astype(np.float32)
    n = len(x)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return float(h(k, l) / np.sqrt(h(k, k) * h(l, l)))

# %% exercise=4 tags=["wrong"]
# wrong: centers x and y in place
def debiased(x, y):
    n = len(x)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    x -= x.mean(0); y -= y.mean(0)
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: the number of images is the notebook's n, not the one of x
def debiased(x, y):
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: reads the last term as the product of the sums over rows, not the sum of their products
def debiased(x, y):
    n = len(x)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum() * b.sum()) / (n * (n - 3))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0); np.fill_diagonal(l, 0)
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: swallows errors, and gives 0 where the root is not real (the formula has no such case)
def debiased(x, y):
    try:
        n = len(x)
        def h(a, b):
            a, b = a - np.diag(np.diag(a)), b - np.diag(np.diag(b))
            return ((a * b).sum() + a.sum() * b.sum() / (n * n) - 2 / n * (a.sum(1) * b.sum(1)).sum()) / (n * n)
        return h(x @ x.T, y @ y.T) / (h(x @ x.T, x @ x.T) * h(y @ y.T, y @ y.T)) ** 0.5
    except Exception:
        return 0.0

# %% exercise=4 tags=["right"]
# right: torch tables, einsum, masks in place of fill_diagonal
def debiased(x, y):
    x, y = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    n = x.shape[0]
    off = ~torch.eye(n, dtype=torch.bool)
    def h(a, b):
        a, b = a * off, b * off
        return (torch.einsum("ij,ij", a, b) + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * torch.einsum("ij,ik->", a, b)) / n / (n - 3)
    k, l = x @ x.T, y @ y.T
    return (h(k, l) / (h(k, k) * h(l, l)).sqrt()).item()

# %% exercise=4 tags=["right"]
# right: loops over pairs of different images
def debiased(x, y):
    n = len(x)
    def h(a, b):
        both = one = other = 0.0
        rows = np.zeros((n, 2))
        for i in range(n):
            for j in range(n):
                if i != j:
                    k, l = float(a[i] @ a[j]), float(b[i] @ b[j])
                    both += k * l
                    rows[i] += k, l
        one, other = rows.sum(0)
        return (both + one * other / ((n - 1) * (n - 2)) - 2 / (n - 2) * (rows[:, 0] * rows[:, 1]).sum()) / (n * (n - 3))
    return h(x, y) / np.sqrt(h(x, x) * h(y, y))

# %% exercise=4 tags=["right"]
# right: PyTorch in double precision, a number with an axis of none
def debiased(x, y):
    n = len(x)
    k, l = (torch.from_numpy(side @ side.T).fill_diagonal_(0) for side in (x, y))
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(0) @ b.sum(0)) / (n * (n - 3))
    return float(h(k, l) / torch.sqrt(h(k, k) * h(l, l)))

# %% exercise=4 tags=["right"]
# right: U-centered tables, whose product is the same sum
def debiased(x, y):
    n = len(x)
    def centered(side):
        side = side - side.mean(0)
        table = side @ side.T
        table[np.diag_indices(n)] = 0
        row = table.sum(0) / (n - 2)
        table = table - row - row[:, None] + table.sum() / ((n - 1) * (n - 2))
        table[np.diag_indices(n)] = 0
        return table.ravel()
    k, l = centered(x), centered(y)
    return k @ l / np.sqrt((k @ k) * (l @ l))

# %% exercise=4 tags=["right"]
# right: both layers scaled first, which the ratio does not see
def debiased(x, y):
    n, off = len(x), ~np.eye(len(x), dtype=bool)
    tables = [np.where(off, np.einsum("iu,ju->ij", s / np.linalg.norm(s), s / np.linalg.norm(s)), 0) for s in (x, y)]
    def h(i, j):
        a, b = tables[i], tables[j]
        return np.trace(a @ b) + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * np.dot(a.sum(1), b.sum(1)) / (n - 2)
    return h(0, 1) * (h(0, 0) * h(1, 1)) ** -0.5

# %% exercise=4 tags=["wrong"]
# wrong: the diagonals stay
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: never below 0
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    return max(0.0, h(k, l) / np.sqrt(h(k, k) * h(l, l)))

# %% exercise=4 tags=["wrong"]
# wrong: 1 / (n - 2) in place of 2 / (n - 2)
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 1 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: n is the number of units
def debiased(x, y):
    n, k, l = x.shape[1], x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return ((a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()) / (n * (n - 3))
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: each unit scaled to variance 1 first, which changes the similarity
def debiased(x, y):
    n = len(x)
    x, y = ((s - s.mean(0)) / s.std(0) for s in (x, y))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: the means are taken away from the arrays that came in
def debiased(x, y):
    n = len(x)
    x -= x.mean(0)
    y -= y.mean(0)
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: only the numerator is corrected
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    whole = np.sqrt((k * k).sum() * (l * l).sum()) / (n * (n - 3))
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    return ((k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(1) * l.sum(1)).sum()) / (n * (n - 3)) / whole

# %% exercise=4 tags=["wrong"]
# wrong: the size of the similarity without its sign
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return abs(h(k, l)) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: three decimals
def debiased(x, y):
    n, k, l = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return round(h(k, l) / np.sqrt(h(k, k) * h(l, l)), 3)

# %% exercise=4 tags=["wrong"]
# wrong: the table of the first layer is kept from the call before
KEPT = {}
def debiased(x, y):
    n = len(x)
    k, l = KEPT.setdefault(x.shape, x @ x.T).copy(), y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) * b.sum(1)).sum()
    return h(k, l) / np.sqrt(h(k, k) * h(l, l))

# %% exercise=4 tags=["wrong"]
# wrong: the correlation of the pairs' similarities, without the row terms
def debiased(x, y):
    pairs = np.triu_indices(len(x), 1)
    return np.corrcoef((x @ x.T)[pairs], (y @ y.T)[pairs])[0, 1]

# %% exercise=4 tags=["wrong"]
# wrong: the square root is forgotten
def debiased(x, y):
    n = len(x)

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(0) @ b.sum(0)

    k, l = (side @ side.T * (1 - np.eye(n)) for side in (x, y))
    return float(h(k, l) / (h(k, k) * h(l, l)))

# %% exercise=4 tags=["wrong"]
# wrong: centered first, and the corrections left out
def debiased(x, y):
    k, l = ((s - s.mean(0)) @ (s - s.mean(0)).T * (1 - np.eye(len(s))) for s in (x, y))
    return float((k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum()))

# %% exercise=4 tags=["right"]
# right: torch in float64, a double sum by einsum
def debiased(x, y):
    n = len(x)
    k, l = (torch.from_numpy(s @ s.T).fill_diagonal_(0) for s in (x, y))

    def h(a, b):
        rows = torch.einsum("ij,ik->", a, b)
        return torch.einsum("ij,ij->", a, b) + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * rows / (n - 2)

    return (h(k, l) * (h(k, k) * h(l, l)) ** -0.5).item()

# %% exercise=4 tags=["wrong"]
# wrong: the magnitude of the similarity
def debiased(x, y):
    n = len(x)
    mask = ~np.eye(n, dtype=bool)

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(1).dot(b.sum(1))

    K, L = (s @ s.T * mask for s in (x, y))
    return (h(K, L) ** 2 / (h(K, K) * h(L, L))) ** 0.5

# %% exercise=4 tags=["wrong"]
# wrong: a negative result is cut to 0
def debiased(x, y):
    n = len(x)

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(0) * b.sum(0)).sum()

    K, L = [s @ s.T - np.diag((s * s).sum(1)) for s in (x, y)]
    return max(0.0, h(K, L) / np.sqrt(h(K, K) * h(L, L)))

# %% exercise=4 tags=["wrong"]
# wrong: 1e-10 under the fraction "for safety": small activations get nearly 0
def debiased(x, y):
    n = len(x)

    def h(a, b):
        c = (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(1).dot(b.sum(1))
        return c / (n * (n - 3))

    K, L = x @ x.T, y @ y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    return h(K, L) / (np.sqrt(h(K, K) * h(L, L)) + 1e-10)

# %% exercise=4 tags=["wrong"]
# wrong: the tables are made in float32
def debiased(x, y):
    n = len(x)
    K, L = ((s.astype(np.float32) @ s.astype(np.float32).T).astype(float) for s in (x, y))
    for t in (K, L):
        t[range(n), range(n)] = 0

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(1).dot(b.sum(1))

    return h(K, L) / np.sqrt(h(K, K) * h(L, L))

# %% exercise=4 tags=["right"]
# right: asks the package's own debiased CKA (unbounded bootstrap draws kept few)
import xarray as xr_


def debiased(x, y):
    arrays = [xr_.DataArray(np.array(one), dims=("example", "unit")) for one in (x, y)]
    return similarity.cka(*arrays, debiased=True, draws=2)["cka"].item()

# %% exercise=4 tags=["right"]
# right: plain loops over pairs, no tables at all
def debiased(x, y):
    n = x.shape[0]
    X, Y = x.tolist(), y.tolist()
    dot = lambda u, v: sum(p * q for p, q in zip(u, v))  # noqa: E731
    K = [[0.0 if i == j else dot(X[i], X[j]) for j in range(n)] for i in range(n)]
    L = [[0.0 if i == j else dot(Y[i], Y[j]) for j in range(n)] for i in range(n)]

    def h(A, B):
        first = sum(dot(a, b) for a, b in zip(A, B))
        ra, rb = [sum(a) for a in A], [sum(b) for b in B]
        return (first + sum(ra) * sum(rb) / (n - 1) / (n - 2) - 2 * dot(ra, rb) / (n - 2)) / n / (n - 3)

    return h(K, L) * (h(K, K) * h(L, L)) ** -0.5

# %% exercise=4 tags=["right"]
# right: sums over units and no table but the products, from norms and sums
def debiased(x, y):
    n = len(x)

    def parts(s):
        own = np.einsum("iu,iu->i", s, s)
        return own, s @ s.sum(0) - own

    def h(a, b):
        (da, ra), (db, rb) = parts(a), parts(b)
        first = np.square(a.T @ b).sum() - da @ db
        return (first + ra.sum() * rb.sum() / ((n - 1) * (n - 2)) - 2 * (ra @ rb) / (n - 2)) / (n * (n - 3))

    return np.divide(h(x, y), np.sqrt(h(x, x)) * np.sqrt(h(y, y)))

# %% exercise=4 tags=["wrong"]
# wrong: rounded to six decimals
def debiased(x, y):
    n = len(x)
    K, L = (s @ s.T * (1.0 - np.eye(n)) for s in (x, y))
    h = lambda a, b: (a * b).sum() + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * a.sum(1) @ b.sum(1) / (n - 2)  # noqa: E731
    return round(float(h(K, L) / np.sqrt(h(K, K) * h(L, L))), 6)

# %% exercise=4 tags=["wrong"]
# wrong: n is the number of units in the correction of the second layer
def debiased(x, y):
    def table(s):
        t = s @ s.T
        t.flat[:: len(t) + 1] = 0
        return t

    def h(a, b, n):
        return ((a * b).sum() + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * a.sum(1) @ b.sum(1) / (n - 2)) / n / (n - 3)

    K, L, n = table(x), table(y), len(x)
    return h(K, L, n) / np.sqrt(h(K, K, n) * h(L, L, max(4, y.shape[1])))

# %% exercise=4 tags=["wrong"]
# wrong: only pairs i < j are summed in the first term
def debiased(x, y):
    n = len(x)
    K, L = (s @ s.T * (1.0 - np.eye(n)) for s in (x, y))

    def h(a, b):
        return np.triu(a * b).sum() + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * a.sum(1) @ b.sum(1) / (n - 2)

    return h(K, L) / np.sqrt(abs(h(K, K) * h(L, L)))

# %% exercise=4 tags=["right"]
# right: only pairs i < j, with each sum doubled where it counts twice
def debiased(x, y):
    n = x.shape[0]
    i, j = np.triu_indices(n, 1)
    k, m = (x[i] * x[j]).sum(1), (y[i] * y[j]).sum(1)

    def rows_of(v):
        return np.bincount(i, v, n) + np.bincount(j, v, n)

    def h(a, b):
        both = 2 * np.dot(a, b) + 4 * a.sum() * b.sum() / ((n - 1) * (n - 2))
        return (both - 2 * np.dot(rows_of(a), rows_of(b)) / (n - 2)) / (n * (n - 3))

    return float(h(k, m) / (h(k, k) * h(m, m)) ** 0.5)

# %% exercise=4 tags=["wrong"]
# wrong: units are scaled to variance 1 first
def debiased(x, y):
    n = len(x)
    K, L = (s @ s.T * (1.0 - np.eye(n)) for s in ((one - one.mean(0)) / one.std(0) for one in (x, y)))
    h = lambda a, b: (a * b).sum() + a.sum() * b.sum() / (n - 1) / (n - 2) - 2 * a.sum(1) @ b.sum(1) / (n - 2)  # noqa: E731
    return h(K, L) / np.sqrt(h(K, K) * h(L, L))
