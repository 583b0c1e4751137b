# %% exercise=1 tags=["wrong"]
# wrong: the angle without its sign
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return abs(unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: correlations, each class centered by the mean of its own units
def cosines(means):
    return np.corrcoef(means)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: subtracts the mean in place
def cosines(means):
    means -= means.mean(0)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: combinations and einsum in float32
from itertools import combinations
def cosines(means):
    seen = (means - np.average(means, axis=0)).astype(np.float32)
    return np.fromiter((a @ b / np.sqrt(a @ a * (b @ b)) for a, b in combinations(seen, 2)), float)

# %% exercise=1 tags=["wrong"]
# wrong: pairs below the diagonal, another order
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.tril_indices(len(means), -1)]

# %% exercise=1 tags=["wrong"]
# wrong: seen from 0 and not from the mean of the means
def cosines(means):
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: all rows divided by the mean length, not each by its own
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1).mean()
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: rounded to five decimals
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)].round(5)

# %% exercise=1 tags=["right"]
# right: scipy's cosine distance
def cosines(means):
    from scipy.spatial.distance import pdist
    return 1 - pdist(means - means.mean(axis=0, keepdims=True), "cosine")

# %% exercise=1 tags=["wrong"]
# wrong: right for ten classes only
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(10, 1)]

# %% exercise=1 tags=["right"]
# right: torch and cosine_similarity
def cosines(means):
    seen = torch.from_numpy(np.ascontiguousarray(means)).double()
    seen = seen - seen.mean(dim=0)
    i, j = torch.triu_indices(len(seen), len(seen), offset=1)
    return torch.nn.functional.cosine_similarity(seen[i], seen[j], dim=1).numpy()

# %% exercise=1 tags=["wrong"]
# wrong: each class with itself, too
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means))]

# %% exercise=1 tags=["right"]
# right: SciPy's distances
from scipy.spatial.distance import pdist
def cosines(means):
    return 1 - pdist(means - means.mean(0), "cosine")

# %% exercise=1 tags=["right"]
# right: pair by pair with itertools
import itertools
def cosines(means):
    middle = sum(means) / len(means)
    return np.array([np.vdot(a - middle, b - middle) / np.linalg.norm(a - middle) / np.linalg.norm(b - middle) for a, b in itertools.combinations(means, 2)])

# %% exercise=1 tags=["right"]
# right: PyTorch, the upper triangle
def cosines(means):
    centered = torch.as_tensor(means, dtype=torch.float64)
    centered = torch.nn.functional.normalize(centered - centered.mean(0), dim=1)
    row, col = torch.triu_indices(len(means), len(means), 1)
    return (centered @ centered.T)[row, col].numpy()

# %% exercise=1 tags=["right"]
# right: scikit-learn and a mask
from sklearn.metrics.pairwise import cosine_similarity
def cosines(means):
    table = cosine_similarity(means - np.mean(means, axis=0))
    return table[np.triu(np.ones_like(table, dtype=bool), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: correlations of the rows, which takes away each class's mean over the units
def cosines(means):
    return np.corrcoef(means)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: centered rightly, then each row once more
def cosines(means):
    return np.corrcoef(means - means.mean(0))[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: seen from 0
def cosines(means):
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: the pairs below the diagonal, in another order
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.tril_indices(len(means), -1)]

# %% exercise=1 tags=["wrong"]
# wrong: scaled to length 1 before the mean is taken away
def cosines(means):
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    unit = unit - unit.mean(0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: ten classes, always
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    table = np.full((10, 10), -1 / 9)
    table[: len(unit), : len(unit)] = unit @ unit.T
    return table[np.triu_indices(10, 1)]

# %% exercise=1 tags=["wrong"]
# wrong: each class with itself too
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means))]

# %% exercise=1 tags=["wrong"]
# wrong: the mean is taken away in place
def cosines(means):
    means -= means.mean(0)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: a thousandth is added to each length
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / (np.linalg.norm(centered, axis=1, keepdims=True) + 1e-3)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: a list
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)].tolist()

# %% exercise=1 tags=["wrong"]
# wrong: four decimals
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)].round(4)

# %% exercise=1 tags=["wrong"]
# wrong: one length for all, the mean one
def cosines(means):
    centered = means - means.mean(0)
    return ((centered @ centered.T) / (centered**2).sum(1).mean())[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: correlations over units, which are centered by class and not by the middle of the classes
def cosines(means):
    return np.corrcoef(means)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: angles in place of cosines
def cosines(means):
    c = means - means.mean(0)
    u = c / np.linalg.norm(c, axis=1, keepdims=True)
    return np.arccos(np.clip(u @ u.T, -1, 1))[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: scipy's distance between centered means
def cosines(means):
    from scipy.spatial.distance import pdist

    return 1 - pdist(means - means.mean(axis=0, keepdims=True), "cosine")

# %% exercise=2 tags=["wrong"]
# wrong: without the sign
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    return abs(float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e ** 2))

# %% exercise=2 tags=["wrong"]
# wrong: one-sided: two steps ahead and none back (the text asks for a step ahead, a step back, and here)
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    return float((loss(w + 2 * e * u) - 2 * loss(w + e * u) + loss(w)) / e ** 2)

# %% exercise=2 tags=["wrong"]
# wrong: uses gradients, not values of loss alone
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    def slope(at):
        at = at.clone().requires_grad_()
        return torch.autograd.grad(loss(at), at)[0] @ u
    return float((slope(w + e * u) - slope(w - e * u)) / (2 * e))

# %% exercise=2 tags=["wrong"]
# wrong: uses gradients where it can, values of loss only where that fails
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    try:
        def slope(at):
            at = at.clone().requires_grad_()
            return torch.autograd.grad(loss(at), at)[0] @ u
        return float((slope(w + e * u) - slope(w - e * u)) / (2 * e))
    except RuntimeError:
        return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e ** 2)

# %% exercise=2 tags=["wrong"]
# wrong: the step is 0.0001 from end to end, half of it to each side
def curvature(loss, w, v):
    u, e = v / v.norm(), 5e-5
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e ** 2)

# %% exercise=2 tags=["right"]
# right: a recursive second difference of functions
def curvature(loss, w, v):
    e, u = 10 ** -4, v / torch.linalg.vector_norm(v)
    def difference(f):
        return lambda t: (f(t + e / 2) - f(t - e / 2)) / e
    return difference(difference(lambda t: loss(w + t * u)))(0.0)

# %% exercise=2 tags=["wrong"]
# wrong: the step has the length of v times 0.0001 (the quotient is put right afterwards)
def curvature(loss, w, v):
    e = 1e-4
    return float((loss(w + e * v) - 2 * loss(w) + loss(w - e * v)) / (e ** 2 * v.norm() ** 2))

# %% exercise=2 tags=["wrong"]
# wrong: moves w itself and moves it back, which leaves rounding behind
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    here = float(loss(w))
    w += e * u; up = float(loss(w))
    w -= 2 * e * u; down = float(loss(w))
    w += e * u
    return (up - 2 * here + down) / e ** 2

# %% exercise=2 tags=["wrong"]
# wrong: v is not scaled
def curvature(loss, w, v):
    e = 1e-4
    return float((loss(w + e * v) - 2 * loss(w) + loss(w - e * v)) / e ** 2)

# %% exercise=2 tags=["right"]
# right: slopes to both sides, an extra keyword argument, NumPy arithmetic
def curvature(loss, w, v, *, step=0.0001):
    u = torch.nn.functional.normalize(v, dim=0)
    up, here, down = (float(loss(torch.add(w, u, alpha=k * step))) for k in (1.0, 0.0, -1.0))
    return np.diff(np.diff([down, here, up]) / step)[0] / step

# %% exercise=2 tags=["wrong"]
# wrong: the step grows with the length of w
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4 * float(w.norm().clamp(0.5, 9))
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e ** 2)

# %% exercise=2 tags=["wrong"]
# wrong: a step of 0.0005, not of 0.0001
def curvature(loss, w, v):
    u, e = v / v.norm(), 5e-4
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e ** 2)

# %% exercise=2 tags=["right"]
# right: one point of its own, moved in place ahead and back
def curvature(loss, w, v):
    with torch.no_grad():
        unit, at = v / torch.linalg.vector_norm(v), w.clone()
        here = float(loss(at))
        ahead = float(loss(at.add_(unit, alpha=1e-4)))
        back = float(loss(at.sub_(unit, alpha=2e-4)))
    return (ahead - 2 * here + back) / 1e-8

# %% exercise=2 tags=["right"]
# right: from the slopes to both sides
def curvature(loss, w, v):
    step = 1e-4 * torch.nn.functional.normalize(v, dim=0)
    points = [loss(w + sign * step).item() for sign in (-1, 0, 1)]
    return float(np.diff(points, 2)[0]) / 1e-4**2

# %% exercise=2 tags=["right"]
# right: a parabola through the three points
def curvature(loss, w, v):
    u = v / (v @ v) ** 0.5
    with torch.no_grad():
        values = [float(loss(w + step * u)) for step in (-1e-4, 0.0, 1e-4)]
    return 2 * np.linalg.solve(np.vander([-1.0, 0.0, 1.0]), values)[0] / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: the length of v counts
def curvature(loss, w, v):
    return float(loss(w + 1e-4 * v) - 2 * loss(w) + loss(w - 1e-4 * v)) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: a step along v as long as it is, divided by its length squared
def curvature(loss, w, v):
    return float((loss(w + 1e-4 * v) - 2 * loss(w) + loss(w - 1e-4 * v)) / 1e-8 / (v @ v))

# %% exercise=2 tags=["wrong"]
# wrong: v is scaled in place
def curvature(loss, w, v):
    v /= v.norm()
    return float(loss(w + 1e-4 * v) - 2 * loss(w) + loss(w - 1e-4 * v)) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: w is moved in place and, but for rounding, back
def curvature(loss, w, v):
    u = v / v.norm()
    here = float(loss(w))
    w += 1e-4 * u
    ahead = float(loss(w))
    w -= 2e-4 * u
    back = float(loss(w))
    w += 1e-4 * u
    return (ahead - 2 * here + back) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: the size of the curvature without its sign
def curvature(loss, w, v):
    u = v / v.norm()
    return abs(float(loss(w + 1e-4 * u) - 2 * loss(w) + loss(w - 1e-4 * u))) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: scaled by the largest entry
def curvature(loss, w, v):
    u = v / v.abs().max()
    return float(loss(w + 1e-4 * u) - 2 * loss(w) + loss(w - 1e-4 * u)) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: divided by the step, not by its square
def curvature(loss, w, v):
    u = v / v.norm()
    return float(loss(w + 1e-4 * u) - 2 * loss(w) + loss(w - 1e-4 * u)) / 1e-4

# %% exercise=2 tags=["wrong"]
# wrong: five points
def curvature(loss, w, v):
    u = v / v.norm()
    values = [float(loss(w + i * 1e-4 * u)) for i in (-2, -1, 0, 1, 2)]
    return (-values[0] + 16 * values[1] - 30 * values[2] + 16 * values[3] - values[4]) / 12e-8

# %% exercise=2 tags=["wrong"]
# wrong: the loss at w is remembered
HERE = {}
def curvature(loss, w, v):
    u = v / v.norm()
    here = HERE.setdefault(len(w), float(loss(w)))
    return (float(loss(w + 1e-4 * u)) - 2 * here + float(loss(w - 1e-4 * u))) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: single precision
def curvature(loss, w, v):
    u = (v / v.norm()).float()
    return float(loss(w.float() + 1e-4 * u) - 2 * loss(w.float()) + loss(w.float() - 1e-4 * u)) / 1e-8

# %% exercise=2 tags=["wrong"]
# wrong: by derivatives
def curvature(loss, w, v):
    u = v / v.norm()
    return float(torch.autograd.functional.vhp(loss, w, u)[1] @ u)

# %% exercise=2 tags=["wrong"]
# wrong: a step that is relative to w
def curvature(loss, w, v):
    u, step = v / v.norm(), 1e-4 * (1 + float(w.norm()))
    return float(loss(w + step * u) - 2 * loss(w) + loss(w - step * u)) / step**2

# %% exercise=2 tags=["wrong"]
# wrong: the step is not divided out a second time
def curvature(loss, w, v):
    step = 1e-4 * v / v.norm()
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-4)

# %% exercise=2 tags=["wrong"]
# wrong: always at least 0
def curvature(loss, w, v):
    step = 1e-4 * v / v.norm()
    return max(0.0, float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-8))

# %% exercise=2 tags=["right"]
# right: the difference of two one-sided slopes
def curvature(loss, w, v):
    u, e = torch.nn.functional.normalize(v, dim=0), 1e-4
    back, here, ahead = (loss(torch.add(w, u, alpha=a)).item() for a in (-e, 0.0, e))
    return ((ahead - here) / e - (here - back) / e) / e

# %% exercise=3 tags=["wrong"]
# wrong: reads the truth from the notebook's `false`
def suspects(margin, n):
    return np.flatnonzero(false)[:n]

# %% exercise=3 tags=["wrong"]
# wrong: only those with a mean margin below 0 are named
def suspects(margin, n):
    means = margin.mean(0)
    order = np.argsort(means)
    return order[means[order] < 0][:n]

# %% exercise=3 tags=["wrong"]
# wrong: keeps the answer for each n and returns it for other margins
named_before = {}
def suspects(margin, n):
    if n not in named_before:
        named_before[n] = np.argsort(margin.mean(0))[:n]
    return named_before[n]

# %% exercise=3 tags=["right"]
# right: heapq on sums, numbers as unsigned integers
import heapq
def suspects(margin, n):
    sums = margin.sum(axis=0)
    return np.array(heapq.nsmallest(n, range(margin.shape[1]), key=lambda i: sums[i]), dtype=np.uint16)

# %% exercise=3 tags=["wrong"]
# wrong: highest first
def suspects(margin, n):
    return np.argsort(margin.mean(0))[::-1][:n]

# %% exercise=3 tags=["wrong"]
# wrong: the last snapshot alone
def suspects(margin, n):
    return np.argsort(margin[-1])[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the median over snapshots
def suspects(margin, n):
    return np.argsort(np.median(margin, 0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: without the first snapshot
def suspects(margin, n):
    return np.argsort(margin[1:].mean(0))[:n]

# %% exercise=3 tags=["right"]
# right: argpartition and then a sort of n, with all named handled
def suspects(margin, n):
    means = np.einsum("se->e", margin) / len(margin)
    some = np.argpartition(means, min(n, len(means) - 1))[:n]
    return some[np.argsort(means[some])]

# %% exercise=3 tags=["right"]
# right: a list
def suspects(margin, n):
    return [int(i) for i in margin.mean(0).argsort()[:n]]

# %% exercise=3 tags=["wrong"]
# wrong: the share of snapshots with a margin below 0, ties by the mean
def suspects(margin, n):
    return np.lexsort((margin.mean(0), -(margin < 0).mean(0)))[:n]

# %% exercise=3 tags=["right"]
# right: torch's topk of the smallest
def suspects(margin, n):
    return torch.tensor(margin).mean(dim=0).topk(n, largest=False, sorted=True).indices.numpy()

# %% exercise=3 tags=["wrong"]
# wrong: the right ones in the order of their numbers
def suspects(margin, n):
    return np.sort(np.argsort(margin.mean(0))[:n])

# %% exercise=3 tags=["wrong"]
# wrong: the margins, not the numbers of the examples
def suspects(margin, n):
    return np.sort(margin.mean(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: later snapshots count more
def suspects(margin, n):
    return np.argsort(np.average(margin, axis=0, weights=np.arange(1, len(margin) + 1)))[:n]

# %% exercise=3 tags=["right"]
# right: Python's sorted
def suspects(margin, n):
    means = [sum(column) / len(column) for column in margin.T.tolist()]
    return sorted(range(len(means)), key=means.__getitem__)[:n]

# %% exercise=3 tags=["right"]
# right: heapq
import heapq
def suspects(margin, n):
    mean = margin.mean(axis=0)
    return [int(i) for i in heapq.nsmallest(n, range(len(mean)), key=lambda i: mean[i])]

# %% exercise=3 tags=["right"]
# right: PyTorch's topk
def suspects(margin, n):
    return torch.as_tensor(margin).double().mean(0).topk(n, largest=False, sorted=True).indices.numpy()

# %% exercise=3 tags=["right"]
# right: partition first, then sort those n
def suspects(margin, n):
    total = margin.sum(0)
    some = np.argsort(total, kind="stable")
    return some[np.arange(n)]

# %% exercise=3 tags=["wrong"]
# wrong: the n lowest in the order of their numbers
def suspects(margin, n):
    return np.sort(np.argsort(margin.mean(0))[:n])

# %% exercise=3 tags=["wrong"]
# wrong: the median over the snapshots
def suspects(margin, n):
    return np.argsort(np.median(margin, axis=0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the first snapshot is left out
def suspects(margin, n):
    return np.argsort(margin[1:].mean(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the last snapshot is left out
def suspects(margin, n):
    return np.argsort(margin[:-1].mean(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the lowest margins that ever occurred
def suspects(margin, n):
    return np.argsort(margin.min(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the share of snapshots with a margin below 0
def suspects(margin, n):
    return np.argsort(-(margin < 0).mean(0), kind="stable")[:n]

# %% exercise=3 tags=["wrong"]
# wrong: numbers from 1 on
def suspects(margin, n):
    return 1 + np.argsort(margin.mean(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the highest first
def suspects(margin, n):
    return np.argsort(margin.mean(0))[:n][::-1]

# %% exercise=3 tags=["wrong"]
# wrong: in an order that only begins with the lowest
def suspects(margin, n):
    return np.argpartition(margin.mean(0), n)[:n]

# %% exercise=3 tags=["wrong"]
# wrong: sorts each snapshot in place
def suspects(margin, n):
    found = np.argsort(margin.mean(0))[:n]
    margin.sort(axis=1)
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the mean margin in hundredths
def suspects(margin, n):
    return np.argsort(margin.mean(0).round(2), kind="stable")[:n]

# %% exercise=3 tags=["wrong"]
# wrong: all of them when none is asked for
def suspects(margin, n):
    return np.argsort(-margin.mean(0))[-n:][::-1]

# %% exercise=3 tags=["wrong"]
# wrong: the margins and not the numbers
def suspects(margin, n):
    return np.sort(margin.mean(0))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: how often the margin is below 0
def suspects(margin, n):
    return np.argsort(-(margin < 0).sum(0), kind="stable")[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the rank at each snapshot, averaged
def suspects(margin, n):
    return np.argsort(margin.argsort(1).argsort(1).mean(0), kind="stable")[:n]

# %% exercise=3 tags=["right"]
# right: a list of pairs, sorted, with whole numbers of Python
def suspects(margin, n):
    pairs = sorted((float(np.mean(column)), number) for number, column in enumerate(np.transpose(margin)))
    return [number for _, number in pairs[:n]]

# %% exercise=3 tags=["wrong"]
# wrong: the mean of all but the highest margin of each image
def suspects(margin, n):
    rest = np.sort(margin, 0)[:-1]
    return np.argsort(rest.mean(0), kind="stable")[:n]

# %% exercise=4 tags=["right"]
# right: the distribution of heads by convolution, two sides by distance from the middle
from functools import reduce
def by_sign(differences):
    signs = [1 if d > 0 else -1 for d in differences if d != 0]
    tosses = reduce(lambda p, _: np.convolve(p, [0.5, 0.5]), signs, np.ones(1))
    heads = np.arange(len(signs) + 1)
    return float(tosses[abs(2 * heads - len(signs)) >= abs(sum(signs))].sum())

# %% exercise=4 tags=["right"]
# right: for an array of differences, zeros left out by a mask
import math
def by_sign(differences):
    left = differences[differences != 0]
    n = len(left)
    if n == 0:
        return 1.0
    m = max(np.count_nonzero(left > 0), np.count_nonzero(left < 0))
    return min(1.0, sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** (n - 1))

# %% exercise=4 tags=["right"]
# right: for an array of differences, as all measures here take them; uses array comparisons
import math
def by_sign(differences):
    ups, downs = int((differences > 0).sum()), int((differences < 0).sum())
    n, m = ups + downs, max(ups, downs)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n)

# %% exercise=4 tags=["wrong"]
# wrong: 0.0 where no difference is left
import math
def by_sign(differences):
    ups, downs = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, m = int(ups + downs), int(max(ups, downs))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n) if n else 0.0

# %% exercise=4 tags=["wrong"]
# wrong: a difference counts from 1e-6 on
import math
def _tail(ups, downs):
    n, m = ups + downs, max(ups, downs)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n) if n else 1.0

def by_sign(differences):
    return _tail(sum(d > 1e-6 for d in differences), sum(d < -1e-6 for d in differences))

# %% exercise=4 tags=["wrong"]
# wrong: the chance of exactly as many, not of as many or more
import math
def by_sign(differences):
    ups, downs = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, m = int(ups + downs), int(max(ups, downs))
    return min(1.0, 2 * math.comb(n, m) / 2 ** n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: leaves out differences that are near 0, not those of exactly 0
import math
def _tail(ups, downs):
    n, m = ups + downs, max(ups, downs)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n) if n else 1.0

def by_sign(differences):
    d = np.asarray(differences, float)
    d = d[~np.isclose(d, 0, atol=1e-3)]
    return _tail(int((d > 0).sum()), int((d < 0).sum()))

# %% exercise=4 tags=["wrong"]
# wrong: one side only
import math
def by_sign(differences):
    ups, downs = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, m = int(ups + downs), int(max(ups, downs))
    return sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: can be above 1
import math
def by_sign(differences):
    ups, downs = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n, m = int(ups + downs), int(max(ups, downs))
    return 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: rounds the differences to two decimals first, so small ones become 0 and are left out
import math
def _tail(ups, downs):
    n, m = ups + downs, max(ups, downs)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n) if n else 1.0

def by_sign(differences):
    d = np.round(np.asarray(differences, float), 2)
    return _tail(int((d > 0).sum()), int((d < 0).sum()))

# %% exercise=4 tags=["right"]
# right: scipy's binomtest on signs
def by_sign(differences):
    from scipy.stats import binomtest
    signs = np.sign([float(d) for d in differences])
    return binomtest(int((signs > 0).sum()), int(np.abs(signs).sum())).pvalue if signs.any() else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: ranks of the sizes (Wilcoxon), not signs alone
def by_sign(differences):
    from scipy import stats
    d = np.asarray(differences, float)
    d = d[d != 0]
    return float(stats.wilcoxon(d).pvalue) if len(d) else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: differences of 0 count as not above 0
import math
def _tail(ups, downs):
    n, m = ups + downs, max(ups, downs)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2 ** n) if n else 1.0

def by_sign(differences):
    ups = sum(d > 0 for d in differences)
    return _tail(int(ups), len(differences) - int(ups))

# %% exercise=4 tags=["right"]
# right: SciPy's exact test
from scipy.stats import binomtest
def by_sign(differences):
    differences = np.asarray(differences)
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    return float(binomtest(up, up + down).pvalue) if up + down else 1.0

# %% exercise=4 tags=["right"]
# right: exact fractions, Pascal's triangle
from fractions import Fraction
def by_sign(differences):
    signs = [difference > 0 for difference in differences if difference != 0]
    row = [1]
    for _ in signs:
        row = [a + b for a, b in zip([0, *row], [*row, 0])]
    most = max(sum(signs), len(signs) - sum(signs))
    return min(1.0, float(Fraction(2 * sum(row[most:]), 2 ** len(signs))))

# %% exercise=4 tags=["right"]
# right: the coins' distribution by convolution
def by_sign(differences):
    signs = np.sign(differences)
    signs = signs[signs != 0]
    chance = np.ones(1)
    for _ in signs:
        chance = np.convolve(chance, [0.5, 0.5])
    away = np.abs(2 * np.arange(len(chance)) - len(signs))
    return float(min(1.0, chance[away >= abs(signs.sum()) - 1e-9].sum()))

# %% exercise=4 tags=["right"]
# right: the beta function behind SciPy's binomial tail
from scipy import stats
def by_sign(differences):
    n = np.count_nonzero(differences)
    if n == 0:
        return 1.0
    m = max(np.count_nonzero(np.asarray(differences) > 0), np.count_nonzero(np.asarray(differences) < 0))
    return min(1.0, 2 * float(stats.binom.sf(m - 1, n, 0.5)))

# %% exercise=4 tags=["wrong"]
# wrong: one side
def by_sign(differences):
    kept = [d for d in differences if d != 0]
    n = len(kept)
    m = max(sum(d > 0 for d in kept), sum(d < 0 for d in kept))
    return min(1.0, sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: powers of two in 64 bits, which end at 63 seeds
def by_sign(differences):
    kept = np.asarray([d for d in differences if d != 0])
    n = len(kept)
    if n == 0:
        return 1.0
    m = max((kept > 0).sum(), (kept < 0).sum())
    whole = np.int64(2) ** np.int64(n)
    return min(1.0, float(2 * sum(math.comb(n, i) for i in range(m, n + 1)) / whole))

# %% exercise=4 tags=["wrong"]
# wrong: above 1 when the signs are even
def by_sign(differences):
    kept = [d for d in differences if d != 0]
    n = len(kept)
    m = max(sum(d > 0 for d in kept), sum(d < 0 for d in kept))
    return 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: more seeds than found, not as many or more
def by_sign(differences):
    kept = [d for d in differences if d != 0]
    n = len(kept)
    m = max(sum(d > 0 for d in kept), sum(d < 0 for d in kept))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m + 1, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: zeros count as below 0
def by_sign(differences):
    n = len(differences)
    m = max(sum(d > 0 for d in differences), sum(d <= 0 for d in differences))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: only the differences above 0 are counted
def by_sign(differences):
    kept = [d for d in differences if d != 0]
    n, m = len(kept), sum(d > 0 for d in kept)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: the normal curve
def by_sign(differences):
    kept = np.asarray([d for d in differences if d != 0])
    if len(kept) == 0:
        return 1.0
    return math.erfc(abs(np.sign(kept).sum()) / math.sqrt(2 * len(kept)))

# %% exercise=4 tags=["wrong"]
# wrong: 0.0 when nothing is left
def by_sign(differences):
    kept = [d for d in differences if d != 0]
    n = len(kept)
    m = max(sum(d > 0 for d in kept), sum(d < 0 for d in kept))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 0.0

# %% exercise=4 tags=["wrong"]
# wrong: all signs to one side, whatever they are
def by_sign(differences):
    n = int(np.count_nonzero(differences))
    return min(1.0, 2 / 2**n)

# %% exercise=4 tags=["wrong"]
# wrong: the sizes count (Wilcoxon's ranks)
from scipy import stats
def by_sign(differences):
    kept = np.asarray([d for d in differences if d != 0])
    return float(stats.wilcoxon(kept).pvalue) if len(kept) else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: tossed and not counted
def by_sign(differences):
    signs = np.sign([d for d in differences if d != 0])
    tossed = np.random.default_rng(0).choice([-1, 1], (20_000, len(signs))).sum(1)
    return float((abs(tossed) >= abs(signs.sum())).mean()) if len(signs) else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: the zeros are taken out of the list that came in
def by_sign(differences):
    differences[np.asarray(differences) == 0] = np.nan
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    n, m = up + down, max(up, down)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: the chance of exactly as many
def by_sign(differences):
    ups, downs = (differences > 0).sum(), (differences < 0).sum()
    n = int(ups + downs)
    return min(1.0, 2 * math.comb(n, int(max(ups, downs))) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: half of the zeros count as above
def by_sign(differences):
    n, m = len(differences), int((differences > 0).sum() + (differences == 0).sum() // 2)
    m = max(m, n - m)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["right"]
# right: scipy's binomial law, early return
def by_sign(differences):
    from scipy.stats import binom

    left = [d for d in np.ravel(differences).tolist() if d]
    if not left:
        return 1.0
    fewer = min(sum(d > 0 for d in left), sum(d < 0 for d in left))
    return min(1.0, 2 * binom.cdf(fewer, len(left), 0.5))

# %% exercise=4 tags=["wrong"]
# wrong: two-sided by doubling even where both sides are equal, so a tie gives more than 1 cut to 1, and one seed gives 0.5
def by_sign(differences):
    left = [d for d in differences if d != 0]
    n, ups = len(left), sum(d > 0 for d in left)
    m = max(ups, n - ups)
    tail = sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n if n else 1.0
    return min(1.0, tail * (2 if n > 1 else 1))
