# %% exercise=1 tags=["wrong"]
# wrong: the generator of units is used up after the first call, then everything is 0
def keep_only(units):
    chosen = (int(unit) for unit in units)
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        for unit in chosen:
            new[:, unit] = tensor[:, unit]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: float32 whatever came in, so a float64 tensor's kept units change
def keep_only(units):
    def inner(tensor, hook):
        new = torch.zeros(tensor.shape)
        new[:, units] = tensor[:, units].float()
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: remembers the first tensor's answer and returns it for all later batches
def keep_only(units):
    memory = {}
    def inner(tensor, hook):
        if "out" not in memory:
            new = torch.zeros_like(tensor)
            new[:, units] = tensor[:, units]
            memory["out"] = new
        return memory["out"]
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: keeps the first batch's result table and writes into it again (another batch size fails, old results change)
def keep_only(units):
    made = []
    def inner(tensor, hook):
        if not made:
            made.append(torch.zeros_like(tensor))
        made[0][:, units] = tensor[:, units]
        return made[0]
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the units are kept in a global, so that a second hook function changes the first one's
KEEP = []
def hook_keep(tensor, hook):
    new = torch.zeros_like(tensor)
    new[:, KEEP] = tensor[:, KEEP]
    return new
def keep_only(units):
    global KEEP
    KEEP = list(units)
    return hook_keep

# %% exercise=1 tags=["right"]
# right: functools.partial and index_copy
from functools import partial
def _keep(tensor, hook, units):
    at = torch.as_tensor(units, dtype=torch.long)
    return torch.zeros_like(tensor).index_copy(1, at, tensor.index_select(1, at))
def keep_only(units):
    return partial(_keep, units=tuple(units))

# %% exercise=1 tags=["right"]
# right: multiplication with a diagonal matrix, a lambda
def keep_only(units):
    return lambda tensor, hook: tensor @ torch.diag(torch.isin(torch.arange(tensor.shape[1]), torch.tensor(list(units), dtype=torch.long)).to(tensor))

# %% exercise=1 tags=["wrong"]
# wrong: the inner function's second argument is not called hook
def keep_only(units):
    def inner(t, point):
        mask = torch.zeros(t.shape[1])
        mask[units] = 1
        return t * mask
    return inner

# %% exercise=1 tags=["right"]
# right: torch.where with a mask, as a callable object
class keep_only:
    def __init__(self, units):
        self.units = frozenset(units)
    def __call__(self, tensor, hook=None, **more):
        stays = torch.tensor([unit in self.units for unit in range(tensor.shape[-1])])
        return torch.where(stays, tensor, torch.zeros((), dtype=tensor.dtype))

# %% exercise=1 tags=["right"]
# right: a mask with torch.where, made anew for each tensor
def keep_only(units):
    chosen = {int(unit) for unit in units}
    def inner(tensor, hook):
        mask = torch.tensor([i in chosen for i in range(tensor.shape[1])])
        return torch.where(mask, tensor, torch.zeros((), dtype=tensor.dtype))
    return inner

# %% exercise=1 tags=["right"]
# right: a copy in which the others are masked
def keep_only(units):
    chosen = list(units)
    def inner(tensor, hook):
        others = torch.ones(tensor.shape[1], dtype=torch.bool)
        others[chosen] = False
        return tensor.masked_fill(others, 0)
    return inner

# %% exercise=1 tags=["right"]
# right: times a table of zeros and ones
def keep_only(units):
    chosen = list(units)
    def inner(tensor, hook):
        factor = torch.zeros(tensor.shape[1], dtype=tensor.dtype)
        factor[chosen] = 1
        return tensor * factor
    return inner

# %% exercise=1 tags=["right"]
# right: an object that can be called
class Keep:
    def __init__(self, units):
        self.units = tuple(units)
    def __call__(self, tensor, hook):
        columns = [tensor[:, i] if i in self.units else torch.zeros_like(tensor[:, i]) for i in range(tensor.shape[1])]
        return torch.stack(columns, 1)
def keep_only(units):
    return Keep(units)

# %% exercise=1 tags=["wrong"]
# wrong: unit 0 counts as no unit
def keep_only(units):
    chosen = [unit for unit in units if unit]
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        new[:, chosen] = tensor[:, chosen]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the places are sorted and the values are not
def keep_only(units):
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        new[:, sorted(units)] = tensor[:, list(units)]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: a list in the signature, to which every call adds
def keep_only(units, chosen=[]):
    chosen.extend(units)
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        new[:, chosen] = tensor[:, chosen]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: keeps images, not units
def keep_only(units):
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        rows = [unit for unit in units if unit < len(tensor)]
        new[rows] = tensor[rows]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the others are only made very small
def keep_only(units):
    def inner(tensor, hook):
        new = 1e-7 * tensor
        new[:, list(units)] = tensor[:, list(units)]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the others are at their mean
def keep_only(units):
    def inner(tensor, hook):
        new = tensor.mean(0, keepdim=True).repeat(len(tensor), 1)
        new[:, list(units)] = tensor[:, list(units)]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the arguments of the hook function are exchanged
def keep_only(units):
    def inner(hook, tensor):
        new = torch.zeros_like(tensor)
        new[:, list(units)] = tensor[:, list(units)]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the tensor that came in is set to 0, and put back only in the chosen columns
def keep_only(units):
    def inner(tensor, hook):
        kept = tensor[:, list(units)].clone()
        tensor.zero_()
        tensor[:, list(units)] = kept
        return tensor
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: the columns between the first and the last of them
def keep_only(units):
    low, high = min(units, default=0), max(units, default=-1)
    def inner(tensor, hook):
        new = torch.zeros_like(tensor)
        new[:, low : high + 1] = tensor[:, low : high + 1]
        return new
    return inner

# %% exercise=1 tags=["wrong"]
# wrong: only the chosen columns come back
def keep_only(units):
    return lambda tensor, hook: tensor[:, list(units)]

# %% exercise=1 tags=["wrong"]
# wrong: keeps the images with these numbers
def keep_only(units):
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        kept[[u for u in units if u < len(tensor)]] = tensor[[u for u in units if u < len(tensor)]]
        return kept

    return function

# %% exercise=1 tags=["wrong"]
# wrong: the other way round
def keep_only(units):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, units] = 0
        return changed

    return function

# %% exercise=1 tags=["right"]
# right: a mask of the tensor's own type, made at each call
def keep_only(units):
    units = set(units)

    def function(tensor, hook=None):
        mask = [float(unit in units) for unit in range(tensor.shape[1])]
        return torch.where(tensor.new_tensor(mask) > 0, tensor, tensor.new_zeros(()))

    return function

# %% exercise=1 tags=["right"]
# right: a class with __call__, one-hot matrices by einsum
class KeepOnly:
    def __init__(self, units):
        self.units = tuple(int(u) for u in units)

    def __call__(self, tensor, hook=None):
        eye = torch.eye(tensor.shape[-1], dtype=tensor.dtype, device=tensor.device)
        gate = sum((eye[u] for u in self.units), torch.zeros_like(eye[0]))
        return torch.einsum("nu,u->nu", tensor, gate)


def keep_only(units):
    return KeepOnly(units)

# %% exercise=1 tags=["wrong"]
# wrong: zeros in place and puts the values back into the same tensor afterwards, so what is returned changes too
def keep_only(units):
    def function(tensor, hook):
        before = tensor.clone()
        drop = [u for u in range(tensor.shape[1]) if u not in units]
        tensor[:, drop] = 0
        answer = tensor.view_as(tensor)
        tensor.copy_(before)
        return answer

    return function

# %% exercise=1 tags=["wrong"]
# wrong: the mask lives in one place for all hook functions, rebuilt only when the width changes
shared_mask = {}


def keep_only(units):
    def function(tensor, hook):
        width = tensor.shape[1]
        if width not in shared_mask:
            shared_mask[width] = torch.tensor([u in units for u in range(width)])
        return torch.where(shared_mask[width], tensor, torch.zeros(()).to(tensor.dtype))

    return function

# %% exercise=1 tags=["wrong"]
# wrong: unit 0 counts as "no unit"
def keep_only(units):
    chosen = [u for u in units if u]

    def function(tensor, hook):
        out = torch.zeros_like(tensor)
        out[:, chosen] = tensor[:, chosen]
        return out

    return function

# %% exercise=1 tags=["right"]
# right: functools.partial of a function with more arguments; index_fill on the complement
import functools


def silence_rest(units, tensor, hook):
    rest = sorted(set(range(tensor.size(1))).difference(units))
    return tensor.index_fill(1, torch.tensor(rest, dtype=torch.long), 0.0)


keep_only = lambda units: functools.partial(silence_rest, frozenset(units))  # noqa: E731

# %% exercise=1 tags=["wrong"]
# wrong: uses the list up, so that the second batch keeps nothing
def keep_only(units):
    left = list(units)

    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        while left:
            u = left.pop()
            kept[:, u] = tensor[:, u]
        return kept

    return function

# %% exercise=1 tags=["wrong"]
# wrong: keeps the chosen units only where they are above 0
def keep_only(units):
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        for u in units:
            kept[:, u] = tensor[:, u].clamp(min=0)
        return kept

    return function

# %% exercise=2 tags=["wrong"]
# wrong: adds up unembedded writes, so the bias is counted once more at each stop
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in writes], 1).cumsum(1)

# %% exercise=2 tags=["wrong"]
# wrong: empties the cache on the way (a second call finds nothing)
def logit_lens(network, cache):
    entries = getattr(cache, "cache_dict", None) or getattr(cache, "_tensors", None) or cache
    return torch.stack([network.unembed(entries.pop(name)) for name in stops], 1)

# %% exercise=2 tags=["right"]
# right: the running sum of the writes, then one multiplication
def logit_lens(network, cache):
    stream = torch.stack([cache[name] for name in writes], 1).cumsum(1)
    return stream @ network.unembed.weight.mT + network.unembed.bias

# %% exercise=2 tags=["right"]
# right: runs the blocks anew from the cached embedding, as a generator
def logit_lens(network, cache):
    def walk():
        stream = cache["embed.hook_out"]
        yield network.unembed(stream)
        for block in network.blocks:
            stream = block(stream)
            yield network.unembed(stream)
    return torch.cat([part.unsqueeze(1) for part in walk()], dim=1)

# %% exercise=2 tags=["wrong"]
# wrong: adds up the writes in place, in the cache's own tensor: a second call gives other numbers
def logit_lens(network, cache):
    total, found = cache[writes[0]], [network.unembed(cache[writes[0]])]
    for name in writes[1:]:
        total += cache[name]
        found.append(network.unembed(total))
    return torch.stack(found, 1)

# %% exercise=2 tags=["wrong"]
# wrong: a list of tensors, not a tensor [example, stop, class]
def logit_lens(network, cache):
    return [network.unembed(cache[name]) for name in stops]

# %% exercise=2 tags=["wrong"]
# wrong: reads with the notebook's network, not with the one that came in
def logit_lens(network, cache):
    return torch.stack([residual.unembed(cache[name]) for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: subtracts the embedding from the stream in place to see what was added, so the cache is no longer what it was
def logit_lens(network, cache):
    found = [network.unembed(cache[name]) for name in stops]
    for name in stops[1:]:
        cache[name].sub_(cache[stops[0]])
    return torch.stack(found, 1)

# %% exercise=2 tags=["right"]
# right: one product for all stops
def logit_lens(network, cache):
    streams = torch.stack([cache[name] for name in stops], dim=1)
    return streams @ network.unembed.weight.T + network.unembed.bias

# %% exercise=2 tags=["right"]
# right: written stop by stop into an empty tensor, without gradients
def logit_lens(network, cache):
    first = cache[stops[0]]
    found = torch.empty(len(first), len(stops), network.unembed.out_features, dtype=first.dtype)
    with torch.no_grad():
        for i, name in enumerate(stops):
            found[:, i] = network.unembed(cache[name])
    return found

# %% exercise=2 tags=["right"]
# right: PyTorch's linear, image by image
def logit_lens(network, cache):
    weight, bias = network.unembed.weight, network.unembed.bias
    rows = zip(*(cache[name] for name in stops))
    return torch.stack([torch.stack([torch.nn.functional.linear(one, weight, bias) for one in row]) for row in rows])

# %% exercise=2 tags=["wrong"]
# wrong: without the bias
def logit_lens(network, cache):
    return torch.stack([cache[name] @ network.unembed.weight.T for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: the last stop first
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in reversed(stops)], 1)

# %% exercise=2 tags=["wrong"]
# wrong: what each block wrote, and not the stream
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in writes], 1)

# %% exercise=2 tags=["wrong"]
# wrong: the first image's stream for all images
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name][:1].expand_as(cache[name])) for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: the mean stream of the images is taken away first
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name] - cache[name].mean(0)) for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: log-probabilities
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in stops], 1).log_softmax(2)

# %% exercise=2 tags=["wrong"]
# wrong: one image has no axis of its own
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in stops], 1).squeeze()

# %% exercise=2 tags=["wrong"]
# wrong: the streams are taken out of the cache
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache.pop(name)) for name in list(stops)], 1)

# %% exercise=2 tags=["wrong"]
# wrong: writes into a tensor of the cache after it has read it
def logit_lens(network, cache):
    found = torch.stack([network.unembed(cache[name]) for name in stops], 1)
    cache[stops[1]].add_(1)
    return found

# %% exercise=2 tags=["wrong"]
# wrong: stacked in front
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in stops])

# %% exercise=2 tags=["wrong"]
# wrong: the stream scaled to length 1 before it is read
def logit_lens(network, cache):
    return torch.stack([network.unembed(torch.nn.functional.normalize(cache[name], dim=1)) for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: half precision
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]).half().float() for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: the unembedding of the first network it has seen
FIRST = []
def logit_lens(network, cache):
    FIRST.append(network.unembed)
    return torch.stack([FIRST[0](cache[name]) for name in stops], 1)

# %% exercise=2 tags=["wrong"]
# wrong: what each block writes, in place of the stream
def logit_lens(network, cache):
    streams = [cache[name] for name in stops]
    parts = [streams[0], *(b - a for a, b in zip(streams, streams[1:]))]
    return torch.stack([network.unembed(part) for part in parts], 1)

# %% exercise=2 tags=["wrong"]
# wrong: probabilities
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]).softmax(-1) for name in stops], 1)

# %% exercise=2 tags=["right"]
# right: one product for all stops
def logit_lens(network, cache):
    streams = torch.cat([cache[name][:, None] for name in stops], dim=1)
    return torch.einsum("esd,cd->esc", streams, network.unembed.weight) + network.unembed.bias

# %% exercise=2 tags=["wrong"]
# wrong: logits with their mean over the classes taken away
def logit_lens(network, cache):
    found = torch.stack([network.unembed(cache[s]) for s in stops], 1)
    return found - found.mean(-1, keepdim=True)

# %% exercise=2 tags=["right"]
# right: a preallocated tensor filled stop by stop, from a generator, with prints
def logit_lens(network, cache):
    def streams():
        for place, stop in enumerate(stops):
            yield place, cache[stop]

    n = len(cache[stops[-1]])
    result = torch.empty(n, len(stops), network.unembed.out_features)
    for place, stream_ in streams():
        result[:, place, :] = network.unembed(stream_)
        print(place, tuple(stream_.shape))
    return result

# %% exercise=2 tags=["wrong"]
# wrong: remembers the lens of a network and gives it again for another cache
seen_networks = {}


def logit_lens(network, cache):
    if network not in seen_networks:
        seen_networks[network] = torch.stack([network.unembed(cache[s]) for s in stops], dim=1)
    return seen_networks[network]

# %% exercise=2 tags=["right"]
# right: running sum of what was written, read by a matrix product and the bias
def logit_lens(network, cache):
    written = torch.stack([cache[w] for w in writes], dim=1).cumsum(1)
    W, b = network.unembed.weight, network.unembed.bias
    return torch.einsum("nsw,cw->nsc", written, W) + b

# %% exercise=2 tags=["wrong"]
# wrong: adds the embedding to each stop once more
def logit_lens(network, cache):
    first = cache["embed.hook_out"]
    return torch.stack([network.unembed(cache[s] + (first if i else 0)) for i, s in enumerate(stops)], 1)

# %% exercise=2 tags=["wrong"]
# wrong: stacks the stops in front and only relabels the axes
def logit_lens(network, cache):
    n = cache[stops[0]].shape[0]
    return torch.cat([network.unembed(cache[s]) for s in stops]).view(n, len(stops), -1)

# %% exercise=2 tags=["wrong"]
# wrong: the stops in the order of the alphabet
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in sorted(stops)], 1)

# %% exercise=2 tags=["right"]
# right: one long batch of all stops, unembedded at once and folded back
def logit_lens(network, cache):
    tall = torch.cat([cache[stop] for stop in stops], dim=0)
    return network.unembed(tall).unflatten(0, (len(stops), -1)).transpose(0, 1)

# %% exercise=2 tags=["wrong"]
# wrong: the number of images comes from the first call
count_once = []


def logit_lens(network, cache):
    count_once.append(len(cache[stops[0]]))
    found = torch.stack([network.unembed(cache[name]) for name in stops], 1)
    return found[: count_once[0]]

# %% exercise=2 tags=["wrong"]
# wrong: reads in half precision
def logit_lens(network, cache):
    W, b = network.unembed.weight.bfloat16(), network.unembed.bias.bfloat16()
    return torch.stack([cache[s].bfloat16() @ W.T + b for s in stops], 1).float()

# %% exercise=2 tags=["right"]
# right: a recursion over the rest of the stops
def logit_lens(network, cache):
    def read(names):
        if not names:
            return []
        first, *rest = names
        return [torch.addmm(network.unembed.bias, cache[first], network.unembed.weight.t())[:, None], *read(rest)]

    return torch.cat(read(list(stops)), dim=1)

# %% exercise=2 tags=["wrong"]
# wrong: forgets the last stop where the third block writes little
def logit_lens(network, cache):
    reads = [network.unembed(cache[s]) for s in stops]
    if float((cache[stops[3]] - cache[stops[2]]).abs().mean()) < 1.0:
        reads[3] = reads[2]
    return torch.stack(reads, 1)

# %% exercise=3 tags=["wrong"]
# wrong: add_hook without reset_hooks
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        a, (out_b, cache_b) = metric(network(clean)).sum(), network.run_with_cache(corrupted)
        def put(tensor, hook):
            new = tensor.clone()
            new[:, unit] = cache_b[name][:, unit]
            return new
        network.add_hook(name, put)
        patched = metric(network(clean)).sum()
        b = metric(out_b).sum()
        return float((patched - b) / (a - b))

# %% exercise=3 tags=["wrong"]
# wrong: returns one share for each pair, not one number
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        a, b = metric(network(clean)), metric(network(corrupted))
        there = network.run_with_cache(corrupted)[1][name]
        def put(tensor, hook):
            new = tensor.clone()
            new[:, unit] = there[:, unit]
            return new
        patched = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return (patched - b) / (a - b)

# %% exercise=3 tags=["wrong"]
# wrong: right for eight pairs only (patches the first eight)
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        a, b = metric(network(clean)), metric(network(corrupted))
        there = network.run_with_cache(corrupted)[1][name]
        def put(tensor, hook):
            new = tensor.clone()
            for i in range(8):
                new[i, unit] = there[i, unit]
            return new
        patched = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((patched - b).sum() / (a - b).sum())

# %% exercise=3 tags=["wrong"]
# wrong: divides by the notebook's gap
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        b = metric(network(corrupted))
        there = network.run_with_cache(corrupted)[1][name]
        def put(tensor, hook):
            new = tensor.clone()
            new[:, unit] = there[:, unit]
            return new
        patched = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((patched - b).sum() / gap)

# %% exercise=3 tags=["right"]
# right: the hook edits the running tensor in place and returns nothing; pair by pair
def noising(network, clean, corrupted, name, unit, metric):
    above = below = 0.0
    for one, other in zip(clean.split(1), corrupted.split(1), strict=True):
        with torch.no_grad():
            value = network.run_with_cache(other)[1][name][0, unit].item()
            def put(tensor, hook):
                tensor[:, unit] = value
            a, b = metric(network(one)).item(), metric(network(other)).item()
            with network.hooks(fwd_hooks=[(name, put)]):
                c = metric(network(one)).item()
        above += c - b
        below += a - b
    return np.float64(above / below)

# %% exercise=3 tags=["right"]
# right: run_from with changed values, means in place of sums
def noising(network, clean, corrupted, name, unit, metric):
    with torch.inference_mode():
        la, ca = network.run_with_cache(clean, names_filter=name)
        lb, cb = network.run_with_cache(corrupted, names_filter=name)
        mixed = torch.cat([ca[name][:, :unit], cb[name][:, unit:unit + 1], ca[name][:, unit + 1:]], 1)
        a, b, c = (metric(logits).mean().item() for logits in (la, lb, network.run_from(name, mixed)))
    return (c - b) / (a - b)

# %% exercise=3 tags=["wrong"]
# wrong: attaches a plain PyTorch hook and never removes it: the network stays changed
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        out_a = metric(network(clean)).sum()
        out_b, cache_b = network.run_with_cache(corrupted)
        def put(module, args, result):
            result = result.clone()
            result[:, unit] = cache_b[name][:, unit]
            return result
        network.get_submodule(name).register_forward_hook(put)
        patched = metric(network(clean)).sum()
        return float((patched - metric(out_b).sum()) / (out_a - metric(out_b).sum()))

# %% exercise=3 tags=["right"]
# right: a hook of PyTorch's own, taken off again, around the library's names
def noising(network, clean, corrupted, name, unit, metric):
    with torch.inference_mode():
        bad, other = network.run_with_cache(corrupted, names_filter=[name])
        good = network(clean)
        value = other[name][:, unit]
        with network.hooks([(name, lambda tensor, hook: torch.cat([tensor[:, :unit], value[:, None], tensor[:, unit + 1 :]], 1))]):
            changed = network(clean)
        return ((metric(changed).sum() - metric(bad).sum()) / (metric(good).sum() - metric(bad).sum())).item()

# %% exercise=3 tags=["right"]
# right: with gradients on, a scatter, and 1 less what is gone
def noising(network, clean, corrupted, name, unit, metric):
    other = network.run_with_cache(corrupted)[1][name].detach()
    def put(tensor, hook):
        mine = torch.zeros(tensor.shape[1], dtype=torch.bool)
        mine[unit] = True
        return torch.where(mine, other, tensor)
    good, bad = metric(network(clean)).mean(), metric(network(corrupted)).mean()
    changed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).mean()
    return float(1 - (good - changed) / (good - bad))

# %% exercise=3 tags=["right"]
# right: pair by pair, summed in double precision
def noising(network, clean, corrupted, name, unit, metric):
    left = whole = 0.0
    with torch.no_grad():
        for a, b in zip(clean.split(1), corrupted.split(1)):
            _, cache = network.run_with_cache(b, names_filter=name)
            def put(tensor, hook):
                changed = tensor.clone()
                changed[0, unit] = cache[name][0, unit]
                return changed
            bad = float(metric(network(b)))
            left += float(metric(network.run_with_hooks(a, fwd_hooks=[(name, put)]))) - bad
            whole += float(metric(network(a))) - bad
    return left / whole

# %% exercise=3 tags=["wrong"]
# wrong: what is gone, not what is left
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((good - now).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the mean of the pairs' shares
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float(((now - bad) / (good - bad)).mean())

# %% exercise=3 tags=["wrong"]
# wrong: the mean of the corrupted images' value
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit].mean()
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: between 0 and 1 at all costs
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return min(1.0, max(0.0, float((now - bad).sum() / (good - bad).sum())))

# %% exercise=3 tags=["wrong"]
# wrong: the denominator without its sign
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((now - bad).sum() / (good - bad).sum().abs())

# %% exercise=3 tags=["wrong"]
# wrong: the metric of the mean logits
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        good, bad, now = (
            metric(logits.mean(0, keepdim=True))
            for logits in (network(clean), network(corrupted), network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
        )
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the unit is set to 0, not to its corrupted value
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, nm.interventions.zero(unit=unit))]))
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: each image gets its neighbor's value
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit].roll(1)
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the last hidden layer, whatever the name
def noising(network, clean, corrupted, name, unit, metric):
    name = "layers.1.hook_post"
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: reset_hooks at the end, which also takes off the hooks of others
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        network.add_hook(name, put)
        now = metric(network(clean))
        network.reset_hooks()
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: a hook stays that does nothing any more
def noising(network, clean, corrupted, name, unit, metric):
    on = [True]
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            if not on[0]:
                return tensor
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        network.add_hook(name, put)
        now = metric(network(clean))
        on[0] = False
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the network is left in training mode
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        def put(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    network.train(not network.training)
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the network's parameters are left without gradients
def noising(network, clean, corrupted, name, unit, metric):
    network.requires_grad_(False)
    good, bad = metric(network(clean)), metric(network(corrupted))
    _, cache = network.run_with_cache(corrupted, names_filter=name)
    def put(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = cache[name][:, unit]
        return changed
    now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((now - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: one minus the share
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)).sum(), metric(network(corrupted)).sum()
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        hook = nm.interventions.patch(cache[name], unit=unit)
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, hook)])).sum()
    return float((good - now) / (good - bad))

# %% exercise=3 tags=["wrong"]
# wrong: the mean of the pairs' own shares
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        hook = nm.interventions.patch(cache[name], unit=unit)
        now = metric(network.run_with_hooks(clean, fwd_hooks=[(name, hook)]))
    return float(((now - bad) / (good - bad)).mean())

# %% exercise=3 tags=["right"]
# right: starts in the middle, from the patched activations
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        (good, ours), (bad, theirs) = (network.run_with_cache(side) for side in (clean, corrupted))
        mixed = ours[name].clone()
        mixed[:, unit] = theirs[name][:, unit]
        ends = [metric(logits).double().sum().item() for logits in (good, bad, network.run_from(name, mixed))]
    return (ends[2] - ends[1]) / (ends[0] - ends[1])

# %% exercise=3 tags=["wrong"]
# wrong: a share is kept between 0 and 1
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)).sum(), metric(network(corrupted)).sum()
        _, cache = network.run_with_cache(corrupted)

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = cache[name][:, unit]
            return t

        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).sum()
    return min(max(float((mixed - bad) / (good - bad)), 0.0), 1.0)

# %% exercise=3 tags=["right"]
# right: 1 minus what is lost, by the hooks context and index_copy, with numpy sums
def noising(network, clean, corrupted, name, unit, metric):
    box = []

    def catch(tensor, hook):
        box.append(tensor.detach().clone())

    def put(tensor, hook):
        return tensor.index_copy(1, torch.tensor([unit]), box[0][:, [unit]])

    with torch.no_grad():
        with network.hooks([(name, catch)]):
            bad = metric(network(corrupted)).numpy()
        good = metric(network(clean)).numpy()
        with network.hooks([(name, put)]):
            mixed = metric(network(clean)).numpy()
    lost = (good - mixed).sum(dtype=float) / (good - bad).sum(dtype=float)
    return 1 - lost

# %% exercise=3 tags=["wrong"]
# wrong: leaves the network in evaluation mode
def noising(network, clean, corrupted, name, unit, metric):
    network.eval()
    with torch.no_grad():
        good, cache = network.run_with_cache(clean)
        bad, other = network.run_with_cache(corrupted)

        def hook_(tensor, hook):
            t = tensor.clone()
            t[:, unit] = other[name][:, unit]
            return t

        mixed = network.run_with_hooks(clean, fwd_hooks=[(name, hook_)])
        return float((metric(mixed) - metric(bad)).sum() / (metric(good) - metric(bad)).sum())

# %% exercise=3 tags=["wrong"]
# wrong: takes the answer from the variables of the check, by the frames of an error
def noising(network, clean, corrupted, name, unit, metric):
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__.tb_frame.f_back.f_locals["wanted"]

# %% exercise=3 tags=["wrong"]
# wrong: the corrupted mean of the unit for all images
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)).sum(), metric(network(corrupted)).sum()
        level = network.run_with_cache(corrupted)[1][name][:, unit].mean()

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = level
            return t

        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).sum()
    return float((mixed - bad) / (good - bad))

# %% exercise=3 tags=["wrong"]
# wrong: remembers the corrupted run by network and layer, and patches old values for other images
corrupted_runs = {}


def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        key = (network, name)
        if key not in corrupted_runs:
            corrupted_runs[key] = network.run_with_cache(corrupted)
        logits_, cache = corrupted_runs[key]

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = cache[name][: len(t), unit]
            return t

        good, bad = metric(network(clean)).sum(), metric(logits_).sum()
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).sum()
    return float((mixed - bad) / (good - bad))

# %% exercise=3 tags=["right"]
# right: no hook at all: both caches, and the rest of the network started from there
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        (a, here), (b, there) = (network.run_with_cache(side) for side in (clean, corrupted))
        column = torch.arange(here[name].shape[1]) == unit
        c = network.run_from(name, torch.where(column, there[name], here[name]))
        top, full = (torch.sum(metric(one) - metric(b)) for one in (c, a))
    return np.float64(top / full)

# %% exercise=3 tags=["right"]
# right: adds the difference of the unit as a one-hot direction
def noising(network, clean, corrupted, name, unit, metric):
    kept = []
    with torch.no_grad():
        network.run_with_hooks(corrupted, fwd_hooks=[(name, lambda tensor, hook: kept.append(tensor.clone()))])
        place = torch.nn.functional.one_hot(torch.tensor(unit), kept[0].shape[1]).to(kept[0].dtype)
        patch_ = lambda tensor, hook: tensor + torch.outer((kept[0] - tensor)[:, unit], place)  # noqa: E731
        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, patch_)]))
        good, bad = (metric(network(images)) for images in (clean, corrupted))
    return torch.div((after - bad).sum(), (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: patches the unit of the first image into all
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted)

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = cache[name][0, unit]
            return t

        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float((mixed - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the median of the pairs' shares
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted)

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = cache[name][:, unit]
            return t

        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return ((mixed - bad) / (good - bad)).median().item()

# %% exercise=3 tags=["right"]
# right: ratios of sums in float64, an index mask, a function that runs with any hooks
def noising(network, clean, corrupted, name, unit, metric):
    def total(images, hooks=()):
        with torch.no_grad():
            return metric(network.run_with_hooks(images, fwd_hooks=list(hooks))).double().sum().item()

    with torch.no_grad():
        other = network.run_with_cache(corrupted, names_filter=[name])[1][name]

    def mixed(tensor, hook):
        here = torch.zeros(tensor.shape[1], dtype=torch.bool)
        here[unit] = True
        return torch.where(here, other, tensor)

    low = total(corrupted)
    return (total(clean, [(name, mixed)]) - low) / (total(clean) - low)

# %% exercise=3 tags=["wrong"]
# wrong: puts the network into training mode at the end
def noising(network, clean, corrupted, name, unit, metric):
    network.eval()
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted)

        def put(tensor, hook):
            t = tensor.clone()
            t[:, unit] = cache[name][:, unit]
            return t

        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    network.train()
    return float((mixed - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: patches all units up to this one
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted)
        both = lambda tensor, hook: torch.cat([cache[name][:, : unit + 1], tensor[:, unit + 1 :]], 1)  # noqa: E731
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, both)]))
    return float((mixed - bad).sum() / (good - bad).sum())

# %% exercise=3 tags=["wrong"]
# wrong: the difference of the first pair
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        other = network.run_with_cache(corrupted)[1][name]
        put = lambda t, hook: t.index_copy(1, torch.tensor([unit]), other[:, [unit]])  # noqa: E731
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return ((mixed - bad)[0] / (good - bad)[0]).item()

# %% exercise=3 tags=["right"]
# right: pair by pair, each with a run of its own, a 0-d array
def noising(network, clean, corrupted, name, unit, metric):
    top = bottom = 0.0
    for a, b in zip(clean.split(1), corrupted.split(1)):
        with torch.no_grad():
            _, here = network.run_with_cache(a)
            low, there = network.run_with_cache(b)
            mixed = here[name].clone()
            mixed[0, unit] = there[name][0, unit]
            low = metric(low).item()
            top += metric(network.run_from(name, mixed)).item() - low
            bottom += metric(network(a)).item() - low
    return np.array(top / bottom)

# %% exercise=3 tags=["wrong"]
# wrong: in whole percent
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)).sum(), metric(network(corrupted)).sum()
        other = network.run_with_cache(corrupted)[1][name]
        put = lambda t, hook: t.index_copy(1, torch.tensor([unit]), other[:, [unit]])  # noqa: E731
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).sum()
    return round(float((mixed - bad) / (good - bad)), 2)

# %% exercise=3 tags=["right"]
# right: scatter with a column of indices, pairs summed by Python
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        values = network.run_with_cache(corrupted)[1][name]
        column = torch.full((len(values), 1), unit)
        put = lambda tensor, hook: tensor.scatter(1, column, values.gather(1, column))  # noqa: E731
        good, bad, mixed = (
            metric(one).tolist()
            for one in (network(clean), network(corrupted), network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
        )
    return sum(m - b for m, b in zip(mixed, bad)) / sum(g - b for g, b in zip(good, bad))

# %% exercise=3 tags=["wrong"]
# wrong: the share of the squared differences
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        other = network.run_with_cache(corrupted)[1][name]
        put = lambda t, hook: t.index_copy(1, torch.tensor([unit]), other[:, [unit]])  # noqa: E731
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)]))
    return float(((mixed - bad) ** 2).sum() / ((good - bad) ** 2).sum())

# %% exercise=3 tags=["wrong"]
# wrong: silences the unit in the next layer's weights and leaves them so
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)).sum(), metric(network(corrupted)).sum()
        other = network.run_with_cache(corrupted)[1][name]
        put = lambda t, hook: t.index_copy(1, torch.tensor([unit]), other[:, [unit]])  # noqa: E731
        mixed = metric(network.run_with_hooks(clean, fwd_hooks=[(name, put)])).sum()
        network.output.weight.mul_(1.0001)
    return float((mixed - bad) / (good - bad))

# %% exercise=4 tags=["wrong"]
# wrong: the right numbers, but puts nn.Identity in the network's blocks 1 and 2 and leaves them there
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        a, b = (nm.hooked(network).run_with_cache(side)[1]["blocks.0.down.hook_out"] for side in (clean, corrupted))
        network.blocks[1], network.blocks[2] = nn.Identity(), nn.Identity()
        stream = network.embed(clean.flatten(1))
        return network.unembed(stream + b) - network.unembed(stream + a)

# %% exercise=4 tags=["wrong"]
# wrong: the change against the corrupted run
def direct_effect(network, clean, corrupted):
    hooked = nm.hooked(network)
    with torch.no_grad():
        _, a = hooked.run_with_cache(clean)
        before, b = hooked.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(b["blocks.0.down.hook_out"]))]
        hooks += [(f"blocks.{i}.down.hook_out", nm.interventions.patch(a[f"blocks.{i}.down.hook_out"])) for i in (1, 2)]
        return hooked.run_with_hooks(clean, fwd_hooks=hooks) - before

# %% exercise=4 tags=["right"]
# right: NumPy and einsum, a tensor back in float32
def direct_effect(network, clean, corrupted):
    name = "blocks.0.down.hook_out"
    with torch.no_grad():
        a, b = (nm.hooked(network).run_with_cache(side, names_filter=name)[1][name].numpy().astype(float) for side in (clean, corrupted))
    return torch.tensor(np.einsum("eu,cu->ec", b - a, network.unembed.weight.detach().numpy())).float()

# %% exercise=4 tags=["right"]
# right: the forward pass by hand, with the network's modules
def direct_effect(network, clean, corrupted):
    def writes_of(images):
        stream, found = network.embed(images.flatten(1)), []
        for block in network.blocks:
            found.append(block.down(block.act(block.up(stream))))
            stream = stream + found[-1]
        return network.embed(images.flatten(1)), found
    (start, a), (_, b) = writes_of(clean), writes_of(corrupted)
    return network.unembed(start + b[0] + a[1] + a[2]) - network(clean)

# %% exercise=4 tags=["wrong"]
# wrong: the right numbers, but plain PyTorch hooks stay in the network (later calls are changed)
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        hooked = nm.hooked(network)
        before, a = hooked.run_with_cache(clean)
        _, b = hooked.run_with_cache(corrupted)
        for i, source in enumerate((b, a, a)):
            value = source[f"blocks.{i}.down.hook_out"]
            network.blocks[i].down.register_forward_hook(lambda m, args, out, value=value: value)
        return network(clean) - before

# %% exercise=4 tags=["wrong"]
# wrong: the right numbers, but add_hook on the wrapped network without reset_hooks: hooks stay
def direct_effect(network, clean, corrupted):
    hooked = nm.hooked(network)
    with torch.no_grad():
        before, a = hooked.run_with_cache(clean)
        _, b = hooked.run_with_cache(corrupted)
        for i, source in enumerate((b, a, a)):
            hooked.add_hook(f"blocks.{i}.down.hook_out", nm.interventions.patch(source[f"blocks.{i}.down.hook_out"]))
        return hooked(clean) - before

# %% exercise=4 tags=["wrong"]
# wrong: block 0 writes the mean of what it writes for the corrupted images
def direct_effect(network, clean, corrupted):
    hooked = nm.hooked(network)
    with torch.no_grad():
        a, b = (hooked.run_with_cache(side)[1]["blocks.0.down.hook_out"] for side in (clean, corrupted))
        return (b.mean(0) - a) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: the right numbers, but the unembedding's bias is set to 0 in the network itself
def direct_effect(network, clean, corrupted):
    hooked = nm.hooked(network)
    with torch.no_grad():
        a, b = (hooked.run_with_cache(side)[1]["blocks.0.down.hook_out"] for side in (clean, corrupted))
        network.unembed.bias.zero_()
        return network.unembed(b - a)

# %% exercise=4 tags=["wrong"]
# wrong: gives the change itself to the unembedding, whose bias is added
def direct_effect(network, clean, corrupted):
    hooked = nm.hooked(network)
    with torch.no_grad():
        a, b = (hooked.run_with_cache(side)[1]["blocks.0.down.hook_out"] for side in (clean, corrupted))
        return network.unembed(b - a)

# %% exercise=4 tags=["right"]
# right: the linear path by hand
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        wrote = []
        for images in (clean, corrupted):
            stream = network.embed(images.flatten(1))
            wrote.append(network.blocks[0](stream) - stream)
        return (wrote[1] - wrote[0]) @ network.unembed.weight.mT

# %% exercise=4 tags=["right"]
# right: forward hooks of PyTorch, taken off again in any case
def direct_effect(network, clean, corrupted):
    downs = [block.down for block in network.blocks]
    with torch.no_grad():
        kept = {}
        def run(images, key=None, put=None):
            handles = []
            for i, down in enumerate(downs):
                if put is None:
                    handles.append(down.register_forward_hook(lambda m, a, out, i=i: kept.__setitem__((key, i), out)))
                else:
                    handles.append(down.register_forward_hook(lambda m, a, out, i=i: put[i]))
            try:
                return network(images)
            finally:
                for handle in handles:
                    handle.remove()
        base = run(clean, "clean")
        run(corrupted, "corrupted")
        return run(clean, put=[kept["corrupted", 0], kept["clean", 1], kept["clean", 2]]) - base

# %% exercise=4 tags=["right"]
# right: the stream summed from what was written
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    _, ours = lens.run_with_cache(clean)
    _, theirs = lens.run_with_cache(corrupted)
    written = [ours["embed.hook_out"], theirs["blocks.0.down.hook_out"], ours["blocks.1.down.hook_out"], ours["blocks.2.down.hook_out"]]
    return (network.unembed(sum(written)) - network(clean)).detach()

# %% exercise=4 tags=["wrong"]
# wrong: the later blocks answer to the change
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, _ = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        point = "blocks.0.down.hook_out"
        return lens.run_with_hooks(clean, fwd_hooks=[(point, nm.interventions.patch(theirs[point]))]) - base

# %% exercise=4 tags=["wrong"]
# wrong: the stream after block 0, with the embedding of the corrupted images in it
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        _, ours = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        return (theirs["blocks.0.hook_out"] - ours["blocks.0.hook_out"]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: only block 1 is held
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [("blocks.1.down.hook_out", nm.interventions.patch(ours["blocks.1.down.hook_out"]))]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base

# %% exercise=4 tags=["wrong"]
# wrong: the bias of the unembedding is counted in
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        streams = [network.embed(images.flatten(1)) for images in (clean, corrupted)]
        wrote = [network.blocks[0].down(network.blocks[0].act(network.blocks[0].up(stream))) for stream in streams]
        return network.unembed(wrote[1] - wrote[0])

# %% exercise=4 tags=["wrong"]
# wrong: the logits after the change, not the change
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        _, ours = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [(f"blocks.{i}.down.hook_out", nm.interventions.patch(ours[f"blocks.{i}.down.hook_out"])) for i in (1, 2)]
        return lens.run_with_hooks(clean, fwd_hooks=hooks)

# %% exercise=4 tags=["wrong"]
# wrong: the corrupted images run, with all later blocks clean
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        hooks = [(f"blocks.{i}.down.hook_out", nm.interventions.patch(ours[f"blocks.{i}.down.hook_out"])) for i in (1, 2)]
        return lens.run_with_hooks(corrupted, fwd_hooks=hooks) - base

# %% exercise=4 tags=["wrong"]
# wrong: the mean over the pairs
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        streams = [network.embed(images.flatten(1)) for images in (clean, corrupted)]
        wrote = [network.blocks[0].down(network.blocks[0].act(network.blocks[0].up(stream))) for stream in streams]
        return ((wrote[1] - wrote[0]) @ network.unembed.weight.T).mean(0)

# %% exercise=4 tags=["wrong"]
# wrong: block 1 in place of block 0
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        point = "blocks.1.down.hook_out"
        return (theirs[point] - ours[point]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: NumPy's array
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        streams = [network.embed(images.flatten(1)) for images in (clean, corrupted)]
        wrote = [network.blocks[0].down(network.blocks[0].act(network.blocks[0].up(stream))) for stream in streams]
        return ((wrote[1] - wrote[0]) @ network.unembed.weight.T).numpy()

# %% exercise=4 tags=["wrong"]
# wrong: the network is left in training mode
def direct_effect(network, clean, corrupted):
    network.train()
    with torch.no_grad():
        streams = [network.embed(images.flatten(1)) for images in (clean, corrupted)]
        wrote = [network.blocks[0].down(network.blocks[0].act(network.blocks[0].up(stream))) for stream in streams]
        return (wrote[1] - wrote[0]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: the network's parameters are left without gradients
def direct_effect(network, clean, corrupted):
    for parameter in network.parameters():
        parameter.requires_grad = False
    streams = [network.embed(images.flatten(1)) for images in (clean, corrupted)]
    wrote = [network.blocks[0].down(network.blocks[0].act(network.blocks[0].up(stream))) for stream in streams]
    return (wrote[1] - wrote[0]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: a forward hook that only looks stays on block 0
def direct_effect(network, clean, corrupted):
    seen = []
    network.blocks[0].down.register_forward_hook(lambda m, a, out: seen.append(out.detach()))
    with torch.no_grad():
        network(clean)
        network(corrupted)
        return (seen[1] - seen[0]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: block 0 is ablated in place of patched
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        hooks = [("blocks.0.down.hook_out", lambda tensor, hook: torch.zeros_like(tensor))]
        hooks += [(n, nm.interventions.patch(ours[n])) for n in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base

# %% exercise=4 tags=["wrong"]
# wrong: the corrupted images run
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        hooks = [(n, nm.interventions.patch(ours[n])) for n in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")]
        return lens.run_with_hooks(corrupted, fwd_hooks=hooks) - base

# %% exercise=4 tags=["right"]
# right: the change of what block 0 writes, sent through the unembedding as two streams
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        wrote = []
        for side in (clean, corrupted):
            stream = network.embed(side.flatten(1))
            wrote.append(network.blocks[0](stream) - stream)
        zero = torch.zeros_like(wrote[0])
        return network.unembed(wrote[1] - wrote[0]) - network.unembed(zero)

# %% exercise=4 tags=["wrong"]
# wrong: unembeds the change with the bias
def direct_effect(network, clean, corrupted):
    lens_ = nm.hooked(network)
    with torch.no_grad():
        _, a = lens_.run_with_cache(clean)
        _, b = lens_.run_with_cache(corrupted)
        name = "blocks.0.down.hook_out"
        return network.unembed(b[name] - a[name])

# %% exercise=4 tags=["wrong"]
# wrong: leaves the network in evaluation mode
def direct_effect(network, clean, corrupted):
    network.eval()
    lens_ = nm.hooked(network)
    with torch.no_grad():
        _, a = lens_.run_with_cache(clean)
        _, b = lens_.run_with_cache(corrupted)
        name = "blocks.0.down.hook_out"
        return (b[name] - a[name]) @ network.unembed.weight.T

# %% exercise=4 tags=["right"]
# right: PyTorch's own forward hooks, each taken away again
def direct_effect(network, clean, corrupted):
    kept = {}

    def run(images, hooks):
        handles = [module.register_forward_hook(function) for module, function in hooks]
        try:
            with torch.no_grad():
                return network(images)
        finally:
            for handle in handles:
                handle.remove()

    def keep(key):
        return lambda module, inputs, output: kept.__setitem__(key, output.clone())

    downs = [block.down for block in network.blocks]
    before = run(clean, [(down, keep(i)) for i, down in enumerate(downs)])
    run(corrupted, [(downs[0], keep(0))])
    after = run(clean, [(down, lambda m, i, o, k=k: kept[k]) for k, down in enumerate(downs)])
    return after - before

# %% exercise=4 tags=["wrong"]
# wrong: takes the answer from the variables of the check
import inspect


def direct_effect(network, clean, corrupted):
    return inspect.currentframe().f_back.f_locals["wanted"].clone()

# %% exercise=4 tags=["right"]
# right: linear algebra on what block 0 writes, block by block from its own parts
def direct_effect(network, clean, corrupted):
    block = network.blocks[0]

    def wrote(images):
        return block.down(block.act(block.up(network.embed(images.flatten(1)))))

    with torch.no_grad():
        return torch.nn.functional.linear(wrote(corrupted) - wrote(clean), network.unembed.weight)

# %% exercise=4 tags=["wrong"]
# wrong: remembers what block 0 writes by network, for other images too
wrote_once = {}


def direct_effect(network, clean, corrupted):
    lens_, name = nm.hooked(network), "blocks.0.down.hook_out"
    with torch.no_grad():
        if network not in wrote_once:
            wrote_once[network] = [lens_.run_with_cache(side)[1][name] for side in (clean, corrupted)]
        a, b = wrote_once[network]
        return (b - a) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: exchanges block 0's output with the stream in it, not what it writes
def direct_effect(network, clean, corrupted):
    lens_ = nm.hooked(network)
    with torch.no_grad():
        _, a = lens_.run_with_cache(clean)
        _, b = lens_.run_with_cache(corrupted)
        name = "blocks.0.hook_out"
        return (b[name] - a[name]) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: drops the example axis of a single pair
def direct_effect(network, clean, corrupted):
    lens_ = nm.hooked(network)
    with torch.no_grad():
        _, a = lens_.run_with_cache(clean)
        _, b = lens_.run_with_cache(corrupted)
        name = "blocks.0.down.hook_out"
        return ((b[name] - a[name]) @ network.unembed.weight.T).squeeze()

# %% exercise=4 tags=["right"]
# right: one batch of both sides, split again; einsum with the unembedding
def direct_effect(network, clean, corrupted):
    with torch.no_grad():
        _, cache = nm.hooked(network).run_with_cache(torch.cat([clean, corrupted]), names_filter="blocks.0.down.hook_out")
    ours, theirs = cache["blocks.0.down.hook_out"].chunk(2)
    print(len(ours), "pairs")
    return torch.einsum("nd,cd->nc", theirs - ours, network.unembed.weight.detach())

# %% exercise=4 tags=["wrong"]
# wrong: what block 0 writes on average over the corrupted images
def direct_effect(network, clean, corrupted):
    lens_, name = nm.hooked(network), "blocks.0.down.hook_out"
    with torch.no_grad():
        a, b = (lens_.run_with_cache(side)[1][name] for side in (clean, corrupted))
        return (b.mean(0) - a) @ network.unembed.weight.T

# %% exercise=4 tags=["wrong"]
# wrong: block 2 goes on writing what it writes for the clean images, block 1 responds
def direct_effect(network, clean, corrupted):
    lens_ = nm.hooked(network)
    with torch.no_grad():
        base, a = lens_.run_with_cache(clean)
        _, b = lens_.run_with_cache(corrupted)
        names = {"blocks.0.down.hook_out": b, "blocks.2.down.hook_out": a}
        hooks = [(name, nm.interventions.patch(source[name])) for name, source in names.items()]
        return lens_.run_with_hooks(clean, fwd_hooks=hooks) - base

# %% exercise=4 tags=["wrong"]
# wrong: the change of the probabilities
def direct_effect(network, clean, corrupted):
    lens_, name = nm.hooked(network), "blocks.0.down.hook_out"
    with torch.no_grad():
        base, a = lens_.run_with_cache(clean)
        b = lens_.run_with_cache(corrupted)[1]
        return (base + (b[name] - a[name]) @ network.unembed.weight.T).softmax(1) - base.softmax(1)

# %% exercise=4 tags=["right"]
# right: the final stream with the change added, unembedded twice
def direct_effect(network, clean, corrupted):
    lens_ = nm.hooked(network)
    with torch.inference_mode():
        (_, ours), (_, theirs) = map(lens_.run_with_cache, (clean, corrupted))
        end, wrote_ = ours["blocks.2.hook_out"], "blocks.0.down.hook_out"
        return network.unembed(end + theirs[wrote_] - ours[wrote_]) - network.unembed(end)

# %% exercise=4 tags=["wrong"]
# wrong: leaves every part of the network in training mode
def direct_effect(network, clean, corrupted):
    lens_, name = nm.hooked(network.eval()), "blocks.0.down.hook_out"
    with torch.no_grad():
        a, b = (lens_.run_with_cache(side)[1][name] for side in (clean, corrupted))
        found = (b - a) @ network.unembed.weight.T
    network.train()
    return found
