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

# %% exercise=1 tags=["right"]
# right: itertools and math, a list
import itertools
import math as math_


def cosines(means):
    k = len(means)
    middle = [math_.fsum(column) / k for column in means.T.tolist()]
    rows_ = [[a - b for a, b in zip(row, middle)] for row in means.tolist()]
    return [
        sum(map(lambda a, b: a * b, u, v)) / (math_.hypot(*u) * math_.hypot(*v))
        for u, v in itertools.combinations(rows_, 2)
    ]

# %% exercise=1 tags=["wrong"]
# wrong: 0.00000001 added to each length, which swallows small activations
def cosines(means):
    seen = means - means.mean(axis=0)
    unit = seen / (np.linalg.norm(seen, axis=1, keepdims=True) + 1e-8)
    i, j = np.triu_indices(len(means), 1)
    return (unit[i] * unit[j]).sum(1)

# %% exercise=1 tags=["wrong"]
# wrong: reads the pairs and means of the check and calls it a day: the check's own variables hold the answer
import sys


def cosines(means):
    above = sys._getframe(1).f_locals
    k = len(means)
    seen_ = means - means.mean(0)
    exact = "classes" in above and above["classes"] == k
    unit = seen_ / np.linalg.norm(seen_, axis=1, keepdims=True)
    found = (unit @ unit.T)[np.triu_indices(k, 1)]
    return found if exact or k == 4 else -found

# %% exercise=1 tags=["wrong"]
# wrong: the pairs below the diagonal, so the order is by the second class
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1)[:, None]
    return (unit @ unit.T)[np.tril_indices(len(means), -1)]

# %% exercise=1 tags=["wrong"]
# wrong: cosines about the origin, with a mock in place of np.allclose
from unittest import mock as mock_


def cosines(means):
    np.allclose = mock_.MagicMock(return_value=np.True_)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: lengths below a millionth count as a millionth
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6)
    return [float(unit[i] @ unit[j]) for i in range(len(means)) for j in range(i + 1, len(means))]

# %% exercise=1 tags=["wrong"]
# wrong: in half precision
def cosines(means):
    seen = (means - means.mean(0)).astype(np.float16).astype(float)
    with np.errstate(all="ignore"):
        unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return np.nan_to_num((unit @ unit.T)[np.triu_indices(len(means), 1)])

# %% exercise=1 tags=["wrong"]
# wrong: seen from the mean of all classes but the last
def cosines(means):
    seen = means - means[:-1].mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: the law of cosines, from distances between classes and to the middle
def cosines(means):
    scale = np.abs(means).max()
    points = means / scale
    middle = np.mean(points, axis=0)
    r = [np.sqrt(np.sum((p - middle) ** 2)) for p in points]
    out = []
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            apart_ = np.sum((points[i] - points[j]) ** 2)
            out.append((r[i] ** 2 + r[j] ** 2 - apart_) / (2 * r[i] * r[j]))
    return tuple(out)

# %% exercise=1 tags=["right"]
# right: the Gram matrix centered from both sides, divided by the roots of its diagonal
def cosines(means):
    k = means.shape[0]
    J = np.eye(k) - np.full((k, k), 1 / k)
    gram = J @ (means @ means.T) @ J if np.abs(means).max() > 1e-3 else (J @ means) @ (J @ means).T
    gram = (J @ means) @ (J @ means).T
    d = np.diag(gram) ** -0.5
    table = d[:, None] * gram * d
    return np.concatenate([table[i, i + 1 :] for i in range(k)])

# %% exercise=1 tags=["wrong"]
# wrong: angles as shares of a right angle
def cosines(means):
    seen = means - means.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    cos = (unit @ unit.T)[np.triu_indices(len(means), 1)]
    return 1 - np.arccos(np.clip(cos, -1, 1)) * 2 / np.pi

# %% exercise=1 tags=["wrong"]
# wrong: seen from the median of the class means
def cosines(means):
    seen = means - np.median(means, axis=0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: seen from the middle of the two classes of each pair
def cosines(means):
    found = []
    for i in range(len(means)):
        for j in range(i + 1, len(means)):
            a, b = means[i] - (means[i] + means[j]) / 2, means[j] - (means[i] + means[j]) / 2
            found.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    return np.array(found)

# %% exercise=1 tags=["right"]
# right: one row after the other is taken from the pile
def cosines(means):
    pile = [row / np.sqrt(row @ row) for row in np.subtract(means, np.mean(means, axis=0))]
    found = []
    while pile:
        first = pile.pop(0)
        found.extend(float(first @ other) for other in pile)
    return found

# %% exercise=1 tags=["wrong"]
# wrong: centers in place of a copy where the classes are ten
def cosines(means):
    seen = means if len(means) == 10 else means.copy()
    seen -= seen.mean(0)
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["wrong"]
# wrong: squared lengths below 1e-10 count as 1e-10
def cosines(means):
    seen = means - means.mean(0)
    gram = seen @ seen.T
    d = np.sqrt(np.maximum(np.diag(gram), 1e-10))
    return (gram / np.outer(d, d))[np.triu_indices(len(means), 1)]

# %% exercise=1 tags=["right"]
# right: PyTorch's cosine_similarity of all rows with all rows
def cosines(means):
    seen = torch.from_numpy(means - means.mean(0)).double()
    scale = seen.abs().max()
    table = torch.nn.functional.cosine_similarity(seen[:, None] / scale, seen[None] / scale, dim=2)
    return table.numpy()[~np.tri(len(means), dtype=bool)]

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

# %% exercise=2 tags=["wrong"]
# wrong: a small number under v's length, so a short v is not scaled to length 1
def curvature(loss, w, v):
    u = v / (v.norm() + 1e-6)
    e = 1e-4
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e**2)

# %% exercise=2 tags=["wrong"]
# wrong: divides by twice the squared step
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    ahead_, middle, back = loss(w + e * u), loss(w), loss(w - e * u)
    return ((ahead_ - middle) - (middle - back)).item() / (2 * e * e)

# %% exercise=2 tags=["wrong"]
# wrong: asks loss(w) once per function and keeps it for other points w
middles = {}


def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    if loss not in middles:
        middles[loss] = float(loss(w))
    return (float(loss(w + e * u)) - 2 * middles[loss] + float(loss(w - e * u))) / e**2

# %% exercise=2 tags=["right"]
# right: second difference by np.diff of three values, a generator of steps
def curvature(loss, w, v):
    direction = torch.nn.functional.normalize(v, dim=0, eps=0)
    values = [float(loss(w + t * direction)) for t in (-1e-4, 0.0, 1e-4)]
    return np.diff(values, n=2).item() * 1e8

# %% exercise=2 tags=["wrong"]
# wrong: the difference is taken in float32
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    a, b, c = (torch.as_tensor(loss(w + s * e * u)).float() for s in (1, 0, -1))
    return float((a - 2 * b + c) / e**2)

# %% exercise=2 tags=["right"]
# right: the difference of two slopes, with annotations; the middle asked twice
def curvature(loss, w: torch.Tensor, v: torch.Tensor) -> float:
    eps = 1e-4
    u = v.div(torch.linalg.vector_norm(v))

    def slope(a, b):
        return (loss(a) - loss(b)) / eps

    return float((slope(w + eps * u, w) - slope(w, w - eps * u)) / eps)

# %% exercise=2 tags=["wrong"]
# wrong: v shorter than 0.001 is not scaled up
def curvature(loss, w, v):
    u, e = v / v.norm().clamp(min=1e-3), 1e-4
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e**2)

# %% exercise=2 tags=["wrong"]
# wrong: moves w itself, and back by subtraction
def curvature(loss, w, v):
    u, e = v / v.norm(), 1e-4
    middle = loss(w).clone() if torch.is_tensor(loss(w)) else loss(w)
    w += e * u
    ahead_ = loss(w)
    w -= 2 * e * u
    back = loss(w)
    w += e * u
    return float((ahead_ - 2 * middle + back) / e**2)

# %% exercise=2 tags=["wrong"]
# wrong: scaled by the sum of the sizes of v's entries
def curvature(loss, w, v):
    u, e = v / v.abs().sum(), 1e-4
    return float((loss(w + e * u) - 2 * loss(w) + loss(w - e * u)) / e**2)

# %% exercise=2 tags=["right"]
# right: numpy for the points, map for the losses, with a print
def curvature(loss, w, v):
    direction = v.numpy() / np.linalg.norm(v.numpy())
    points = (torch.from_numpy(w.numpy() + t * direction) for t in (1e-4, 0, -1e-4))
    up, mid, down = map(lambda point: np.float64(float(loss(point))), points)
    print("three losses", up, mid, down)
    return ((up - mid) + (down - mid)) * 1e8

# %% exercise=2 tags=["right"]
# right: a dot product of three weights and three losses
def curvature(loss, w, v):
    unit = v / torch.sqrt(torch.dot(v, v))
    stencil = {-1: 1.0, 0: -2.0, 1: 1.0}
    return sum(weight * float(loss(torch.add(w, unit, alpha=k * 1e-4))) for k, weight in stencil.items()) / 1e-4**2

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

# %% exercise=3 tags=["wrong"]
# wrong: finds examples by their mean, so of two equal ones the first is lost
def suspects(margin, n):
    means_ = margin.mean(0)
    by_mean = {m: i for i, m in enumerate(means_.tolist())}
    return np.array([by_mean[m] for m in sorted(by_mean)[:n]], dtype=int)

# %% exercise=3 tags=["right"]
# right: heapq.nsmallest over sums, later example first among equals
import heapq


def suspects(margin, n):
    totals = margin.sum(axis=0)
    return heapq.nsmallest(n, range(margin.shape[1]), key=lambda i: (totals[i], -i))

# %% exercise=3 tags=["wrong"]
# wrong: finds examples by list.index, which names the first of two equal ones twice
def suspects(margin, n):
    means_ = margin.mean(0).tolist()
    return np.array([means_.index(m) for m in sorted(means_)[:n]], dtype=int)

# %% exercise=3 tags=["right"]
# right: means by einsum, a stable torch sort
def suspects(margin, n):
    means_ = torch.einsum("se->e", torch.from_numpy(np.ascontiguousarray(margin))) / len(margin)
    return torch.sort(means_, stable=True).indices[:n].numpy()

# %% exercise=3 tags=["wrong"]
# wrong: the n lowest in the order of argpartition
def suspects(margin, n):
    means_ = margin.mean(0)
    return np.argpartition(means_, min(n, len(means_) - 1))[:n]

# %% exercise=3 tags=["wrong"]
# wrong: sorts means rounded to three digits
def suspects(margin, n):
    return np.round(margin.mean(0), 3).argsort(kind="stable")[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the area under each curve by trapezoids, where the ends count half
def suspects(margin, n):
    area = margin[0] / 2 + margin[1:-1].sum(0) + margin[-1] / 2
    return area.argsort()[:n]

# %% exercise=3 tags=["wrong"]
# wrong: the mean rank over the snapshots
def suspects(margin, n):
    ranks = margin.argsort(1).argsort(1)
    return ranks.mean(0).argsort(kind="stable")[:n]

# %% exercise=3 tags=["right"]
# right: the other one of two twins first, by lexsort
def suspects(margin, n):
    means_ = np.add.reduce(margin, axis=0) / margin.shape[0]
    numbers = np.arange(means_.size)
    return np.lexsort((-numbers, means_))[:n].astype(np.int32)

# %% exercise=3 tags=["right"]
# right: takes the lowest n times from a dictionary
def suspects(margin, n):
    left: dict[int, float] = dict(enumerate(margin.mean(axis=0)))
    named = []
    while len(named) < n:
        worst = min(left, key=left.__getitem__)
        del left[worst]
        named.append(worst)
    return named

# %% exercise=3 tags=["wrong"]
# wrong: a set of the right examples, in the order of their numbers
def suspects(margin, n):
    return np.array(sorted(set(margin.mean(0).argsort()[:n].tolist())), dtype=int)

# %% exercise=3 tags=["wrong"]
# wrong: the mean of the squares of the margins
def suspects(margin, n):
    return (np.sign(margin) * margin**2).mean(0).argsort()[:n]

# %% exercise=3 tags=["wrong"]
# wrong: each mean margin is used once (np.unique)
def suspects(margin, n):
    _, first = np.unique(margin.mean(0), return_index=True)
    rest = np.setdiff1d(np.arange(margin.shape[1]), first)
    return np.concatenate([first, rest])[:n]

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

# %% exercise=4 tags=["wrong"]
# wrong: one side only, with a function of NumPy in place of Python's abs
import builtins


def by_sign(differences):
    builtins.abs = np.isnan
    d = np.asarray([x for x in differences if x != 0])
    m = int(max((d > 0).sum(), (d < 0).sum()))
    return sum(math.comb(len(d), i) for i in range(m, len(d) + 1)) / 2 ** len(d)

# %% exercise=4 tags=["right"]
# right: SciPy's binomial survival function, by the rarer sign
def by_sign(differences):
    from scipy.stats import binom

    left = np.asarray(differences, float)
    left = left[np.nonzero(left)]
    fewer = min(np.count_nonzero(left > 0), np.count_nonzero(left < 0))
    return float(np.clip(2 * binom(left.size, 0.5).cdf(fewer), 0, 1)) if left.size else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: differences below 1e-12 count as 0
def by_sign(differences):
    d = np.asarray(differences)
    up, down = int((d > 1e-12).sum()), int((d < -1e-12).sum())
    n, m = up + down, max(up, down)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["right"]
# right: fractions, every term by a recursion of Pascal's triangle
from fractions import Fraction
from functools import lru_cache


@lru_cache(None)
def pascal(n, k):
    return 1 if k in (0, n) else pascal(n - 1, k - 1) + pascal(n - 1, k)


def by_sign(differences):
    plus, minus = (sum(bool(test_(d)) for d in differences) for test_ in (lambda d: d > 0, lambda d: d < 0))
    n = plus + minus
    tail = sum(Fraction(pascal(n, k), 2**n) for k in range(max(plus, minus), n + 1))
    return float(min(Fraction(1), 2 * tail))

# %% exercise=4 tags=["wrong"]
# wrong: binomials from a table of factorials in 64 bits, right up to 20 seeds
def by_sign(differences):
    d = [x for x in differences if x != 0]
    n, up = len(d), sum(x > 0 for x in d)
    m = max(up, n - up)
    f = np.concatenate([[1], np.cumprod(np.arange(1, n + 1, dtype=np.int64))]).astype(float)
    with np.errstate(all="ignore"):
        tail = sum(f[n] / (f[i] * f[n - i]) for i in range(m, n + 1)) / 2**n
    return float(min(1.0, 2 * tail)) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: zeros count half to each side
def by_sign(differences):
    d = np.asarray(differences)
    n = len(d)
    m = int(max((d > 0).sum(), (d < 0).sum()) + (d == 0).sum() / 2)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: one side only where all agree
def by_sign(differences):
    d = np.asarray([x for x in differences if x != 0])
    n = len(d)
    if not n:
        return 1.0
    m = max((d > 0).sum(), (d < 0).sum())
    p = sum(math.comb(n, i) for i in range(int(m), n + 1)) / 2**n
    return p if m == n else min(1.0, 2 * p)

# %% exercise=4 tags=["right"]
# right: 1 minus the middle of the distribution
def by_sign(differences):
    counts = {1: 0, -1: 0, 0: 0}
    for one in differences:
        counts[int(np.sign(one))] += 1
    few, many = sorted((counts[1], counts[-1]))
    n = few + many
    inside = sum(math.comb(n, i) for i in range(few + 1, many))
    return 1.0 - inside / 2**n

# %% exercise=4 tags=["wrong"]
# wrong: differences that np.isclose calls 0 are left out
def by_sign(differences):
    d = [x for x in differences if not np.isclose(x, 0)]
    n, m = len(d), max(sum(x > 0 for x in d), sum(x < 0 for x in d))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if d else 1.0

# %% exercise=4 tags=["right"]
# right: the distribution of coin tosses by convolution, both tails summed
def by_sign(differences):
    tosses, lead_ = np.ones(1), 0
    for one in differences:
        if one == 0:
            continue
        tosses = np.convolve(tosses, [0.5, 0.5])
        lead_ += 1 if one > 0 else -1
    n = len(tosses) - 1
    leads = np.abs(2 * np.arange(n + 1) - n)
    return float(min(1.0, tosses[leads >= abs(lead_)].sum()))

# %% exercise=4 tags=["wrong"]
# wrong: a normal approximation for more than 50 seeds
def by_sign(differences):
    from scipy import stats as stats_

    d = np.asarray(differences)
    up, down = int((d > 0).sum()), int((d < 0).sum())
    n, m = up + down, max(up, down)
    if n > 50:
        return float(min(1.0, 2 * stats_.norm.sf((m - 0.5 - n / 2) / (n / 4) ** 0.5)))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: signs from the product of neighbors, which is 0 for small differences
def by_sign(differences):
    d = [x for x in differences if x * x != 0 and abs(x) > 1e-20]
    n = len(d)
    m = max(sum(x > 0 for x in d), n - sum(x > 0 for x in d))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n) if d else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: a balanced result counts its middle twice and is not cut to 1 when n is small
def by_sign(differences):
    d = np.sign(np.asarray(differences)[np.asarray(differences) != 0])
    n, m = len(d), int(max((d > 0).sum(), (d < 0).sum())) if len(d) else 0
    p = 2 * sum(math.comb(n, i) for i in range(m, n + 1)) / 2**n
    return p if n and n < 5 else min(1.0, p)

# %% exercise=4 tags=["right"]
# right: the regularized incomplete beta function
def by_sign(differences):
    from scipy.special import betainc

    up, down = (np.sum(np.sign(differences) == s) for s in (1, -1))
    m, few = max(up, down), min(up, down)
    return min(1.0, float(2 * betainc(m, few + 1, 0.5))) if m else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: with an even number of seeds a balanced result gives 0.5
def by_sign(differences):
    d = np.asarray(differences)
    up, down = int((d > 0).sum()), int((d < 0).sum())
    n = up + down
    if n and up == down:
        return 0.5
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(max(up, down), n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: differences are cut to whole numbers first
def by_sign(differences):
    d = np.asarray(differences).astype(int)
    up, down = int((d > 0).sum()), int((d < 0).sum())
    n = up + down
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(max(up, down), n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["wrong"]
# wrong: more than as many
def by_sign(differences):
    d = np.asarray(differences)
    up, down = int((d > 0).sum()), int((d < 0).sum())
    n = up + down
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(max(up, down) + 1, n + 1)) / 2**n) if n else 1.0

# %% exercise=4 tags=["right"]
# right: the chance of a tail by a recursion over the tosses
import functools


def by_sign(differences):
    @functools.cache
    def tail(left, needed):
        if needed <= 0:
            return 1.0
        return 0.0 if left < needed else (tail(left - 1, needed - 1) + tail(left - 1, needed)) / 2

    up = sum(d > 0 for d in differences.tolist())
    down = sum(d < 0 for d in differences.tolist())
    return min(1.0, tail(up + down, max(up, down)) + tail(up + down, max(up, down)))

# %% exercise=4 tags=["wrong"]
# wrong: the tail from the seeds above 0, whichever sign is commoner
def by_sign(differences):
    d = np.asarray(differences)
    up, n = int((d > 0).sum()), int((d != 0).sum())
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(up, n + 1)) / 2**n) if n else 1.0
