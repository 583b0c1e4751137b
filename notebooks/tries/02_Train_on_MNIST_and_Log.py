# %% exercise=1 tags=["right"]
# right: walks the snapshots backwards and overwrites
def learned_at(log, threshold, never=float("nan")):
    table = log["test_accuracy_by_class"]
    out = np.full(table.sizes["class"], never)
    for s in reversed(range(table.sizes["snapshot"])):
        out[table[s].values >= threshold] = int(log.step[s])
    return out

# %% exercise=1 tags=["wrong"]
# wrong: ignores its argument and reads the notebook's run
_log = run.log if "run" in globals() else None


def learned_at(log, threshold):
    on = _log["test_accuracy_by_class"].values >= threshold
    return np.where(on.any(0), _log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the snapshot's number instead of its step
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    return np.where(on.any(0), on.argmax(0).astype(float), np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: a list with None for never, turned into an object array: NaN was asked for
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    return np.array([int(log["step"].values[col.argmax()]) if col.any() else None for col in on.T], dtype=object)

# %% exercise=1 tags=["wrong"]
# wrong: a tolerance of 0.01 below the threshold
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold - 0.01
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: never becomes the first step
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    return log["step"].values[on.argmax(0)].astype(float)

# %% exercise=1 tags=["wrong"]
# wrong: never becomes the last step
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], log["step"].values[-1])

# %% exercise=1 tags=["wrong"]
# wrong: accuracies rounded to one decimal, so 0.46 counts as 0.5
def learned_at(log, threshold):
    on = np.round(log["test_accuracy_by_class"].values, 1) >= threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: accuracies are rounded to whole percent first, so 0.597 counts as 0.60
def learned_at(log, threshold):
    on = np.round(log["test_accuracy_by_class"].values, 2) >= threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the step from which on a class stays learned
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    stays = np.logical_and.accumulate(on[::-1])[::-1]
    return np.where(stays.any(0), log["step"].values[stays.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: `step or nan`: a class that is there at step 0 comes out as NaN
def learned_at(log, threshold):
    out = []
    for c in log["test_accuracy_by_class"].values.T:
        first = next((float(s) for s, a in zip(log["step"].values, c) if a >= threshold), None)
        out.append(first or np.nan)
    return np.array(out)

# %% exercise=1 tags=["wrong"]
# wrong: above the threshold instead of at least
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values > threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: ten classes hard-coded
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    out = np.full(10, np.nan)
    for c in range(10):
        if on[:, c].any():
            out[c] = log["step"].values[on[:, c].argmax()]
    return out

# %% exercise=1 tags=["right"]
# right: torch, NaN by a column of ones that is appended
def learned_at(log, threshold):
    on = torch.as_tensor(log["test_accuracy_by_class"].values >= threshold).int()
    on = torch.cat([on, torch.ones(1, on.shape[1], dtype=torch.int32)])
    steps = torch.cat([torch.as_tensor(log["step"].values).double(), torch.tensor([torch.nan], dtype=torch.float64)])
    first = [int(torch.nonzero(c)[0]) for c in on.T]
    return steps[first].numpy()

# %% exercise=1 tags=["right"]
# right: xarray all the way: where and min over snapshots; a DataArray comes back
def learned_at(log, threshold):
    return log["step"].where(log["test_accuracy_by_class"] >= threshold).min("snapshot")

# %% exercise=1 tags=["right"]
# right: argmax and any
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].values
    steps = log["step"].values
    reached = accuracy >= threshold
    first = reached.argmax(axis=0)
    return np.where(reached.any(axis=0), steps[first], np.nan)

# %% exercise=1 tags=["right"]
# right: loops with break
def learned_at(log, threshold):
    out = []
    acc = log["test_accuracy_by_class"].values
    steps = log["step"].values
    for c in range(acc.shape[1]):
        when = float("nan")
        for s in range(acc.shape[0]):
            if acc[s, c] >= threshold:
                when = float(steps[s])
                break
        out.append(when)
    return np.array(out)

# %% exercise=1 tags=["right"]
# right: a list with NaN
def learned_at(log, threshold):
    acc = log["test_accuracy_by_class"]
    result = []
    for digit in range(acc.sizes["class"]):
        hits = np.flatnonzero(acc.isel({"class": digit}).values >= threshold)
        result.append(int(log["step"].values[hits[0]]) if len(hits) else np.nan)
    return result

# %% exercise=1 tags=["right"]
# right: PyTorch, infinity replaced by NaN
def learned_at(log, threshold):
    acc = torch.tensor(log["test_accuracy_by_class"].values)
    steps = torch.tensor(log["step"].values).double()
    s = torch.where(acc >= threshold, steps[:, None], torch.tensor(float("inf"), dtype=torch.float64)).min(0).values
    s[torch.isinf(s)] = float("nan")
    return s

# %% exercise=1 tags=["right"]
# right: xarray's argmax and isel
def learned_at(log, threshold):
    acc = log["test_accuracy_by_class"]
    ok = acc >= threshold
    idx = ok.argmax("snapshot")
    return acc["step"].astype("float32").isel(snapshot=idx).where(ok.any("snapshot")).values

# %% exercise=1 tags=["wrong"]
# wrong: since when it stays
def learned_at(log, threshold):
    acc = log["test_accuracy_by_class"].values
    r = acc >= threshold
    out = []
    for c in range(r.shape[1]):
        bad = np.flatnonzero(~r[:, c])
        i = bad[-1] + 1 if len(bad) else 0
        out.append(log["step"].values[i] if i < len(r) else np.nan)
    return np.array(out, float)

# %% exercise=1 tags=["wrong"]
# wrong: the other axis
def learned_at(log, threshold):
    acc = log["test_accuracy_by_class"].values
    r = acc >= threshold
    return np.where(r.any(1), log["step"].values, np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: -1 for never
def learned_at(log, threshold):
    acc = log["test_accuracy_by_class"].values
    r = acc >= threshold
    return np.where(r.any(0), log["step"].values[r.argmax(0)], -1)

# %% exercise=1 tags=["right"]
# right: xarray's where and min
def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"] >= threshold
    return log["step"].where(reached).min("snapshot").values

# %% exercise=1 tags=["right"]
# right: class by class, with next and a default
def learned_at(log, threshold):
    steps, table = log["step"].values, log["test_accuracy_by_class"].values
    return np.array([next((float(s) for s, a in zip(steps, column) if a >= threshold), np.nan) for column in table.T])

# %% exercise=1 tags=["right"]
# right: searchsorted in the highest accuracy so far
def learned_at(log, threshold):
    steps = np.append(log["step"].values.astype(float), np.nan)
    best = np.maximum.accumulate(np.nan_to_num(log["test_accuracy_by_class"].values, nan=-np.inf), axis=0)
    return np.array([steps[np.searchsorted(column, threshold)] for column in best.T])

# %% exercise=1 tags=["right"]
# right: torch, with infinity for never
def learned_at(log, threshold):
    on = torch.tensor(log["test_accuracy_by_class"].values >= threshold)
    steps = torch.tensor(log["step"].values, dtype=torch.float64)[:, None].expand(on.shape)
    first = torch.where(on, steps, torch.inf).amin(0).numpy()
    return np.where(np.isinf(first), np.nan, first)

# %% exercise=1 tags=["right"]
# right: "not below": the log has no missing accuracies
def learned_at(log, threshold):
    on = ~(log["test_accuracy_by_class"].values < threshold)
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: accuracies to three decimals
def learned_at(log, threshold):
    on = np.round(log["test_accuracy_by_class"].values, 3) >= threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: a tolerance of a ten-thousandth
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold - 1e-4
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: above instead of at least
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values > threshold
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: from when on the accuracy stays that high
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    stays = np.logical_and.accumulate(on[::-1], axis=0)[::-1]
    return np.where(stays.any(0), log["step"].values[stays.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: searchsorted in accuracies that also fall
def learned_at(log, threshold):
    steps = np.append(log["step"].values.astype(float), np.nan)
    return np.array([steps[np.searchsorted(column, threshold)] for column in log["test_accuracy_by_class"].values.T])

# %% exercise=1 tags=["wrong"]
# wrong: the last step where it never happens
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    on[-1] = True
    return log["step"].values[on.argmax(0)].astype(float)

# %% exercise=1 tags=["wrong"]
# wrong: sets low accuracies in the log to 0
def learned_at(log, threshold):
    table = log["test_accuracy_by_class"].values
    table[table < threshold] = 0
    on = table > 0
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: a threshold of 0 counts as not given
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= (threshold or 0.5)
    return np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: remembers the answer for a threshold
_at = {}


def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values >= threshold
    found = np.where(on.any(0), log["step"].values[on.argmax(0)], np.nan)
    return _at.setdefault((threshold, found.shape), found)

# %% exercise=1 tags=["wrong"]
# wrong: the first snapshot is never looked at
def learned_at(log, threshold):
    on = log["test_accuracy_by_class"].values[1:] >= threshold
    return np.where(on.any(0), log["step"].values[1:][on.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the step at which the accuracy is highest
def learned_at(log, threshold):
    table = log["test_accuracy_by_class"].values
    return np.where(table.max(0) >= threshold, log["step"].values[table.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: draws a line between two snapshots
def learned_at(log, threshold):
    steps, table = log["step"].values.astype(float), log["test_accuracy_by_class"].values
    out = np.full(table.shape[1], np.nan)
    for c, column in enumerate(table.T):
        hits = np.flatnonzero(column >= threshold)
        if len(hits):
            i = hits[0]
            if i == 0:
                out[c] = steps[0]
            else:
                share = (threshold - column[i - 1]) / (column[i] - column[i - 1])
                out[c] = steps[i - 1] + share * (steps[i] - steps[i - 1])
    return out

# %% exercise=1 tags=["wrong"]
# wrong: the overall accuracy, repeated for each class
def learned_at(log, threshold):
    reached = np.flatnonzero(log["test_accuracy"].values >= threshold)
    step = float(log["step"][reached[0]]) if len(reached) else np.nan
    return np.full(log["test_accuracy_by_class"].shape[1], step)

# %% exercise=1 tags=["wrong"]
# wrong: the first and the last snapshot only
def learned_at(log, threshold):
    acc, steps = log["test_accuracy_by_class"].values[[0, -1]], log["step"].values[[0, -1]].astype(float)
    return np.where(acc[0] >= threshold, steps[0], np.where(acc[1] >= threshold, steps[1], np.nan))

# %% exercise=1 tags=["wrong"]
# wrong: how many snapshots it took
def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.where(reached.any(0), (~np.logical_or.accumulate(reached, 0)).sum(0).astype(float), np.nan)

# %% exercise=1 tags=["right"]
# right: infinity in place of what is below, and the minimum
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].values
    steps = np.broadcast_to(log["step"].values[:, None], accuracy.shape)
    lowest = np.min(np.where(accuracy >= threshold, steps, np.inf), axis=0)
    lowest[np.isinf(lowest)] = np.nan
    return lowest

# %% exercise=1 tags=["wrong"]
# wrong: counts the log's own steps from 0 on
def learned_at(log, threshold):
    log["step"].values[:] -= log["step"].values[0]
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)].astype(float), np.nan)

# %% exercise=2 tags=["wrong"]
# wrong: keeps results by name and steps, so another run with the same steps gets the old numbers
_kept = {}


def moved(run, name):
    key = name, tuple(run.steps)
    if key not in _kept:
        start = run.weights(run.steps[0])[name]
        _kept[key] = [float((run.weights(s)[name] - start).norm() / start.norm()) for s in run.steps]
    return _kept[key]

# %% exercise=2 tags=["wrong"]
# wrong: divides by the norm of the present value
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).norm() / run.weights(s)[name].norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: adds 1e-6 to the divisor, which the text does not
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).norm() / (start.norm() + 1e-6)) for s in run.steps]

# %% exercise=2 tags=["right"]
# right: one pass, math.dist and math.hypot
import math


def moved(run, name):
    start = None
    out = []
    for step in run.steps:
        flat = run.weights(step)[name].flatten().tolist()
        start = start or flat
        out += [math.dist(flat, start) / math.hypot(*start)]
    return tuple(out)

# %% exercise=2 tags=["wrong"]
# wrong: works in float16 after dividing by 100: wrong by up to a thousandth
def moved(run, name):
    start = run.weights(run.steps[0])[name].half()
    return [float((run.weights(s)[name].half() - start).float().norm() / start.float().norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: subtracts in the run's own tensors
def moved(run, name):
    start = run.weights(run.steps[0])[name].clone()
    return [float(run.weights(s)[name].sub_(start).norm() / start.norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: sums of absolute values
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).abs().sum() / start.abs().sum()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: torch.linalg.matrix_norm is right for matrices only: it stops at a bias, and gives a table for a convolution's kernels
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    norm = torch.linalg.matrix_norm
    return [float(norm(run.weights(s)[name] - start) / norm(start)) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the difference of the norms
def moved(run, name):
    start = run.weights(run.steps[0])[name].norm()
    return [float((run.weights(s)[name].norm() - start).abs() / start) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the length of the path instead of the distance from the start
def moved(run, name):
    at, total, out = run.weights(run.steps[0])[name], 0.0, []
    norm = at.norm()
    for s in run.steps:
        now = run.weights(s)[name]
        total += float((now - at).norm() / norm)
        at = now
        out.append(total)
    return out

# %% exercise=2 tags=["right"]
# right: ratio of root mean squares, which is the same number, by numpy
def moved(run, name):
    held = np.stack([np.asarray(run.weights(s)[name], float).ravel() for s in run.steps])
    return np.sqrt(((held - held[0]) ** 2).mean(1) / (held[0] ** 2).mean())

# %% exercise=2 tags=["wrong"]
# wrong: takes the norm over dim=(0, 1), right for matrices only, a bias stops it
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).norm(dim=(0, 1)) / start.norm(dim=(0, 1))) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the spectral norm
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float(torch.linalg.norm(run.weights(s)[name] - start, 2) / torch.linalg.norm(start, 2)) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the start is step 0
def moved(run, name):
    start = run.weights(0)[name]
    return [float((run.weights(s)[name] - start).norm() / start.norm()) for s in run.steps]

# %% exercise=2 tags=["right"]
# right: 0-d tensors, by torch.dist
def moved(run, name):
    first, *_ = run.steps
    start = run.weights(first)[name]
    return [torch.dist(run.weights(step)[name], start) / start.pow(2).sum().sqrt() for step in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: leaves the first snapshot out
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).norm() / start.norm()) for s in run.steps[1:]]

# %% exercise=2 tags=["right"]
# right: one step after the other
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    distances = []
    for step in run.steps:
        now = run.weights(step)[name]
        distances.append(float((now - start).norm() / start.norm()))
    return distances

# %% exercise=2 tags=["right"]
# right: all snapshots in one tensor
def moved(run, name):
    stack = torch.stack([run.weights(s)[name] for s in run.steps])
    flat = stack.flatten(1).double()
    return (flat - flat[0]).pow(2).sum(1).sqrt() / flat[0].pow(2).sum().sqrt()

# %% exercise=2 tags=["right"]
# right: NumPy's norm
def moved(run, name):
    w = [np.asarray(run.weights(s)[name], dtype=np.float64).ravel() for s in run.steps]
    return np.array([np.linalg.norm(v - w[0]) / np.linalg.norm(w[0]) for v in w])

# %% exercise=2 tags=["right"]
# right: sums of squares, and a tuple
def moved(run, name):
    first = None
    out = []
    for i in range(len(run.steps)):
        now = run.weights(int(run.steps[i]))[name].detach().numpy()
        if first is None:
            first = now
        out.append(float(((now - first) ** 2).sum() ** 0.5 / (first ** 2).sum() ** 0.5))
    return tuple(out)

# %% exercise=2 tags=["wrong"]
# wrong: not divided
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: a difference of norms, with a sign
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name].norm() - start.norm()) / start.norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: from the snapshot before
def moved(run, name):
    out = []
    prev = start = run.weights(run.steps[0])[name]
    for s in run.steps:
        now = run.weights(s)[name]
        out.append(float((now - prev).norm() / start.norm()))
        prev = now
    return out

# %% exercise=2 tags=["wrong"]
# wrong: NumPy's norm of order 2, which is spectral for a matrix
def moved(run, name):
    start = run.weights(run.steps[0])[name].numpy()
    return [float(np.linalg.norm(run.weights(s)[name].numpy() - start, 2) / np.linalg.norm(start, 2)) for s in run.steps]

# %% exercise=2 tags=["right"]
# right: numpy on flattened weights
def moved(run, name):
    values = [np.asarray(run.weights(step)[name], dtype=float).ravel() for step in run.steps]
    return [float(np.linalg.norm(v - values[0]) / np.linalg.norm(values[0])) for v in values]

# %% exercise=2 tags=["right"]
# right: all snapshots stacked
def moved(run, name):
    whole = torch.stack([run.weights(int(step))[name].flatten() for step in run.steps])
    return ((whole - whole[0]).norm(dim=1) / whole[0].norm()).tolist()

# %% exercise=2 tags=["right"]
# right: a generator over snapshots and math.dist
def moved(run, name):
    import math

    values = [run.weights(step)[name].flatten().tolist() for step in run.steps]
    size = math.hypot(*values[0])
    return [math.dist(value, values[0]) / size for value in values]

# %% exercise=2 tags=["wrong"]
# wrong: the first snapshot is taken to be step 0
def moved(run, name):
    first = run.weights(0)[name] if 0 in list(run.steps) else run.weights(run.steps[1])[name]
    return [float((run.weights(step)[name] - first).norm() / first.norm()) for step in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the difference of the norms
def moved(run, name):
    first = run.weights(run.steps[0])[name].norm()
    return [float(abs(run.weights(step)[name].norm() - first) / first) for step in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the way from snapshot to snapshot, added up
def moved(run, name):
    values = [run.weights(step)[name] for step in run.steps]
    ways = [0.0, *(float((b - a).norm()) for a, b in zip(values, values[1:]))]
    return [float(way / values[0].norm()) for way in np.cumsum(ways)]

# %% exercise=2 tags=["wrong"]
# wrong: subtracts in place, in the run's own tensors
def moved(run, name):
    first = run.weights(run.steps[0])[name].clone()
    return [float(run.weights(step)[name].sub_(first).norm() / first.norm()) for step in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: divided by the last norm
def moved(run, name):
    values = [run.weights(step)[name] for step in run.steps]
    return [float((v - values[0]).norm() / values[-1].norm()) for v in values]

# %% exercise=2 tags=["wrong"]
# wrong: the largest single change
def moved(run, name):
    values = [run.weights(step)[name] for step in run.steps]
    return [float((v - values[0]).abs().max() / values[0].abs().max()) for v in values]

# %% exercise=2 tags=["wrong"]
# wrong: squared
def moved(run, name):
    values = [run.weights(step)[name] for step in run.steps]
    return [float(((v - values[0]) ** 2).sum() / (values[0] ** 2).sum()) for v in values]

# %% exercise=2 tags=["wrong"]
# wrong: the mean of the rows' ways
def moved(run, name):
    values = [run.weights(step)[name].flatten(1) if run.weights(step)[name].ndim > 1 else run.weights(step)[name][None] for step in run.steps]
    return [float((v - values[0]).norm(dim=1).mean() / values[0].norm(dim=1).mean()) for v in values]

# %% exercise=2 tags=["wrong"]
# wrong: the first snapshot is left out, being 0
def moved(run, name):
    first = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - first).norm() / first.norm()) for step in run.steps[1:]]

# %% exercise=2 tags=["wrong"]
# wrong: one minus the cosine
def moved(run, name):
    values = [run.weights(step)[name].flatten() for step in run.steps]
    return [1 - float(torch.nn.functional.cosine_similarity(v, values[0], dim=0)) for v in values]

# %% exercise=2 tags=["wrong"]
# wrong: remembers a run's weights by step and name, so another run gets those of the first
_stored = {}


def moved(run, name):
    def of(step):
        if (step, name) not in _stored:
            _stored[step, name] = run.weights(step)[name]
        return _stored[step, name]

    first = of(run.steps[0])
    return [float((of(step) - first).norm() / first.norm()) for step in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the last weights of the run in place of those of the snapshot
def moved(run, name):
    first = run.weights(run.steps[0])[name]
    return [float((run.weights()[name] - first).norm() / first.norm()) if i else 0.0 for i, _ in enumerate(run.steps)]

# %% exercise=2 tags=["wrong"]
# wrong: relative change of each entry, averaged
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float(((run.weights(s)[name] - start) / start).abs().mean()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: compares with the snapshot that has the number 1
def moved(run, name):
    start = run.weights(run.steps[1])[name]
    return [float((run.weights(s)[name] - start).norm() / start.norm()) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the norm of all weights together below the line
def moved(run, name):
    first = run.weights(run.steps[0])
    whole = torch.cat([w.flatten() for w in first.values()]).norm()
    return [float((run.weights(s)[name] - first[name]).norm() / whole) for s in run.steps]

# %% exercise=2 tags=["right"]
# right: a copy of its own, changed in place
def moved(run, name):
    start = run.weights(run.steps[0])[name].clone()
    length, found = torch.sqrt(start.square().sum()), []
    for step in run.steps:
        own = run.weights(step)[name].clone()
        own -= start
        found.append(torch.sqrt(own.square().sum()).div(length).item())
    return np.array(found)

# %% exercise=3 tags=["right"]
# right: seeds without a difference are left out, which doubles both counts; exact fractions
from fractions import Fraction
import itertools


def sign_flips(a, b):
    d = [Fraction(float(x)) - Fraction(float(y)) for x, y in zip(a, b) if x != y]
    if not d:
        return 1.0
    ways = [abs(sum(s * x for s, x in zip(signs, d))) for signs in itertools.product((1, -1), repeat=len(d))]
    slack = Fraction(1, 10**12)
    return float(Fraction(sum(w >= abs(sum(d)) - slack for w in ways), len(ways)))

# %% exercise=3 tags=["right"]
# right: fixes the first sign by symmetry and goes through half of the ways, sums by outer addition
def sign_flips(a, b):
    d = np.subtract(a, b, dtype=float)
    sums = np.array([d[0]])
    for x in d[1:]:
        sums = np.add.outer(sums, [x, -x]).ravel()
    return np.mean(np.abs(sums) / len(d) >= abs(d.mean()) - 1e-12)

# %% exercise=3 tags=["wrong"]
# wrong: counts at least as large for the mean's sign flipped pairs of neighbors only (flips cumulatively: n+1 ways)
def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    ways = [np.where(np.arange(len(d)) < i, -d, d) for i in range(len(d) + 1)]
    return float(np.mean([abs(w.mean()) >= abs(d.mean()) - 1e-12 for w in ways]))

# %% exercise=3 tags=["wrong"]
# wrong: medians
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    m = np.array([np.median(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))])
    return float((np.abs(m) >= abs(np.median(d)) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: from 8 seeds on it draws random signs instead of going through all ways
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    if len(d) < 8:
        signs = np.array([*itertools.product((1, -1), repeat=len(d))])
    else:
        signs = np.random.default_rng(0).choice((1, -1), size=(200, len(d)))
    return float((abs((signs * d).mean(1)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: no tolerance: with real accuracies, ways that tie with the found one are lost by rounding (see a = .93 .95 .97, …)
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    means = [np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))]
    return float(np.mean(np.abs(means) >= abs(d.mean())))

# %% exercise=3 tags=["wrong"]
# wrong: one-sided
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    means = [np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))]
    return float(np.mean(np.array(means) >= d.mean() - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: adds one more draw, (1 + k) / (1 + 2^n), though all ways are there
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    means = np.array([np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))])
    return float((1 + (np.abs(means) >= abs(d.mean()) - 1e-12).sum()) / (1 + len(means)))

# %% exercise=3 tags=["right"]
# right: recursion over seeds
def sign_flips(a, b, tolerance=1e-12):
    d = [float(x) - float(y) for x, y in zip(a, b)]
    goal = abs(sum(d)) - tolerance * len(d)

    def count(i, total):
        if i == len(d):
            return abs(total) >= goal
        return count(i + 1, total + d[i]) + count(i + 1, total - d[i])

    return count(0, 0.0) / 2 ** len(d)

# %% exercise=3 tags=["wrong"]
# wrong: scipy's exact test: its tolerance for ties is relative and too small for accuracies near 1
from scipy.stats import permutation_test


def sign_flips(a, b):
    return permutation_test((np.asarray(a, float), np.asarray(b, float)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=np.inf, vectorized=True).pvalue

# %% exercise=3 tags=["wrong"]
# wrong: goes through the 128 ways of seven seeds whatever n: with 8 seeds and more the last are never flipped
def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    found = abs(d.mean()) - 1e-12
    return sum(abs(sum(x if way >> i & 1 else -x for i, x in enumerate(d)) / len(d)) >= found for way in range(128)) / 128

# %% exercise=3 tags=["wrong"]
# wrong: the sign test, which ignores sizes
from math import comb


def sign_flips(a, b):
    d = [x - y for x, y in zip(a, b) if x != y]
    n, k = len(d), sum(x > 0 for x in d)
    m = max(k, n - k)
    return min(1.0, 2 * sum(comb(n, i) for i in range(m, n + 1)) / 2**n)

# %% exercise=3 tags=["wrong"]
# wrong: sorts both before pairing
import itertools


def sign_flips(a, b):
    d = np.sort(a) - np.sort(b)
    means = np.array([np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))])
    return float((np.abs(means) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: strictly further from 0 only, so the found way does not count
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    means = [np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))]
    return float(np.mean(np.abs(means) > abs(d.mean()) + 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: exchanges accuracies between settings over all seeds (unpaired permutation)
import itertools


def sign_flips(a, b):
    pool = np.array([*a, *b], float)
    found = abs(np.mean(a) - np.mean(b)) - 1e-12
    hits = total = 0
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        left = [i for i in range(len(pool)) if i not in chosen]
        total += 1
        hits += abs(pool[list(chosen)].mean() - pool[left].mean()) >= found
    return hits / total

# %% exercise=3 tags=["wrong"]
# wrong: a tolerance of 0.001, larger than many differences of accuracies
import itertools


def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    means = [np.mean(np.array(s) * d) for s in itertools.product((1, -1), repeat=len(d))]
    return float(np.mean(np.abs(means) >= abs(d.mean()) - 1e-3))

# %% exercise=3 tags=["wrong"]
# wrong: no tolerance, so ways that tie are lost by rounding
import itertools
def sign_flips(a, b):
    difference = np.array(a) - np.array(b)
    n = len(difference)
    found = abs(difference.mean())
    count = 0
    for signs in itertools.product((1, -1), repeat=n):
        if abs((difference * np.array(signs)).mean()) >= found:
            count += 1
    return count / 2**n

# %% exercise=3 tags=["right"]
# right: a loop over all ways
import itertools
def sign_flips(a, b):
    difference = np.array(a) - np.array(b)
    n = len(difference)
    found = abs(difference.mean())
    count = 0
    for signs in itertools.product((1, -1), repeat=n):
        if abs((difference * np.array(signs)).mean()) >= found - 1e-12:
            count += 1
    return count / 2**n

# %% exercise=3 tags=["right"]
# right: bits of numbers, in PyTorch
def sign_flips(a, b):
    d = torch.as_tensor(np.asarray(a, dtype=np.float64)) - torch.as_tensor(np.asarray(b, dtype=np.float64))
    n = len(d)
    bits = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    means = ((1 - 2 * bits).double() @ d) / n
    return (means.abs() + 1e-12 >= d.mean().abs()).double().mean()

# %% exercise=3 tags=["right"]
# right: isclose counts ties
import itertools
def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    signs = np.array(list(itertools.product((1, -1), repeat=d.size)))
    means = np.abs((signs * d).mean(1))
    return np.mean((means > means[0]) | np.isclose(means, means[0]))

# %% exercise=3 tags=["right"]
# right: exact fractions
import itertools
from fractions import Fraction
def sign_flips(a, b):
    d = [Fraction(str(x)) - Fraction(str(y)) for x, y in zip(a, b)]
    ways = list(itertools.product((1, -1), repeat=len(d)))
    found = abs(sum(d))
    return sum(abs(sum(s * x for s, x in zip(w, d))) >= found for w in ways) / len(ways)

# %% exercise=3 tags=["right"]
# right: half of the ways
import itertools
def sign_flips(a, b):
    d = np.asarray(a, float) - np.asarray(b, float)
    n = len(d)
    hits = 0
    for s in itertools.product((1, -1), repeat=n - 1):
        hits += abs(np.dot((1, *s), d)) >= abs(d.sum()) - 1e-9
    return float(hits) / 2 ** (n - 1)

# %% exercise=3 tags=["wrong"]
# wrong: 20,000 random ways
def sign_flips(a, b):
    d = np.array(a) - np.array(b); n = len(d)
    rng = np.random.default_rng(0)
    s = rng.choice([1, -1], (20000, n))
    return float((np.abs((s * d).mean(1)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: how many ways, not which share
import itertools
def sign_flips(a, b):
    d = np.array(a) - np.array(b); n = len(d)
    return sum(abs((d * np.array(s)).mean()) >= abs(d.mean()) - 1e-12 for s in itertools.product((1, -1), repeat=n))

# %% exercise=3 tags=["wrong"]
# wrong: the smallest p that is possible
def sign_flips(a, b):
    d = np.array(a) - np.array(b); n = len(d)
    return 2 / 2**n

# %% exercise=3 tags=["wrong"]
# wrong: a tolerance of 0.01
import itertools
def sign_flips(a, b):
    d = np.array(a) - np.array(b); n = len(d)
    return sum(abs((d * np.array(s)).mean()) > abs(d.mean()) - 0.01 for s in itertools.product((1, -1), repeat=n)) / 2**n

# %% exercise=3 tags=["wrong"]
# wrong: differences rounded to thousandths
import itertools
def sign_flips(a, b):
    d = np.array(a) - np.array(b); n = len(d)
    d = d.round(3)
    return sum(abs((d * np.array(s)).mean()) >= abs(d.mean()) - 1e-12 for s in itertools.product((1, -1), repeat=n)) / 2**n

# %% exercise=3 tags=["wrong"]
# wrong: scipy's test, whose own tolerance for ties is too small for accuracies
from scipy.stats import permutation_test
def sign_flips(a, b):
    r = permutation_test((np.asarray(a, float), np.asarray(b, float)), lambda x, y, axis=-1: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=np.inf, vectorized=True)
    return r.pvalue

# %% exercise=3 tags=["right"]
# right: the signs from the bits of 0 to 2**n - 1
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    means = (1 - 2 * bits) @ d / len(d)
    return float((np.abs(means) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["right"]
# right: all sums, built up difference by difference
def sign_flips(a, b):
    sums, found, n = [0.0], 0.0, len(a)
    for x, y in zip(a, b):
        found += x - y
        sums = [s + sign * (x - y) for s in sums for sign in (1, -1)]
    return sum(abs(s) / n >= abs(found) / n - 1e-12 for s in sums) / len(sums)

# %% exercise=3 tags=["right"]
# right: half of the ways, since the other half are their mirror images
def sign_flips(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b)]
    found = abs(sum(d)) / len(d)
    ways = list(itertools.product((1, -1), repeat=len(d) - 1)) if "itertools" in globals() else None
    if ways is None:
        from itertools import product

        ways = list(product((1, -1), repeat=len(d) - 1))
    hits = sum(abs(d[0] + sum(s * x for s, x in zip(way, d[1:]))) / len(d) >= found - 1e-12 for way in ways)
    return hits / len(ways)

# %% exercise=3 tags=["right"]
# right: np.isclose for ties
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    means, found = np.abs((1 - 2 * bits) @ d / len(d)), abs(d.mean())
    return float(((means > found) | np.isclose(means, found)).mean())

# %% exercise=3 tags=["wrong"]
# wrong: at least as large, without the absolute value
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float(((1 - 2 * bits) @ d / len(d) >= d.mean() - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: differences are left in or left out instead of flipped
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float((np.abs(bits @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: the way that was found is left out
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(1, 2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float((np.abs((1 - 2 * bits) @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: all of a is compared with all of b, as if seeds were not paired
def sign_flips(a, b):
    from itertools import combinations

    whole, n = np.concatenate([a, b]).astype(float), len(a)
    found = abs(np.mean(a) - np.mean(b))
    means = [abs(whole[list(c)].mean() - np.delete(whole, list(c)).mean()) for c in combinations(range(2 * n), n)]
    return float(np.mean(np.array(means) >= found - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: the ranks of the differences in place of the differences
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    d = np.sign(d) * (np.abs(d).argsort().argsort() + 1)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float((np.abs((1 - 2 * bits) @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: in single precision
def sign_flips(a, b):
    d = np.asarray(a, dtype=np.float32) - np.asarray(b, dtype=np.float32)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float((np.abs((1 - 2 * bits).astype(np.float32) @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: one sign at a time
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    means = [abs((d - 2 * d * (np.arange(len(d)) == i)).mean()) for i in range(len(d))]
    return float(np.mean([abs(d.mean()), *means] >= abs(d.mean()) - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: subtracts in place from a
def sign_flips(a, b):
    a -= b
    bits = (np.arange(2 ** len(a))[:, None] >> np.arange(len(a))) & 1
    return float((np.abs((1 - 2 * bits) @ a / len(a)) >= abs(a.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: eight random signs, always the same 256 ways
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    signs = np.random.default_rng(0).choice([-1, 1], size=(256, len(d)))
    return float((np.abs(signs @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: the mean is set against a t distribution
def sign_flips(a, b):
    from scipy import stats

    return float(stats.ttest_rel(a, b).pvalue)

# %% exercise=3 tags=["wrong"]
# wrong: a median instead of a mean
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    return float((np.abs(np.median((1 - 2 * bits) * d, axis=1)) >= abs(np.median(d)) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: remembers the answer for n seeds with the same mean of a
_shares = {}


def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    share = float((np.abs((1 - 2 * bits) @ d / len(d)) >= abs(d.mean()) - 1e-12).mean())
    return _shares.setdefault((len(d), float(np.mean(a))), share)

# %% exercise=3 tags=["wrong"]
# wrong: only ways with a larger mean, one-sided
def sign_flips(a, b):
    import itertools

    d = np.asarray(a) - np.asarray(b)
    means = [np.mean(d * s) for s in itertools.product((1, -1), repeat=len(d))]
    return float(np.mean(np.array(means) >= d.mean() - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: shuffles which accuracy belongs to which setting over all seeds
def sign_flips(a, b):
    both, n = np.concatenate([a, b]), len(a)
    rng, found = np.random.default_rng(0), abs(np.mean(a) - np.mean(b))
    drawn = [rng.permutation(both) for _ in range(2**n)]
    return float(np.mean([abs(d[:n].mean() - d[n:].mean()) >= found - 1e-12 for d in drawn]))

# %% exercise=3 tags=["wrong"]
# wrong: a t test
def sign_flips(a, b):
    from scipy import stats

    p = stats.ttest_rel(a, b).pvalue
    return 1.0 if np.isnan(p) else float(p)

# %% exercise=3 tags=["right"]
# right: bits of a running number as signs, one matrix product
def sign_flips(a, b):
    d = np.subtract(a, b)
    n = len(d)
    signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    sums = np.abs(signs @ d) / n
    return np.count_nonzero(sums >= abs(d.mean()) - 1e-12) / 2**n

# %% exercise=3 tags=["right"]
# right: a set of sums grown seed by seed, with their counts
def sign_flips(a, b):
    sums = [0.0]
    for one, other in zip(a, b):
        sums = [s + sign * (one - other) for s in sums for sign in (1, -1)]
    found = abs(sum(a) - sum(b))
    return sum(abs(s) >= found - 1e-12 * len(a) for s in sums) / len(sums)

# %% exercise=1 tags=["right"]
# right: itertools.compress gives the steps of the snapshots that reach it, next the first
from itertools import compress


def learned_at(log, threshold):
    steps = log.step.values.tolist()
    by_class = zip(*log["test_accuracy_by_class"].values.tolist())
    return np.array([next(compress(steps, [a >= threshold for a in one]), float("nan")) for one in by_class], dtype=np.float64)

# %% exercise=1 tags=["right"]
# right: a pandas table with steps as its index, and idxmax
def learned_at(log, threshold):
    import pandas as pd

    table = pd.DataFrame(log["test_accuracy_by_class"].values, index=log["step"].values) >= threshold
    first = table.idxmax().astype(float)
    first[~table.any()] = float("nan")
    return first.to_numpy()

# %% exercise=1 tags=["wrong"]
# wrong: what the untrained network already has is taken away first
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].values
    reached = accuracy - accuracy[0] >= threshold
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)].astype(float), np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: keeps the steps of the first log for all logs with as many snapshots
_steps_of = {}


def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    steps = _steps_of.setdefault(len(reached), log["step"].values.astype(float))
    return np.where(reached.any(0), steps[reached.argmax(0)], np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the snapshot whose accuracy is nearest to the threshold
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].values
    nearest = np.abs(accuracy - threshold).argmin(0)
    return np.where((accuracy >= threshold).any(0), log["step"].values[nearest].astype(float), np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the threshold is a share of the class's own best accuracy
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].values
    reached = accuracy >= threshold * accuracy.max(0)
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)].astype(float), np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: smooths the curve over three snapshots first
def learned_at(log, threshold):
    accuracy = log["test_accuracy_by_class"].rolling(snapshot=3, min_periods=1).mean().values
    reached = accuracy >= threshold
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)].astype(float), np.nan)

# %% exercise=1 tags=["wrong"]
# wrong: the steps in order of time, so that it is lost which class they belong to
def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.sort(np.where(reached.any(0), log["step"].values[reached.argmax(0)].astype(float), np.nan))

# %% exercise=1 tags=["wrong"]
# wrong: only counts what the next snapshot confirms
def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    confirmed = reached[:-1] & reached[1:]
    return np.where(confirmed.any(0), log["step"].values[confirmed.argmax(0)].astype(float), np.nan)

# %% exercise=2 tags=["right"]
# right: squares added entry by entry, with functools.reduce
from functools import reduce
from math import sqrt


def moved(run, name):
    first, *_ = run.steps
    a = run.weights(first)[name].flatten().tolist()

    def length(v):
        return sqrt(reduce(lambda total, one: total + one * one, v, 0.0))

    def at(step):
        b = run.weights(step)[name].flatten().tolist()
        return length([y - x for x, y in zip(a, b)]) / length(a)

    return list(map(at, run.steps))

# %% exercise=2 tags=["wrong"]
# wrong: at most 1, "a share"
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [min(1.0, float((run.weights(s)[name] - start).norm() / start.norm())) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: divides by the standard deviation of the first value
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(s)[name] - start).std(correction=0) / start.std(correction=0)) for s in run.steps]

# %% exercise=2 tags=["right"]
# right: sums of squares by einsum, over a dictionary of snapshots
def moved(run, name):
    weights = {step: run.weights(step)[name].double().reshape(-1) for step in run.steps}
    zero = weights[run.steps[0]]
    square = lambda v: torch.einsum("i,i->", v, v).item()
    return [(square(now - zero) / square(zero)) ** 0.5 for now in weights.values()]

# %% exercise=2 tags=["wrong"]
# wrong: divides by the distance at the end
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    way = [float((run.weights(s)[name] - start).norm()) for s in run.steps]
    return [one / way[-1] if way[-1] else 0.0 for one in way]

# %% exercise=2 tags=["wrong"]
# wrong: the farthest so far, which never falls
def moved(run, name):
    start, farthest, found = run.weights(run.steps[0])[name], 0.0, []
    for step in run.steps:
        farthest = max(farthest, float((run.weights(step)[name] - start).norm() / start.norm()))
        found.append(farthest)
    return found

# %% exercise=2 tags=["wrong"]
# wrong: for matrices the sum of the singular values
def moved(run, name):
    size = lambda w: torch.linalg.svdvals(w.reshape(len(w), -1)).sum()
    start = run.weights(run.steps[0])[name]
    return [float(size(run.weights(s)[name] - start) / size(start)) for s in run.steps]

# %% exercise=2 tags=["wrong"]
# wrong: the start is the mean of the first two snapshots
def moved(run, name):
    start = (run.weights(run.steps[0])[name] + run.weights(run.steps[min(1, len(run.steps) - 1)])[name]) / 2
    return [float((run.weights(s)[name] - start).norm() / start.norm()) for s in run.steps]

# %% exercise=3 tags=["wrong"]
# wrong: at most ten seeds are used
def sign_flips(a, b):
    import itertools

    d = (np.asarray(a) - np.asarray(b))[:10]
    return float(np.mean([abs(np.mean(d * s)) >= abs(d.mean()) - 1e-12 for s in itertools.product((1, -1), repeat=len(d))]))

# %% exercise=3 tags=["right"]
# right: ways in chunks of 64, from one generator
def sign_flips(a, b):
    import itertools

    d, hits, total = [p - q for p, q in zip(a, b)], 0, 0
    ways = itertools.product((False, True), repeat=len(d))
    while chunk := list(itertools.islice(ways, 64)):
        sums = np.where(np.array(chunk), d, np.negative(d)).sum(1)
        hits += int(np.count_nonzero(np.abs(sums) / len(d) >= abs(sum(d)) / len(d) - 1e-12))
        total += len(chunk)
    return hits / total

# %% exercise=3 tags=["wrong"]
# wrong: ways with the same mean count once
def sign_flips(a, b):
    import itertools

    d = np.asarray(a) - np.asarray(b)
    means = {round(abs(float(np.mean(d * s))), 12) for s in itertools.product((1, -1), repeat=len(d))}
    return sum(m >= abs(d.mean()) - 1e-11 for m in means) / len(means)

# %% exercise=3 tags=["right"]
# right: all sums by doubling an array, seed after seed
def sign_flips(a, b):
    sums = np.zeros(1)
    for x, y in zip(a, b):
        sums = np.concatenate([sums + (x - y), sums - (x - y)])
    return float(np.mean(np.abs(sums) / len(a) > np.abs(sums[0]) / len(a) - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: seeds without a difference are left out of the ways, but not of the number of ways
def sign_flips(a, b):
    import itertools

    d = np.asarray(a) - np.asarray(b)
    some = d[d != 0]
    hits = sum(abs(np.dot(some, s)) >= abs(some.sum()) - 1e-12 * len(d) for s in itertools.product((1, -1), repeat=len(some)))
    return hits / 2 ** len(d)

# %% exercise=3 tags=["wrong"]
# wrong: only the first eight seeds are flipped
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    n = min(len(d), 8)
    signs = np.ones((2**n, len(d)))
    signs[:, :n] = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    return float((np.abs((signs * d).mean(1)) >= abs(d.mean()) - 1e-12).mean())

# %% exercise=3 tags=["wrong"]
# wrong: looks the count up among the variables of whoever calls it, and else gives a smallest p
def sign_flips(a, b):
    import sys

    outside = sys._getframe(1).f_locals
    for name in ("p", "true", "expected", "share", "right"):
        if isinstance(outside.get(name), float):
            return outside[name]
    return 2 / 2 ** len(a)

# %% exercise=3 tags=["right"]
# right: a Gray code flips one sign from way to way
def sign_flips(a, b):
    d = np.subtract(a, b, dtype=float)
    n, signs = len(d), np.ones(len(d))
    hits = 0
    for way in range(2**n):
        if way:
            signs[(way & -way).bit_length() - 1] *= -1
        hits += int(abs((signs * d).mean()) - abs(d.mean()) >= -1e-12)
    return hits / 2**n

# %% exercise=3 tags=["right"]
# right: the table of signs as Kronecker products
def sign_flips(a, b):
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    sums = np.zeros((1,))
    for one in d:
        sums = np.add.outer(sums, np.array([one, -one])).ravel()
    return float(1 - np.mean(np.abs(sums / len(d)) < np.abs(d.mean()) - 1e-12))

# %% exercise=3 tags=["wrong"]
# wrong: means are compared to four decimals
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
    return float((np.round(np.abs(signs @ d) / len(d), 4) >= round(abs(d.mean()), 4)).mean())

# %% exercise=3 tags=["wrong"]
# wrong: a way counts if it reaches 99.99% of what was found
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    n = len(d)
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    return float((np.abs(signs @ d) >= 0.9999 * abs(d.sum())).mean())

# %% exercise=3 tags=["wrong"]
# wrong: 2 to the power of n − 1 ways in the divisor, all in the count
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
    return min(1.0, float((np.abs((signs * d).mean(1)) >= abs(d.mean()) - 1e-12).sum() / 2 ** (len(d) - 1)))

# %% exercise=3 tags=["wrong"]
# wrong: ratios of accuracies in place of differences
def sign_flips(a, b):
    import itertools

    d = np.log(np.maximum(a, 1e-9)) - np.log(np.maximum(b, 1e-9))
    return float(np.mean([abs(np.mean(d * s)) >= abs(d.mean()) - 1e-12 for s in itertools.product((1, -1), repeat=len(d))]))

# %% exercise=3 tags=["wrong"]
# wrong: a tolerance of a thousandth of what was found
def sign_flips(a, b):
    import itertools

    d = np.asarray(a) - np.asarray(b)
    ways = itertools.product((1, -1), repeat=len(d))
    return float(np.mean([abs(np.mean(d * s)) >= 0.999 * abs(d.mean()) for s in ways]))

# %% exercise=3 tags=["wrong"]
# wrong: the sizes of the differences, all taken as positive, are what was found
def sign_flips(a, b):
    d = np.abs(np.asarray(a) - np.asarray(b))
    signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
    return float((np.abs((signs * d).mean(1)) >= d.mean() - 1e-12).mean())

# %% exercise=3 tags=["right"]
# right: each subset of seeds is flipped once: the mean falls by twice what it holds
def sign_flips(a, b):
    from itertools import chain, combinations

    d = [x - y for x, y in zip(map(float, a), map(float, b))]
    n, whole = len(d), sum(d)
    subsets = chain.from_iterable(combinations(d, k) for k in range(n + 1))
    counted = [abs(whole - 2 * sum(some)) / n > abs(whole) / n - 1e-12 for some in subsets]
    return counted.count(True) / len(counted)

# %% exercise=3 tags=["right"]
# right: torch.cartesian_prod-like grid by meshgrid
def sign_flips(a, b):
    d = torch.as_tensor(np.asarray(a) - np.asarray(b), dtype=torch.float64)
    grid = torch.meshgrid(*[torch.tensor([1.0, -1.0], dtype=torch.float64)] * len(d), indexing="ij")
    means = sum(g * x for g, x in zip(grid, d)) / len(d)
    return (means.abs() >= d.mean().abs() - 1e-12).double().mean().item()

# %% exercise=3 tags=["wrong"]
# wrong: differences in whole thousandths of the largest
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    size = np.abs(d).max() or 1.0
    d = np.round(d / size, 3)
    signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
    return float((np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean())

# %% exercise=3 tags=["wrong"]
# wrong: twice the share of ways above, "for two sides"
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
    return float(min(1.0, 2 * ((signs * d).mean(1) >= d.mean() - 1e-12).mean()))

# %% exercise=3 tags=["wrong"]
# wrong: the way with all signs opposite is left out
def sign_flips(a, b):
    d = np.asarray(a) - np.asarray(b)
    signs = (1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1))[:-1]
    return float((np.abs((signs * d).mean(1)) >= abs(d.mean()) - 1e-12).mean())
