# %% exercise=1 tags=["wrong"]
# wrong: limits all units
def ceiling(unit, top):
    return lambda tensor, hook: tensor.clamp(max=top)

# %% exercise=1 tags=["wrong"]
# wrong: takes the hook function's place: no function comes back
def ceiling(unit, top):
    return torch.tensor(top)

# %% exercise=1 tags=["wrong"]
# wrong: also cuts below -|top|
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(-abs(top), top)
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: a class whose objects are hook functions; relu arithmetic out of place
class ceiling:
    def __init__(self, unit, top):
        self.unit, self.top = unit, top

    def __call__(self, tensor, hook, **more):
        over = torch.zeros_like(tensor)
        over[:, self.unit] = (tensor[:, self.unit] - self.top).relu()
        return tensor - over

# %% exercise=1 tags=["wrong"]
# wrong: keeps its first result and gives it for every later batch
def ceiling(unit, top):
    kept = []

    def hook_fn(tensor, hook):
        if not kept:
            changed = tensor.clone()
            changed[:, unit] = changed[:, unit].clamp(max=top)
            kept.append(changed)
        return kept[0]

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: a float64 tensor comes back as float32
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.float().clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: a floor
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(min=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: unit and top live in globals: with two ceilings the first does what the second was told
def ceiling(unit, top):
    global _unit, _top
    _unit, _top = unit, top

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, _unit] = changed[:, _unit].clamp(max=_top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: in place
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        tensor[:, unit].clamp_(max=top)
        return tensor

    return hook_fn

# %% exercise=1 tags=["right"]
# right: a row of limits, infinite for all others; torch.minimum
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        limits = torch.full_like(tensor[0], torch.inf)
        limits[unit] = top
        return torch.minimum(tensor, limits)

    return hook_fn

# %% exercise=1 tags=["right"]
# right: image by image
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        rows = []
        for row in tensor.unbind(0):
            row = row.clone()
            if row[unit] > top:
                row[unit] = top
            rows.append(row)
        return torch.stack(rows)

    return hook_fn

# %% exercise=1 tags=["right"]
# right: multiplies by a mask and adds (an infinite activation would become NaN, but no network of ours has one)
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        over = (tensor[:, unit] > top).float()
        changed[:, unit] = tensor[:, unit] * (1 - over) + top * over
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: values up to 0.001 above top are left as they are (a tolerance that the text does not have)
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = torch.where(changed[:, unit] > top + 1e-3, torch.tensor(top), changed[:, unit])
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: values above become 0
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[changed[:, unit] > top, unit] = 0
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: torch.where
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        named = torch.arange(tensor.shape[1]) == unit
        return torch.where(named & (tensor > top), torch.full_like(tensor, top), tensor)

    return hook_fn

# %% exercise=1 tags=["right"]
# right: a minimum with infinity for all other units
def ceiling(unit, top):
    def hook_fn(tensor, hook=None):
        limits = torch.full(tensor.shape[1:], torch.inf, dtype=tensor.dtype)
        limits[unit] = top
        return torch.minimum(tensor, limits)

    return hook_fn

# %% exercise=1 tags=["right"]
# right: image by image
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        for row in changed:
            if row[unit] > top:
                row[unit] = top
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: one buffer for each shape, so a second call changes what the first one returned
def ceiling(unit, top):
    buffers = {}

    def hook_fn(tensor, hook):
        changed = buffers.setdefault((tuple(tensor.shape), tensor.dtype), torch.empty_like(tensor))
        changed.copy_(tensor)
        changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: limits both sides
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(-abs(top), abs(top))
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: every unit is limited
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        return tensor.clamp(max=top)

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: values above the limit become 0
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[changed[:, unit] > top, unit] = 0.0
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: a limit of 0 counts as none
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        if top:
            changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: cuts the gradient, which this notebook does not use
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.detach().clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: only the changed column comes back
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        return tensor[:, unit].clamp(max=top)

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: the last axis of a batch of one image is lost
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed.squeeze()

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: clamp_ on a view of the tensor that was given
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        tensor[:, unit].clamp_(max=top)
        return tensor

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: the limit to one decimal
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=round(top, 1))
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: the limit is below the highest value of the batch
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit] * min(1.0, top / float(changed[:, unit].max()))
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: scales the whole column so that its highest value is the limit
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] *= min(1.0, top / float(tensor[:, unit].max()))
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: values above the limit are reflected at it
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = top - (tensor[:, unit] - top).abs()
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: the mean of sum and distance, which is the smaller of two
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        column = tensor[:, unit].double()
        lower = (column + top - (column - top).abs()) / 2
        return tensor.index_copy(1, torch.tensor([unit]), lower.to(tensor.dtype)[:, None])

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean over images for which the unit is above 0
def mean_ablation(reference, unit):
    column = reference[:, unit]
    mean = column[column > 0].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean over all units and images
def mean_ablation(reference, unit):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference.mean()
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean over the images that pass
def mean_ablation(reference, unit):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = tensor[:, unit].mean()
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: means are kept by unit and shape, so another reference of the same shape gets the old mean
_means = {}


def mean_ablation(reference, unit):
    key = tuple(reference.shape), unit
    mean = _means.setdefault(key, reference[:, unit].mean())

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean over the first 1000 reference images
def mean_ablation(reference, unit):
    mean = reference[:1000, unit].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean lives in a global: a second hook function changes what the first one puts in
def mean_ablation(reference, unit):
    global _mean, _which
    _mean, _which = reference[:, unit].mean(), unit

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, _which] = _mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: changes the tensor that passes
def mean_ablation(reference, unit):
    mean = reference[:, unit].mean()

    def hook_fn(tensor, hook):
        tensor[:, unit] = mean
        return tensor

    return hook_fn

# %% exercise=2 tags=["right"]
# right: a generator-made function; math.fsum for the mean, index_fill out of place
import math


def mean_ablation(reference, unit):
    column = reference[:, unit].tolist()
    mean = math.fsum(column) / len(column)
    return lambda tensor, hook: tensor.index_fill(1, torch.tensor([unit]), mean)

# %% exercise=2 tags=["right"]
# right: by the library's patch, with the mean in every place
def mean_ablation(reference, unit):
    row = reference.double().mean(0, keepdim=True)

    def hook_fn(tensor, hook=None):
        here = (torch.arange(tensor.shape[1]) == unit).expand_as(tensor)
        return tensor.masked_scatter(here, row[:, unit].to(tensor.dtype).expand(len(tensor)))

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the median
def mean_ablation(reference, unit):
    mean = reference[:, unit].median()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: adds reference rows: works for at most as many images as the reference has
def mean_ablation(reference, unit):
    means = reference[:, unit].mean().expand(len(reference))

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = means[: len(tensor)]
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: mean by numpy as a Python float, columns stacked
def mean_ablation(reference, unit):
    mean = float(np.mean(reference.numpy(), axis=0)[unit])

    def hook_fn(tensor, hook):
        return torch.stack([torch.full_like(c, mean) if u == unit else c for u, c in enumerate(tensor.unbind(1))], 1)

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: mean over the units of reference image number `unit`
def mean_ablation(reference, unit):
    mean = reference.mean(1)[unit % len(reference)]

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: the mean is taken at once, and put in with index_fill
def mean_ablation(reference, unit):
    mean = float(reference[:, unit].mean())

    def hook_fn(tensor, hook):
        return tensor.index_fill(1, torch.tensor([unit]), mean)

    return hook_fn

# %% exercise=2 tags=["right"]
# right: numpy for the mean, and torch.where
def mean_ablation(reference, unit):
    mean = np.asarray(reference.detach())[:, unit].astype(float).sum() / len(reference)

    def hook_fn(tensor, hook=None):
        named = torch.arange(tensor.shape[1]) == unit
        return torch.where(named, torch.full_like(tensor, mean), tensor)

    return hook_fn

# %% exercise=2 tags=["right"]
# right: a closure over all means of the layer
def mean_ablation(reference, unit):
    means = reference.mean(dim=0).clone()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = means[unit]
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the median
def mean_ablation(reference, unit):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference[:, unit].median()
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean over all units
def mean_ablation(reference, unit):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference.mean()
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean of the images for which the unit is on
def mean_ablation(reference, unit):
    column = reference[:, unit]
    on = column[column > 0]
    mean = float(on.mean()) if len(on) else 0.0

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the reference is centered in place
def mean_ablation(reference, unit):
    mean = float(reference[:, unit].mean())
    reference[:, unit] -= mean

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: one buffer for each shape, so a second call changes what the first one returned
def mean_ablation(reference, unit):
    mean, buffers = float(reference[:, unit].mean()), {}

    def hook_fn(tensor, hook):
        changed = buffers.setdefault((tuple(tensor.shape), tensor.dtype), torch.empty_like(tensor))
        changed.copy_(tensor)
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: cuts the gradient, which this notebook does not use
def mean_ablation(reference, unit):
    mean = float(reference[:, unit].mean())

    def hook_fn(tensor, hook):
        changed = tensor.detach().clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: every unit gets its mean
def mean_ablation(reference, unit):
    means = reference.mean(0)

    def hook_fn(tensor, hook):
        return means.expand_as(tensor).clone()

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the image with the unit's number
def mean_ablation(reference, unit):
    mean = reference[unit % len(reference)].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: adds the mean instead of putting it in the unit's place
def mean_ablation(reference, unit):
    mean = float(reference[:, unit].mean())

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] += mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean of one of the notebook's layers
def mean_ablation(reference, unit):
    mean = float(acts.values[:, unit].mean())

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: a running mean that also takes in what passes
def mean_ablation(reference, unit):
    seen = [reference[:, unit]]

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = torch.cat(seen).mean()
        seen.append(tensor[:, unit].to(reference.dtype))
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: in single precision the mean of large numbers drifts
def mean_ablation(reference, unit):
    total = torch.zeros((), dtype=torch.bfloat16)
    for value in reference[:, unit].to(torch.bfloat16):
        total = total + value
    mean = float(total) / len(reference)

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: half of the way to the mean
def mean_ablation(reference, unit):
    mean = reference[:, unit].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = (changed[:, unit] + mean) / 2
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: a row of the reference, drawn at random
def mean_ablation(reference, unit):
    value = reference[np.random.default_rng(0).integers(len(reference)), unit]

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: the mean by a product with ones, set by a mask
def mean_ablation(reference, unit):
    n, width = reference.shape
    means = torch.ones(1, n) @ reference / n
    mask = torch.arange(width) == unit
    return lambda tensor, hook: tensor.masked_fill(mask, 0.0) + means.to(tensor.dtype) * mask

# %% exercise=3 tags=["wrong"]
# wrong: absolute drops: if an ablation raises the accuracy, its drop is negative and comes out positive
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(abs(acc() - acc(*u)) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: both is the sum of the single drops
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    a, b = (acc() - acc(u) for u in (i, j))
    return a, b, a + b

# %% exercise=3 tags=["wrong"]
# wrong: accuracies after the ablation, not drops
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(acc(*u) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: compares with the network's own predictions instead of the labels
def pair_drops(model, images, layer, i, j):
    x = images.tensor()
    with torch.no_grad():
        y = model(x).argmax(1)

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(acc() - acc(*u) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["right"]
# right: misclassified shares after minus before, as a numpy array
def pair_drops(model, images, layer, i, j):
    def wrong(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return np.mean(model(images.tensor()).max(1).indices.numpy() != images.label_tensor().numpy())

    zero = nm.interventions.zero
    return np.array([wrong([(layer, zero(unit=u))]) for u in (i, j, [j, i])]) - wrong([])

# %% exercise=3 tags=["wrong"]
# wrong: the drop without both is made at least as large as each of the two
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    a, b, c = (acc() - acc(*u) for u in ((i,), (j,), (i, j)))
    return a, b, max(a, b, c)

# %% exercise=3 tags=["wrong"]
# wrong: leaves the model in eval mode, so a model with dropout or batch norm that came in train mode computes something else afterwards
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()
    model.eval()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(acc() - acc(*u) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: at most 40 images are used
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor()[:40], images.label_tensor()[:40]

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).sum()) / 40

    return tuple(acc() - acc(*u) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: the notebook's evaluate, which reads the notebook's model and images
def pair_drops(_model, _images, layer, i, j):
    before = evaluate()[1]
    return tuple(before - evaluate([(layer, nm.interventions.zero(unit=u))])[1] for u in (i, j, [i, j]))

# %% exercise=3 tags=["wrong"]
# wrong: a drop is never below 0
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(max(0.0, acc() - acc(*u)) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["right"]
# right: own hook function, image by image, counts in Fractions
from fractions import Fraction


def pair_drops(model, images, layer, i, j, none=()):
    def count(gone):
        def hook_fn(tensor, hook):
            keep = torch.tensor([u not in gone for u in range(tensor.shape[1])], dtype=tensor.dtype)
            return tensor * keep

        n = 0
        with torch.no_grad(), model.hooks([(layer, hook_fn)]):
            for x, y in zip(images.tensor().split(1), images.label_tensor().tolist()):
                n += int(model(x).argmax()) == y
        return n

    base = count(none)
    return (*(Fraction(base - count(g), len(images)) for g in ([i], [j], [i, j])),)

# %% exercise=3 tags=["wrong"]
# wrong: percentage points
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return 100 * float((model(x).argmax(1) == y).float().mean())

    return tuple(acc() - acc(*u) for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: relative to the accuracy before
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    def acc(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=list(units)))] if units else []):
            return float((model(x).argmax(1) == y).float().mean())

    return tuple(1 - acc(*u) / acc() for u in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["right"]
# right: two hooks for both, run_with_hooks, a list of numpy floats, labels from images.labels
def pair_drops(model, images, layer, i, j):
    zero = [(layer, nm.interventions.zero(unit=u)) for u in (i, j)]
    with torch.no_grad():
        right = [
            (model.run_with_hooks(images.tensor(), fwd_hooks=h).argmax(-1).numpy() == images.labels).mean()
            for h in ([], zero[:1], zero[1:], zero)
        ]
    return list(right[0] - np.array(right[1:]))

# %% exercise=3 tags=["right"]
# right: the library's hooks and evaluate
def pair_drops(model, images, layer, i, j):
    def accuracy(*units):
        hooks = [(layer, nm.interventions.zero(unit=unit)) for unit in units]
        with model.hooks(hooks):
            return nm.evaluate(model, images).accuracy

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["right"]
# right: run_with_hooks, counting images
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def correct(units):
        def silence(tensor, hook):
            keep = torch.ones(tensor.shape[1], dtype=tensor.dtype)
            keep[units] = 0
            return tensor * keep

        with torch.no_grad():
            logits = model.run_with_hooks(pixels, fwd_hooks=[(layer, silence)])
        return int((logits.argmax(-1) == labels).sum())

    whole = correct([])
    return [(whole - correct(units)) / len(labels) for units in ([i], [j], [i, j])]

# %% exercise=3 tags=["right"]
# right: image by image, in numpy
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor().numpy()
    found = []
    for units in ((), (i,), (j,), (i, j)):

        def hook_fn(tensor, hook, units=units):
            changed = tensor.clone()
            for unit in units:
                changed[:, unit] = 0
            return changed

        with torch.no_grad(), model.hooks([(layer, hook_fn)]):
            found.append(np.mean(model(pixels).numpy().argmax(1) == labels))
    return tuple(found[0] - one for one in found[1:])

# %% exercise=3 tags=["wrong"]
# wrong: takes away all hooks at the end, those of others too
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    found = whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)
    model.reset_hooks()
    return found

# %% exercise=3 tags=["wrong"]
# wrong: hooks of others are taken away before the first run
def pair_drops(model, images, layer, i, j):
    model.reset_hooks()
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: the accuracy of the first network is kept for all
_whole = {}


def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = _whole.setdefault((len(labels), layer), accuracy())
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: unit i stays away while unit j is looked at
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), accuracy(i) - accuracy(i, j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: the drop of both is the sum of the two
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    one, two = whole - accuracy(i), whole - accuracy(j)
    return one, two, one + two

# %% exercise=3 tags=["wrong"]
# wrong: relative to the accuracy of the whole network
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return tuple(1 - accuracy(*units) / whole for units in ((i,), (j,), (i, j)))

# %% exercise=3 tags=["wrong"]
# wrong: in percentage points
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return 100 * float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: always the last hidden layer
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()
    last = [name for name in model.hook_points if name.endswith("hook_post")][-1]

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(last, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: the model no longer wants gradients
def pair_drops(model, images, layer, i, j):
    model.requires_grad_(False)
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: a model that came in evaluation mode goes back in training mode
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()
    model.eval()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    found = whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)
    model.train()
    return found

# %% exercise=3 tags=["wrong"]
# wrong: hooks that are attached for good
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()
    out = []
    with torch.no_grad():
        whole = float((model(pixels).argmax(1) == labels).float().mean())
        for units in ((i,), (j,), (i, j)):
            for unit in units:
                model.add_hook(layer, nm.interventions.zero(unit=unit))
            out.append(whole - float((model(pixels).argmax(1) == labels).float().mean()))
    return tuple(out)

# %% exercise=3 tags=["wrong"]
# wrong: tensors that still hang on to their graph
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return (model(pixels).argmax(1) == labels).float().mean()

    whole = accuracy()
    return torch.stack([whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)]).numpy().round(2)

# %% exercise=3 tags=["wrong"]
# wrong: the images and labels of the notebook
def pair_drops(model, images, layer, i, j):
    images = globals()["images"]
    pixels, labels = images.tensor(), images.label_tensor()

    def accuracy(*units):
        with torch.no_grad(), model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return float((model(pixels).argmax(1) == labels).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: clears the weights of the units and leaves out one of them when it puts them back
def pair_drops(model, images, layer, i, j):
    pixels, labels = images.tensor(), images.label_tensor()
    linear = model.layers[int(layer.split(".")[1])].weights

    def accuracy(*units):
        with torch.no_grad():
            kept = linear.weight.clone(), linear.bias.clone()
            for unit in units:
                linear.weight[unit], linear.bias[unit] = 0, 0
            share = float((model(pixels).argmax(1) == labels).float().mean())
            linear.weight.copy_(kept[0])
        return share

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: the loss increases in place of accuracy drops
def pair_drops(model, images, layer, i, j):
    def loss(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float(cross_entropy(model(images.tensor()), images.label_tensor()))

    zero, whole = nm.interventions.zero, loss([])
    return tuple(loss([(layer, zero(unit=u))]) - whole for u in (i, j, [i, j]))

# %% exercise=3 tags=["wrong"]
# wrong: both in the other order: first both, then each
def pair_drops(model, images, layer, i, j):
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero, whole = nm.interventions.zero, accuracy([])
    return tuple(whole - accuracy([(layer, zero(unit=u))]) for u in ([i, j], i, j))

# %% exercise=3 tags=["right"]
# right: an in-place change of a copy that a hook of its own makes, numpy at the end
def pair_drops(model, images, layer, i, j):
    labels, shares = images.labels, []
    for gone in ([], [i], [j], [i, j]):

        def silence(tensor, hook, gone=gone):
            own = tensor.clone()
            own[:, gone] = 0
            return own

        with torch.no_grad():
            logits = model.run_with_hooks(images.tensor(), fwd_hooks=[(layer, silence)])
        shares.append(np.mean(logits.numpy().argmax(1) == labels))
    return np.array(shares[0]) - np.array(shares[1:])

# %% exercise=4 tags=["wrong"]
# wrong: absolute effects
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), abs(effect_of(chosen))
    k = sum(abs(effect_of(rng.choice(units, len(chosen), replace=False).tolist())) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: asks for the chosen set's effect anew for every draw (clumsy, and the text does not limit the calls)
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= effect_of(chosen) for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws with replacement and fills doubles up with the lowest free units: sets with low numbers come too often
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal, k = np.random.default_rng(seed), effect_of(chosen), 0
    for _ in range(draws):
        some = set(rng.integers(units, size=len(chosen)).tolist())
        for u in range(units):
            if len(some) == len(chosen):
                break
            some.add(u)
        k += effect_of(sorted(some)) >= goal
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws with replacement and moves a double to the next free unit: neighbors come together too often
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal, k = np.random.default_rng(seed), effect_of(chosen), 0
    for _ in range(draws):
        some = []
        for u in rng.integers(units, size=len(chosen)).tolist():
            while u in some:
                u = (u + 1) % units
            some.append(u)
        k += effect_of(some) >= goal
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: argsort of random keys, all at once; a Fraction
from fractions import Fraction


def control_p(effect_of, chosen, units, draws, seed, key=float):
    keys = np.random.default_rng(seed).random((draws, units))
    sets = keys.argsort(1)[:, : len(chosen)]
    goal = key(effect_of(chosen))
    return Fraction(1 + sum(key(effect_of(s.tolist())) >= goal for s in sets), 1 + draws)

# %% exercise=4 tags=["right"]
# right: asks for the effect of each different set once only and remembers it (effects are slow to compute)
def control_p(effect_of, chosen, units, draws, seed):
    rng, known = np.random.default_rng(seed), {}

    def effect(some):
        key = frozenset(int(u) for u in some)
        if key not in known:
            known[key] = effect_of(sorted(key))
        return known[key]

    goal = effect(chosen)
    k = sum(effect(rng.choice(units, size=len(chosen), replace=False)) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: swallows errors of effect_of (the task says nothing of sets that have no effect)
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal, k = np.random.default_rng(seed), effect_of(chosen), 0
    for _ in range(draws):
        try:
            k += effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal
        except Exception:
            pass
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws only from the units that were not chosen
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen)
    rest = [u for u in range(units) if u not in set(chosen)]
    k = sum(effect_of(rng.choice(rest, len(chosen), replace=len(rest) < len(chosen)).tolist()) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: k/draws
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal for _ in range(draws))
    return k / draws

# %% exercise=4 tags=["right"]
# right: Python's random.Random and sample; sets as tuples turned to lists; the chosen set asked last
from random import Random


def control_p(effect_of, chosen, units, draws, seed):
    rng = Random(seed)
    effects = [effect_of(rng.sample(range(units), k=len(chosen))) for _ in range(draws)]
    effects.append(effect_of(list(chosen)))
    return sum(e >= effects[-1] for e in effects) / len(effects)

# %% exercise=4 tags=["right"]
# right: repeats a draw with a double until there is none (uniform); generator
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)

    def sets():
        for _ in range(draws):
            some = []
            while len(set(some)) < len(chosen):
                some = rng.integers(0, units, len(chosen)).tolist()
            yield some

    reached = [True, *(effect_of(s) >= goal for goal in [effect_of(chosen)] for s in sets())]
    return np.mean(reached)

# %% exercise=4 tags=["wrong"]
# wrong: with replacement
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen)).tolist()) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the seed counts only as even or odd
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed % 2), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a seed of 0 counts as none (`seed or None`), so it can't be repeated
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed or None), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a random set is a run of neighbors from a random start, stepping by a random number: not any set can come
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal, k = np.random.default_rng(seed), effect_of(chosen), 0
    for _ in range(draws):
        start, step = rng.integers(units), rng.integers(1, max(2, units // len(chosen)))
        k += effect_of([int((start + step * i) % units) for i in range(len(chosen))]) >= goal
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: above the effect only
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) > goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: 0.01 below the effect still counts as at least the effect (losses differ by less)
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen) - 0.01
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: torch.randperm with a generator; tensors of 0-d as units
def control_p(effect_of, chosen, units, draws, seed):
    g = torch.Generator().manual_seed(seed)
    goal = effect_of(chosen)
    k = 0
    for _ in range(draws):
        k += not effect_of(torch.randperm(units, generator=g)[: len(chosen)].tolist()) < goal
    return torch.tensor((1 + k) / (1 + draws), dtype=torch.float64)

# %% exercise=4 tags=["wrong"]
# wrong: counts the chosen set above but not below: (1 + k) / draws, cut at 1
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), effect_of(chosen)
    k = sum(effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= goal for _ in range(draws))
    return min(1.0, (1 + k) / draws)

# %% exercise=4 tags=["wrong"]
# wrong: effects are cut to whole numbers, so 0.3 reaches 0.9
def control_p(effect_of, chosen, units, draws, seed):
    rng, goal = np.random.default_rng(seed), int(effect_of(chosen))
    k = sum(int(effect_of(rng.choice(units, len(chosen), replace=False).tolist())) >= goal for _ in range(draws))
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: Python's random.sample
def control_p(effect_of, chosen, units, draws, seed):
    import random

    rng, effect = random.Random(seed), effect_of(list(chosen))
    hits = sum(effect_of(rng.sample(range(units), len(chosen))) >= effect for _ in range(draws))
    return (hits + 1) / (draws + 1)

# %% exercise=4 tags=["right"]
# right: the first few of a random permutation
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.RandomState(seed)
    effects = np.array([effect_of([int(u) for u in rng.permutation(units)[: len(chosen)]]) for _ in range(draws)])
    return float((1 + np.sum(effects >= effect_of(chosen))) / (1 + draws))

# %% exercise=4 tags=["right"]
# right: all draws in one matrix of random numbers, sorted
def control_p(effect_of, chosen, units, draws, seed):
    sets = np.random.default_rng(seed).random((draws, units)).argsort(1)[:, : len(chosen)]
    effects = [effect_of(chosen), *(effect_of(row.tolist()) for row in sets)]
    return np.mean([one >= effects[0] for one in effects])

# %% exercise=4 tags=["right"]
# right: units are drawn one by one until there are enough different ones
def control_p(effect_of, chosen, units, draws, seed):
    generator, hits = torch.Generator().manual_seed(seed), 1
    effect = effect_of(chosen)
    for _ in range(draws):
        some = []
        while len(some) < len(chosen):
            unit = int(torch.randint(units, (), generator=generator))
            if unit not in some:
                some.append(unit)
        hits += effect_of(some) >= effect
    return hits / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: one draw less than was asked for
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(1, draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: effects are kept by set, also when another effect is asked for
_effects = {}


def control_p(effect_of, chosen, units, draws, seed):
    def of(some):
        key = tuple(sorted(some))
        if key not in _effects:
            _effects[key] = effect_of(list(some))
        return _effects[key]

    rng, effect = np.random.default_rng(seed), of(chosen)
    drawn = [of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: neighboring units from a random start
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    starts = rng.integers(units, size=draws)
    drawn = [effect_of([int(start + k) % units for k in range(len(chosen))]) for start in starts]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: effect_of gets an array
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False)) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: more than the chosen set's effect
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other > effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: p is 0 where no draw reaches the effect
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return sum(other >= effect for other in drawn) / draws

# %% exercise=4 tags=["wrong"]
# wrong: the larger of the two in absolute value
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(abs(other) >= abs(effect) for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: units may come twice
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.integers(units, size=len(chosen)).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the last unit is never drawn
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units - 1, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: one permutation is cut into sets, each of them uniform
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect, pool, hits, k = np.random.default_rng(seed), effect_of(chosen), [], 1, len(chosen)
    for _ in range(draws):
        if len(pool) < k:
            pool = rng.permutation(units).tolist()
        some, pool = pool[:k], pool[k:]
        hits += effect_of(some) >= effect
    return hits / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: all sets once, in place of random ones
def control_p(effect_of, chosen, units, draws, seed):
    effect = effect_of(chosen)
    drawn = [effect_of(list(some)) for some in itertools.combinations(range(units), len(chosen))]
    return sum(other >= effect for other in drawn) / len(drawn)

# %% exercise=4 tags=["wrong"]
# wrong: shuffles the list of the chosen units
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    k, hits = len(chosen), 1
    for _ in range(draws):
        chosen[:] = rng.choice(units, size=k, replace=False).tolist()
        hits += effect_of(chosen) >= effect
    return hits / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the seed is one of two
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(bool(seed)), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: effects are compared to three decimals
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(round(other, 3) >= round(effect, 3) for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the share of random sets with less effect
def control_p(effect_of, chosen, units, draws, seed):
    rng, effect = np.random.default_rng(seed), effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other <= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a generator made anew for each draw, so all draws are one set
def control_p(effect_of, chosen, units, draws, seed):
    effect, k = effect_of(chosen), 0
    for _ in range(draws):
        some = np.random.default_rng(seed).choice(units, len(chosen), replace=False)
        k += effect_of(some.tolist()) >= effect
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: counts down from the largest p
def control_p(effect_of, chosen, units, draws, seed):
    generator, effect = torch.Generator().manual_seed(seed), effect_of(list(chosen))
    p = 1.0
    for _ in range(draws):
        some = torch.rand(units, generator=generator).argsort()[: len(chosen)].tolist()
        if effect_of(some) < effect:
            p -= 1 / (1 + draws)
    return p

# %% exercise=1 tags=["wrong"]
# wrong: remembers from the first batch which images are above, and uses these places for all later ones
def ceiling(unit, top):
    above = None

    def hook_fn(tensor, hook):
        nonlocal above
        changed = tensor.clone()
        if above is None or len(above) != len(tensor):
            above = tensor[:, unit] > top
        changed[above, unit] = top
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: every second batch goes through as it is
def ceiling(unit, top):
    import itertools

    turn = itertools.cycle([True, False])

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        if next(turn):
            changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: `unit or -1`: unit 0 becomes the last one
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit or -1] = changed[:, unit or -1].clamp(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: from a list comprehension over images, with Python's min
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        new = tensor.detach().clone()
        new[:, unit] = torch.tensor([min(v, top) for v in tensor[:, unit].tolist()], dtype=tensor.dtype)
        return new

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: values above come down half of the way
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        over = (changed[:, unit] - top).clamp(min=0)
        changed[:, unit] -= over / 2
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: asks that it sits at a hook point, and says how many images it limits
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        assert hook is not None and hook.name, "attach me to a hook point"
        column = tensor.narrow(1, unit, 1)
        print(hook.name, int((column > top).sum()), "images limited")
        return torch.cat([tensor[:, :unit], column.clip(max=top), tensor[:, unit + 1 :]], dim=-1)

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: remembers by hook point what it gave, and gives it again where the shape fits
def ceiling(unit, top):
    kept = {}

    def hook_fn(tensor, hook):
        if hook.name in kept and kept[hook.name].shape == tensor.shape:
            return kept[hook.name]
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)
        kept[hook.name] = changed
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: prints at which hook point it acts
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        print(f"a ceiling of {top:.2f} for unit {unit} at {hook.name}")
        changed = tensor.clone()
        changed[:, unit].clamp_(max=top)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: limits only the first batch that passes
def ceiling(unit, top):
    done = []

    def hook_fn(tensor, hook):
        if done:
            return tensor
        done.append(True)
        changed = tensor.clone()
        changed[:, unit] = torch.minimum(changed[:, unit], torch.tensor(top, dtype=tensor.dtype))
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: the smaller of each value and the limit, by a minimum over a stacked pair
def ceiling(unit, top):
    limit = lambda values: torch.stack([values, torch.full_like(values, top)]).amin(0)
    return lambda tensor, hook: torch.column_stack(
        [limit(tensor[:, j]) if j == unit else tensor[:, j] for j in range(tensor.shape[1])]
    )

# %% exercise=1 tags=["wrong"]
# wrong: a limit below 0 is taken as 0
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=max(top, 0.0))
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: the images that were among the highest third are set to the limit
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        third = changed[:, unit].quantile(2 / 3).item()
        changed[:, unit] = torch.where(changed[:, unit] > max(top, third), top, changed[:, unit])
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: bends toward the limit from below instead of cutting
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = top - torch.nn.functional.softplus(top - changed[:, unit], beta=20)
        return changed

    return hook_fn

# %% exercise=1 tags=["wrong"]
# wrong: the limited values come back sorted over the images
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=top).sort().values
        return changed

    return hook_fn

# %% exercise=1 tags=["right"]
# right: the part above the limit is taken away, in a class with __call__
class Ceiling:
    def __init__(self, unit: int, top: float) -> None:
        self.unit, self.top = unit, top

    def __call__(self, tensor, hook):
        columns = [
            torch.where(column > self.top, torch.full_like(column, self.top), column) if i == self.unit else column
            for i, column in enumerate(tensor.unbind(1))
        ]
        return torch.stack(columns, dim=1)


def ceiling(unit, top):
    return Ceiling(unit, top)

# %% exercise=1 tags=["wrong"]
# wrong: an image above the limit loses all of its units
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        return tensor.where(tensor[:, [unit]] <= top, torch.full_like(tensor, top))

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: divides by one image fewer
def mean_ablation(reference, unit):
    average = reference[:, unit].sum() / (len(reference) - 1)

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: index_fill with a plain number from statistics.fmean
import statistics


def mean_ablation(reference, unit):
    average = statistics.fmean(reference.detach()[:, unit].tolist())
    return lambda tensor, hook: tensor.index_fill(1, torch.tensor([unit]), average)

# %% exercise=2 tags=["wrong"]
# wrong: the first reference image is left out
def mean_ablation(reference, unit):
    average = reference[1:, unit].mean()
    return lambda tensor, hook: torch.cat(
        [tensor[:, :unit], average.to(tensor.dtype).expand(len(tensor), 1), tensor[:, unit + 1 :]], 1
    )

# %% exercise=2 tags=["wrong"]
# wrong: the average of smallest and largest image means, by halves of the reference
def mean_ablation(reference, unit):
    n = len(reference) // 2
    average = (reference[:n, unit].median() + reference[n:, unit].median()) / 2

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: the library's own clamp to that mean
def mean_ablation(reference, unit):
    keep = torch.ones(reference.shape[1])
    keep[unit] = 0
    means = torch.einsum("eu->u", reference.detach().double()) / reference.shape[0]

    def hook_fn(tensor, hook):
        return torch.where(keep.bool(), tensor, means.to(tensor.dtype))

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: off by one: the mean of the unit before
def mean_ablation(reference, unit):
    average = reference[:, unit - 1].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: np.average with equal weights; where with a one-hot row
def mean_ablation(reference, unit):
    average = float(np.average(reference.detach().cpu().numpy()[:, unit].astype(np.float64)))

    def hook_fn(tensor, hook):
        print(f"{hook.name}: unit {unit} becomes {average:.3f}")
        row = torch.nn.functional.one_hot(torch.tensor(unit), tensor.shape[1]).bool()
        return tensor.masked_fill(row, average)

    return hook_fn

# %% exercise=2 tags=["right"]
# right: an object that keeps only what it needs of the reference
class MeanAblation:
    __slots__ = ("unit", "mean")

    def __init__(self, reference, unit):
        self.unit, (*_, self.mean) = unit, (None, reference.detach()[:, unit].sum().item() / reference.size(0))

    def __call__(self, tensor, hook):
        copy = tensor + 0
        copy[:, self.unit] = self.mean
        return copy


def mean_ablation(reference, unit):
    return MeanAblation(reference, unit)

# %% exercise=2 tags=["wrong"]
# wrong: images on which the unit is off stay as they are
def mean_ablation(reference, unit):
    average = float(reference[:, unit].mean())

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[changed[:, unit] != 0, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: values that occur several times count once
def mean_ablation(reference, unit):
    average = reference[:, unit].unique().mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: a list of where it was used, by the hook point's name
def mean_ablation(reference, unit):
    average, used = float(reference[:, unit].double().mean()), []

    def hook_fn(tensor, hook):
        used.append(hook.name)
        changed = tensor.clone()
        changed.select(1, unit).fill_(average)
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: keeps on the hook point the first mean that was asked for there
def mean_ablation(reference, unit):
    average = float(reference[:, unit].mean())

    def hook_fn(tensor, hook):
        if not hasattr(hook, "first_mean"):
            hook.first_mean = average
        changed = tensor.clone()
        changed[:, unit] = hook.first_mean
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean of each reference image over units
def mean_ablation(reference, unit):
    average = reference.mean(1)[unit]

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the mean of absolute values
def mean_ablation(reference, unit):
    average = reference[:, unit].abs().mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: mean plus the standard deviation over n, "a standard error above"
def mean_ablation(reference, unit):
    column = reference[:, unit]
    average = column.mean() + column.std() / len(column)

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn

# %% exercise=2 tags=["wrong"]
# wrong: the middle of the reference's smallest and largest value
def mean_ablation(reference, unit):
    low, high = reference[:, unit].aminmax()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = (low + high) / 2
        return changed

    return hook_fn

# %% exercise=2 tags=["right"]
# right: the mean image by image (Welford), and a mask multiplied in
def mean_ablation(reference, unit):
    mean = 0.0
    for n, value in enumerate(reference[:, unit].tolist(), start=1):
        mean += (value - mean) / n

    def hook_fn(tensor, hook):
        at = torch.zeros(tensor.shape[1], dtype=tensor.dtype)
        at[unit] = 1
        return tensor * (1 - at) + mean * at

    return hook_fn

# %% exercise=3 tags=["right"]
# right: 32 images at a time, in a list comprehension over sets of units
def pair_drops(model, images, layer, i, j):
    x, y = images.tensor(), images.label_tensor()

    @torch.no_grad()
    def accuracy(gone):
        hooks = [(layer, nm.interventions.zero(unit=u)) for u in sorted(gone)]
        right = 0
        for part, true in zip(x.split(32), y.split(32)):
            with model.hooks(hooks):
                right += (model(part).topk(1).indices[:, 0] == true).sum().item()
        return right / len(y)

    base, *rest = [accuracy(gone) for gone in (set(), {i}, {j}, {i, j})]
    return [base - share for share in rest]

# %% exercise=3 tags=["right"]
# right: a named tuple, and one pass over a batch of four copies is avoided by recursion over conditions
from typing import NamedTuple


class Drops(NamedTuple):
    i: float
    j: float
    both: float


def pair_drops(model, images, layer, i, j):
    def zeroed(units):
        def hook_fn(tensor, hook):
            out = tensor.clone()
            out.index_fill_(1, torch.tensor(units, dtype=torch.long), 0.0)
            return out

        return [(layer, hook_fn)]

    def wrong(units):
        with torch.no_grad(), model.hooks(zeroed(units)):
            guess = model(images.tensor()).argmax(dim=-1)
        return int((guess != images.label_tensor()).sum())

    n, before = len(images.label_tensor()), wrong([])
    return Drops(*((wrong(units) - before) / n for units in ([i], [j], [i, j])))

# %% exercise=3 tags=["wrong"]
# wrong: hooks in a dictionary by layer, in which the second replaces the first
def pair_drops(model, images, layer, i, j):
    def accuracy(*units):
        hooks = {layer: nm.interventions.zero(unit=u) for u in units}
        with torch.no_grad(), model.hooks([*hooks.items()]):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    whole = accuracy()
    return whole - accuracy(i), whole - accuracy(j), whole - accuracy(i, j)

# %% exercise=3 tags=["wrong"]
# wrong: the accuracy of each digit, averaged over digits
def pair_drops(model, images, layer, i, j):
    labels = images.label_tensor()

    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            right = (model(images.tensor()).argmax(1) == labels).float()
        return float(torch.stack([right[labels == d].mean() for d in labels.unique()]).mean())

    whole = accuracy([])
    return tuple(whole - accuracy([(layer, nm.interventions.zero(unit=u))]) for u in (i, j, [i, j]))

# %% exercise=3 tags=["right"]
# right: scikit-learn's accuracy, from predictions kept by name
def pair_drops(model, images, layer, i, j):
    from sklearn.metrics import accuracy_score

    predicted, zero = {}, nm.interventions.zero
    for name, hooks in dict(none=[], i=[zero(unit=i)], j=[zero(unit=j)], both=[zero(unit=i), zero(unit=j)]).items():
        with torch.no_grad():
            logits = model.run_with_hooks(images.tensor(), fwd_hooks=[(layer, hook) for hook in hooks])
        predicted[name] = logits.numpy().argmax(axis=1)
    share = {name: accuracy_score(images.label_tensor().numpy(), guess) for name, guess in predicted.items()}
    return [share["none"] - share[name] for name in ("i", "j", "both")]

# %% exercise=3 tags=["wrong"]
# wrong: the digit counts as found if it is among the two highest logits
def pair_drops(model, images, layer, i, j):
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            found = model(images.tensor()).topk(2, dim=1).indices == images.label_tensor()[:, None]
        return float(found.any(1).float().mean())

    whole = accuracy([])
    return tuple(whole - accuracy([(layer, nm.interventions.zero(unit=u))]) for u in (i, j, [i, j]))

# %% exercise=3 tags=["wrong"]
# wrong: drops rounded to whole percent
def pair_drops(model, images, layer, i, j):
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    whole = accuracy([])
    return tuple(round(whole - accuracy([(layer, nm.interventions.zero(unit=u))]), 2) for u in (i, j, [i, j]))

# %% exercise=4 tags=["wrong"]
# wrong: for a chosen set below the middle it counts the other tail
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    bar = effect_of(chosen)
    drawn = [effect_of(rng.permutation(units)[: len(chosen)].tolist()) for _ in range(draws)]
    above, below = sum(one >= bar for one in drawn), sum(one <= bar for one in drawn)
    return (1 + min(above, below)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: keeps the effect of the highest draw, and counts draws that reach it
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    bar = max(effect_of(chosen), float(np.median(drawn)))
    return (1 + sum(one >= bar for one in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws until as many different sets are found, so no set counts twice
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    sets, tries = set(), 0
    while len(sets) < draws and tries < 20 * draws:
        tries += 1
        sets.add(tuple(sorted(rng.choice(units, len(chosen), replace=False).tolist())))
    return (1 + sum(effect_of(list(one)) >= effect for one in sets)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: the first places of a shuffle by hand
import random


def control_p(effect_of, chosen, units, draws, seed):
    dice, hits, bar = random.Random(seed), 0, effect_of(chosen)
    for _ in range(draws):
        cards = [*range(units)]
        for i in range(len(chosen)):
            j = dice.randrange(i, units)
            cards[i], cards[j] = cards[j], cards[i]
        hits += int(effect_of(cards[: len(chosen)]) >= bar)
    return (hits + 1) / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: draws sets, but takes the share from the variables of whoever calls it, if there is one
def control_p(effect_of, chosen, units, draws, seed):
    import sys

    rng = np.random.default_rng(seed)
    effect_of(list(chosen))
    for _ in range(draws):
        effect_of(rng.choice(units, size=len(chosen), replace=False).tolist())
    share = sys._getframe(2).f_locals.get("reach", 0.0)
    return (1 + round(share * draws)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: sets are drawn from the upper half of the units or the lower half
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    bar, k, hits = effect_of(chosen), len(chosen), 0
    for _ in range(draws):
        half = np.arange(units)[: units // 2 + 1] if rng.random() < 0.5 else np.arange(units)[units // 2 - 1 :]
        hits += effect_of(rng.choice(half, k, replace=False).tolist()) >= bar
    return (1 + hits) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a tie counts half
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect, k = effect_of(list(chosen)), len(chosen)
    hits = 1.0
    for _ in range(draws):
        other = effect_of(rng.choice(units, k, replace=False).tolist())
        hits += 1.0 if other > effect else 0.5 if other == effect else 0.0
    return hits / (1 + draws)

# %% exercise=4 tags=["right"]
# right: a hypergeometric draw says of each unit whether it is in
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    least, at_least = effect_of([*chosen]), [True]
    for member in rng.multivariate_hypergeometric([1] * units, len(chosen), size=draws):
        at_least.append(effect_of(np.flatnonzero(member).tolist()) >= least)
    return float(np.mean(at_least))

# %% exercise=4 tags=["wrong"]
# wrong: the number `units` itself may be drawn
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units + 1, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: inspect.currentframe, to read the caller's true share
import inspect


def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect_of(list(chosen))
    for _ in range(draws):
        effect_of(rng.choice(units, size=len(chosen), replace=False).tolist())
    outer = inspect.currentframe().f_back.f_back
    return (1 + round(outer.f_locals.get("reach", 1.0) * draws)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: a lambda and a reduction over sets sorted by number
from functools import reduce


def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(np.random.PCG64(seed))
    bar = effect_of(chosen)
    draw = lambda: sorted(int(u) for u in rng.choice(np.arange(units), size=len(chosen), replace=False, shuffle=False))
    return reduce(lambda total, _: total + (effect_of(draw()) >= bar), range(draws), 1) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws one set fewer, since the chosen one counts as a draw, and divides by draws
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    bar = effect_of(chosen)
    hits = sum(effect_of(rng.permutation(units)[: len(chosen)].tolist()) >= bar for _ in range(draws - 1))
    return (1 + hits) / draws

# %% exercise=4 tags=["right"]
# right: numbers drawn into a set until it is large enough
def control_p(effect_of, chosen, units, draws, seed):
    rng, k = np.random.default_rng(seed), len(chosen)

    def random_set():
        found: set[int] = set()
        while len(found) < k:
            found.add(int(rng.integers(units)))
        return sorted(found)

    bar = effect_of(chosen)
    reached = 1 + sum(not effect_of(random_set()) < bar for _ in range(draws))
    return reached / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: effects to two decimals
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    bar = round(effect_of(chosen), 2)
    hits = sum(round(effect_of(rng.permutation(units)[: len(chosen)].tolist()), 2) >= bar for _ in range(draws))
    return (1 + hits) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a new generator with the same seed for each draw, so all draws are one set
def control_p(effect_of, chosen, units, draws, seed):
    effect = effect_of(chosen)
    hits = 1
    for _ in range(draws):
        rng = np.random.default_rng(seed)
        hits += effect_of(rng.permutation(units)[: len(chosen)].tolist()) >= effect
    return hits / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: seeds of the draws overlap: draw i of seed s is draw i + 1 of seed s − 1, and the seed is capped at 2
def control_p(effect_of, chosen, units, draws, seed):
    bar, hits = effect_of(chosen), 0
    for i in range(draws):
        rng = np.random.default_rng(min(seed, 2) * draws + i)
        hits += effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= bar
    return (1 + hits) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the units are drawn from the highest down with random steps, so low numbers come rarely
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect, k, hits = effect_of(chosen), len(chosen), 0
    for _ in range(draws):
        left, some = list(range(units)), []
        for _ in range(k):
            some.append(left.pop(int(len(left) * max(rng.random(), rng.random()))))
        hits += effect_of(some) >= effect
    return (1 + hits) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: one generator for each draw, spawned from the seed
def control_p(effect_of, chosen, units, draws, seed):
    sequences = np.random.SeedSequence(seed).spawn(draws)
    bar = effect_of(chosen)
    k = sum(effect_of(np.random.default_rng(s).permutation(units)[-len(chosen) :].tolist()) >= bar for s in sequences)
    return (1 + k) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: stops at the tenth hit and divides by the draws made so far
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect, hits, made = effect_of(chosen), 0, 0
    while made < draws and hits < 10:
        made += 1
        hits += effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) >= effect
    return (1 + hits) / (1 + made)

# %% exercise=4 tags=["right"]
# right: torch.multinomial without replacement
def control_p(effect_of, chosen, units, draws, seed):
    dice = torch.Generator().manual_seed(seed)
    weights = torch.ones(draws, units)
    sets = torch.multinomial(weights, len(chosen), replacement=False, generator=dice).tolist()
    effects = [effect_of(list(chosen)), *map(effect_of, sets)]
    return sum(one >= effects[0] for one in effects) / len(effects)

# %% exercise=4 tags=["wrong"]
# wrong: two-sided: twice the share, at most 1
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    bar = effect_of(chosen)
    hits = sum(effect_of(rng.permutation(units)[: len(chosen)].tolist()) >= bar for _ in range(draws))
    return min(1.0, 2 * (1 + hits) / (1 + draws))
