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
