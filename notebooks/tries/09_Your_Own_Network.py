# %% exercise=1 tags=["wrong"]
# wrong: hooks attached by add_hook stay
def on_share(module, pixels):
    found, lens_ = {}, nm.hooked(module)
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            def record(tensor, hook, name=f"{path}.hook_out"):
                found[name] = float((tensor > 0).double().mean())
            lens_.add_hook(f"{path}.hook_out", record)
    with torch.no_grad():
        lens_(pixels)
    return found

# %% exercise=1 tags=["wrong"]
# wrong: the share of units that are on for any image
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).any(0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: at least 0 in place of above 0
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] >= 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: takes every class with ReLU in its name, LeakyReLU and PReLU too
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if "ReLU" in type(part).__name__]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["right"]
# right: caches everything and picks, on a deep copy, NumPy numbers in an OrderedDict
from collections import OrderedDict
from copy import deepcopy
def on_share(module, pixels):
    lens_ = nm.hooked(deepcopy(module))
    with torch.no_grad():
        cache = lens_.run_with_cache(pixels)[1]
    kinds = dict(module.named_modules())
    return OrderedDict((name, np.mean(cache[name].numpy() > 0)) for name in cache if isinstance(kinds.get(name.removesuffix("hook_out").rstrip(".")), nn.ReLU))

# %% exercise=1 tags=["wrong"]
# wrong: looks at the direct children only
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_children() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: turns the module's weights to float64 and leaves them so
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module.double()).run_with_cache(pixels.double(), names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: puts the module into evaluation mode and leaves it there ("Leave the module as it was")
def on_share(module, pixels):
    module.eval()
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: puts a recording forward into each ReLU and never takes it out
def on_share(module, pixels):
    found = {}
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            def recording(x, name=f"{path}.hook_out"):
                y = torch.relu(x)
                found[name] = float((y > 0).double().mean())
                return y
            part.forward = recording
    with torch.no_grad():
        module(pixels)
    return found

# %% exercise=1 tags=["wrong"]
# wrong: freezes the module's parameters and leaves them so
def on_share(module, pixels):
    module.requires_grad_(False)
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: forward hooks are never removed
def on_share(module, pixels):
    found = {}
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            part.register_forward_hook(lambda m, i, o, name=f"{path}.hook_out": found.__setitem__(name, float((o > 0).double().mean())))
    module(pixels)
    return found

# %% exercise=1 tags=["right"]
# right: PyTorch hooks, removed at the end, image by image
def on_share(module, pixels):
    counts, handles = {}, []
    for path, part in module.named_modules():
        if type(part) is nn.ReLU:
            name = ".".join(filter(None, [path, "hook_out"]))
            counts[name] = [0, 0]
            def count(m, i, o, name=name):
                counts[name][0] += int(o.gt(0).sum())
                counts[name][1] += o.numel()
            handles.append(part.register_forward_hook(count))
    try:
        with torch.inference_mode():
            for one in pixels:
                module(one[None])
    finally:
        for handle in handles:
            handle.remove()
    return {name: on / of for name, (on, of) in counts.items()}

# %% exercise=1 tags=["right"]
# right: leaves out a ReLU that is the module itself: asked for are those inside of it
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if path and isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: leaves the module in training mode
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    module.train()
    return {name: float((cache[name] > 0).double().mean()) for name in names}

# %% exercise=1 tags=["right"]
# right: hooks of PyTorch on each part, taken off again in any case
def on_share(module, pixels):
    shares, handles = {}, []
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            name = f"{path}.hook_out" if path else "hook_out"
            handles.append(part.register_forward_hook(lambda p, a, out, name=name: shares.update({name: float((out > 0).double().mean())})))
    try:
        with torch.no_grad():
            module(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return shares

# %% exercise=1 tags=["right"]
# right: in batches, counted
def on_share(module, pixels):
    on, of = {}, {}
    model = nm.hooked(module)
    relus = [part for part in module.modules() if isinstance(part, nn.ReLU)]
    names = [".".join(filter(None, [path, "hook_out"])) for path, part in module.named_modules() if part in relus]
    for some in pixels.split(16):
        with torch.no_grad():
            _, cache = model.run_with_cache(some, names_filter=lambda name: name in names)
        for name in names:
            on[name] = on.get(name, 0) + int(torch.count_nonzero(cache[name] > 0))
            of[name] = of.get(name, 0) + cache[name].numel()
    return {name: on[name] / of[name] for name in names}

# %% exercise=1 tags=["right"]
# right: a copy of the module runs
import copy
def on_share(module, pixels):
    twin = copy.deepcopy(module)
    names = [f"{path}.hook_out".lstrip(".") for path, part in twin.named_modules() if isinstance(part, nn.ReLU)]
    with torch.inference_mode():
        cache = nm.hooked(twin).run_with_cache(pixels, names_filter=names)[1]
    return dict(sorted((name, np.mean(cache[name].numpy() > 0)) for name in names))

# %% exercise=1 tags=["wrong"]
# wrong: units that are ever above 0
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).any(0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the first image only
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels[:1], names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the mean over batches of unequal sizes
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    rows = []
    for some in pixels.split(8):
        with torch.no_grad():
            _, cache = nm.hooked(module).run_with_cache(some, names_filter=names)
        rows.append([float((cache[name] > 0).float().mean()) for name in names])
    return dict(zip(names, np.mean(rows, axis=0)))

# %% exercise=1 tags=["wrong"]
# wrong: only the module's own parts, not their parts
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_children() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["right"]
# right: asks for the type itself
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if type(part) is nn.ReLU]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the hooks of others are cleared too
def on_share(module, pixels):
    seen = {}
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            part.register_forward_hook(lambda p, a, out, path=path: seen.update({f"{path}.hook_out".lstrip("."): float((out > 0).float().mean())}))
    with torch.no_grad():
        module(pixels)
    for part in module.modules():
        part._forward_hooks.clear()
    return seen

# %% exercise=1 tags=["wrong"]
# wrong: the module's mode is turned for the whole of it, parts that had another one too
def on_share(module, pixels):
    mode = module.training
    module.eval()
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    module.train(mode)
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: percent
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: 100 * float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: two decimals
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: round(float((cache[name] > 0).float().mean()), 2) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: paths and not hook points
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name.removesuffix(".hook_out"): float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the parameters are left without gradients
def on_share(module, pixels):
    module.requires_grad_(False)
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the share above a hundredth
def on_share(module, pixels):
    names = [f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0.01).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the shares of the module that had these hook points before
SHARES = {}
def on_share(module, pixels):
    names = tuple(f"{path}.hook_out".lstrip(".") for path, part in module.named_modules() if isinstance(part, nn.ReLU))
    if names not in SHARES:
        with torch.no_grad():
            _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=list(names))
        SHARES[names] = {name: float((cache[name] > 0).float().mean()) for name in names}
    return dict(SHARES[names])

# %% exercise=1 tags=["wrong"]
# wrong: the share of images on which any output is above 0
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name].flatten(1) > 0).any(1).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: names without their end
def on_share(module, pixels):
    names = [path for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels)
    return {name: float((cache[f"{name}.hook_out"] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["right"]
# right: bare hooks of PyTorch, removed at the end
def on_share(module, pixels):
    shares, handles = {}, []
    for path, part in module.named_modules():
        if type(part) is nn.ReLU:
            note = lambda m, i, o, path=path: shares.update({f"{path}.hook_out": o.gt(0).double().mean().item()})
            handles.append(part.register_forward_hook(note))
    try:
        with torch.no_grad():
            module(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return shares

# %% exercise=1 tags=["wrong"]
# wrong: PyTorch's hooks, of which the last one stays
def on_share(module, pixels):
    found, handle = {}, None
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            if handle is not None:
                handle.remove()
            name = f"{path}.hook_out"
            handle = part.register_forward_hook(
                lambda m, i, o, name=name: found.__setitem__(name, float((o > 0).float().mean()))
            )
            with torch.no_grad():
                module(pixels)
    return found

# %% exercise=1 tags=["wrong"]
# wrong: remembers the shares of a module, also for other images
shares_kept = {}


def on_share(module, pixels):
    if module not in shares_kept:
        names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
        with torch.no_grad():
            _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
        shares_kept[module] = {name: float((cache[name] > 0).double().mean()) for name in names}
    return dict(shares_kept[module])

# %% exercise=1 tags=["right"]
# right: counts what comes in above 0, with PyTorch's pre-hooks that are taken away in a finally
def on_share(module, pixels):
    counts: dict[str, list[int]] = {}
    handles = []

    def watch(name):
        def count(part, inputs):
            (given,) = inputs
            counts[name] = [int(torch.count_nonzero(given.clamp(min=0))), given.numel()]

        return count

    try:
        for path, part in dict(module.named_modules()).items():
            if type(part) is nn.ReLU:
                handles.append(part.register_forward_pre_hook(watch(".".join([path, "hook_out"]))))
        with torch.no_grad():
            module(pixels)
    finally:
        while handles:
            handles.pop().remove()
    return {name: on / of for name, (on, of) in counts.items()}

# %% exercise=1 tags=["right"]
# right: a recursion over children, one run for all hook points, numpy at the end
def on_share(module, pixels):
    def search(part, path):
        if isinstance(part, nn.ReLU):
            yield ".".join((*path, "hook_out"))
        for name, child in part.named_children():
            yield from search(child, (*path, name))

    with torch.no_grad():
        cache = nm.hooked(module).run_with_cache(pixels)[1]
    return {name: np.mean(cache[name].numpy().ravel() > 0) for name in search(module, ())}

# %% exercise=1 tags=["wrong"]
# wrong: only outputs above a millionth count as above 0
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 1e-6).double().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: above the smallest step of float32 at 1
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)[1]
    return {name: float((cache[name] > torch.finfo(torch.float32).eps).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: an even number of images only
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    even = pixels[: len(pixels) // 2 * 2]
    with torch.no_grad():
        cache = nm.hooked(module).run_with_cache(even, names_filter=names)[1]
    return {name: float((cache[name] > 0).float().mean()) for name in names}

# %% exercise=1 tags=["wrong"]
# wrong: the share of outputs that are not 0, over all modules whose name holds ReLU
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if "ReLU" in type(part).__name__]
    with torch.no_grad():
        cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)[1]
    return {name: float((cache[name] != 0).float().mean()) for name in names}

# %% exercise=1 tags=["right"]
# right: image by image, counts added up
from collections import Counter


def on_share(module, pixels):
    on, of = Counter(), Counter()
    paths = {part: path for path, part in module.named_modules() if isinstance(part, nn.ReLU)}
    for image in pixels.split(1):
        with torch.no_grad():
            cache = nm.hooked(module).run_with_cache(image)[1]
        for path in paths.values():
            values = cache[path + ".hook_out"]
            on[path + ".hook_out"] += int(values.gt(0).sum())
            of[path + ".hook_out"] += values.numel()
    return {name: on[name] / of[name] for name in of}

# %% exercise=1 tags=["wrong"]
# wrong: a running count over all calls
tally = {}


def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)[1]
    for name in names:
        on, of = tally.get((module, name), (0, 0))
        tally[module, name] = on + int((cache[name] > 0).sum()), of + cache[name].numel()
    return {name: tally[module, name][0] / tally[module, name][1] for name in names}

# %% exercise=1 tags=["right"]
# right: the mean of signs, one run for each hook point
def on_share(module, pixels):
    shares = {}
    for path, part in reversed(list(module.named_modules())):
        if not isinstance(part, nn.ReLU):
            continue
        name = f"{path}.hook_out"
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=name)
        shares[name] = cache[name].detach().sign().double().mean().item()
    return shares

# %% exercise=2 tags=["wrong"]
# wrong: shuffles over all labels
def shuffle_within(values, labels, rng):
    return rng.permutation(values)

# %% exercise=2 tags=["wrong"]
# wrong: right only when the images of a label stand side by side
def shuffle_within(values, labels, rng):
    parts, start = [], 0
    for label, count in zip(*np.unique(labels, return_counts=True)):
        parts.append(rng.permutation(values[start:start + count]))
        start += count
    return np.concatenate(parts)

# %% exercise=2 tags=["wrong"]
# wrong: no value may stay in its place, so not every order is possible
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = rng.permutation(len(members))
        moved = np.empty_like(order)
        moved[order] = np.roll(order, 1)
        found[members] = values[members][moved]
    return found

# %% exercise=2 tags=["right"]
# right: Fisher and Yates by hand, a list comes back
def shuffle_within(values, labels, rng):
    found, places = list(values), {}
    for i, label in enumerate(labels):
        places.setdefault(int(label), []).append(i)
    for members in places.values():
        for last in range(len(members) - 1, 0, -1):
            other = int(rng.integers(0, last + 1))
            i, j = members[last], members[other]
            found[i], found[j] = found[j], found[i]
    return found

# %% exercise=2 tags=["right"]
# right: float64 comes back, with the same values
def shuffle_within(values, labels, rng):
    found = np.zeros(len(values))
    for label in np.unique(labels):
        found[labels == label] = rng.permutation(values[labels == label])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: NumPy's global generator in place of rng
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        found[labels == label] = np.random.permutation(values[labels == label])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: shuffles the first and the second half of each label's values apart, so they never cross
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        for part in (members[: len(members) // 2], members[len(members) // 2:]):
            found[part] = rng.permutation(values[part])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: sorts by coarse noise, equal noise keeps the old order: some orders are far likelier
def shuffle_within(values, labels, rng):
    order = np.lexsort((rng.integers(0, 100, len(values)), labels))
    found = np.array(values)
    found[np.argsort(labels, kind="stable")] = np.asarray(values)[order]
    return found

# %% exercise=2 tags=["right"]
# right: one sort of noise within labels, no loop
def shuffle_within(values, labels, rng):
    found = np.empty_like(values)
    found[np.argsort(labels, kind="stable")] = values[np.lexsort((rng.random(len(values)), labels))]
    return found

# %% exercise=2 tags=["right"]
# right: a child generator made with a number drawn from rng, apply over a dictionary
def shuffle_within(values, labels, rng):
    import random
    chance, result = random.Random(int(rng.integers(2**62))), np.array(values, copy=True)
    for label in set(labels.tolist()):
        where = [i for i, one in enumerate(labels) if one == label]
        result[where] = values[chance.sample(where, len(where))]
    return result

# %% exercise=2 tags=["wrong"]
# wrong: a new generator with a fixed seed inside, rng is not used
def shuffle_within(values, labels, rng):
    rng, found = np.random.default_rng(0), np.array(values)
    for label in np.unique(labels):
        found[labels == label] = rng.permutation(values[labels == label])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: draws with replacement
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.choice(values[members], len(members))
    return found

# %% exercise=2 tags=["wrong"]
# wrong: the values of a label are moved on by a random number of places: no random order
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = np.roll(values[members], rng.integers(len(members)))
    return found

# %% exercise=2 tags=["wrong"]
# wrong: a random rotation, perhaps reversed, of each label's values
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        mine = np.roll(values[members], rng.integers(len(members)))
        found[members] = mine[::-1] if rng.random() < 0.5 else mine
    return found

# %% exercise=2 tags=["wrong"]
# wrong: labels of one size all get the same order, so orders of different labels go together
def shuffle_within(values, labels, rng):
    orders, found = {}, np.array(values)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) not in orders:
            orders[len(members)] = rng.permutation(len(members))
        found[members] = values[members][orders[len(members)]]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: labels 0 to 8 only, others keep their order
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in range(9):
        found[labels == label] = rng.permutation(values[labels == label])
    return found

# %% exercise=2 tags=["right"]
# right: one sort by label and random number
def shuffle_within(values, labels, rng):
    order, found = np.lexsort((rng.random(len(labels)), labels)), np.empty_like(values)
    found[np.argsort(labels, kind="stable")] = values[order]
    return found

# %% exercise=2 tags=["right"]
# right: the algorithm of Fisher and Yates
def shuffle_within(values, labels, rng):
    found = np.array(values)
    for label in set(labels.tolist()):
        members = [i for i, other in enumerate(labels.tolist()) if other == label]
        for i in range(len(members) - 1, 0, -1):
            j = int(rng.integers(0, i + 1))
            a, b = members[i], members[j]
            found[a], found[b] = found[b], found[a]
    return found

# %% exercise=2 tags=["right"]
# right: pandas's groups
import pandas as pd
def shuffle_within(values, labels, rng):
    found = values.copy()
    for members in pd.Series(range(len(labels))).groupby(pd.Series(labels)).indices.values():
        found[members] = values[rng.permuted(members)]
    return found

# %% exercise=2 tags=["right"]
# right: a mask, shuffled in place in the copy
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels)[::-1]:
        of_label = found[labels == label]
        rng.shuffle(of_label)
        found[labels == label] = of_label
    return found

# %% exercise=2 tags=["wrong"]
# wrong: each value changes places with any other, so that some orders come more often
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        for i in members:
            j = rng.choice(members)
            found[[i, j]] = found[[j, i]]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: no value may stay where it was
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = members.copy()
        for i in range(len(members) - 1, 0, -1):
            j = rng.integers(i)
            order[[i, j]] = order[[j, i]]
        found[members] = values[order]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: drawn again until something has changed
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = rng.permutation(members)
        while len(members) > 1 and (order == members).all():
            order = rng.permutation(members)
        found[members] = values[order]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: the same order for labels of the same number
def shuffle_within(values, labels, rng):
    found, orders = values.copy(), {}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = orders.setdefault(len(members), rng.permutation(len(members)))
        found[members] = values[members[order]]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: a generator of its own, of the same numbers every time
def shuffle_within(values, labels, rng):
    own, found = np.random.default_rng(len(values)), values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = own.permutation(values[members])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: NumPy's global generator
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = np.random.permutation(values[members])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: in place
def shuffle_within(values, labels, rng):
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        values[members] = rng.permutation(values[members])
    return values

# %% exercise=2 tags=["wrong"]
# wrong: runs of one label, not all of it
def shuffle_within(values, labels, rng):
    cuts = np.flatnonzero(np.diff(labels)) + 1
    return np.concatenate([rng.permutation(part) for part in np.split(values, cuts)])

# %% exercise=2 tags=["wrong"]
# wrong: sorted by label on the way, and left so
def shuffle_within(values, labels, rng):
    return np.concatenate([rng.permutation(values[labels == label]) for label in np.unique(labels)])

# %% exercise=2 tags=["right"]
# right: numbers with a point, whatever they were
def shuffle_within(values, labels, rng):
    found = np.zeros(len(values))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: the labels up to the highest, from 0 on
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in range(int(max(labels)) + 1):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found

# %% exercise=2 tags=["right"]
# right: a list comes back
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found.tolist()

# %% exercise=2 tags=["wrong"]
# wrong: two random turns, each of a part
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        cut = rng.integers(len(members) + 1)
        found[members] = np.concatenate([values[members][cut:], values[members][:cut][:: rng.choice([-1, 1])]])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: sorted by label on the way, and left in that order
def shuffle_within(values, labels, rng):
    return np.concatenate([rng.permutation(values[labels == label]) for label in np.unique(labels)])

# %% exercise=2 tags=["wrong"]
# wrong: each value is exchanged with one other of its label, once
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        half = len(members) // 2
        a, b = members[:half], members[half : 2 * half]
        found[a], found[b] = values[b], values[a]
    return found

# %% exercise=2 tags=["right"]
# right: random keys, sorted within each label by one lexsort
def shuffle_within(values, labels, rng):
    found = np.empty_like(values)
    found[np.argsort(labels, kind="stable")] = values[np.lexsort((rng.random(len(values)), labels))]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: only labels from 0 on
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: draws with repetition
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in set(labels.tolist()):
        found[labels == label] = rng.choice(values[labels == label], (labels == label).sum())
    return found

# %% exercise=2 tags=["wrong"]
# wrong: one of a thousand orders
def shuffle_within(values, labels, rng):
    own = np.random.default_rng(int(rng.integers(1000)))
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = own.permutation(values[members])
    return found

# %% exercise=2 tags=["right"]
# right: Fisher and Yates by hand, one label after the other, a Python list returned as an array
def shuffle_within(values, labels, rng):
    items = list(values)
    members: dict = {}
    for place, label in enumerate(labels):
        members.setdefault(label, []).append(place)
    for places_ in members.values():
        for i in range(len(places_) - 1, 0, -1):
            j = int(rng.integers(i, endpoint=True))
            a, b = places_[i], places_[j]
            items[a], items[b] = items[b], items[a]
    return np.array(items)

# %% exercise=2 tags=["wrong"]
# wrong: an array of whole numbers, so fractions are cut
def shuffle_within(values, labels, rng):
    found = np.zeros(len(values), dtype=int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: shuffles whole labels' places: values move between labels of one size
def shuffle_within(values, labels, rng):
    order = rng.permutation(len(labels))
    return values[order[np.argsort(labels[order], kind="stable")]]

# %% exercise=2 tags=["right"]
# right: random keys, sorted by label and key at once
def shuffle_within(values, labels, rng):
    given = np.argsort(labels, kind="stable")
    drawn = np.lexsort((rng.random(len(labels)), labels))
    found = np.empty_like(values)
    found[given] = values[drawn]
    return found

# %% exercise=2 tags=["right"]
# right: draws one value after the other from a bag for each label
def shuffle_within(values, labels, rng):
    bags = {}
    for value, label in zip(values, labels):
        bags.setdefault(label, []).append(value)
    return np.array([bags[label].pop(int(rng.integers(len(bags[label])))) for label in labels])

# %% exercise=2 tags=["wrong"]
# wrong: one of 10,000 seeds
def shuffle_within(values, labels, rng):
    own, found = np.random.default_rng(rng.integers(10_000)), np.array(values)
    for label in np.unique(labels):
        here = labels == label
        found[here] = own.permutation(found[here])
    return found

# %% exercise=2 tags=["wrong"]
# wrong: random keys of 8 bits, where equal keys keep the old order
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        keys = rng.integers(0, 8, len(here))
        found[here] = values[here][np.argsort(keys, kind="stable")]
    return found

# %% exercise=2 tags=["wrong"]
# wrong: each label's values move on by a random number of places
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        found[here] = np.roll(values[here], rng.integers(len(here)))
    return found

# %% exercise=2 tags=["wrong"]
# wrong: as many random exchanges of two values as there are
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        for _ in range(len(here)):
            i, j = rng.choice(here, 2)
            found[i], found[j] = found[j], found[i]
    return found

# %% exercise=2 tags=["right"]
# right: one permutation of all, sorted by label: the order within each label is random
def shuffle_within(values, labels, rng):
    mixed = rng.permutation(len(labels))
    by_label = mixed[np.argsort(labels[mixed], kind="stable")]
    result = np.empty(len(values), dtype=values.dtype)
    result[np.argsort(labels, kind="stable")] = values[by_label]
    return result

# %% exercise=3 tags=["wrong"]
# wrong: a counter that goes on over calls, so the next call gives other shares
from itertools import count
numbers = count(12345)
def seen(alarm, strengths, tries):
    found = np.zeros(len(strengths))
    for _ in range(tries):
        for i, strength in enumerate(strengths):
            found[i] += alarm(next(numbers), strength) is True
    return (found / tries).tolist()

# %% exercise=3 tags=["wrong"]
# wrong: a dictionary by strength, so a strength that stands twice gives one share
def seen(alarm, strengths, tries):
    found = {strength: sum(alarm(number * tries + attempt, strength) for attempt in range(tries)) / tries for number, strength in enumerate(strengths)}
    return list(found.values())

# %% exercise=3 tags=["wrong"]
# wrong: seeds from the strength (10,000 times it), which overlap for close strengths
def seen(alarm, strengths, tries):
    return [sum(alarm(int(10_000 * strength) + attempt, strength) for attempt in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["right"]
# right: a generator behind an extra keyword argument, numpy seeds from SeedSequence words
def seen(alarm, strengths, tries, *, first=0):
    def shares():
        seed = first
        for strength in strengths:
            rang = 0
            for seed in range(seed, seed + tries):
                rang += bool(alarm(np.int64(seed), strength))
            seed += 1
            yield rang / tries
    return list(shares())

# %% exercise=3 tags=["wrong"]
# wrong: the notebook's strengths decide how many shares come
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + attempt, strength) for attempt in range(tries)) / tries for number, strength in enumerate(strengths) if strength in globals()["strengths"]]

# %% exercise=3 tags=["wrong"]
# wrong: numbers the strengths by strengths.index, so a strength that stands twice gets the same seeds twice
def seen(alarm, strengths, tries):
    return [sum(alarm(strengths.index(strength) * tries + attempt, strength) for attempt in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["right"]
# right: the seed is attempt times the number of strengths plus number; fractions
from fractions import Fraction
def seen(alarm, strengths, tries):
    many = len(strengths)
    return [Fraction(sum(map(lambda seed: int(alarm(seed, s)), range(i, many * tries, many))), tries) for i, s in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: one phantom too few
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + attempt, strength) for attempt in range(1, tries)) / tries for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: number + attempt: seeds overlap
def seen(alarm, strengths, tries):
    return [float(np.mean([alarm(number + attempt, strength) for attempt in range(tries)])) for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: random seeds below 10 million, which can come twice, and other shares at each call
def seen(alarm, strengths, tries):
    chance = np.random.default_rng()
    return [float(np.mean([alarm(int(chance.integers(10_000_000)), strength) for _ in range(tries)])) for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: the same seeds at each strength
def seen(alarm, strengths, tries):
    return [float(np.mean([alarm(seed, strength) for seed in range(tries)])) for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: seeds spawned by NumPy's SeedSequence, which are no whole numbers
def seen(alarm, strengths, tries):
    seeds = iter(np.random.SeedSequence(0).spawn(len(strengths) * tries))
    return [sum(alarm(next(seeds), strength) for _ in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: in the order of size
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + attempt, strength) for attempt in range(tries)) / tries for number, strength in enumerate(sorted(strengths))]

# %% exercise=3 tags=["wrong"]
# wrong: looks once at the shares and asks again where the alarm was silent
def seen(alarm, strengths, tries):
    return [sum(alarm(2 * (number * tries + attempt), strength) or alarm(2 * (number * tries + attempt) + 1, strength) for attempt in range(tries)) / tries for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: seeds 1000 apart for each strength, which come twice with more than 1000 tries
def seen(alarm, strengths, tries):
    return [float(np.mean([alarm(1000 * number + attempt, strength) for attempt in range(tries)])) for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["right"]
# right: one counter for all
import itertools
def seen(alarm, strengths, tries):
    seeds = itertools.count()
    return [sum(bool(alarm(next(seeds), strength)) for _ in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["right"]
# right: every strength's own residue
def seen(alarm, strengths, tries):
    many, hits = len(strengths), np.zeros((len(strengths), tries))
    for attempt in range(tries):
        for number, strength in enumerate(strengths):
            hits[number, attempt] = alarm(attempt * many + number, strength)
    return hits.mean(1).tolist()

# %% exercise=3 tags=["right"]
# right: numbers drawn without repetition by a generator with a fixed seed
import random
def seen(alarm, strengths, tries):
    seeds = iter(random.Random(7).sample(range(10**9), tries * len(strengths)))
    return [float(np.mean([alarm(next(seeds), strength) for _ in range(tries)])) for strength in strengths]

# %% exercise=3 tags=["right"]
# right: NumPy's whole numbers
def seen(alarm, strengths, tries):
    seeds = np.arange(len(strengths) * tries).reshape(len(strengths), tries)
    return [np.mean([alarm(seed, strength) for seed in row]) for row, strength in zip(seeds, strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: the last seed of a strength is the first of the next
def seen(alarm, strengths, tries):
    return [sum(alarm(number * (tries - 1) + attempt, s) for attempt in range(tries)) / tries for number, s in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: the same seeds for each strength
def seen(alarm, strengths, tries):
    return [sum(alarm(seed, strength) for seed in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: the count goes on from call to call
import itertools
SEEDS = itertools.count()
def seen(alarm, strengths, tries):
    return [sum(alarm(next(SEEDS), strength) for _ in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: seeds that are drawn, and may come twice
def seen(alarm, strengths, tries):
    rng = np.random.default_rng(0)
    return [sum(alarm(int(rng.integers(100_000)), strength) for _ in range(tries)) / tries for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: seed and strength exchanged
def seen(alarm, strengths, tries):
    return [sum(alarm(strength, number * tries + i) for i in range(tries)) / tries for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: counts, not shares
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + i, strength) for i in range(tries)) for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: one phantom fewer
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + i, strength) for i in range(1, tries)) / tries for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: seeds below 0
def seen(alarm, strengths, tries):
    return [sum(alarm(-(number * tries + i), strength) for i in range(tries)) / tries for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: from the lowest strength to the highest
def seen(alarm, strengths, tries):
    return [sum(alarm(number * tries + i, strength) for i in range(tries)) / tries for number, strength in enumerate(sorted(strengths))]

# %% exercise=3 tags=["wrong"]
# wrong: a strength that stands twice gets its first answer
def seen(alarm, strengths, tries):
    known = {}
    for number, strength in enumerate(strengths):
        if strength not in known:
            known[strength] = sum(alarm(number * tries + i, strength) for i in range(tries)) / tries
    return [known[strength] for strength in strengths]

# %% exercise=3 tags=["wrong"]
# wrong: stops when the share is certain to one decimal
def seen(alarm, strengths, tries):
    found = []
    for number, strength in enumerate(strengths):
        hits = [alarm(number * tries + i, strength) for i in range(min(tries, 20))]
        if 0 < sum(hits) < len(hits):
            hits += [alarm(number * tries + i, strength) for i in range(len(hits), tries)]
        found.append(sum(hits) / len(hits))
    return found

# %% exercise=3 tags=["wrong"]
# wrong: two decimals
def seen(alarm, strengths, tries):
    return [round(sum(alarm(number * tries + i, strength) for i in range(tries)) / tries, 2) for number, strength in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: seeds that begin again at a thousand
def seen(alarm, strengths, tries):
    return [sum(alarm((number * tries + i) % 1000, s) for i in range(tries)) / tries for number, s in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: the seed is the attempt times the strength's number
def seen(alarm, strengths, tries):
    return [np.mean([alarm(a * n, s) for a in range(tries)]) for n, s in enumerate(strengths, 1)]

# %% exercise=3 tags=["wrong"]
# wrong: a counter that goes on from call to call
_counter = __import__("itertools").count()


def seen(alarm, strengths, tries):
    return [float(np.mean([alarm(next(_counter), s) for _ in range(tries)])) for s in strengths]

# %% exercise=3 tags=["right"]
# right: a table of seeds, one row for each strength
def seen(alarm, strengths, tries):
    seeds = np.arange(len(strengths) * tries).reshape(tries, -1).T
    return np.array([[alarm(int(seed), s) for seed in row] for s, row in zip(strengths, seeds)], dtype=float).mean(1)

# %% exercise=3 tags=["wrong"]
# wrong: each strength gets one phantom more than was asked for
def seen(alarm, strengths, tries):
    shares = []
    for number, strength in enumerate(strengths):
        rang = [alarm(number * (tries + 1) + attempt, strength) for attempt in range(tries + 1)]
        shares.append(float(np.mean(rang)))
    return shares

# %% exercise=3 tags=["wrong"]
# wrong: counts alarms, not a share
def seen(alarm, strengths, tries):
    return [sum(alarm(i * tries + t, s) for t in range(tries)) for i, s in enumerate(strengths)]

# %% exercise=3 tags=["right"]
# right: one itertools.count for the call, backwards over the strengths, a dictionary by place
import itertools


def seen(alarm, strengths, tries):
    fresh_seed = itertools.count(17)
    shares = {}
    for place in reversed(range(len(strengths))):
        rang = 0
        while True:
            for _ in range(tries):
                rang += bool(alarm(next(fresh_seed), strengths[place]))
            break
        shares[place] = rang / tries
    return tuple(shares[place] for place in sorted(shares))

# %% exercise=3 tags=["right"]
# right: seeds interleaved between the strengths, a numpy table
def seen(alarm, strengths, tries):
    table = np.zeros((tries, len(strengths)), dtype=bool)
    for (t, i), _ in np.ndenumerate(table):
        table[t, i] = alarm(int(np.ravel_multi_index((t, i), table.shape)), strengths[i])
    return table.mean(axis=0)

# %% exercise=3 tags=["wrong"]
# wrong: strengths are 10,000 seeds apart, so more phantoms than that share seeds
def seen(alarm, strengths, tries):
    return [sum(alarm(10_000 * i + t, s) for t in range(tries)) / tries for i, s in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: attempts and strengths exchanged in the running number, which is then not unique
def seen(alarm, strengths, tries):
    return [np.mean([alarm(i + t * (len(strengths) - 1), s) for t in range(tries)]) for i, s in enumerate(strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: the strength's number in the upper bits, from bit 14 on
def seen(alarm, strengths, tries):
    return [sum(alarm((i << 14) | t, s) for t in range(tries)) / tries for i, s in enumerate(strengths)]

# %% exercise=3 tags=["right"]
# right: Cantor's pairing of strength and attempt
def seen(alarm, strengths, tries):
    def pair(i: int, t: int) -> int:
        return (i + t) * (i + t + 1) // 2 + t

    return np.array([sum(1 for t in range(tries) if alarm(pair(i, t), s)) / tries for i, s in enumerate(strengths)])

# %% exercise=3 tags=["right"]
# right: one range cut into pieces, the last strength first
def seen(alarm, strengths, tries):
    seeds = np.arange(tries * len(strengths)).reshape(len(strengths), -1)[::-1]
    by_place = [np.fromiter((alarm(seed, s) for seed in line), dtype=bool) for line, s in zip(seeds, strengths)]
    return [line.mean() for line in by_place]

# %% exercise=3 tags=["wrong"]
# wrong: seeds drawn from a million numbers, with repetitions
def seen(alarm, strengths, tries):
    seeds = np.random.default_rng(0).integers(10**6, size=(len(strengths), tries))
    return [float(np.mean([alarm(int(seed), s) for seed in line])) for line, s in zip(seeds, strengths)]

# %% exercise=3 tags=["wrong"]
# wrong: takes the strengths out of the list that it gets
def seen(alarm, strengths, tries):
    shares, seed = [], 0
    while strengths:
        strength, rang = strengths.pop(0), 0
        for _ in range(tries):
            rang += alarm(seed, strength)
            seed += 1
        shares.append(rang / tries)
    return shares

# %% exercise=3 tags=["right"]
# right: seeds by a pairing function, of which no two are the same
def seen(alarm, strengths, tries):
    return [np.mean([alarm((i + t) ** 2 + i, s) for t in range(tries)]) for i, s in enumerate(strengths)]

# %% exercise=4 tags=["wrong"]
# wrong: tests any difference between classes (F), not that the highest is above the others

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        from scipy import stats; return stats.f_oneway(*[x[labels == c] for c in classes]).statistic
    value = stat(x, labels)
    null = [stat(x, rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: right only for classes of equal size (reshape)
def prefers(x, labels, draws, seed):
    rng, k = np.random.default_rng(seed), len(np.unique(labels))
    sorted_x = x[np.argsort(labels, kind="stable")]
    worlds = np.concatenate([sorted_x[None], rng.permuted(np.tile(sorted_x, (draws, 1)), axis=1)])
    means = worlds.reshape(draws + 1, k, -1).mean(2)
    value = means.max(1) - (means.sum(1) - means.max(1)) / (k - 1)
    return float((value >= value[0] - 1e-12).mean())

# %% exercise=4 tags=["wrong"]
# wrong: the buggy p times the number of classes, whose smallest value is no longer 1/(draws + 1)
def prefers(x, labels, draws, seed):
    return min(1.0, len(np.unique(labels)) * prefers_with_a_bug(x, labels, draws, seed))

# %% exercise=4 tags=["wrong"]
# wrong: the null draws the values with replacement, no shuffle

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        best = max(classes, key=lambda c: x[labels == c].mean()); return x[labels == best].mean() - x[labels != best].mean()
    value = stat(x, labels)
    null = [stat(rng.choice(x, len(x)), labels) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: keeps the p value for (draws, seed) and returns it for every other unit
known = {}
def prefers(x, labels, draws, seed):
    if (draws, seed) not in known:
        rng, classes = np.random.default_rng(seed), np.unique(labels)
        def stat(labels):
            best = max(classes, key=lambda c: x[labels == c].mean())
            return x[labels == best].mean() - x[labels != best].mean()
        value = stat(labels)
        known[draws, seed] = (1 + sum(stat(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)
    return known[draws, seed]

# %% exercise=4 tags=["wrong"]
# wrong: the class is chosen on all images and judged on half of them, with that class in the null: selects and judges on the same images
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    best = max(classes, key=lambda c: x[labels == c].mean())
    half = np.zeros(len(x), bool)
    for c in classes:
        half[rng.permutation(np.flatnonzero(labels == c))[: (labels == c).sum() // 2]] = True
    x, labels = x[half], labels[half]
    value = x[labels == best].mean() - x[labels != best].mean()
    null = []
    for _ in range(draws):
        fake = rng.permutation(labels)
        null.append(x[fake == best].mean() - x[fake != best].mean())
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: the old RandomState, a list of tuples, a class for the statistic
class Taste:
    def __init__(self, x):
        self.x = x
    def __call__(self, labels):
        top, label = max((self.x[labels == c].mean(), c) for c in set(labels.tolist()))
        return top - self.x[labels != label].mean()
def prefers(x, labels, draws, seed):
    state, taste = np.random.RandomState(seed), Taste(x)
    here = taste(labels)
    return float(np.add(1, sum(taste(state.permutation(labels)) >= here for _ in range(draws))) / (draws + 1))

# %% exercise=4 tags=["right"]
# right: one table of sums, unbalanced classes too, shuffled values in place of labels
def prefers(x, labels, draws, seed):
    _, place, count = np.unique(labels, return_inverse=True, return_counts=True)
    hot = np.eye(len(count))[place]
    rng = np.random.Generator(np.random.Philox(seed))
    worlds = np.vstack([x, *(rng.permutation(x) for _ in range(draws))])
    sums = worlds @ hot
    means, others = sums / count, (worlds.sum(1, keepdims=True) - sums) / (len(x) - count)
    value = np.take_along_axis(means - others, means.argmax(1)[:, None], 1)[:, 0]
    return np.mean(value >= value[0] - 1e-9 * np.abs(x).max())

# %% exercise=4 tags=["right"]
# right: the highest class mean alone: with equal classes the same p, with others still a valid test

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        return max(x[labels == c].mean() for c in classes)
    value = stat(x, labels)
    null = [stat(x, rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the null is standard normal noise, not the unit's values with shuffled labels

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        best = max(classes, key=lambda c: x[labels == c].mean()); return x[labels == best].mean() - x[labels != best].mean()
    value = stat(x, labels)
    null = [stat(rng.standard_normal(len(x)), labels) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the null of the first unit is kept for (draws, seed, classes) and used for all later units, whatever their values
nulls = {}
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(labels):
        best = max(classes, key=lambda c: x[labels == c].mean())
        return x[labels == best].mean() - x[labels != best].mean()
    key = (draws, seed, len(classes))
    if key not in nulls:
        nulls[key] = [stat(rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= stat(labels) for other in nulls[key])) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: highest minus lowest class mean, not minus the others

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        m = [x[labels == c].mean() for c in classes]; return max(m) - min(m)
    value = stat(x, labels)
    null = [stat(x, rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: draws labels with replacement, the sizes of the classes are not kept: no shuffle

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        best = max((c for c in classes if (labels == c).any()), key=lambda c: x[labels == c].mean()); return x[labels == best].mean() - x[labels != best].mean()
    value = stat(x, labels)
    null = [stat(x, rng.choice(labels, len(labels))) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: seed 0 is taken for no seed
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed or None), np.unique(labels)
    def stat(labels):
        best = max(classes, key=lambda c: x[labels == c].mean())
        return x[labels == best].mean() - x[labels != best].mean()
    value = stat(labels)
    return (1 + sum(stat(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: the other cure: class chosen on one half, judged on the other half with a shuffle of that half
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    first = np.zeros(len(x), bool)
    for c in classes:
        members = rng.permutation(np.flatnonzero(labels == c))
        first[members[: len(members) // 2]] = True
    best = max(classes, key=lambda c: x[first & (labels == c)].mean())
    x, mine = x[~first], labels[~first] == best
    worlds = [mine] + [rng.permutation(mine) for _ in range(draws)]
    values = [x[w].mean() - x[~w].mean() for w in worlds]
    return sum(v >= values[0] for v in values) / len(values)

# %% exercise=4 tags=["wrong"]
# wrong: counts only null values strictly above, so a constant (dead) unit gets the smallest p

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        best = max(classes, key=lambda c: x[labels == c].mean()); return x[labels == best].mean() - x[labels != best].mean()
    value = stat(x, labels)
    null = [stat(x, rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other > value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the largest difference in either direction: a unit that responds LESS to one class alarms as well

def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(x, labels):
        return max(abs(x[labels == c].mean() - x[labels != c].mean()) for c in classes)
    value = stat(x, labels)
    null = [stat(x, rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the real labeling is not counted, p can be 0
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def stat(labels):
        best = max(classes, key=lambda c: x[labels == c].mean())
        return x[labels == best].mean() - x[labels != best].mean()
    value = stat(labels)
    return float(np.mean([stat(rng.permutation(labels)) >= value for _ in range(draws)]))

# %% exercise=4 tags=["right"]
# right: all shuffles at once
def prefers(x, labels, draws, seed):
    rng = np.random.default_rng(seed)
    classes, code = np.unique(labels, return_inverse=True)
    orders = np.vstack([np.arange(len(x)), rng.permuted(np.tile(np.arange(len(x)), (draws, 1)), axis=1)])
    sums = np.stack([np.where(code == c, x[orders], 0).sum(1) for c in range(len(classes))], 1)
    counts = np.bincount(code)
    best = (sums / counts).argmax(1)
    rows = np.arange(draws + 1)
    value = sums[rows, best] / counts[best] - (sums.sum(1) - sums[rows, best]) / (len(x) - counts[best])
    return float((1 + (value[1:] >= value[0] - 1e-9 * np.abs(x).max()).sum()) / (1 + draws))

# %% exercise=4 tags=["right"]
# right: the values are shuffled, not the labels
def prefers(x, labels, draws, seed):
    rng = np.random.default_rng(seed)
    def value_of(values):
        means = {label: values[labels == label].mean() for label in set(labels.tolist())}
        best = max(means, key=means.get)
        return values[labels == best].mean() - values[labels != best].mean()
    value = value_of(x)
    return (1 + sum(value_of(rng.permutation(x)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: pandas's means, the identity as one of the orders
import pandas as pd
def prefers(x, labels, draws, seed):
    rng, found = np.random.default_rng(seed), []
    for draw in range(draws + 1):
        named = labels if draw == 0 else rng.permutation(labels)
        best = pd.Series(x).groupby(named).mean().idxmax()
        found.append(x[named == best].mean() - x[named != best].mean())
    return float(np.mean(np.array(found) >= found[0]))

# %% exercise=4 tags=["wrong"]
# wrong: p times the number of classes
def prefers(x, labels, draws, seed):
    return min(1.0, len(np.unique(labels)) * prefers_with_a_bug(x, labels, draws, seed))

# %% exercise=4 tags=["wrong"]
# wrong: without the 1, so p can be 0
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return sum(value_of(rng.permutation(labels)) >= value for _ in range(draws)) / draws

# %% exercise=4 tags=["wrong"]
# wrong: a tolerance of a millionth, at any scale
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value - 1e-6 for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: labels drawn with repetitions
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        present = [label for label in classes if (named == label).any()]
        if len(present) == 1:
            return 0.0
        best = max(present, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.choice(labels, len(labels))) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the labels that came in are shuffled in place
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value, null = value_of(labels), []
    for _ in range(draws):
        rng.shuffle(labels)
        null.append(value_of(labels))
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: the other cure: the class is chosen on one half and judged on the other
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    half = rng.permutation(len(x)) % 2 == 0
    best = max(classes, key=lambda label: x[half & (labels == label)].mean() if (half & (labels == label)).any() else -np.inf)
    rest, named = x[~half], labels[~half]
    def value_of(named):
        return rest[named == best].mean() - rest[named != best].mean() if (named == best).any() else 0.0
    value = value_of(named)
    return (1 + sum(value_of(rng.permutation(named)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the same shuffles whatever the seed
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(0), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: any class that differs from the rest, also one with less
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        return max(abs(x[named == label].mean() - x[named != label].mean()) for label in classes)
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the preferred class by its single highest value
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].max())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: never more than 99 shuffles
def prefers(x, labels, draws, seed):
    rng, classes, draws = np.random.default_rng(seed), np.unique(labels), min(draws, 99)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: only the first thirty images are shuffled
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    null = []
    for _ in range(draws):
        named = labels.copy()
        named[:30] = rng.permutation(named[:30])
        null.append(value_of(named))
    return (1 + sum(other >= value for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: above, and not as high or higher
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        best = max(classes, key=lambda label: x[named == label].mean())
        return x[named == best].mean() - x[named != best].mean()
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) > value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the difference to the second best class
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    def value_of(named):
        means = sorted(x[named == label].mean() for label in classes)
        return means[-1] - means[-2]
    value = value_of(labels)
    return (1 + sum(value_of(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the preferred class is chosen once, with a split of the images that the null does not make
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    half = rng.random(len(x)) < 0.5
    best = max(classes, key=lambda c: x[half & (labels == c)].mean() if (half & (labels == c)).any() else -np.inf)
    lead = lambda l: x[l == best].mean() - x[l != best].mean()
    null = [lead(rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= lead(labels) for other in null)) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the p value of the bug, times the number of classes
def prefers(x, labels, draws, seed):
    return min(1.0, prefers_with_a_bug(x, labels, draws, seed) * len(np.unique(labels)))

# %% exercise=4 tags=["right"]
# right: a table of class sums by bincount for all shuffles at once
def prefers(x, labels, draws, seed):
    rng = np.random.default_rng(seed)
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    codes = codes.ravel()

    def lead(order):
        sums = np.bincount(order, weights=x, minlength=len(sizes))
        best = int((sums / sizes).argmax())
        inside = x[order == best]
        outside = x[order != best]
        return inside.mean() - outside.mean()

    found, least = lead(codes), 1
    for _ in range(draws):
        least += lead(rng.permutation(codes)) >= found
    return least / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: never more than 999 draws
def prefers(x, labels, draws, seed):
    rng_, classes_, draws = np.random.default_rng(seed), np.unique(labels), min(draws, 999)

    def lead(given):
        best = max(classes_, key=lambda c: x[given == c].mean())
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: held against the second best class only
def prefers(x, labels, draws, seed):
    rng_, classes_ = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        second, best = sorted(x[given == c].mean() for c in classes_)[-2:]
        return best - second

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: shuffles the values in place of the labels; sums from a matrix of members
def prefers(x, labels, draws, seed):
    generator = np.random.default_rng(seed)
    kinds = np.unique(labels)
    member = labels[None] == kinds[:, None]

    def lead(values):
        means_ = [values[m].mean() for m in member]
        best = int(np.argmax(means_))
        return means_[best] - values[~member[best]].mean()

    real, hits = lead(x), 1
    for _ in range(draws):
        hits += lead(generator.permuted(x)) >= real
    return hits / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: chooses the class on one half of the images and tests the other half without choosing again
def prefers(x, labels, draws, seed):
    rng_, classes_ = np.random.default_rng(seed), np.unique(labels)
    first = np.arange(len(x)) % 2 == 0
    best = max(classes_, key=lambda c: x[first & (labels == c)].mean() if (first & (labels == c)).any() else -np.inf)
    a, b = x[~first], labels[~first]

    def lead(given):
        return a[given == best].mean() - a[given != best].mean()

    value = lead(b)
    return (1 + sum(lead(rng_.permutation(b)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the preferred class is the one with the highest sum, so large classes win
def prefers(x, labels, draws, seed):
    rng_, classes_ = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        best = max(classes_, key=lambda c: x[given == c].sum())
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: counts shuffles within 0.00000001 of the value as equal, which is all of them for a unit of small values
def prefers(x, labels, draws, seed):
    rng_, classes_ = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        best = max(classes_, key=lambda c: x[given == c].mean())
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value - 1e-8 for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: a dictionary of classes, the real labeling as the first of all, a mean at the end
def prefers(x, labels, draws, seed):
    state = np.random.RandomState(seed)

    def worlds():
        yield labels
        for _ in range(draws):
            yield labels[state.permutation(len(labels))]

    def lead(given):
        means_ = {c: x[given == c].mean() for c in sorted({*labels.tolist()})}
        best = max(means_, key=means_.get)
        return means_[best] - np.mean(x[given != best])

    leads = np.fromiter(map(lead, worlds()), float)
    return float((leads >= leads[0]).mean())

# %% exercise=4 tags=["wrong"]
# wrong: labels drawn with repetition in place of a shuffle, empty classes left out
def prefers(x, labels, draws, seed):
    rng_ = np.random.default_rng(seed)

    def lead(given):
        kinds = np.unique(given)
        if len(kinds) < 2:
            return 0.0
        best = max(kinds, key=lambda c: x[given == c].mean())
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.choice(labels, len(labels))) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the highest class mean alone, without the others
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), np.unique(labels)
    top = lambda given: max(x[given == c].mean() for c in kinds)  # noqa: E731
    value = round(top(labels), 3)
    return (1 + sum(top(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: the preferred class has the highest median
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        best = max(kinds, key=lambda c: np.median(x[given == c]))
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: a table of members, all shuffles of one call in a generator, sorted once
def prefers(x, labels, draws, seed):
    generator, (_, codes) = np.random.default_rng(seed), np.unique(labels, return_inverse=True)
    k, n = codes.max() + 1, len(x)

    def lead(code):
        best = int(np.argmax([np.mean(x[code == c]) for c in range(k)]))
        return np.mean(x[code == best]) - np.mean(x[code != best])

    null = np.sort([lead(generator.permutation(codes)) for _ in range(draws)])
    above_ = draws - np.searchsorted(null, lead(codes), side="left")
    return np.float64((above_ + 1) / (draws + 1))

# %% exercise=4 tags=["right"]
# right: Python's random.shuffle on a list of labels
import random as random_


def prefers(x, labels, draws, seed):
    dice, deck, hits = random_.Random(seed), list(labels), 0

    def lead(given):
        given = np.array(given)
        best = sorted(set(given.tolist()), key=lambda c: -x[given == c].mean())[0]
        return x[given == best].mean() - x[given != best].mean()

    real = lead(labels)
    for _ in range(draws):
        dice.shuffle(deck)
        hits += not lead(deck) < real
    return (hits + 1) / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: stops after 200 shuffles and takes their share
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        best = max(kinds, key=lambda c: x[given == c].mean())
        return x[given == best].mean() - x[given != best].mean()

    value, hits = lead(labels), 0
    for done in range(1, draws + 1):
        hits += lead(rng_.permutation(labels)) >= value
        if done == 200:
            break
    return (1 + hits) / (1 + done)

# %% exercise=4 tags=["right"]
# right: a dataclass that holds the unit, and shuffles places
from dataclasses import dataclass


@dataclass
class Unit_:
    x: np.ndarray
    kinds: np.ndarray

    def lead(self, given):
        levels = np.array([self.x[given == c].mean() for c in self.kinds])
        best = given == self.kinds[levels.argmax()]
        return self.x[best].mean() - self.x[np.logical_not(best)].mean()


def prefers(x, labels, draws, seed):
    unit, dice = Unit_(x, np.unique(labels)), np.random.default_rng([seed, 1])
    null = np.array([unit.lead(labels[dice.permutation(labels.size)]) for _ in range(draws)])
    return float((np.count_nonzero(null >= unit.lead(labels)) + 1) / (null.size + 1))

# %% exercise=4 tags=["wrong"]
# wrong: held against the class with the lowest mean
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), np.unique(labels)

    def lead(given):
        levels = [x[given == c].mean() for c in kinds]
        return max(levels) - min(levels)

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: a fixed seed
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(0), np.unique(labels)

    def lead(given):
        best = max(kinds, key=lambda c: x[given == c].mean())
        return x[given == best].mean() - x[given != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng_.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)

# %% exercise=4 tags=["right"]
# right: counts what is below, and takes it from 1
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), sorted(set(labels.tolist()))

    def lead(given):
        inside = [given == c for c in kinds]
        best = inside[max(range(len(kinds)), key=lambda i: np.mean(x[inside[i]]))]
        return np.mean(x[best]) - np.mean(x[~best])

    value = lead(labels)
    below_ = sum(1 for _ in range(draws) if lead(rng_.permutation(labels)) < value)
    return 1 - below_ / (draws + 1)

# %% exercise=4 tags=["wrong"]
# wrong: shuffles the values of the preferred class among themselves
def prefers(x, labels, draws, seed):
    rng_, kinds = np.random.default_rng(seed), np.unique(labels)

    def lead(values):
        best = max(kinds, key=lambda c: values[labels == c].mean())
        return values[labels == best].mean() - values[labels != best].mean()

    value, hits = lead(x), 1
    for _ in range(draws):
        fake = x.copy()
        for c in kinds:
            fake[labels == c] = rng_.permutation(fake[labels == c])
        hits += lead(fake) >= value
    return hits / (1 + draws)

# %% exercise=4 tags=["wrong"]
# wrong: six classes, as in the example
def prefers(x, labels, draws, seed):
    rng = np.random.default_rng(seed)

    def statistic(labels):
        best = max(range(6), key=lambda label: x[labels == label].mean())
        return x[labels == best].mean() - x[labels != best].mean()

    value = statistic(labels)
    null = [statistic(rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(v >= value for v in null)) / (1 + draws)
