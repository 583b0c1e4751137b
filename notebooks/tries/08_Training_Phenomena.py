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
