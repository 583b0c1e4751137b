# %% exercise=1 tags=["wrong"]
# wrong: divides by the largest weight first, so a W of zeros only gives nan and not 0
def dimensions(W):
    W = W / W.abs().max()
    length = W.norm(dim=0)
    share = length ** 2 / ((W / length.clamp(min=1e-12)).T @ W).square().sum(1)
    return torch.where(length == 0, 0.0, share)

# %% exercise=1 tags=["wrong"]
# wrong: both columns scaled to length 1
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return torch.nan_to_num(W.square().sum(0) / (unit.T @ unit).square().sum(1))

# %% exercise=1 tags=["wrong"]
# wrong: adds 1e-6 to the sum of squares, so short columns (1e-3) get a share that is too small
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / ((unit.T @ W).square().sum(1) + 1e-6)

# %% exercise=1 tags=["right"]
# right: |W_i|^4 / sum of (W_i . W_j)^2, in float64, with nan_to_num
def dimensions(W):
    table = (W.double().T @ W.double()) ** 2
    return torch.nan_to_num(table.diagonal() / table.sum(1), nan=0.0)

# %% exercise=1 tags=["right"]
# right: plain loops and python numbers
def dimensions(W):
    columns = W.T.tolist()
    found = []
    for one in columns:
        square = sum(v * v for v in one)
        below = sum(sum(v * u for v, u in zip(one, other)) ** 2 for other in columns)
        found.append(square * square / below if square else 0.0)
    return torch.tensor(found)

# %% exercise=1 tags=["wrong"]
# wrong: a column of zeros gets nan
def dimensions(W):
    unit = W / W.norm(dim=0)
    return W.square().sum(0) / (unit.T @ W).square().sum(1)

# %% exercise=1 tags=["wrong"]
# wrong: a column shorter than 0.02 counts as a column of zeros
def dimensions(W):
    length = W.norm(dim=0)
    share = length ** 2 / ((W / length.clamp(min=1e-12)).T @ W).square().sum(1).clamp(min=1e-12)
    return torch.where(length > 0.02, share, torch.zeros_like(share))

# %% exercise=1 tags=["wrong"]
# wrong: the sum runs over the other index (the columns of the table)
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return (W.square().sum(0) / (unit.T @ W).square().sum(0).clamp(min=1e-12))

# %% exercise=1 tags=["wrong"]
# wrong: leaves j = i out of the sum
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    table = (unit.T @ W).square()
    table.fill_diagonal_(0)
    return torch.nan_to_num(W.square().sum(0) / table.sum(1), nan=0.0, posinf=1.0)

# %% exercise=2 tags=["wrong"]
# wrong: keeps what is above the (k+1)-th value, so with ties at the border fewer than k stay
def top_k(pre, k):
    if k == pre.shape[1]:
        return pre.relu()
    border = pre.sort(dim=1, descending=True).values[:, k:k + 1]
    return torch.where(pre > border, pre, 0.0).relu()

# %% exercise=2 tags=["wrong"]
# wrong: the k largest in size, then those above 0
def top_k(pre, k):
    places = pre.abs().topk(k, dim=1).indices
    return torch.zeros_like(pre).scatter(1, places, pre.gather(1, places).relu())

# %% exercise=2 tags=["wrong"]
# wrong: k times the number of rows, over the whole batch
def top_k(pre, k):
    flat = pre.flatten()
    top = flat.topk(k * len(pre))
    return torch.zeros_like(flat).scatter(0, top.indices, top.values.relu()).view_as(pre)

# %% exercise=2 tags=["wrong"]
# wrong: the k largest of each column
def top_k(pre, k):
    top = pre.topk(min(k, len(pre)), dim=0)
    return torch.zeros_like(pre).scatter(0, top.indices, top.values.relu())

# %% exercise=2 tags=["right"]
# right: heapq, a generator over rows, NumPy to a float64 tensor
import heapq
def top_k(pre, k):
    out = np.zeros(tuple(pre.shape))
    for i, row in enumerate(pre):
        for j in heapq.nlargest(k, range(len(row)), key=row.tolist().__getitem__):
            out[i, j] = max(0.0, float(row[j]))
    return torch.from_numpy(out)

# %% exercise=2 tags=["wrong"]
# wrong: keeps each value that is among the k largest values, so equal values at the border all stay
def top_k(pre, k):
    rows = []
    for row in pre.tolist():
        largest = sorted(row, reverse=True)[:k]
        rows.append([v if v in largest and v > 0 else 0.0 for v in row])
    return torch.tensor(rows)

# %% exercise=2 tags=["wrong"]
# wrong: sets the others to 0 in pre itself
def top_k(pre, k):
    order = pre.argsort(dim=1, descending=True)
    pre.scatter_(1, order[:, k:], 0.0)
    return pre.relu()

# %% exercise=2 tags=["wrong"]
# wrong: K of the notebook in place of k
def top_k(pre, k):
    top = pre.topk(min(8, pre.shape[1]), dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())

# %% exercise=2 tags=["wrong"]
# wrong: values below 0 stay where they are among the k largest
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values)

# %% exercise=2 tags=["right"]
# right: double argsort gives ranks (stable, so ties are broken)
def top_k(pre, k):
    ranks = (-pre).argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    return pre.clamp(min=0) * (ranks < k)

# %% exercise=2 tags=["wrong"]
# wrong: keeps all values at least as high as the k-th, so with ties more than k stay
def top_k(pre, k):
    least = pre.topk(k, dim=1).values[:, -1:]
    return torch.where(pre >= least, pre, 0.0).relu()

# %% exercise=3 tags=["wrong"]
# wrong: the units of each image are shuffled
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts, axis=1)

# %% exercise=3 tags=["wrong"]
# wrong: shuffles only within blocks of 20 images, not over the images
def apart(acts, seed):
    rng = np.random.default_rng(seed)
    found = acts.copy()
    for start in range(0, len(acts), 20):
        found[start:start + 20] = rng.permuted(acts[start:start + 20], axis=0)
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the first answer for a shape and seed is kept and returned for other activations too
kept_answers = {}
def apart(acts, seed):
    key = (acts.shape, seed)
    if key not in kept_answers:
        kept_answers[key] = np.random.default_rng(seed).permuted(acts, axis=0)
    return kept_answers[key]

# %% exercise=3 tags=["wrong"]
# wrong: values come back rounded to four decimals
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts, axis=0).round(4)

# %% exercise=3 tags=["wrong"]
# wrong: values come back in float32, so a unit has not the values that it had
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts.astype(np.float32), axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: the first unit stays as it is (the others are apart from it anyway)
def apart(acts, seed):
    found = np.random.default_rng(seed).permuted(acts, axis=0)
    found[:, 0] = acts[:, 0]
    return found

# %% exercise=3 tags=["wrong"]
# wrong: of the seed only odd or even counts
def apart(acts, seed):
    return np.random.default_rng(seed % 2).permuted(acts, axis=0)

# %% exercise=3 tags=["right"]
# right: random.Random and lists, written into an empty array
import random
def apart(acts, seed):
    chance, found = random.Random(seed), np.empty_like(acts)
    for unit in range(acts.shape[1]):
        column = acts[:, unit].tolist()
        chance.shuffle(column)
        found[:, unit] = column
    return found

# %% exercise=3 tags=["wrong"]
# wrong: each unit's values are only moved on by a random number of places, their order stays
def apart(acts, seed):
    rng = np.random.default_rng(seed)
    return np.column_stack([np.roll(column, rng.integers(100, len(acts) - 100)) for column in acts.T])

# %% exercise=3 tags=["wrong"]
# wrong: whole rows are shuffled
def apart(acts, seed):
    return np.random.default_rng(seed).permutation(acts)

# %% exercise=3 tags=["wrong"]
# wrong: a new generator for each unit with the same seed, so all units get one order
def apart(acts, seed):
    return np.column_stack([np.random.default_rng(seed).permutation(column) for column in acts.T])

# %% exercise=3 tags=["right"]
# right: a generator for each unit, from seed and unit together
def apart(acts, seed):
    return np.stack([np.random.default_rng([seed, unit]).permutation(acts[:, unit]) for unit in range(acts.shape[1])], axis=1)

# %% exercise=3 tags=["right"]
# right: torch's generator, argsort of noise for each column
def apart(acts, seed):
    noise = torch.rand(acts.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return np.take_along_axis(acts, noise.argsort(dim=0).numpy(), axis=0)

# %% exercise=4 tags=["wrong"]
# wrong: add_hook without reset: hooks stay
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        model.add_hook(layer, lambda tensor, hook: change(tensor))
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the mean over batches of 50, unequal when the images are no multiple of 50
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(np.mean([float(torch.nn.functional.cross_entropy(model(a), b)) for a, b in zip(images.split(50), labels.split(50))]))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: cut to 0..1, but a replacement can be worse than zeros

def _loss(change, model, layer, images, labels):
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))

def recovered_by(replacement, model, layer, images, labels):
    clean, copied, floor = (_loss(c, model, layer, images, labels) for c in (lambda t: t, replacement, torch.zeros_like))
    return min(1.0, max(0.0, (floor - copied) / (floor - clean)))

# %% exercise=4 tags=["wrong"]
# wrong: accuracy in place of cross-entropy
def recovered_by(replacement, model, layer, images, labels):
    def right(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float((model(images).argmax(1) == labels).float().mean())
    clean, copied, floor = right(lambda t: t), right(replacement), right(torch.zeros_like)
    return (copied - floor) / (clean - floor)

# %% exercise=4 tags=["wrong"]
# wrong: floor and clean loss are kept for each layer's name, also for other images and other networks

def _loss(change, model, layer, images, labels):
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))

_ends = {}
def recovered_by(replacement, model, layer, images, labels):
    if layer not in _ends:
        _ends[layer] = _loss(lambda t: t, model, layer, images, labels), _loss(torch.zeros_like, model, layer, images, labels)
    clean, floor = _ends[layer]
    return (floor - _loss(replacement, model, layer, images, labels)) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: log_softmax and gather by hand, run_with_hooks, a NumPy number
def recovered_by(replacement, model, layer, images, labels):
    def entropy(*hooks):
        with torch.inference_mode():
            logits = model.run_with_hooks(images, fwd_hooks=[(layer, h) for h in hooks])
            return -np.mean(logits.double().log_softmax(1).gather(1, labels[:, None]).numpy())
    floor = entropy(lambda tensor, hook: torch.zeros_like(tensor))
    return 1 - (entropy(lambda tensor, hook: replacement(tensor)) - entropy()) / (floor - entropy())

# %% exercise=4 tags=["wrong"]
# wrong: the floor is the layer's mean

def _loss(change, model, layer, images, labels):
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))

def recovered_by(replacement, model, layer, images, labels):
    clean, copied, floor = (_loss(c, model, layer, images, labels) for c in (lambda t: t, replacement, lambda t: t.mean(0, keepdim=True).expand_as(t)))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: right number, but leaves the model in training mode

def _loss(change, model, layer, images, labels):
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))

def recovered_by(replacement, model, layer, images, labels):
    model.train()
    clean, copied, floor = (_loss(c, model, layer, images, labels) for c in (lambda t: t, replacement, torch.zeros_like))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the clean loss is the notebook's

def _loss(change, model, layer, images, labels):
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))

def recovered_by(replacement, model, layer, images, labels):
    copied, floor = (_loss(c, model, layer, images, labels) for c in (replacement, torch.zeros_like))
    clean_ = float(torch.nn.functional.cross_entropy(globals()["model"](globals()["images"]), globals()["labels"]))
    return (floor - copied) / (floor - clean_)

# %% exercise=4 tags=["wrong"]
# wrong: reset_hooks also removes hooks that were there before and are not its own
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        model.reset_hooks()
        model.add_hook(layer, lambda tensor, hook: change(tensor))
        with torch.no_grad():
            found = float(torch.nn.functional.cross_entropy(model(images), labels))
        model.reset_hooks()
        return found
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: run_from the changed activations, sums in place of means
def recovered_by(replacement, model, layer, images, labels):
    with torch.no_grad():
        values = model.run_with_cache(images, names_filter=layer)[1][layer]
        clean, copied, floor = (
            torch.nn.functional.cross_entropy(model.run_from(layer, to), labels, reduction="sum").double()
            for to in (values, replacement(values), values.mul(0))
        )
    return ((floor - copied) / (floor - clean)).item()
