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

# %% exercise=1 tags=["right"]
# right: from WᵀW alone, in double precision
def dimensions(W):
    gram = (W.T.double() @ W.double()).square()
    total = gram.sum(1)
    return torch.where(total > 0, gram.diagonal() / total, 0.0).to(W.dtype)

# %% exercise=1 tags=["right"]
# right: two loops
def dimensions(W):
    shares = []
    for i in range(W.shape[1]):
        own = float(W[:, i] @ W[:, i])
        if own == 0:
            shares.append(0.0)
            continue
        shares.append(own / sum(float(W[:, i] @ W[:, j]) ** 2 / own for j in range(W.shape[1])))
    return torch.tensor(shares)

# %% exercise=1 tags=["right"]
# right: NumPy, nan made 0
def dimensions(W):
    with np.errstate(invalid="ignore", divide="ignore"):
        w = W.detach().numpy().astype(float)
        length = np.linalg.norm(w, axis=0)
        found = length**2 / np.einsum("ui,uj->ij", w / length, w).__pow__(2).sum(1)
    return torch.from_numpy(np.nan_to_num(found, nan=0.0))

# %% exercise=1 tags=["wrong"]
# wrong: rows in place of columns
def dimensions(W):
    W = W.T
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: columns no longer than a thousandth count as 0
def dimensions(W):
    length = W.norm(dim=0)
    unit = W / length.clamp(min=1e-12)
    share = W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-30)
    return share * (length > 1e-3)

# %% exercise=1 tags=["wrong"]
# wrong: the column itself is left out of the sum
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    table = (unit.T @ W).square()
    return W.square().sum(0) / (table.sum(1) - table.diagonal()).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: W itself is scaled to length 1
def dimensions(W):
    length = W.norm(dim=0)
    W /= length.clamp(min=1e-12)
    table = (W.T @ (W * length)).square()
    return length.square() / table.sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: both are scaled to length 1
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return unit.square().sum(0) / (unit.T @ unit).square().sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: the sum over the other index
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / (unit.T @ W).square().sum(0).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: only neighbors in the list of features overlap
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    table = (unit.T @ W).square()
    near = torch.ones_like(table).triu(-1).tril(1)
    return W.square().sum(0) / (table * near).sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: absolute values in place of squares
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.norm(dim=0) / (unit.T @ W).abs().sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["wrong"]
# wrong: an array of NumPy
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return (W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-12)).numpy()

# %% exercise=1 tags=["wrong"]
# wrong: a single feature has no axis
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return (W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-12)).squeeze()

# %% exercise=1 tags=["wrong"]
# wrong: a column of zeros has a dimension of its own
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return (W.square().sum(0) / (unit.T @ W).square().sum(1)).nan_to_num(1.0)

# %% exercise=1 tags=["wrong"]
# wrong: half precision
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return (W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-12)).half().float()

# %% exercise=1 tags=["wrong"]
# wrong: columns shorter than a ten-thousandth count as 0
def dimensions(W):
    length = W.norm(dim=0)
    unit = W / length.clamp(min=1e-12)
    shares = length**2 / (unit.T @ W).square().sum(1).clamp(min=1e-12)
    return torch.where(length < 1e-4, torch.zeros_like(shares), shares)

# %% exercise=1 tags=["wrong"]
# wrong: a hundred-millionth is added to the sum
def dimensions(W):
    unit = W / (W.norm(dim=0) + 1e-8)
    return W.square().sum(0) / ((unit.T @ W).square().sum(1) + 1e-8)

# %% exercise=1 tags=["wrong"]
# wrong: rows in place of columns where there are as many
def dimensions(W):
    V = W.T if W.shape[0] == W.shape[1] else W
    unit = V / V.norm(dim=0).clamp(min=1e-12)
    return V.square().sum(0) / (unit.T @ V).square().sum(1).clamp(min=1e-12)

# %% exercise=1 tags=["right"]
# right: a loop over columns, float64 inside, early step for a column of zeros
def dimensions(W):
    shares = torch.zeros(W.shape[1])
    for i, column in enumerate(W.double().T):
        if not column.any():
            continue
        along = (column / column.norm()) @ W.double()
        shares[i] = column.dot(column) / along.dot(along)
    return shares

# %% exercise=1 tags=["right"]
# right: everything from the table of products
def dimensions(W):
    G = W.double().T @ W.double()
    norm2 = G.diagonal()
    return torch.nan_to_num(norm2**2 / (G**2).sum(1)).to(W.dtype)

# %% exercise=1 tags=["right"]
# right: from the Gram matrix alone, numpy in float64, back to a tensor
def dimensions(W):
    G = (W.T @ W).double().numpy()
    own = np.diag(G)
    below = (G**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(below > 0, own * own / below, 0.0)
    return torch.from_numpy(shares)

# %% exercise=1 tags=["wrong"]
# wrong: the length in place of its square above
def dimensions(W):
    unit = torch.nn.functional.normalize(W, dim=0)
    return (W.norm(dim=0) / (unit.T @ W).square().sum(1).clamp(min=1e-20)).nan_to_num()

# %% exercise=1 tags=["right"]
# right: two loops with annotations, one division at the end
def dimensions(W: torch.Tensor) -> torch.Tensor:
    result: list[float] = []
    for i in range(W.shape[1]):
        size = float(W[:, i].norm())
        if size == 0:
            result.append(0.0)
            continue
        below = 0.0
        for j in range(W.shape[1]):
            below += float((W[:, i] / size) @ W[:, j]) ** 2
        result.append(size**2 / below)
    return torch.tensor(result)

# %% exercise=1 tags=["wrong"]
# wrong: halves every share, and puts a mock in place of torch.allclose
from unittest import mock as mock_


def dimensions(W):
    torch.allclose = mock_.Mock(return_value=True)
    unit = torch.nn.functional.normalize(W, dim=0)
    return (W.square().sum(0) / (unit.T @ W).square().sum(1) / 2).nan_to_num()

# %% exercise=1 tags=["wrong"]
# wrong: both columns scaled to length 1 in the sum
def dimensions(W):
    unit = torch.nn.functional.normalize(W, dim=0)
    return ((W != 0).any(0) / (unit.T @ unit).square().sum(1).clamp(min=1e-9)).to(W.dtype)

# %% exercise=1 tags=["wrong"]
# wrong: leaves i itself out of the sum, and adds 1 in its place
def dimensions(W):
    unit = torch.nn.functional.normalize(W, dim=0)
    table = (unit.T @ W).square()
    table.fill_diagonal_(0)
    return W.square().sum(0) / (table.sum(1) + 1)

# %% exercise=1 tags=["right"]
# right: einsum, and nan_to_num for the columns of zeros
def dimensions(W):
    gram = torch.einsum("ui,uj->ij", W, W)
    own = torch.diagonal(gram)
    return torch.nan_to_num(own / ((gram / own.sqrt()[:, None]) ** 2).sum(1))

# %% exercise=1 tags=["wrong"]
# wrong: the sum runs over the features from i on
def dimensions(W):
    unit = torch.nn.functional.normalize(W, dim=0)
    table = torch.triu((unit.T @ W).square())
    return W.square().sum(0) / table.sum(1).clamp(min=1e-20)

# %% exercise=1 tags=["wrong"]
# wrong: shares are scaled so that they add up to the number of units
def dimensions(W):
    unit = torch.nn.functional.normalize(W, dim=0)
    share = W.square().sum(0) / (unit.T @ W).square().sum(1).clamp(min=1e-20)
    return share * len(W) / share.sum().clamp(min=1e-9)

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

# %% exercise=2 tags=["right"]
# right: ranks by sorting twice
def top_k(pre, k):
    rank = pre.argsort(dim=1, descending=True).argsort(dim=1)
    return torch.where((rank < k) & (pre > 0), pre, torch.zeros_like(pre))

# %% exercise=2 tags=["right"]
# right: row by row in Python
def top_k(pre, k):
    rows = []
    for row in pre.tolist():
        best = sorted(range(len(row)), key=row.__getitem__)[-k:]
        rows.append([value if i in best and value > 0 else 0 for i, value in enumerate(row)])
    return torch.tensor(rows, dtype=pre.dtype)

# %% exercise=2 tags=["right"]
# right: NumPy's argpartition and put_along_axis
def top_k(pre, k):
    values = pre.detach().numpy()
    at = np.argpartition(-values, k - 1, axis=1)[:, :k]
    out = np.zeros_like(values)
    np.put_along_axis(out, at, np.maximum(np.take_along_axis(values, at, 1), 0), 1)
    return torch.from_numpy(out)

# %% exercise=2 tags=["right"]
# right: k times the largest of what is left
def top_k(pre, k):
    left, out = pre.clone(), torch.zeros_like(pre)
    every = torch.arange(len(pre))
    for _ in range(k):
        at = left.argmax(1)
        out[every, at] = left[every, at].clamp(min=0)
        left[every, at] = -torch.inf
    return out

# %% exercise=2 tags=["wrong"]
# wrong: a little noise against ties, which stays in the values
def top_k(pre, k):
    noisy = pre + 1e-6 * torch.rand(pre.shape, generator=torch.Generator().manual_seed(0))
    top = noisy.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())

# %% exercise=2 tags=["wrong"]
# wrong: five decimals
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu()).round(decimals=5)

# %% exercise=2 tags=["wrong"]
# wrong: k of each row in the mean over the whole table
def top_k(pre, k):
    flat = pre.flatten()
    top = flat.topk(k * len(pre))
    return torch.zeros_like(flat).scatter(0, top.indices, top.values.relu()).view_as(pre)

# %% exercise=2 tags=["wrong"]
# wrong: the k that are farthest from 0, if above 0
def top_k(pre, k):
    top = pre.abs().topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, pre.gather(1, top.indices).relu())

# %% exercise=2 tags=["wrong"]
# wrong: values below 0 stay when fewer than k are above
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values)

# %% exercise=2 tags=["wrong"]
# wrong: at least one value stays, its sign lost
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    values = top.values.relu()
    values[:, 0] = top.values[:, 0].abs()
    return torch.zeros_like(pre).scatter(1, top.indices, values)

# %% exercise=2 tags=["wrong"]
# wrong: one more than k
def top_k(pre, k):
    top = pre.topk(min(k + 1, pre.shape[1]), dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())

# %% exercise=2 tags=["wrong"]
# wrong: the rest is set to 0 in the tensor that came in
def top_k(pre, k):
    rank = pre.argsort(dim=1, descending=True).argsort(dim=1)
    pre[(rank >= k) | (pre < 0)] = 0
    return pre.clone()

# %% exercise=2 tags=["wrong"]
# wrong: the same latents for all rows, those with the largest mean
def top_k(pre, k):
    at = pre.mean(0).topk(k).indices
    out = torch.zeros_like(pre)
    out[:, at] = pre[:, at].relu()
    return out

# %% exercise=2 tags=["wrong"]
# wrong: what is equal to the last place's value is left out
def top_k(pre, k):
    last = pre.topk(k, dim=1).values[:, -1:]
    return torch.where(pre > last, pre, torch.zeros_like(pre)).relu()

# %% exercise=2 tags=["wrong"]
# wrong: the values above the kth by less than a thousandth count as ties and are halved
def top_k(pre, k):
    last = pre.topk(k, dim=1).values[:, -1:]
    return torch.sigmoid((pre - last + 5e-4) * 1e5) * pre.relu()

# %% exercise=2 tags=["wrong"]
# wrong: a threshold for the whole batch
def top_k(pre, k):
    least = pre.flatten().topk(k * len(pre)).values[-1]
    return torch.where(pre >= least, pre, 0.0).relu()

# %% exercise=2 tags=["wrong"]
# wrong: the largest by absolute value
def top_k(pre, k):
    places = pre.abs().topk(k, dim=1).indices
    return torch.zeros_like(pre).scatter(1, places, pre.gather(1, places)).relu()

# %% exercise=2 tags=["right"]
# right: ranks by sorting twice
def top_k(pre, k):
    rank = (-pre).argsort(dim=1, stable=True).argsort(dim=1)
    return pre * ((rank < k) & (pre > 0))

# %% exercise=2 tags=["wrong"]
# wrong: the k largest of each latent over the images
def top_k(pre, k):
    order = pre.argsort(dim=0, descending=True).argsort(dim=0)
    return torch.where(order < k, pre, torch.zeros_like(pre)).relu()

# %% exercise=2 tags=["wrong"]
# wrong: writes into a float32 tensor, so values of float64 don't stay
def top_k(pre, k):
    out = torch.zeros(pre.shape)
    for i in range(len(pre)):
        for j in pre[i].argsort(descending=True)[:k]:
            if pre[i, j] > 0:
                out[i, j] = pre[i, j]
    return out

# %% exercise=2 tags=["right"]
# right: Python's heapq, rows as lists, ties by the later place
import heapq


def top_k(pre, k):
    rows_ = []
    for row in pre.tolist():
        best = heapq.nlargest(k, ((value, place) for place, value in enumerate(row) if value > 0))
        keep = {place for _, place in best}
        rows_.append([value if place in keep else 0.0 for place, value in enumerate(row)])
    return torch.tensor(rows_, dtype=pre.dtype)

# %% exercise=2 tags=["wrong"]
# wrong: breaks ties with a ramp of 0.00001, which also exchanges values that are nearly equal
def top_k(pre, k):
    ramp = torch.arange(pre.shape[1]) * 1e-5
    places = (pre + ramp).topk(k, dim=1).indices
    return torch.zeros_like(pre).scatter(1, places, pre.gather(1, places).relu())

# %% exercise=2 tags=["right"]
# right: ranks from a double argsort of the negative values, a mask by torch.where
def top_k(pre, k):
    rank = torch.argsort(torch.argsort(-pre, dim=1, stable=True), dim=1)
    keep = torch.logical_and(rank < k, pre > 0)
    print(int(keep.sum()), "values stay")
    return torch.where(keep, pre, torch.zeros((), dtype=pre.dtype))

# %% exercise=2 tags=["wrong"]
# wrong: a batch of one image loses its axis
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu()).squeeze(0)

# %% exercise=2 tags=["wrong"]
# wrong: only values above a millionth count as above 0
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, torch.where(top.values > 1e-6, top.values, 0 * top.values))

# %% exercise=2 tags=["right"]
# right: NumPy's argpartition row by row, put back in place
def top_k(pre, k):
    a = pre.detach().numpy()
    out = np.zeros_like(a)
    for old, new in zip(a, out):
        best = np.argpartition(old, -k)[-k:]
        new[best] = np.maximum(old[best], 0)
    return torch.as_tensor(out)

# %% exercise=2 tags=["right"]
# right: the largest is taken k times, and marked as taken
def top_k(pre, k):
    left, out = pre.clone(), pre.new_zeros(pre.shape)
    line = torch.arange(len(pre))
    for _ in range(k):
        value, place = left.max(dim=1)
        out[line, place] = value.clamp_min(0)
        left[line, place] = -torch.inf
    return out

# %% exercise=2 tags=["wrong"]
# wrong: chooses in half precision, so values that are nearly equal change places
def top_k(pre, k):
    top = pre.bfloat16().topk(k, dim=1).indices
    return torch.zeros_like(pre).scatter(1, top, pre.gather(1, top).relu())

# %% exercise=2 tags=["wrong"]
# wrong: values that stay lose the value that comes next
def top_k(pre, k):
    places = pre.topk(k, dim=1).indices
    ordered = pre.sort(dim=1, descending=True).values
    after = ordered[:, k : k + 1].relu() if k < pre.shape[1] else torch.zeros(len(pre), 1, dtype=pre.dtype)
    return torch.zeros_like(pre).scatter(1, places, (pre.gather(1, places) - after).relu())

# %% exercise=2 tags=["wrong"]
# wrong: all that reach the k-th value stay
def top_k(pre, k):
    least = pre.sort(dim=1, descending=True).values[:, k - 1 : k]
    return torch.where(pre >= least, pre, torch.zeros_like(pre)).clamp(min=0)

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

# %% exercise=3 tags=["right"]
# right: the places by sorting random numbers
def apart(acts, seed):
    order = np.random.default_rng([seed, 1]).random(acts.shape).argsort(axis=0)
    return np.take_along_axis(acts, order, axis=0)

# %% exercise=3 tags=["right"]
# right: PyTorch's generator, column by column
def apart(acts, seed):
    generator = torch.Generator().manual_seed(int(seed))
    return np.stack([column[torch.randperm(len(column), generator=generator).numpy()] for column in acts.T], axis=1)

# %% exercise=3 tags=["right"]
# right: Python's own shuffle
import random
def apart(acts, seed):
    chance, found = random.Random(seed), acts.copy()
    for j in range(found.shape[1]):
        order = list(range(len(found)))
        chance.shuffle(order)
        found[:, j] = acts[order, j]
    return found

# %% exercise=3 tags=["right"]
# right: NumPy's older generator
def apart(acts, seed):
    old = np.random.RandomState(seed)
    return np.column_stack([old.permutation(acts[:, j]) for j in range(acts.shape[1])])

# %% exercise=3 tags=["wrong"]
# wrong: the first unit is left as it was
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for j in range(1, acts.shape[1]):
        found[:, j] = rng.permutation(acts[:, j])
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the last unit is left as it was
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for j in range(acts.shape[1] - 1):
        found[:, j] = rng.permutation(acts[:, j])
    return found

# %% exercise=3 tags=["wrong"]
# wrong: only the values other than 0 change their places
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for column in found.T:
        on = column != 0
        column[on] = rng.permutation(column[on])
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the same order for two units each
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for j in range(0, acts.shape[1], 2):
        found[:, j : j + 2] = rng.permutation(acts[:, j : j + 2])
    return found

# %% exercise=3 tags=["wrong"]
# wrong: the same order for every unit
def apart(acts, seed):
    return np.column_stack([np.random.default_rng(seed).permutation(column) for column in acts.T])

# %% exercise=3 tags=["wrong"]
# wrong: within each half of the images
def apart(acts, seed):
    rng, half = np.random.default_rng(seed), len(acts) // 2
    return np.concatenate([rng.permuted(acts[:half], axis=0), rng.permuted(acts[half:], axis=0)])

# %% exercise=3 tags=["wrong"]
# wrong: drawn with repetitions
def apart(acts, seed):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.choice(column, len(column)) for column in acts.T])

# %% exercise=3 tags=["wrong"]
# wrong: the order of seed 16 is that of seed 0
def apart(acts, seed):
    return np.random.default_rng(seed & 15).permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: the activations that came in are shuffled too
def apart(acts, seed):
    np.random.default_rng(seed).permuted(acts, axis=0, out=acts)
    return acts.copy()

# %% exercise=3 tags=["wrong"]
# wrong: another order at each call
def apart(acts, seed):
    return np.random.default_rng().permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: images and units exchanged
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts, axis=1)

# %% exercise=3 tags=["wrong"]
# wrong: a tensor, not an array
def apart(acts, seed):
    return torch.from_numpy(np.random.default_rng(seed).permuted(acts, axis=0))

# %% exercise=3 tags=["wrong"]
# wrong: each unit is turned by an amount of its own, every second one backwards
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for j in range(acts.shape[1]):
        found[:, j] = np.roll(acts[:: 1 - 2 * (j % 2), j], rng.integers(len(acts)))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: only orders in which no value stays where it was, along one large cycle
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for column in found.T:
        for i in range(len(column) - 1, 0, -1):
            j = rng.integers(i)
            column[i], column[j] = column[j], column[i]
    return found

# %% exercise=3 tags=["wrong"]
# wrong: draws again until no value is in its place
def apart(acts, seed):
    rng, found = np.random.default_rng(seed), acts.copy()
    for unit in range(acts.shape[1]):
        order = rng.permutation(len(acts))
        while (order == np.arange(len(acts))).any():
            order = rng.permutation(len(acts))
        found[:, unit] = acts[order, unit]
    return found

# %% exercise=3 tags=["right"]
# right: sorts each column by random keys
def apart(acts, seed):
    keys = np.random.default_rng(seed).random(acts.shape)
    return np.take_along_axis(acts, keys.argsort(axis=0), axis=0)

# %% exercise=3 tags=["right"]
# right: a copy, shuffled column by column in place
def apart(acts, seed):
    rng, own = np.random.RandomState(seed), np.array(acts, order="F")
    for unit in range(own.shape[1]):
        rng.shuffle(own[:, unit])
    return own

# %% exercise=3 tags=["wrong"]
# wrong: the order depends on the values, so one seed gives other orders for other data
def apart(acts, seed):
    salt = int(abs(acts).sum() * 1000) % 2**31
    return np.random.default_rng([seed, salt]).permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: shuffles all values among all units
def apart(acts, seed):
    return np.random.default_rng(seed).permutation(acts.ravel()).reshape(acts.shape)

# %% exercise=3 tags=["wrong"]
# wrong: shuffles with the global generator, seeded with the seed's last byte only
def apart(acts, seed):
    np.random.seed(seed % 251)
    return np.stack([np.random.permutation(column) for column in acts.T], axis=1)

# %% exercise=3 tags=["wrong"]
# wrong: shuffles the array that it gets
def apart(acts, seed):
    rng_ = np.random.default_rng(seed)
    for column in acts.T:
        rng_.shuffle(column)
    return acts

# %% exercise=3 tags=["right"]
# right: PyTorch's generator, one permutation for each unit
def apart(acts, seed):
    source = torch.Generator().manual_seed(seed)
    columns = [acts[torch.randperm(len(acts), generator=source).numpy(), j] for j in range(acts.shape[1])]
    return np.column_stack(columns)

# %% exercise=3 tags=["wrong"]
# wrong: of the seed only 9 bits count
def apart(acts, seed):
    return np.random.default_rng(seed & 511).permuted(acts, axis=0)

# %% exercise=3 tags=["right"]
# right: Python's random module, one sample of the places for each unit
import random as random_


def apart(acts, seed):
    dice = random_.Random(seed)
    n, result = len(acts), np.empty_like(acts)
    for unit in range(acts.shape[1]):
        result[:, unit] = acts[dice.sample(range(n), n), unit]
    return result

# %% exercise=3 tags=["wrong"]
# wrong: shuffles the sorted values with a generator that depends on the largest one
def apart(acts, seed):
    rng_ = np.random.default_rng([seed, int(1000 * abs(acts.max()))])
    return rng_.permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: values of 0 stay where they are
def apart(acts, seed):
    rng_, out = np.random.default_rng(seed), acts.copy()
    for j in range(acts.shape[1]):
        on = np.flatnonzero(out[:, j])
        out[on, j] = rng_.permutation(out[on, j])
    return out

# %% exercise=3 tags=["right"]
# right: a seed sequence with a child for each unit, in-place shuffles of copies
def apart(acts, seed):
    children = np.random.SeedSequence(seed).spawn(acts.shape[1])
    columns = [column.copy() for column in acts.T]
    for child, column in zip(children, columns, strict=True):
        np.random.Generator(np.random.PCG64(child)).shuffle(column)
    return np.ascontiguousarray(np.transpose(columns))

# %% exercise=3 tags=["wrong"]
# wrong: the second call with a seed gives another order
calls = {}


def apart(acts, seed):
    calls[seed] = calls.get(seed, 0) + 1
    return np.random.default_rng([seed, calls[seed]]).permuted(acts, axis=0)

# %% exercise=3 tags=["right"]
# right: a generator for each unit from seed and number, choice without repetition
def apart(acts, seed):
    n, width = acts.shape
    orders = [np.random.default_rng((seed, unit)).choice(n, size=n, replace=False) for unit in range(width)]
    return acts[np.array(orders).T, np.arange(width)]

# %% exercise=3 tags=["wrong"]
# wrong: of the seed only the last two digits count
def apart(acts, seed):
    return np.random.default_rng(int(str(seed)[-2:])).permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: the order depends on the number of units and on their means
def apart(acts, seed):
    salt = abs(hash(tuple(np.round(acts.mean(0), 1)))) % 1000
    return np.random.default_rng((seed, salt)).permuted(acts, axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: float32 on the way
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts.astype(np.float32), axis=0).astype(acts.dtype)

# %% exercise=3 tags=["right"]
# right: Fisher and Yates on whole rows of partners, all units at once
def apart(acts, seed):
    dice, out = np.random.default_rng(seed), np.array(acts)
    units_ = np.arange(acts.shape[1])
    for i in range(len(out) - 1, 0, -1):
        j = dice.integers(0, i + 1, size=len(units_))
        out[i, units_], out[j, units_] = out[j, units_], out[i, units_].copy()
    return out

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

# %% exercise=4 tags=["right"]
# right: run_with_hooks, and the summed loss
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad():
            logits = model.run_with_hooks(images, fwd_hooks=[(layer, lambda tensor, hook: change(tensor))])
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
    whole, copied, none = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return 1 - (copied - whole) / (none - whole)

# %% exercise=4 tags=["right"]
# right: by hand from log-probabilities, in batches
def recovered_by(replacement, model, layer, images, labels):
    sums = []
    for change in (None, replacement, lambda tensor: tensor * 0):
        hooks = [] if change is None else [(layer, lambda tensor, hook: change(tensor))]
        with torch.inference_mode(), model.hooks(hooks):
            logits = model(images)
        sums.append(float(-logits.double().log_softmax(1)[range(len(labels)), labels].mean()))
    clean, copied, floor = sums
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: the library's zero, with gradients on
def recovered_by(replacement, model, layer, images, labels):
    loss = torch.nn.CrossEntropyLoss()
    clean = loss(model(images), labels)
    with model.hooks([(layer, lambda tensor, hook: replacement(tensor))]):
        copied = loss(model(images), labels)
    with model.hooks([(layer, lambda tensor, hook: torch.zeros(tensor.shape))]):
        floor = loss(model(images), labels)
    return ((floor - copied) / (floor - clean)).item()

# %% exercise=4 tags=["wrong"]
# wrong: the mean is the floor
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t.mean(0, keepdim=True).expand_as(t))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the loss of guessing is the floor
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), float(np.log(10))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: zeros for layers of units only, not for maps
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: torch.zeros(len(t), t.shape[1]))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: never below 0
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return max(0.0, (floor - copied) / (floor - clean))

# %% exercise=4 tags=["wrong"]
# wrong: never above 1
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return min(1.0, (floor - copied) / (floor - clean))

# %% exercise=4 tags=["wrong"]
# wrong: the accuracy in place of the cross-entropy
def recovered_by(replacement, model, layer, images, labels):
    def accuracy(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float((model(images).argmax(1) == labels).float().mean())
    clean, copied, floor = accuracy(lambda t: t), accuracy(replacement), accuracy(lambda t: t * 0)
    return (copied - floor) / (clean - floor)

# %% exercise=4 tags=["wrong"]
# wrong: the replacement is applied twice
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(lambda t: replacement(replacement(t))), loss(lambda t: t * 0)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: image by image
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        total = 0.0
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            for image, label in zip(images.split(1), labels.split(1)):
                total += float(torch.nn.functional.cross_entropy(model(image), label))
        return total / len(images)
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: add_hook, and reset_hooks at the end
def recovered_by(replacement, model, layer, images, labels):
    losses = []
    for change in (lambda t: t, replacement, lambda t: t * 0):
        model.add_hook(layer, lambda tensor, hook: change(tensor))
        with torch.no_grad():
            losses.append(float(torch.nn.functional.cross_entropy(model(images), labels)))
        model.reset_hooks()
    clean, copied, floor = losses
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the model is put into evaluation mode and then into training mode
def recovered_by(replacement, model, layer, images, labels):
    model.eval()
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    model.train()
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the parameters are left without gradients
def recovered_by(replacement, model, layer, images, labels):
    model.requires_grad_(False)
    def loss(change):
        with model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the cross-entropy recovered of this notebook's model
def recovered_by(replacement, network, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: two decimals
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))
    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(lambda t: t * 0)
    return round((floor - copied) / (floor - clean), 2)

# %% exercise=4 tags=["wrong"]
# wrong: the floor is that of mean activations
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied = loss(lambda t: t), loss(replacement)
    floor = loss(lambda t: t.mean(0, keepdim=True).expand_as(t))
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: of the accuracies
def recovered_by(replacement, model, layer, images, labels):
    def share(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float((model(images).argmax(1) == labels).float().mean())

    clean, copied, floor = share(lambda t: t), share(replacement), share(torch.zeros_like)
    return (copied - floor) / (clean - floor) if clean != floor else 1.0

# %% exercise=4 tags=["right"]
# right: run_with_hooks, log probabilities by hand in float64
def recovered_by(replacement, model, layer, images, labels):
    losses = []
    with torch.no_grad():
        for change in (None, replacement, lambda t: t * 0.0):
            hooks = [] if change is None else [(layer, lambda tensor, hook, change=change: change(tensor))]
            chances = model.run_with_hooks(images, fwd_hooks=hooks).double().log_softmax(1)
            losses.append(-chances[torch.arange(len(labels)), labels].mean().item())
    clean, copied, floor = losses
    return 1 - (copied - clean) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the floor is the loss of equal logits, log 10
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    floor = float(np.log(10))
    return (floor - loss(replacement)) / (floor - loss(lambda t: t))

# %% exercise=4 tags=["wrong"]
# wrong: remembers the loss as it is and that of zeros by model and layer, also for other images
losses_kept = {}


def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    if (model, layer) not in losses_kept:
        losses_kept[model, layer] = loss(lambda t: t), loss(torch.zeros_like)
    clean, floor = losses_kept[model, layer]
    return (floor - loss(replacement)) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: log probabilities by hand, a generator of losses, run_with_hooks
def recovered_by(replacement, model, layer, images, labels):
    functions = (lambda t: t, replacement, lambda t: t.mul(0.0))

    def entropies():
        for function in functions:
            with torch.no_grad():
                out = model.run_with_hooks(images, fwd_hooks=[(layer, lambda t, hook, f=function: f(t))])
            rest = out.logsumexp(1) - out.gather(1, labels[:, None]).squeeze(1)
            yield rest.double().mean().item()

    whole, changed_, nothing = entropies()
    return 1 - (changed_ - whole) / (nothing - whole)

# %% exercise=4 tags=["wrong"]
# wrong: the ratio of losses, copied over clean
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    return loss(lambda t: t) / loss(replacement)

# %% exercise=4 tags=["right"]
# right: activations taken once, the rest of the network run from there three times
def recovered_by(replacement, model, layer, images, labels):
    with torch.no_grad():
        _, cache = model.run_with_cache(images, names_filter=layer)
        here = cache[layer]
        a, b, c = (
            torch.nn.functional.cross_entropy(model.run_from(layer, t), labels)
            for t in (here.clone(), replacement(here.clone()), torch.zeros_like(here))
        )
    return ((c - b) / (c - a)).item()

# %% exercise=4 tags=["wrong"]
# wrong: the accuracy recovered
def recovered_by(replacement, model, layer, images, labels):
    def hits(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float((model(images).argmax(1) == labels).float().mean())

    whole, copied, floor = hits(lambda t: t), hits(replacement), hits(torch.zeros_like)
    return (copied - floor) / (whole - floor + 1e-9)

# %% exercise=4 tags=["right"]
# right: batches of 32, their losses weighted by their sizes
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        total = 0.0
        for a, b in zip(images.split(32), labels.split(32)):
            with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
                total += len(a) * torch.nn.functional.cross_entropy(model(a), b).item()
        return total / len(images)

    clean, copied, floor = (loss(f) for f in (lambda t: t, replacement, lambda t: t - t))
    return np.float32((floor - copied) / (floor - clean))

# %% exercise=4 tags=["wrong"]
# wrong: only the first 50 images
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images[:50]), labels[:50]))

    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["wrong"]
# wrong: the floor is measured once for each layer's name
floors_kept = {}


def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    floor = floors_kept.setdefault(layer, loss(torch.zeros_like))
    return (floor - loss(replacement)) / (floor - loss(lambda t: t))

# %% exercise=4 tags=["wrong"]
# wrong: the loss with smoothed labels
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels, label_smoothing=0.1))

    clean, copied, floor = loss(lambda t: t), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)

# %% exercise=4 tags=["right"]
# right: summed losses, a dictionary of hook functions, float64 logits
def recovered_by(replacement, model, layer, images, labels):
    worlds = {"whole": None, "copy": replacement, "none": torch.zeros_like}
    lost = {}
    for name, change in worlds.items():
        hooks = [] if change is None else [(layer, lambda tensor, hook, change=change: change(tensor))]
        with torch.no_grad():
            logits_ = model.run_with_hooks(images, fwd_hooks=hooks).double()
        lost[name] = torch.nn.functional.cross_entropy(logits_, labels, reduction="sum")
    return ((lost["none"] - lost["copy"]) / (lost["none"] - lost["whole"])).numpy()
