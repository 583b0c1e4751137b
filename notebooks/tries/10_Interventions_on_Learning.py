# %% exercise=1 tags=["wrong"]
# wrong: always none
def first_difference(one, other):
    return None

# %% exercise=1 tags=["wrong"]
# wrong: compares with ==, for which -0.0 is 0.0 and a NaN is never equal
def first_difference(one, other):
    for step in sorted(one.keys() & other.keys()):
        if one[step].keys() != other[step].keys():
            return step
        for name, w in one[step].items():
            if w.shape != other[step][name].shape or not bool((w == other[step][name]).all()):
                return step
    return None

# %% exercise=1 tags=["wrong"]
# wrong: NaN replaced by 0 first, so that -0.0 is still 0.0
def first_difference(one, other):
    for step in sorted(one.keys() & other.keys()):
        if one[step].keys() != other[step].keys():
            return step
        for name, w in one[step].items():
            v = other[step][name]
            if w.shape != v.shape or w.dtype != v.dtype or not torch.equal(torch.nan_to_num(w), torch.nan_to_num(v)):
                return step
    return None

# %% exercise=1 tags=["wrong"]
# wrong: only the names that both have
def first_difference(one, other):
    for step in sorted(one.keys() & other.keys()):
        for name in one[step].keys() & other[step].keys():
            w, v = one[step][name], other[step][name]
            if (w.dtype, w.shape, w.numpy().tobytes()) != (v.dtype, v.shape, v.numpy().tobytes()):
                return step
    return None

# %% exercise=1 tags=["wrong"]
# wrong: only the names of the first
def first_difference(one, other):
    for step in sorted(one.keys() & other.keys()):
        for name, w in one[step].items():
            v = other[step].get(name)
            if v is None or (w.dtype, w.shape, w.numpy().tobytes()) != (v.dtype, v.shape, v.numpy().tobytes()):
                return step
    return None

# %% exercise=1 tags=["wrong"]
# wrong: the first step at which they are the same
def first_difference(one, other):
    def content(weights):
        return {n: (w.dtype, w.shape, w.numpy().tobytes()) for n, w in weights.items()}
    return next((s for s in sorted(one.keys() & other.keys()) if content(one[s]) == content(other[s])), None)

# %% exercise=1 tags=["wrong"]
# wrong: the weights only, and no biases
def first_difference(one, other):
    def content(weights):
        return {n: (w.dtype, w.shape, w.numpy().tobytes()) for n, w in weights.items() if "weight" in n}
    return next((s for s in sorted(one.keys() & other.keys()) if content(one[s]) != content(other[s])), None)

# %% exercise=1 tags=["wrong"]
# wrong: sums, in which two differences can cancel and a NaN is in all
def first_difference(one, other):
    def content(weights):
        return {n: (tuple(w.shape), float(w.double().sum())) for n, w in weights.items()}
    return next((s for s in sorted(one.keys() & other.keys()) if content(one[s]) != content(other[s])), None)

# %% exercise=1 tags=["wrong"]
# wrong: a True in place of the step
def first_difference(one, other):
    def content(weights):
        return {n: (w.dtype, w.shape, w.numpy().tobytes()) for n, w in weights.items()}
    return any(content(one[s]) != content(other[s]) for s in one.keys() & other.keys()) or None

# %% exercise=1 tags=["right"]
# right: safetensors, which writes names, dtypes, shapes and bits
def first_difference(one, other):
    from safetensors.torch import save
    both = [s for s in sorted(one) if s in other]
    return next((s for s in both if save({n: w.contiguous() for n, w in one[s].items()}) != save({n: w.contiguous() for n, w in other[s].items()})), None)

# %% exercise=1 tags=["right"]
# right: bits as integers in torch
def first_difference(one, other):
    def same(a, b):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        return torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
    for step in sorted(one):
        if step not in other:
            continue
        a, b = one[step], other[step]
        if set(a) != set(b) or not all(same(a[n], b[n]) for n in a):
            return int(step)

# %% exercise=2 tags=["wrong"]
# wrong: the median of the differences
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return np.median(far), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5

# %% exercise=2 tags=["wrong"]
# wrong: divides by n - 1 under the root as well
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return far.mean(), far.std(ddof=1) / (n - 1) ** 0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / (n - 1)) ** 0.5

# %% exercise=2 tags=["wrong"]
# wrong: variances in place of standard errors
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return far.mean(), far.var(ddof=1) / n, (branch.var(ddof=1) + twin.var(ddof=1)) / n

# %% exercise=2 tags=["wrong"]
# wrong: standard deviations added
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return far.mean(), far.std(ddof=1) / n**0.5, (branch.std(ddof=1) + twin.std(ddof=1)) / n**0.5

# %% exercise=2 tags=["wrong"]
# wrong: the size of the mean
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return abs(far.mean()), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5

# %% exercise=2 tags=["wrong"]
# wrong: the mean of the sizes
def paired(branch, twin):
    far = branch - twin
    n = len(far)
    return np.abs(far).mean(), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5

# %% exercise=2 tags=["wrong"]
# wrong: n counts both groups
def paired(branch, twin):
    far = branch - twin
    n = len(branch) + len(twin)
    return far.mean(), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5

# %% exercise=2 tags=["wrong"]
# wrong: two numbers only
def paired(branch, twin):
    far = branch - twin
    return far.mean(), far.std(ddof=1) / len(far) ** 0.5

# %% exercise=2 tags=["right"]
# right: the statistics module
def paired(branch, twin):
    import statistics as st
    b, t = [float(x) for x in branch], [float(x) for x in twin]
    far = [x - y for x, y in zip(b, t)]
    return st.mean(far), (st.variance(far) / len(far)) ** 0.5, ((st.variance(b) + st.variance(t)) / len(far)) ** 0.5

# %% exercise=2 tags=["right"]
# right: from the covariance matrix
def paired(branch, twin):
    c = np.cov(branch, twin)
    n = len(branch)
    return np.mean(branch) - np.mean(twin), np.sqrt(max((c[0, 0] + c[1, 1] - 2 * c[0, 1]) / n, 0)), np.sqrt((c[0, 0] + c[1, 1]) / n)

# %% exercise=2 tags=["right"]
# right: a torch tensor comes back
def paired(branch, twin):
    b, t = torch.as_tensor(branch.copy()), torch.as_tensor(twin.copy())
    far = b - t
    return torch.stack([far.mean(), far.std() / len(far) ** 0.5, ((b.var() + t.var()) / len(far)).sqrt()])

# %% exercise=3 tags=["wrong"]
# wrong: always none
def by_when(p, steps):
    return None

# %% exercise=3 tags=["wrong"]
# wrong: the last step if it is shown
def by_when(p, steps):
    return steps[-1] if p[-1] < 0.05 else None

# %% exercise=3 tags=["wrong"]
# wrong: the step of the smallest p
def by_when(p, steps):
    at = int(np.nanargmin(p))
    return steps[at] if p[at] < 0.05 else None

# %% exercise=3 tags=["wrong"]
# wrong: forgets that the end must be shown
def by_when(p, steps):
    found = None
    for value, step in zip(p, steps):
        if value < 0.05:
            found = step if found is None else found
        else:
            found = None if step != steps[-1] else found
    return found

# %% exercise=3 tags=["wrong"]
# wrong: one step late
def by_when(p, steps):
    found = None
    for at in range(len(p) - 1, -1, -1):
        if not p[at] < 0.05:
            break
        found = steps[min(at + 1, len(p) - 1)]
    return found

# %% exercise=3 tags=["wrong"]
# wrong: corrects by the number of steps
def by_when(p, steps):
    found = None
    for value, step in zip(p[::-1], steps[::-1]):
        if not value * len(p) < 0.05:
            break
        found = step
    return found

# %% exercise=3 tags=["wrong"]
# wrong: another level
def by_when(p, steps):
    found = None
    for value, step in zip(p[::-1], steps[::-1]):
        if not value < 0.1:
            break
        found = step
    return found

# %% exercise=3 tags=["wrong"]
# wrong: allows one break
def by_when(p, steps):
    found, breaks = None, 0
    for value, step in zip(p[::-1], steps[::-1]):
        if value < 0.05:
            found = step
        else:
            breaks += 1
            if breaks > 1 or found is None:
                break
    return found

# %% exercise=3 tags=["right"]
# right: the step behind the last one that is not below
def by_when(p, steps):
    above = [at for at, value in enumerate(p) if not value < 0.05]
    start = above[-1] + 1 if above else 0
    return int(steps[start]) if start < len(steps) else None

# %% exercise=3 tags=["right"]
# right: forgets what it found whenever it breaks
def by_when(p, steps):
    found = None
    for value, step in zip(p, steps, strict=True):
        if not value < 0.05:
            found = None
        elif found is None:
            found = step
    return found

# %% exercise=3 tags=["right"]
# right: calls itself
def by_when(p, steps):
    if len(p) == 0 or not p[-1] < 0.05:
        return None
    before = by_when(p[:-1], steps[:-1])
    return steps[-1] if before is None else before

# %% exercise=4 tags=["wrong"]
# wrong: always 0
def barrier(errors):
    return 0.0

# %% exercise=4 tags=["wrong"]
# wrong: the highest point
def barrier(errors):
    return np.max(errors)

# %% exercise=4 tags=["wrong"]
# wrong: above the lower end
def barrier(errors):
    return np.max(errors) - min(errors[0], errors[-1])

# %% exercise=4 tags=["wrong"]
# wrong: above the first end
def barrier(errors):
    return max(np.max(errors) - errors[0], 0)

# %% exercise=4 tags=["wrong"]
# wrong: the straight line at the highest point only
def barrier(errors):
    at = int(np.argmax(errors))
    share = at / (len(errors) - 1)
    return max(errors[at] - (1 - share) * errors[0] - share * errors[-1], 0)

# %% exercise=4 tags=["wrong"]
# wrong: shares that leave out the second end
def barrier(errors):
    share = np.linspace(0, 1, len(errors), endpoint=False)
    return max((errors - (1 - share) * errors[0] - share * errors[-1]).max(), 0)

# %% exercise=4 tags=["wrong"]
# wrong: a line fitted to all points
def barrier(errors):
    at = np.arange(len(errors))
    return (errors - np.polyval(np.polyfit(at, errors, 1), at)).max()

# %% exercise=4 tags=["wrong"]
# wrong: in percent
def barrier(errors):
    share = np.linspace(0, 1, len(errors))
    return 100 * (errors - (1 - share) * errors[0] - share * errors[-1]).max()

# %% exercise=4 tags=["wrong"]
# wrong: a list of rises
def barrier(errors):
    share = np.linspace(0, 1, len(errors))
    return errors - (1 - share) * errors[0] - share * errors[-1]

# %% exercise=4 tags=["right"]
# right: torch, a tensor of one number
def barrier(errors):
    e = torch.as_tensor(np.array(errors), dtype=torch.float64)
    share = torch.linspace(0, 1, len(e), dtype=torch.float64)
    return (e - torch.lerp(e[0], e[-1], share)).clamp(min=0).max()

# %% exercise=4 tags=["right"]
# right: takes the slope away first
def barrier(errors):
    flat = np.array(errors, float) - errors[0]
    flat -= flat[-1] * np.arange(len(flat)) / (len(flat) - 1)
    return max(flat)
