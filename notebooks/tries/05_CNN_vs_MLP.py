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
