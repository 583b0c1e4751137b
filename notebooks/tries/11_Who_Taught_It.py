# %% exercise=1 tags=["wrong"]
# wrong: always 0
def product(slopes, inputs, slopes_b, inputs_b):
    return 0.0

# %% exercise=1 tags=["wrong"]
# wrong: the mean over the layers
def product(slopes, inputs, slopes_b, inputs_b):
    each = [float(d @ e) * (float(h @ k) + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b)]
    return sum(each) / len(each)

# %% exercise=1 tags=["wrong"]
# wrong: a number for each layer
def product(slopes, inputs, slopes_b, inputs_b):
    return [float(d @ e) * (float(h @ k) + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b)]

# %% exercise=1 tags=["wrong"]
# wrong: the bias without its slopes, once for all layers
def product(slopes, inputs, slopes_b, inputs_b):
    return 1 + sum(float((d @ e) * (h @ k)) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b))

# %% exercise=1 tags=["wrong"]
# wrong: the bias of the last layer only
def product(slopes, inputs, slopes_b, inputs_b):
    weights = sum(float((d @ e) * (h @ k)) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b))
    return weights + float(slopes[-1] @ slopes_b[-1])

# %% exercise=1 tags=["wrong"]
# wrong: absolute values
def product(slopes, inputs, slopes_b, inputs_b):
    return abs(sum(float(d @ e) * (float(h @ k) + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b)))

# %% exercise=1 tags=["wrong"]
# wrong: minus, as a step down the loss
def product(slopes, inputs, slopes_b, inputs_b):
    return -sum(float(d @ e) * (float(h @ k) + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b))

# %% exercise=1 tags=["wrong"]
# wrong: sums over the layers first, then the product
def product(slopes, inputs, slopes_b, inputs_b):
    d = sum(float(one @ other) for one, other in zip(slopes, slopes_b))
    h = sum(float(one @ other) + 1 for one, other in zip(inputs, inputs_b))
    return d * h

# %% exercise=1 tags=["wrong"]
# wrong: the biases only
def product(slopes, inputs, slopes_b, inputs_b):
    return sum(float(d @ e) for d, e in zip(slopes, slopes_b))

# %% exercise=1 tags=["wrong"]
# wrong: at most three layers
def product(slopes, inputs, slopes_b, inputs_b):
    return sum(float(d @ e) * (float(h @ k) + 1) for d, h, e, k in list(zip(slopes, inputs, slopes_b, inputs_b))[:2])

# %% exercise=1 tags=["wrong"]
# wrong: changes what it gets
def product(slopes, inputs, slopes_b, inputs_b):
    total = 0.0
    for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b):
        total += float(d.mul_(e).sum()) * (float(h @ k) + 1)
    return total

# %% exercise=1 tags=["right"]
# right: einsum
def product(slopes, inputs, slopes_b, inputs_b):
    return sum(torch.einsum("o,o->", d, e) * (1 + torch.einsum("i,i->", h, k)) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b))

# %% exercise=1 tags=["right"]
# right: numpy, an array of one number
def product(slopes, inputs, slopes_b, inputs_b):
    total = np.zeros(())
    for at in range(len(slopes)):
        d, h, e, k = (side[at].numpy() for side in (slopes, inputs, slopes_b, inputs_b))
        total += np.dot(d, e) * np.dot(np.append(h, 1), np.append(k, 1))
    return total

# %% exercise=1 tags=["right"]
# right: all gradients as one vector each
def product(slopes, inputs, slopes_b, inputs_b):
    def vector(s, i):
        return torch.cat([torch.cat([torch.outer(d, h).flatten(), d]) for d, h in zip(s, i)])
    return torch.dot(vector(slopes, inputs), vector(slopes_b, inputs_b)).item()

# %% exercise=2 tags=["wrong"]
# wrong: always 1
def ceiling(effects):
    return 1.0

# %% exercise=2 tags=["wrong"]
# wrong: even against odd seeds
def ceiling(effects):
    r = stats.spearmanr(effects[:, ::2].mean(1), effects[:, 1::2].mean(1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0

# %% exercise=2 tags=["wrong"]
# wrong: medians of the halves
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.spearmanr(np.median(effects[:, :half], axis=1), np.median(effects[:, half:], axis=1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0

# %% exercise=2 tags=["wrong"]
# wrong: ranks each seed first
def ceiling(effects):
    half = effects.shape[1] // 2
    ranks = stats.rankdata(effects, axis=0)
    r = np.corrcoef(ranks[:, :half].mean(1), ranks[:, half:].mean(1))[0, 1]
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0

# %% exercise=2 tags=["wrong"]
# wrong: half the seeds against all of them
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects.mean(1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0

# %% exercise=2 tags=["wrong"]
# wrong: the correlation of half the seeds
def ceiling(effects):
    half = effects.shape[1] // 2
    return max(stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic, 0)

# %% exercise=2 tags=["wrong"]
# wrong: NaN where the halves don't agree
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else np.nan

# %% exercise=2 tags=["wrong"]
# wrong: the formula with 1 + 2r
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return np.sqrt(3 * r / (1 + 2 * r)) if r > 0 else 0.0

# %% exercise=2 tags=["wrong"]
# wrong: the root before the formula
def ceiling(effects):
    half = effects.shape[1] // 2
    r = max(stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic, 0) ** 0.5
    return 2 * r / (1 + r)

# %% exercise=2 tags=["wrong"]
# wrong: Kendall's correlation
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.kendalltau(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0

# %% exercise=2 tags=["right"]
# right: torch
def ceiling(effects):
    x = torch.from_numpy(np.array(effects))
    a, b = (side.mean(1).argsort().argsort().double() for side in x.chunk(2, dim=1))
    r = torch.corrcoef(torch.stack([a, b]))[0, 1].clamp(min=0)
    return (2 * r / (1 + r)).sqrt()

# %% exercise=2 tags=["right"]
# right: the pair in one table
def ceiling(effects):
    seeds = effects.shape[1]
    halves = np.column_stack([effects[:, : seeds // 2].mean(axis=1), effects[:, seeds // 2 :].mean(axis=1)])
    r = stats.spearmanr(halves).statistic
    if r <= 0:
        return 0
    return float((2 * r / (1 + r)) ** 0.5)

# %% exercise=2 tags=["right"]
# right: 2 / (1 + 1/r)
def ceiling(effects):
    k = effects.shape[1] // 2
    r = stats.spearmanr(np.sum(effects[:, :k], 1), np.sum(effects[:, k:], 1))[0]
    return 0.0 if not r > 0 else (2 / (1 + 1 / r)) ** 0.5

# %% exercise=3 tags=["wrong"]
# wrong: always the smallest p
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    return (a * b).mean(), 1 / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: scipy's p of the first target
def p_of_agreement(estimated, measured, draws, rng):
    each = [stats.spearmanr(estimated[:, at], measured[:, at]) for at in range(estimated.shape[1])]
    return np.mean([one.statistic for one in each]), each[0].pvalue

# %% exercise=3 tags=["wrong"]
# wrong: the median over targets
def p_of_agreement(estimated, measured, draws, rng):
    def value(a):
        return np.median([stats.spearmanr(a[:, at], measured[:, at]).statistic for at in range(a.shape[1])])
    here = value(estimated)
    return here, (1 + sum(value(rng.permutation(estimated)) >= here for _ in range(draws))) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: the mean over targets first, then one correlation
def p_of_agreement(estimated, measured, draws, rng):
    a, b = estimated.mean(1), measured.mean(1)
    here = stats.spearmanr(a, b).statistic
    null = [stats.spearmanr(rng.permutation(a), b).statistic for _ in range(draws)]
    return here, (1 + sum(one >= here for one in null)) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: divides by draws
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    return here, (1 + sum((a[rng.permutation(len(a))] * b).mean() >= here for _ in range(draws))) / draws

# %% exercise=3 tags=["wrong"]
# wrong: the lower side
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    return here, (1 + sum((a[rng.permutation(len(a))] * b).mean() <= here for _ in range(draws))) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: shuffles the caller's array in place
def p_of_agreement(estimated, measured, draws, rng):
    def value(a):
        return np.mean([stats.spearmanr(a[:, at], measured[:, at]).statistic for at in range(a.shape[1])])
    here, higher = value(estimated), 0
    for _ in range(draws):
        rng.shuffle(estimated)
        higher += value(estimated) >= here - 1e-12
    return here, (1 + higher) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: permutes the targets
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    return here, (1 + sum((a[:, rng.permutation(a.shape[1])] * b).mean() >= here - 1e-12 for _ in range(draws))) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: resamples the sets with replacement
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    null = [(a[rng.integers(0, len(a), len(a))] * b).mean() for _ in range(draws)]
    return here, (1 + sum(one >= here for one in null)) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: the same draw again and again
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here, order = (a * b).mean(), rng.permutation(len(a))
    return here, (1 + sum((a[order] * b).mean() >= here for _ in range(draws))) / (1 + draws)

# %% exercise=3 tags=["wrong"]
# wrong: a bell curve in place of counting
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    null = np.array([(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)])
    return here, stats.norm.sf((here - null.mean()) / null.std())

# %% exercise=3 tags=["right"]
# right: the place among the sorted draws
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    here = (a * b).mean()
    null = np.sort([(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)])
    return here, (1 + draws - np.searchsorted(null, here - 1e-12)) / (1 + draws)

# %% exercise=3 tags=["right"]
# right: with pandas-like ranks and a loop over targets
def p_of_agreement(estimated, measured, draws, rng):
    targets = range(estimated.shape[1])
    def value(order):
        return sum(stats.spearmanr(estimated[order, t], measured[:, t])[0] for t in targets) / len(targets)
    here = value(np.arange(len(estimated)))
    count = 1
    for _ in range(draws):
        count += value(rng.permutation(len(estimated))) >= here - 1e-12
    return [here, count / (draws + 1)]

# %% exercise=3 tags=["right"]
# right: all draws at once
def p_of_agreement(estimated, measured, draws, rng):
    a, b = (stats.zscore(stats.rankdata(x, axis=0), axis=0) for x in (estimated, measured))
    orders = rng.permuted(np.tile(np.arange(len(a)), (draws, 1)), axis=1)
    here = np.mean(a * b)
    null = (a[orders] * b).mean((1, 2))
    return here, (1 + np.count_nonzero(null >= here - 1e-12)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: always 0
def spread(edited, retrained):
    return 0.0, 0.0

# %% exercise=4 tags=["wrong"]
# wrong: in the other order
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained, 2)]
    return np.mean(pairs), np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained])

# %% exercise=4 tags=["wrong"]
# wrong: the edited network is one of the pairs, too
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations([edited, *retrained], 2)]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: the nearest of them
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained, 2)]
    return min(np.abs(edited - one).sum(1).mean() / 2 for one in retrained), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: all from the first
def spread(edited, retrained):
    own = [np.abs(retrained[0] - q).sum(1).mean() / 2 for q in retrained[1:]]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(own)

# %% exercise=4 tags=["wrong"]
# wrong: divides the pairs by the networks
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained, 2)]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), sum(pairs) / len(retrained)

# %% exercise=4 tags=["wrong"]
# wrong: the largest difference of a class
def spread(edited, retrained):
    pairs = [np.abs(p - q).max(1).mean() for p, q in itertools.combinations(retrained, 2)]
    return np.mean([np.abs(edited - one).max(1).mean() for one in retrained]), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: the sum over images
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum() / 2 for p, q in itertools.combinations(retrained, 2)]
    return np.mean([np.abs(edited - one).sum() / 2 for one in retrained]), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: the median over pairs
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained, 2)]
    return np.median([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.median(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: differences without a size cancel
def spread(edited, retrained):
    pairs = [(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained, 2)]
    return np.mean([(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: divides by the number of networks, the first one left out
def spread(edited, retrained):
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(retrained[1:], 2)] or [0]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(pairs)

# %% exercise=4 tags=["wrong"]
# wrong: renormalizes and sorts the probabilities
def spread(edited, retrained):
    e, r = np.sort(edited, axis=1), [np.sort(one, axis=1) for one in retrained]
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.combinations(r, 2)]
    return np.mean([np.abs(e - one).sum(1).mean() / 2 for one in r]), np.mean(pairs)

# %% exercise=4 tags=["right"]
# right: one minus what they share
def spread(edited, retrained):
    def distance(p, q):
        return np.mean(p.sum(1) - np.minimum(p, q).sum(1))
    far = [distance(edited, one) for one in retrained]
    own = [distance(p, q) for p, q in itertools.combinations(retrained, 2)]
    return np.mean(far), np.mean(own)

# %% exercise=4 tags=["right"]
# right: scipy's city-block distances
def spread(edited, retrained):
    from scipy.spatial.distance import pdist
    flat = np.stack([one.ravel() for one in retrained])
    scale = 2 * len(edited)
    return np.abs(flat - edited.ravel()).sum(1).mean() / scale, pdist(flat, "cityblock").mean() / scale

# %% exercise=4 tags=["right"]
# right: torch, a tensor of two numbers
def spread(edited, retrained):
    r = torch.from_numpy(np.stack(retrained)).double()
    e = torch.from_numpy(np.array(edited)).double()
    pairs = torch.combinations(torch.arange(len(r)), 2)
    own = (r[pairs[:, 0]] - r[pairs[:, 1]]).abs().sum(-1).mean() / 2
    return torch.stack([(r - e).abs().sum(-1).mean() / 2, own])
