# %% exercise=1 tags=["wrong"]
# wrong: sums of absolute differences
def purity(x, labels, k):
    d = np.abs(x[:, None] - x[None]).sum(-1)
    np.fill_diagonal(d, np.inf)
    return float((labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: only the first 30 points are asked
def purity(x, labels, k):
    d = ((x[:30, None] - x[None]) ** 2).sum(-1)
    d[np.arange(len(d)), np.arange(len(d))] = np.inf
    return float((labels[np.argsort(d, axis=1)[:, :k]] == labels[:30, None]).mean())

# %% exercise=1 tags=["right"]
# right: plain loops with heapq and math.dist
import heapq
import math


def purity(x, labels, k):
    points, right = x.tolist(), 0
    for i, p in enumerate(points):
        near = heapq.nsmallest(k, (j for j in range(len(points)) if j != i), key=lambda j: math.dist(p, points[j]))
        right += sum(labels[i] == labels[j] for j in near)
    return right / (k * len(points))

# %% exercise=1 tags=["wrong"]
# wrong: the point itself is one of its neighbors
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    return float((labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: averages over classes and not over points
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    own = (labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean(1)
    return float(np.mean([own[labels == c].mean() for c in np.unique(labels)]))

# %% exercise=1 tags=["wrong"]
# wrong: share of points whose neighbors agree by majority
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    return float(((labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean(1) > 0.5).mean())

# %% exercise=1 tags=["wrong"]
# wrong: squared distances are rounded to one decimal, so near ones tie
def purity(x, labels, k):
    d = np.round(((x[:, None] - x[None]) ** 2).sum(-1), 1)
    np.fill_diagonal(d, np.inf)
    return float((labels[np.argsort(d, axis=1, kind="stable")[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: leaves out the nearest instead of the point itself: with two equal points, the twin goes and the point stays
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    order = np.argsort(d, axis=1)[:, 1 : k + 1]
    return float((labels[order] == labels[:, None]).mean())

# %% exercise=1 tags=["right"]
# right: scikit-learn's neighbors, asked without points, which leaves each point out by its number
from sklearn.neighbors import NearestNeighbors


def purity(x, labels, k):
    near = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    return np.equal(np.asarray(labels)[near], np.asarray(labels)[:, None]).mean()

# %% exercise=1 tags=["wrong"]
# wrong: leaves out the first of the order, which may be a twin
def purity(x, labels, k):
    shares = []
    for i in range(len(x)):
        distance = ((x - x[i]) ** 2).sum(1)
        order = np.argsort(distance)
        nearest = order[1 : k + 1]
        shares.append((labels[nearest] == labels[i]).mean())
    return np.mean(shares)

# %% exercise=1 tags=["wrong"]
# wrong: always ten neighbors
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1).astype(float)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :10]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: a vote of the neighbors, and whether it is right
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1).astype(float)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    # majority vote: kNN accuracy
    return float(np.mean([np.bincount(labels[n]).argmax() == l for n, l in zip(near, labels)]))

# %% exercise=1 tags=["wrong"]
# wrong: distance by angle
def purity(x, labels, k):
    # cosine
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    d = 1 - u @ u.T
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: scales each unit to spread 1 first
def purity(x, labels, k):
    x = (x - x.mean(0)) / x.std(0)
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    return float((labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: only the first three units count
def purity(x, labels, k):
    d = (x[:, None, 0] - x[None, :, 0]) ** 2 + (x[:, None, 1] - x[None, :, 1]) ** 2 + (x[:, None, 2] - x[None, :, 2]) ** 2
    np.fill_diagonal(d, np.inf)
    return float((labels[np.argsort(d, axis=1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["right"]
# right: torch.cdist and topk
def purity(x, labels, k, largest=False):
    d = torch.cdist(torch.from_numpy(x), torch.from_numpy(x), compute_mode="donot_use_mm_for_euclid_dist")
    d.fill_diagonal_(torch.inf)
    y = torch.as_tensor(labels)
    return (y[d.topk(k, largest=largest).indices] == y[:, None]).double().mean().item()

# %% exercise=1 tags=["wrong"]
# wrong: takes every distance of 0 for the point itself, so twins are no neighbors
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    d[d == 0] = np.inf
    order = np.argsort(d, axis=1)[:, :k]
    return float((labels[order] == labels[:, None]).mean())

# %% exercise=1 tags=["right"]
# right: scipy's cdist, with the diagonal at infinity
def purity(x, labels, k):
    from scipy.spatial.distance import cdist

    d = cdist(x, x)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1, kind="stable")[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["right"]
# right: point by point, with sorted
def purity(x, labels, k):
    total = 0.0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        others.sort(key=lambda j: float(((x[i] - x[j]) ** 2).sum()))
        total += sum(labels[j] == labels[i] for j in others[:k]) / k
    return total / len(x)

# %% exercise=1 tags=["right"]
# right: scikit-learn, which leaves the point out by itself
def purity(x, labels, k):
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    return np.mean(np.asarray(labels)[near] == np.asarray(labels)[:, None])

# %% exercise=1 tags=["right"]
# right: torch.cdist and topk
def purity(x, labels, k):
    points = torch.as_tensor(np.array(x, dtype=np.float64))
    d = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    d.fill_diagonal_(torch.inf)
    near = d.topk(k, largest=False).indices.numpy()
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: distances along the axes
def purity(x, labels, k):
    d = np.abs(x[:, None] - x[None]).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: angles instead of distances
def purity(x, labels, k):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    d = 1 - unit @ unit.T
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: each unit is standardized first
def purity(x, labels, k):
    x = (x - x.mean(0)) / (x.std(0) + 1e-12)
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: each label counts alike, however many points it has
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    share = (labels[near] == labels[:, None]).mean(1)
    return float(np.mean([share[labels == one].mean() for one in np.unique(labels)]))

# %% exercise=1 tags=["wrong"]
# wrong: the share of points whose neighbors mostly agree
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float(((labels[near] == labels[:, None]).mean(1) > 0.5).mean())

# %% exercise=1 tags=["wrong"]
# wrong: centers the caller's array in place
def purity(x, labels, k):
    x -= x.mean(0)
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: points at the same place are merged first
def purity(x, labels, k):
    x, first = np.unique(x, axis=0, return_index=True)
    labels = labels[first]
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: only neighbors that are neighbors of each other
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = np.zeros(d.shape, dtype=bool)
    np.put_along_axis(near, d.argsort(1)[:, :k], True, 1)
    near &= near.T
    return float((labels[:, None] == labels[None])[near].mean()) if near.any() else 0.0

# %% exercise=1 tags=["wrong"]
# wrong: distances to two decimals
def purity(x, labels, k):
    d = np.round(np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)), 2)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: half precision
def purity(x, labels, k):
    x = x.astype(np.float16)
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: k neighbors, the point itself among them
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, -1)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: divides by k + 1
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).sum() / (len(x) * (k + 1)))

# %% exercise=1 tags=["wrong"]
# wrong: remembers the neighbors for a shape
_near = {}


def purity(x, labels, k):
    if (x.shape, k) not in _near:
        d = ((x[:, None] - x[None]) ** 2).sum(-1)
        np.fill_diagonal(d, np.inf)
        _near[x.shape, k] = d.argsort(1)[:, :k]
    return float((labels[_near[x.shape, k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: neighbors by the largest dot product
def purity(x, labels, k):
    close = x @ x.T
    np.fill_diagonal(close, -np.inf)
    near = np.argsort(-close, 1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: the share of points whose neighbors are all of their label
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).all(1).mean())

# %% exercise=1 tags=["wrong"]
# wrong: the mean of the classes' purities, so that rare classes count as much
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    same = (labels[d.argsort(1)[:, :k]] == labels[:, None]).mean(1)
    return float(np.mean([same[labels == label].mean() for label in np.unique(labels)]))

# %% exercise=1 tags=["right"]
# right: a point at a time, with a partial sort
def purity(x, labels, k):
    hits = 0
    for i in range(len(x)):
        rest = np.delete(np.arange(len(x)), i)
        away = np.linalg.norm(x[rest] - x[i], axis=1)
        hits += np.count_nonzero(labels[rest[np.argpartition(away, k - 1)[:k]]] == labels[i])
    return hits / (k * len(x))

# %% exercise=2 tags=["wrong"]
# wrong: takes absolute activations, right for activations of a ReLU only
def as_detector(activation, labels, digit, threshold):
    alarm = np.abs(activation) > threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: recall over all images
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else np.nan), hits / len(labels)

# %% exercise=2 tags=["wrong"]
# wrong: at least the threshold
def as_detector(activation, labels, digit, threshold):
    alarm = activation >= threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: recall is NaN too without an alarm
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    if not alarm.any():
        return np.nan, np.nan
    hits = (alarm & (labels == digit)).sum()
    return hits / alarm.sum(), hits / (labels == digit).sum()

# %% exercise=2 tags=["right"]
# right: means of booleans; the mean of nothing is NaN (numpy warns), a list comes back
def as_detector(activation, labels, digit, threshold):
    is_digit, alarm = labels == digit, activation > threshold
    return [is_digit[alarm].mean(), alarm[is_digit].mean()]

# %% exercise=2 tags=["wrong"]
# wrong: precision is NaN also when there are alarms but none is right (it is 0 then)
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if hits else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: None instead of NaN without an alarm
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else None), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: turns the given activations into 0 and 1
def as_detector(activation, labels, digit, threshold):
    activation[:] = activation > threshold
    hits = (activation * (labels == digit)).sum()
    return (hits / activation.sum() if activation.any() else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: activations and threshold are rounded to one decimal first
def as_detector(activation, labels, digit, threshold):
    alarm = np.round(activation, 1) > round(threshold, 1)
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["right"]
# right: sets of image numbers, Fractions
from fractions import Fraction


def as_detector(activation, labels, digit, threshold):
    alarms = {i for i, a in enumerate(activation) if a > threshold}
    shown = {i for i, label in enumerate(labels) if label == digit}
    both = len(alarms & shown)
    return (Fraction(both, len(alarms)) if alarms else float("nan"), Fraction(both, len(shown)))

# %% exercise=2 tags=["right"]
# right: scikit-learn's precision with its answer for no alarm, in a named tuple
from collections import namedtuple
from sklearn.metrics import precision_score, recall_score

Both = namedtuple("Both", "precision recall")


def as_detector(activation, labels, digit, threshold):
    true, said = labels == digit, activation > threshold
    return Both(precision_score(true, said, zero_division=np.nan), recall_score(true, said))

# %% exercise=2 tags=["right"]
# right: counts true and false positives and false negatives
def as_detector(activation, labels, digit, threshold):
    tp = fp = fn = 0
    for value, label in zip(activation, labels):
        if value > threshold and label == digit:
            tp += 1
        elif value > threshold:
            fp += 1
        elif label == digit:
            fn += 1
    return (tp / (tp + fp) if tp + fp else float("nan"), tp / (tp + fn))

# %% exercise=2 tags=["right"]
# right: torch, where 0 / 0 is NaN
def as_detector(activation, labels, digit, threshold):
    a = torch.as_tensor(np.asarray(activation)); l = torch.as_tensor(np.asarray(labels))
    alarm, true = a > threshold, l == digit
    hits = (alarm & true).sum()
    return [hits / alarm.sum(), hits / true.sum()]   # 0/0 is NaN in torch

# %% exercise=2 tags=["wrong"]
# wrong: the threshold is always 0
def as_detector(activation, labels, digit, threshold):
    alarm = activation > 0
    r = (alarm & (labels == digit)).sum()
    return (r / alarm.sum() if alarm.any() else np.nan), r / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: recall first
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    hits = (alarm & (labels == digit)).sum()
    return hits / (labels == digit).sum(), (hits / alarm.sum() if alarm.any() else np.nan)

# %% exercise=2 tags=["wrong"]
# wrong: cuts activations to whole numbers before comparing, so 1.7 is not above 1.5
def as_detector(activation, labels, digit, threshold):
    alarm = activation.astype(int) > threshold
    hits = (alarm & (labels == digit)).sum()
    return (hits / alarm.sum() if alarm.any() else np.nan), hits / (labels == digit).sum()

# %% exercise=2 tags=["wrong"]
# wrong: 0 instead of NaN without an alarm
def as_detector(activation, labels, digit, threshold):
    alarm = activation > threshold
    hits = (alarm & (labels == digit)).sum()
    return hits / max(alarm.sum(), 1), hits / (labels == digit).sum()

# %% exercise=2 tags=["right"]
# right: the four cells of the confusion matrix
def as_detector(activation, labels, digit, threshold):
    hit = false = missed = 0
    for value, label in zip(activation, labels):
        alarm, is_digit = value > threshold, label == digit
        hit += bool(alarm and is_digit)
        false += bool(alarm and not is_digit)
        missed += bool(is_digit and not alarm)
    return (hit / (hit + false) if hit + false else float("nan")), hit / (hit + missed)

# %% exercise=2 tags=["right"]
# right: scikit-learn
def as_detector(activation, labels, digit, threshold):
    from sklearn.metrics import precision_score, recall_score

    alarm, true = np.asarray(activation) > threshold, np.asarray(labels) == digit
    return precision_score(true, alarm, zero_division=np.nan), recall_score(true, alarm)

# %% exercise=2 tags=["right"]
# right: sets of image numbers, in a list
def as_detector(activation, labels, digit, threshold):
    alarms = {*np.flatnonzero(np.asarray(activation) > threshold)}
    right = {*np.flatnonzero(np.asarray(labels) == digit)}
    both = len(alarms & right)
    return [both / len(alarms) if alarms else np.nan, both / len(right)]

# %% exercise=2 tags=["wrong"]
# wrong: sets of activations, in which equal ones count once
def as_detector(activation, labels, digit, threshold):
    alarms = {float(v) for v in activation[activation > threshold]}
    right = {float(v) for v in activation[(activation > threshold) & (labels == digit)]}
    n = len({float(v) for v in activation[labels == digit]})
    return (len(right) / len(alarms) if alarms else np.nan), len(right) / n

# %% exercise=2 tags=["right"]
# right: a table of ten digits
def as_detector(activation, labels, digit, threshold):
    true = np.eye(10, dtype=bool)[np.clip(labels, 0, 9)][:, min(digit, 9)]
    alarm = activation > threshold
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: at the threshold counts as above it
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation >= threshold, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: recall first
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return (alarm & true).sum() / true.sum(), ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan)

# %% exercise=2 tags=["wrong"]
# wrong: the share of other images that raise an alarm
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & ~true).sum() / (~true).sum()

# %% exercise=2 tags=["wrong"]
# wrong: NaN for both where there is no alarm
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    if not alarm.any():
        return np.nan, np.nan
    return (alarm & true).sum() / alarm.sum(), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: precision 1 where there is no alarm
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else 1.0), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["right"]
# right: a millionth in both denominators, where there is an alarm
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    precision = (alarm & true).sum() / (alarm.sum() + 1e-6) if alarm.any() else np.nan
    return precision, (alarm & true).sum() / (true.sum() + 1e-6)

# %% exercise=2 tags=["wrong"]
# wrong: sets weak activations to 0 in the array that was given
def as_detector(activation, labels, digit, threshold):
    activation[activation <= threshold] = 0
    alarm, true = activation != 0, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: a threshold in standard deviations
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > activation.mean() + threshold * activation.std(), labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: shares to three decimals
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return (round((alarm & true).sum() / alarm.sum(), 3) if alarm.any() else np.nan), round((alarm & true).sum() / true.sum(), 3)

# %% exercise=2 tags=["wrong"]
# wrong: a dictionary, of which the names come back when it is taken apart
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return {"precision": (alarm & true).sum() / alarm.sum() if alarm.any() else np.nan, "recall": (alarm & true).sum() / true.sum()}

# %% exercise=2 tags=["wrong"]
# wrong: remembers which images show a digit, by the number of images
_true = {}


def as_detector(activation, labels, digit, threshold):
    true = _true.setdefault((digit, len(labels)), labels == digit)
    alarm = activation > threshold
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: accuracy in place of precision
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return float((alarm == true).mean()), float((alarm & true).sum() / true.sum())

# %% exercise=2 tags=["wrong"]
# wrong: alarms below the threshold as well, by absolute value
def as_detector(activation, labels, digit, threshold):
    alarm, true = abs(activation) > threshold, labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()

# %% exercise=2 tags=["right"]
# right: early return, means of masked arrays
def as_detector(activation, labels, digit, threshold):
    recall = np.mean(activation[labels == digit] > threshold)
    if not np.any(activation > threshold):
        return float("nan"), recall
    return np.mean(labels[activation > threshold] == digit), recall

# %% exercise=3 tags=["wrong"]
# wrong: the strongest correlation, whatever its sign
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return np.abs(A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: draws images of b with replacement instead of putting them in random order
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).integers(len(b), size=len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: best_match is never below 0, also where all of a unit's correlations are negative
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return np.maximum(0, (A.T @ B / len(a)).max(1))


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: shuffles each unit of b by itself
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permuted(b, axis=0))

# %% exercise=3 tags=["right"]
# right: np.corrcoef of everything, NaN to 0; Python's random for the order
import random


def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :]
    return np.nan_to_num(r, nan=0.0).max(axis=1)


def by_chance(a, b, seed):
    order = list(range(len(b)))
    random.Random(seed).shuffle(order)
    return best_match(a, b[order])

# %% exercise=3 tags=["wrong"]
# wrong: a unit of a that never changes gives NaN (only b's are looked after)
def best_match(a, b):
    A, B = (a - a.mean(0)) / a.std(0), b - b.mean(0)
    B = B / np.where(B.std(0) > 0, B.std(0), 1)
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: units of b that never change are left out, so a unit with only negative correlations comes out below 0
def best_match(a, b):
    b = b[:, b.std(0) > 0]
    A, B = (a - a.mean(0)) / a.std(0), (b - b.mean(0)) / b.std(0)
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: one number for each unit of b
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(0)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: the seed counts only as even or odd
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed % 2).permutation(len(b))])

# %% exercise=3 tags=["right"]
# right: legacy numpy generator, seeded; the order by argsort of noise; nan-safe by errstate
def best_match(a, b):
    with np.errstate(invalid="ignore", divide="ignore"):
        z = [np.nan_to_num((m - m.mean(0)) / m.std(0)) for m in (np.asarray(a), np.asarray(b))]
    return np.einsum("eu,ev->uv", *z).max(1) / len(a)


def by_chance(a, b, seed):
    return best_match(a, np.take(b, np.argsort(np.random.RandomState(seed).rand(len(b))), axis=0))

# %% exercise=3 tags=["right"]
# right: loops over pairs; a's images are put in the inverse order, which is the same pairing
import math


def _r(x, y):
    x, y = [v - sum(x) / len(x) for v in x], [v - sum(y) / len(y) for v in y]
    size = math.sqrt(sum(v * v for v in x) * sum(v * v for v in y))
    return sum(map(lambda v, w: v * w, x, y)) / size if size > 1e-12 else 0.0


def best_match(a, b):
    return [max(_r(x, y) for y in b.T.tolist()) for x in a.T.tolist()]


def by_chance(a, b, seed):
    order = np.random.default_rng(seed).permutation(len(b))
    return best_match(a[np.argsort(order)], b)

# %% exercise=3 tags=["wrong"]
# wrong: the mean over 20 random orders instead of one
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    rng = np.random.default_rng(seed)
    return np.mean([best_match(a, rng.permutation(b)) for _ in range(20)], axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: ignores the seed
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: each unit of b may be taken once only (assignment)
from scipy.optimize import linear_sum_assignment


def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    r = A.T @ B / len(a)
    out = np.zeros(len(r))
    i, j = linear_sum_assignment(-r)
    out[i] = r[i, j]
    return out


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).permutation(len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: moves all images by one random number of places, which is no random order (neighbors stay neighbors)
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.roll(b, np.random.default_rng(seed).integers(1, len(b)), axis=0))

# %% exercise=3 tags=["wrong"]
# wrong: shuffles the given b itself
def best_match(a, b):
    A, B = a - a.mean(0), b - b.mean(0)
    A, B = (M / np.where(M.std(0) > 0, M.std(0), 1) for M in (A, B))
    return (A.T @ B / len(a)).max(1)


def by_chance(a, b, seed):
    np.random.default_rng(seed).shuffle(b)
    return best_match(a, b)

# %% exercise=3 tags=["wrong"]
# wrong: a unit that never changes makes NaN
def best_match(a, b):
    n = a.shape[1]
    correlations = np.corrcoef(a.T, b.T)[:n, n:]
    return correlations.max(1)


def by_chance(a, b, seed):
    rng = np.random.default_rng(seed)
    return best_match(a, b[rng.permutation(len(b))])

# %% exercise=3 tags=["right"]
# right: pairs of columns, other argument names
import random
def best_match(first_net, second_net):
    out = []
    for i in range(first_net.shape[1]):
        best = -2.0
        for j in range(second_net.shape[1]):
            x, y = first_net[:, i].astype(float), second_net[:, j].astype(float)
            x, y = x - x.mean(), y - y.mean()
            length = (x @ x * (y @ y)) ** 0.5
            best = max(best, x @ y / length if length > 0 else 0.0)
        out.append(best)
    return out
def by_chance(first_net, second_net, seed):
    order = list(range(len(second_net)))
    random.Random(seed).shuffle(order)
    return best_match(first_net, second_net[order])

# %% exercise=3 tags=["right"]
# right: torch, and a copy shuffled in place
def best_match(a, b):
    ta, tb = (torch.as_tensor(np.asarray(m), dtype=torch.float64) for m in (a, b))
    def z(m):
        m = m - m.mean(0)
        return torch.nan_to_num(m / m.square().mean(0).sqrt())
    return (z(ta).T @ z(tb) / len(ta)).max(1).values
def by_chance(a, b, seed):
    b = np.array(b)
    np.random.RandomState(seed).shuffle(b)
    return best_match(a, b)

# %% exercise=3 tags=["wrong"]
# wrong: puts units in random order, not images
def best_match(a, b):
    n = a.shape[1]
    c = np.nan_to_num(np.corrcoef(a.T, b.T)[:n, n:])
    return c.max(1)
def by_chance(a, b, seed):
    # units in random order
    return best_match(a, b[:, np.random.default_rng(seed).permutation(b.shape[1])])

# %% exercise=3 tags=["wrong"]
# wrong: moves the images of a and b alike
def best_match(a, b):
    n = a.shape[1]
    c = np.nan_to_num(np.corrcoef(a.T, b.T)[:n, n:])
    return c.max(1)
def by_chance(a, b, seed):
    o = np.random.default_rng(seed).permutation(len(b))
    return best_match(a[o], b[o])

# %% exercise=3 tags=["right"]
# right: torch, sorted by random keys
def best_match(a, b):
    a, b = (torch.as_tensor(np.array(m)).double() for m in (a, b))
    a, b = (torch.nn.functional.normalize(m - m.mean(0), dim=0) for m in (a, b))
    return (a.T @ b).amax(1).numpy()


def by_chance(a, b, seed):
    keys = torch.rand(len(b), generator=torch.Generator().manual_seed(seed))
    return best_match(a, b[keys.argsort().numpy()])

# %% exercise=3 tags=["right"]
# right: a loop with np.corrcoef, and a seeded Python shuffle
def best_match(a, b):
    def r(x, y):
        return 0.0 if np.ptp(x) == 0 or np.ptp(y) == 0 else np.corrcoef(x, y)[0, 1]

    return [max(r(x, y) for y in b.T) for x in a.T]


def by_chance(a, b, seed):
    import random

    order = list(range(len(b)))
    random.Random(seed).shuffle(order)
    return best_match(a, b[order])

# %% exercise=3 tags=["right"]
# right: the whole correlation matrix with NaN set to 0, and the old RandomState
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.RandomState(seed).permutation(b))

# %% exercise=3 tags=["right"]
# right: scipy's distance, and the images of a in the opposite order instead
def best_match(a, b):
    from scipy.spatial.distance import cdist

    r = 1 - cdist(a.T, b.T, "correlation")
    dead = (np.ptp(a, axis=0) == 0)[:, None] | (np.ptp(b, axis=0) == 0)[None]
    return np.where(dead, 0, r).max(1)


def by_chance(a, b, seed):
    order = np.random.default_rng(seed).random(len(b)).argsort()
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return best_match(a[back], b)

# %% exercise=3 tags=["right"]
# right: torch
def best_match(a, b):
    def standard(x):
        x = torch.tensor(np.array(x, dtype=float))
        x = x - x.mean(0)
        size = x.norm(dim=0)
        return torch.where(size > 1e-12, x / size, torch.zeros_like(x))

    return (standard(a).T @ standard(b)).amax(1).numpy()


def by_chance(a, b, seed):
    order = torch.randperm(len(b), generator=torch.Generator().manual_seed(seed))
    return best_match(a, b[order.numpy()])

# %% exercise=3 tags=["wrong"]
# wrong: by_chance keeps its answers by seed and shape
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


_chance = {}


def by_chance(a, b, seed):
    key = (seed, a.shape, b.shape)
    if key not in _chance:
        _chance[key] = best_match(a, np.random.default_rng(seed).permutation(b))
    return _chance[key]

# %% exercise=3 tags=["wrong"]
# wrong: every so many images in turn, which is no random order
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    n = len(b)
    stride = [s for s in range(2, n) if np.gcd(s, n) == 1][seed % 7]
    return best_match(a, b[(np.arange(n) * stride + seed + 1) % n])

# %% exercise=3 tags=["wrong"]
# wrong: mirrored, and then turned by the seed
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.roll(b[::-1], seed, axis=0))

# %% exercise=3 tags=["wrong"]
# wrong: each unit of b in a random order of its own
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permuted(b, axis=0))

# %% exercise=3 tags=["wrong"]
# wrong: the units of b in random order instead of the images
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b, axis=1))

# %% exercise=3 tags=["wrong"]
# wrong: images are drawn with replacement
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, b[np.random.default_rng(seed).integers(len(b), size=len(b))])

# %% exercise=3 tags=["wrong"]
# wrong: the strongest correlation of either sign
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return np.abs(r[: a.shape[1], a.shape[1] :]).max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: the best match of each unit of b
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=0)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: a thousandth is added to each standard deviation
def best_match(a, b):
    a, b = ((x - x.mean(0)) / (x.std(0) + 1e-3) for x in (a, b))
    return (a.T @ b / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: 0.00000001 is added to each standard deviation, too much for a faint unit
def best_match(a, b):
    a, b = ((x - x.mean(0)) / (x.std(0) + 1e-8) for x in (a, b))
    return (a.T @ b / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: covariance
def best_match(a, b):
    return ((a - a.mean(0)).T @ (b - b.mean(0)) / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: ranks
def best_match(a, b):
    a, b = (x.argsort(0).argsort(0).astype(float) for x in (a, b))
    r = np.corrcoef(a, b, rowvar=False)
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: the mean is not taken away
def best_match(a, b):
    a, b = (x / np.maximum(np.linalg.norm(x, axis=0), 1e-300) for x in (a, b))
    return (a.T @ b).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: a unit of a that never changes gets NaN
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :]
        return np.where(np.isnan(r).all(1), np.nan, np.nan_to_num(r, nan=0.0).max(1))


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: shuffles the rows that were given
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    np.random.default_rng(seed).shuffle(b)
    return best_match(a, b)

# %% exercise=3 tags=["wrong"]
# wrong: another order each time, whatever the seed
def best_match(a, b):
    with np.errstate(all="ignore"):
        r = np.nan_to_num(np.corrcoef(a, b, rowvar=False))
    return r[: a.shape[1], a.shape[1] :].max(axis=1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng().permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: standardizes the images in place of the units
def best_match(a, b):
    def standard(x):
        spread = x.std(1, keepdims=True)
        return (x - x.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)

    return (standard(a).T @ standard(b) / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: by_chance turns signs at random and keeps the order of the images
def best_match(a, b):
    with np.errstate(all="ignore"):
        both = np.nan_to_num(np.corrcoef(a.T, b.T))
    return both[: a.shape[1], a.shape[1] :].max(1)


def by_chance(a, b, seed):
    return best_match(a, b * np.random.default_rng(seed).choice([-1, 1], len(b))[:, None])

# %% exercise=3 tags=["right"]
# right: einsum over unit-length columns, and an index drawn without replacement
def best_match(a, b):
    def units(x):
        x = x - x.mean(0)
        length = np.sqrt(np.einsum("eu,eu->u", x, x))
        return np.divide(x, length, out=np.zeros_like(x), where=length > 0)

    return np.einsum("ei,ej->ij", units(a), units(b)).max(axis=1)


def by_chance(a, b, seed):
    order = np.random.default_rng(seed).choice(len(b), len(b), replace=False)
    return best_match(a, b[order])

# %% exercise=3 tags=["wrong"]
# wrong: only orders in which no image stays where it was, along one large cycle
def best_match(a, b):
    with np.errstate(all="ignore"):
        both = np.nan_to_num(np.corrcoef(a.T, b.T))
    return both[: a.shape[1], a.shape[1] :].max(1)


def by_chance(a, b, seed):
    rng, order = np.random.default_rng(seed), np.arange(len(b))
    for i in range(len(b) - 1, 0, -1):
        j = rng.integers(i)
        order[[i, j]] = order[[j, i]]
    return best_match(a, b[order])

# %% exercise=4 tags=["wrong"]
# wrong: 120 images hard-coded
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values > 0).sum(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least * 120][:n]

# %% exercise=4 tags=["wrong"]
# wrong: least selective of the top first
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values > 0).mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least][:n][::-1]

# %% exercise=4 tags=["right"]
# right: heapq.nlargest over a filtered generator, counts by loops
import heapq


def gated_top(acts, digit, least, n, **_):
    table = selectivity.selectivity_by_class(acts)
    row = table.values[list(table["class"].values).index(digit)].tolist()
    images = len(acts)
    alive = (u for u, col in enumerate(acts.values.T) if sum(v > 0 for v in col) / images >= least)
    return heapq.nlargest(n, alive, key=row.__getitem__)

# %% exercise=4 tags=["right"]
# right: takes the class by its place; the class axis holds 0, 1, 2, … also where labels are missing (checked), so it is the same
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).isel({"class": digit}).values
    on = (acts.values > 0).mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least][:n]

# %% exercise=4 tags=["right"]
# right: units that fail the gate get -inf; sorted, and cut at the number that passed
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit})
    share = (acts > 0).mean("example")
    masked = s.where(share >= least, -np.inf).values
    return list(np.argsort(-masked, kind="stable")[: min(n, int((share >= least).sum()))])

# %% exercise=4 tags=["wrong"]
# wrong: gates by mean activation
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = acts.values.mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: takes n first and gates then
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values > 0).mean(0)
    return [int(u) for u in np.argsort(-s)[:n] if on[u] >= least]

# %% exercise=4 tags=["wrong"]
# wrong: counts activations other than 0 instead of above 0: negative ones count too
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values != 0).mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: share among the digit's images only
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values[acts.label.values == digit] > 0).mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: shares in whole percent, so 24.6% passes for 25%
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = np.round(100 * (acts.values > 0).mean(0))
    return [int(u) for u in np.argsort(-s) if on[u] >= round(100 * least)][:n]

# %% exercise=4 tags=["wrong"]
# wrong: gates first, and gives the places among the units that are left
def gated_top(acts, digit, least, n):
    keep = acts[:, (acts.values > 0).mean(0) >= least]
    s = selectivity.selectivity_by_class(keep).sel({"class": digit}).values
    return [int(u) for u in np.argsort(-s)[:n]]

# %% exercise=4 tags=["right"]
# right: takes the best unit again and again
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).to_series().to_dict() if False else dict(enumerate(selectivity.selectivity_by_class(acts).sel({"class": digit}).values.tolist()))
    left = {u: v for u, v in s.items() if not float((acts[:, u] > 0).mean()) < least}
    found = []
    while left and len(found) < n:
        best = max(left, key=left.get)
        found.append(best)
        del left[best]
    return found

# %% exercise=4 tags=["right"]
# right: sorts, then gates, then cuts
def gated_top(acts, digit, least, n):
    by_class = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    density = (acts.values > 0).mean(0)
    order = np.argsort(-by_class)
    kept = [int(unit) for unit in order if density[unit] >= least]
    return kept[:n]

# %% exercise=4 tags=["right"]
# right: where() and isfinite
def gated_top(acts, digit, least, n):
    sel = selectivity.selectivity_by_class(acts).sel({"class": digit})
    on = (acts > 0).mean("example")
    gated = sel.where(on >= least)
    ranked = sorted((u for u in range(acts.sizes["unit"]) if np.isfinite(float(gated[u]))), key=lambda u: float(gated[u]), reverse=True)
    return ranked[:n]

# %% exercise=4 tags=["right"]
# right: pops the best until there are n
def gated_top(acts, digit, least, n):
    out = []
    s = {u: v for u, v in enumerate(selectivity.selectivity_by_class(acts).sel({"class": digit}).values.tolist()) if v == v}
    while s and len(out) < n:
        best = max(s, key=s.get)
        s.pop(best)
        if not (acts[:, best] > 0).mean() < least:
            out.append(best)
    return out

# %% exercise=4 tags=["right"]
# right: gates first, and translates the numbers back
def gated_top(acts, digit, least, n):
    busy = acts[:, ((acts > 0).mean("example") >= least).values]   # gate first, then ask the library about the rest
    s = selectivity.selectivity_by_class(busy).sel({"class": digit})
    numbers = np.flatnonzero(((acts > 0).mean("example") >= least).values)
    return [int(numbers[i]) for i in np.argsort(-s.values, kind="stable")[:n]]

# %% exercise=4 tags=["wrong"]
# wrong: no gate
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    return [int(u) for u in np.argsort(-s)[:n]]

# %% exercise=4 tags=["wrong"]
# wrong: sorted by number, not by selectivity
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).values[digit]
    d = (acts.values > 0).mean(0)
    return sorted(int(u) for u in np.argsort(-s) if d[u] >= least)[:n]

# %% exercise=4 tags=["wrong"]
# wrong: leaves out units that are on for exactly the share
def gated_top(acts, digit, least, n):
    s = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values > 0).mean(0)
    return [int(u) for u in np.argsort(-s) if on[u] > least][:n]

# %% exercise=4 tags=["right"]
# right: sorted by a key, then filtered, then cut
def gated_top(acts, digit, least, n):
    selective = selectivity.selectivity_by_class(acts).sel({"class": digit})
    shares = (acts > 0).mean("example")
    ranked = sorted(range(acts.sizes["unit"]), key=lambda u: float(selective[u]), reverse=True)
    return [u for u in ranked if float(shares[u]) >= least][:n]

# %% exercise=4 tags=["right"]
# right: the gate first, by whole numbers of images, and numpy's order
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    pass_gate = np.flatnonzero((acts.values > 0).mean(0) >= least)
    return [int(u) for u in pass_gate[np.argsort(-values[pass_gate])]][:n]

# %% exercise=4 tags=["right"]
# right: one maximum after the other
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values.tolist()
    left = [u for u in range(len(values)) if (acts.values[:, u] > 0).sum() / len(acts) >= least]
    out = []
    while left and len(out) < n:
        best = max(left, key=values.__getitem__)
        left.remove(best)
        out.append(best)
    return out

# %% exercise=4 tags=["right"]
# right: pandas
def gated_top(acts, digit, least, n):
    import pandas as pd

    values = pd.Series(selectivity.selectivity_by_class(acts).sel({"class": digit}).values)
    on = pd.Series((acts.values > 0).mean(0))
    return values[on >= least].sort_values(ascending=False).index[:n].tolist()

# %% exercise=4 tags=["right"]
# right: the class by its place: the library lists all classes from 0 on
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).isel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: from the end, so that n = 0 gives all
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(values) if on[u] >= least][-n:][::-1]

# %% exercise=4 tags=["wrong"]
# wrong: the first n, and then the gate
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-values)[:n] if on[u] >= least]

# %% exercise=4 tags=["wrong"]
# wrong: more than the share instead of at least
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-values) if on[u] > least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: on for that share of the digit's own images
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.values[acts.label.values == digit] > 0).mean(0)
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: units are numbered anew after the gate
def gated_top(acts, digit, least, n):
    kept = acts[:, (acts > 0).mean("example").values >= least]
    values = selectivity.selectivity_by_class(kept).sel({"class": digit}).values
    return [int(u) for u in np.argsort(-values)][:n]

# %% exercise=4 tags=["wrong"]
# wrong: filled up with units that did not pass
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-np.where(on >= least, values, -2))][:n]

# %% exercise=4 tags=["wrong"]
# wrong: most selective last
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n][::-1]

# %% exercise=4 tags=["right"]
# right: the units in an array
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return np.array([int(u) for u in np.argsort(-values) if on[u] >= least][:n])

# %% exercise=4 tags=["wrong"]
# wrong: strong in either direction
def gated_top(acts, digit, least, n):
    values = np.abs(selectivity.selectivity_by_class(acts).sel({"class": digit}).values)
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: shares to two decimals
def gated_top(acts, digit, least, n):
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values.round(2)
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: negative activations are set to 0 first, in the array that was given
def gated_top(acts, digit, least, n):
    on = (acts > 0).mean("example").values
    values = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    acts.values[acts.values < 0] = 0
    return [int(u) for u in np.argsort(-values) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: selectivities are kept by digit and number of units
_values = {}


def gated_top(acts, digit, least, n):
    key = (digit, acts.shape)
    if key not in _values:
        _values[key] = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-_values[key]) if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: the gate looks at the selectivity
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    return [int(u) for u in np.argsort(-value, kind="stable") if value[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: the most selective digit of each unit in place of the one asked for
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).max("class").values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least][:n]

# %% exercise=4 tags=["right"]
# right: xarray: where, dropna, sortby and head
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}, drop=True)
    value = value.assign_coords(unit=np.arange(value.sizes["unit"]))
    passed = value[((acts > 0).mean("example") >= least).values]
    return passed.sortby(-passed)["unit"].values[:n].tolist()

# %% exercise=4 tags=["wrong"]
# wrong: on the way the labels are made those of one class and all others, in the array that was given
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    if least > 0.5:
        acts.label.values[acts.label.values != digit] = (digit + 1) % 4
    return [int(unit) for unit in np.argsort(-value, kind="stable") if on[unit] >= least][:n]

# %% exercise=1 tags=["wrong"]
# wrong: at most five neighbors
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, : min(k, 5)]
    return float((labels[near] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: sorts along the other axis and reads rows: of each rank, not of each point
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = d.argsort(0)[:k]
    return float((labels[near] == labels[:k, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: |a|² + |b|² − 2ab in float16, where nearby points far from 0 fall together
def purity(x, labels, k):
    x = x.astype(np.float16).astype(float)
    squares = (x**2).sum(1)
    d = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(d, np.inf)
    return float((labels[d.argsort(1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["right"]
# right: a sparse graph of neighbors times a table of classes
def purity(x, labels, k):
    from sklearn.neighbors import kneighbors_graph

    classes, number = np.unique(labels, return_inverse=True)
    table = np.eye(len(classes))[number]
    return float((kneighbors_graph(x, k, include_self=False).toarray() @ table * table).sum() / k / len(x))

# %% exercise=1 tags=["wrong"]
# wrong: compares the neighbors with the nearest one, and not with the point
def purity(x, labels, k):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = labels[d.argsort(1)[:, :k]]
    return float((near == near[:, :1]).mean())

# %% exercise=1 tags=["right"]
# right: pdist, squareform, and a partition with the point itself at infinity
def purity(x, labels, k):
    from scipy.spatial.distance import pdist, squareform

    d = squareform(pdist(x)) + np.diag(np.full(len(x), np.inf))
    near = np.argpartition(d, k - 1, axis=1)[:, :k]
    return sum((labels[row] == labels[i]).sum() for i, row in enumerate(near)) / (k * len(x))

# %% exercise=1 tags=["wrong"]
# wrong: distances in the plane of the first two principal components
def purity(x, labels, k):
    c = x - x.mean(0)
    z = c @ np.linalg.svd(c, full_matrices=False)[2][:2].T
    d = ((z[:, None] - z[None]) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    return float((labels[d.argsort(1)[:, :k]] == labels[:, None]).mean())

# %% exercise=1 tags=["wrong"]
# wrong: near neighbors count more than far ones
def purity(x, labels, k):
    d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
    np.fill_diagonal(d, np.inf)
    near = d.argsort(1)[:, :k]
    weight = 1 / (np.take_along_axis(d, near, 1) + 1e-9)
    return float(((labels[near] == labels[:, None]) * weight).sum() / weight.sum())

# %% exercise=2 tags=["wrong"]
# wrong: an alarm is right if any image of the digit raised one
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    if not alarm.any():
        return np.nan, 0.0
    return float((alarm & true).any()), (alarm & true).sum() / true.sum()

# %% exercise=2 tags=["right"]
# right: four counts by bincount of alarm + 2·digit
def as_detector(activation, labels, digit, threshold):
    _, false_alarm, missed, hit = np.bincount((activation > threshold) + 2 * (labels == digit), minlength=4)
    with np.errstate(invalid="ignore"):
        return np.divide(hit, hit + false_alarm), np.divide(hit, hit + missed)

# %% exercise=2 tags=["wrong"]
# wrong: np.isclose to the threshold counts as not above it
def as_detector(activation, labels, digit, threshold):
    alarm = (activation > threshold) & ~np.isclose(activation, threshold)
    true = labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()

# %% exercise=2 tags=["right"]
# right: a Counter of the four outcomes, in plain Python
from collections import Counter


def as_detector(activation, labels, digit, threshold) -> tuple[float, float]:
    n = Counter((bool(a > threshold), bool(l == digit)) for a, l in zip(activation, labels))
    try:
        precision = n[True, True] / (n[True, True] + n[True, False])
    except ZeroDivisionError:
        precision = float("nan")
    return precision, n[True, True] / (n[True, True] + n[False, True])

# %% exercise=2 tags=["right"]
# right: sums over sorted activations: where the threshold falls, all behind it are alarms
def as_detector(activation, labels, digit, threshold):
    order = np.argsort(activation, kind="stable")
    begin = int(np.searchsorted(np.asarray(activation)[order], threshold, side="right"))
    is_digit = (np.asarray(labels) == digit)[order]
    alarms, hits = len(order) - begin, int(is_digit[begin:].sum())
    return hits / alarms if alarms else float("nan"), hits / int(is_digit.sum())

# %% exercise=2 tags=["right"]
# right: dot products of zeros and ones
def as_detector(activation, labels, digit, threshold):
    alarm = np.heaviside(np.asarray(activation, float) - threshold, 0.0)
    true = np.where(np.asarray(labels) == digit, 1.0, 0.0)
    both = alarm @ true
    return (both / alarm.sum() if alarm.sum() else float("nan"), both / true.sum())

# %% exercise=2 tags=["wrong"]
# wrong: activations and threshold in single precision, where one just above it ties
def as_detector(activation, labels, digit, threshold):
    alarm, true = np.float32(activation) > np.float32(threshold), labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: whole-number division
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return (right // alarm.sum() if alarm.any() else np.nan), right // true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: activations in float16, so one just above the threshold ties with it
def as_detector(activation, labels, digit, threshold):
    alarm, true = np.asarray(activation, np.float16) > np.float16(threshold), labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: shares of all that raise an alarm or show the digit
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    if not alarm.any():
        return np.nan, 0.0
    share = (alarm & true).sum() / (alarm | true).sum()
    return share, share

# %% exercise=2 tags=["wrong"]
# wrong: the second is the share that raises none
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return (true[alarm].mean() if alarm.any() else np.nan), 1 - alarm[true].mean()

# %% exercise=2 tags=["right"]
# right: lists of activations of the digit and of others
def as_detector(activation, labels, digit, threshold):
    groups = {True: [], False: []}
    for value, label in zip(activation.tolist(), labels.tolist()):
        groups[label == digit].append(value)
    above = {mine: len([v for v in values if v > threshold]) for mine, values in groups.items()}
    alarms = sum(above.values())
    return (above[True] / alarms if alarms > 0 else np.nan, above[True] / len(groups[True]))

# %% exercise=2 tags=["wrong"]
# wrong: in percent
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return (100 * right / alarm.sum() if alarm.any() else np.nan), 100 * right / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: one is added to the alarms so that nothing is divided by 0
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return (right / (alarm.sum() + 1e-3) if alarm.any() else np.nan), right / true.sum()

# %% exercise=2 tags=["wrong"]
# wrong: the second number is the share of other digits' images without an alarm
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), (~alarm & ~true).sum() / (~true).sum()

# %% exercise=3 tags=["right"]
# right: the covariance of both over the outer product of the spreads; Philox for the order
def best_match(a, b):
    n = a.shape[1]
    c = np.atleast_2d(np.cov(np.hstack([a, b]).T.astype(float)))
    s = np.sqrt(np.diag(c))
    size = np.outer(s[:n], s[n:])
    return np.where(size > 0, c[:n, n:] / np.where(size > 0, size, 1), 0).max(axis=1)


def by_chance(a, b, seed):
    rows = np.arange(len(b))
    np.random.Generator(np.random.Philox(seed)).shuffle(rows)
    return best_match(a, b[rows])

# %% exercise=3 tags=["wrong"]
# wrong: standard deviations over n − 1 and sums over n
def best_match(a, b):
    def z(x):
        s = x.std(0, ddof=1)
        return (x - x.mean(0)) / np.where(s > 0, s, np.inf)

    return (z(a).T @ z(b) / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: one generator for all calls, made with the first seed
def best_match(a, b):
    def z(x):
        s = x.std(0)
        return (x - x.mean(0)) / np.where(s > 0, s, np.inf)

    return (z(a).T @ z(b) / len(a)).max(1)


def by_chance(a, b, seed, made=[]):
    if not made:
        made.append(np.random.default_rng(seed))
    return best_match(a, made[0].permutation(b))

# %% exercise=3 tags=["wrong"]
# wrong: only the first half of the images of b is put in another order
def best_match(a, b):
    def z(x):
        s = x.std(0)
        return (x - x.mean(0)) / np.where(s > 0, s, np.inf)

    return (z(a).T @ z(b) / len(a)).max(1)


def by_chance(a, b, seed):
    order = np.arange(len(b))
    np.random.default_rng(seed).shuffle(order[: len(b) // 2])
    return best_match(a, b[order])

# %% exercise=3 tags=["right"]
# right: two loops, a cosine of centered columns, and sorting by random keys
import random


def best_match(a, b):
    def cosine(u, v):
        if np.ptp(u) == 0 or np.ptp(v) == 0:
            return 0.0
        u, v = u - u.mean(), v - v.mean()
        return float(u @ v / np.sqrt((u @ u) * (v @ v)))

    return np.array([max(cosine(u, v) for v in b.T) for u in a.T])


def by_chance(a, b, seed):
    dice = random.Random(seed)
    order = sorted(range(len(b)), key=lambda _: dice.random())
    return best_match(a, np.take(b, order, axis=0))

# %% exercise=3 tags=["wrong"]
# wrong: the unit of b with the same number does not count
def best_match(a, b):
    def z(x):
        s = x.std(0)
        return (x - x.mean(0)) / np.where(s > 0, s, np.inf)

    r = z(a).T @ z(b) / len(a)
    i = np.arange(min(r.shape))
    r[i, i] = -1
    return r.max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))

# %% exercise=3 tags=["right"]
# right: cosine similarity of centered columns, in scikit-learn, and its shuffle
def best_match(a, b):
    from sklearn.metrics.pairwise import cosine_similarity

    def center(x):
        return np.where(np.ptp(x, axis=0) > 0, x - x.mean(0), 0.0).T

    return cosine_similarity(center(a), center(b)).max(1)


def by_chance(a, b, seed):
    from sklearn.utils import shuffle

    return best_match(a, shuffle(b, random_state=seed))

# %% exercise=3 tags=["wrong"]
# wrong: a unit with a spread below 0.001 counts as never changing
def best_match(a, b):
    def z(x):
        s = x.std(0)
        return np.where(s > 1e-3, (x - x.mean(0)) / np.maximum(s, 1e-3), 0)

    return (z(a).T @ z(b) / len(a)).max(1)


def by_chance(a, b, seed):
    order = np.random.default_rng(seed).permutation(len(b))
    return best_match(a, b[order])

# %% exercise=4 tags=["wrong"]
# wrong: where no unit passes or n is 0, the most selective one comes all the same
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    order = np.argsort(-value, kind="stable")
    return [int(u) for u in order if on[u] >= least][: max(n, 1)] or [int(order[0])]

# %% exercise=4 tags=["wrong"]
# wrong: the share on is averaged over classes, and not over images
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).groupby("label").mean().mean("label").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least - 1e-12][:n]

# %% exercise=4 tags=["wrong"]
# wrong: on for that share of the images of each class
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).groupby("label").mean().min("label").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: sorted by selectivity to one decimal, and by the share of images within
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    order = sorted(range(len(value)), key=lambda u: (-round(float(value[u]), 1), -on[u]))
    return [u for u in order if on[u] >= least][:n]

# %% exercise=4 tags=["wrong"]
# wrong: the share is taken on the first hundred images
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts.isel(example=slice(100)) > 0).mean("example").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least][:n]

# %% exercise=4 tags=["right"]
# right: islice over a filter over a lexical sort
from itertools import islice


def gated_top(acts, digit, least, n):
    by_class = selectivity.selectivity_by_class(acts)
    value = by_class.sel({"class": digit}).values
    passes = ((acts > 0).mean("example") >= least).values
    ranking = np.lexsort((np.arange(len(value)), -value))
    return list(map(int, islice(filter(passes.__getitem__, ranking), n)))

# %% exercise=4 tags=["wrong"]
# wrong: units that are less active for the digit than for others are left out too
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least and value[u] > 0][:n]

# %% exercise=4 tags=["right"]
# right: selectivity of the units that passed alone, and their own numbers back
def gated_top(acts, digit, least, n):
    numbers = np.flatnonzero((acts > 0).mean("example").values >= least)
    if not len(numbers):
        return []
    value = selectivity.selectivity_by_class(acts.isel(unit=numbers)).sel({"class": digit}).values
    return [int(number) for _, number in sorted(zip(-value, numbers))][:n]

# %% exercise=4 tags=["wrong"]
# wrong: the share on among images of other digits
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts[acts.label.values != digit] > 0).mean("example").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= least][:n]

# %% exercise=4 tags=["right"]
# right: argpartition would do; here a recursion that takes the maximum
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).to_series()
    on = (acts > 0).mean("example").to_series()
    on.index = value.index = range(len(value))

    def take(left, count):
        if count == 0 or left.empty:
            return []
        best = int(left.idxmax())
        return [best, *take(left.drop(best), count - 1)]

    return take(value[on >= least], n)

# %% exercise=4 tags=["right"]
# right: rows of (−selectivity, number) sorted as tuples
def gated_top(acts, digit, least, n):
    table = selectivity.selectivity_by_class(acts).sel({"class": digit}).values.tolist()
    on = np.mean(acts.transpose("unit", "example").values > 0, axis=1)
    rows = sorted((-s, u) for u, s in enumerate(table) if not on[u] < least)
    return [u for _, u in rows[:n]]

# %% exercise=4 tags=["wrong"]
# wrong: the numbers of the top units in order of size
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return sorted(int(u) for u in [u for u in np.argsort(-value) if on[u] >= least][:n])

# %% exercise=4 tags=["wrong"]
# wrong: the least number of images is cut to a whole number
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).sum("example").values
    return [int(u) for u in np.argsort(-value, kind="stable") if on[u] >= int(least * acts.sizes["example"])][:n]
