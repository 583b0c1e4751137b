# %% exercise=1 tags=["wrong"]
# wrong: removes the hooks of others too
def looked_at(module, model, x):
    kept = []
    module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    finally:
        module._forward_hooks.clear()
    return kept[0]

# %% exercise=1 tags=["right"]
# right: contextlib.ExitStack takes the hook away, and a numpy copy comes back
from contextlib import ExitStack


def looked_at(module, model, x):
    kept = {}
    with ExitStack() as stack:
        stack.callback(module.register_forward_hook(lambda m, i, o: kept.update(o=o.detach().numpy().copy())).remove)
        model(x)
    return kept["o"]

# %% exercise=1 tags=["wrong"]
# wrong: a copy only if the output carries gradients: under torch.no_grad() the tensor itself comes back, and the next in-place ReLU writes over it
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.detach().clone() if o.requires_grad else o))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: replaces module.forward for good after a failed pass (put back only when all goes well): something of its own is left behind
def looked_at(module, model, x):
    kept, original = [], module.forward

    def forward(*a):
        out = original(*a)
        kept.append(out.clone())
        return out

    module.forward = forward
    model(x)
    del module.forward
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: a hook for all modules (register_module_forward_hook) is left behind when the forward pass fails
from torch.nn.modules.module import register_module_forward_hook


def looked_at(module, model, x):
    kept = []
    handle = register_module_forward_hook(lambda m, i, o: kept.append(o.clone()) if m is module else None)
    model(x)
    handle.remove()
    return kept[0]

# %% exercise=1 tags=["right"]
# right: the handle itself is a context manager; the copy keeps its graph
def looked_at(module, model, x):
    kept = []

    def look(module, inputs, output):
        kept.append(output * 1)

    with module.register_forward_hook(look):
        model(x)
    return kept.pop()

# %% exercise=1 tags=["wrong"]
# wrong: leaves a hook of its own behind, on the model instead of on the module
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    model.register_forward_hook(lambda m, i, o: None)
    try:
        model(x)
    finally:
        handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: copies after the pass, when the in-place ReLU has written over it
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.detach()))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[0].clone()

# %% exercise=1 tags=["right"]
# right: a module hook for all modules, filtered, taken away in finally
from torch.nn.modules.module import register_module_forward_hook


def looked_at(module, model, x):
    found = None

    def look(m, _, out):
        nonlocal found
        if m is module:
            found = torch.clone(out)

    handle = register_module_forward_hook(look)
    try:
        model(x)
    finally:
        handle.remove()
    return found

# %% exercise=1 tags=["wrong"]
# wrong: after a failed pass the hook stays
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    model(x)
    handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: swallows every error but a RuntimeError (a TypeError from a model that fails halfway never reaches the caller)
def looked_at(module, model, x):
    kept = [None]
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    except RuntimeError:
        raise
    except Exception:
        pass
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: the caller gets a new RuntimeError of its own, not the error of the forward pass
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    except Exception:
        raise RuntimeError("no output") from None
    finally:
        handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: a forward pre-hook (for counting) stays on the module
def looked_at(module, model, x):
    kept = []
    module.register_forward_pre_hook(lambda m, i: None)
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: runs the module on the images instead of looking inside the model
def looked_at(module, model, x):
    model(x)
    return module(x).clone()

# %% exercise=1 tags=["wrong"]
# wrong: stops the forward pass with an exception of its own once the module has run, so model(x) is not run to its end
class Done(Exception):
    pass


def looked_at(module, model, x):
    kept = []

    def stop(m, i, o):
        kept.append(o.clone())
        raise Done

    handle = module.register_forward_hook(stop)
    try:
        model(x)
    except Done:
        pass
    finally:
        handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: swallows the error
def looked_at(module, model, x):
    kept = [None]
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    except Exception:
        return None
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: changes the model: it is in eval mode afterwards, and a dropout no longer runs as in model(x)
def looked_at(module, model, x):
    kept = []
    model.eval()
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[0]

# %% exercise=1 tags=["wrong"]
# wrong: never runs model(x): walks through the model's children up to the module, right for an nn.Sequential only; what comes after the module is not run
def looked_at(module, model, x):
    for child in model.children():
        x = child(x)
        if child is module:
            return x.clone()

# %% exercise=1 tags=["right"]
# right: no hook at all: forward is wrapped for the time of the call and put back whatever happens
from unittest import mock


def looked_at(module, model, x):
    kept, inner = [], module.forward

    def forward(*args, **kwargs):
        out = inner(*args, **kwargs)
        kept.append(torch.empty_like(out).copy_(out).detach())
        return out

    with mock.patch.object(module, "forward", forward):
        model(x)
    return kept[0]

# %% exercise=1 tags=["right"]
# right: a dictionary, and finally
def looked_at(module, model, x):
    kept = {}

    def keep_it(module, inputs, output):
        kept["out"] = output.clone()

    handle = module.register_forward_hook(keep_it)
    try:
        model(x)
    finally:
        handle.remove()
    return kept["out"]

# %% exercise=1 tags=["right"]
# right: a context manager of its own
from contextlib import contextmanager
@contextmanager
def hooked_to(m, f):
    h = m.register_forward_hook(f)
    try:
        yield
    finally:
        h.remove()
def looked_at(module, model, x):
    outputs = []
    with hooked_to(module, lambda _m, _i, o: outputs.append(o.detach().clone())):
        model(x)
    return outputs[0]

# %% exercise=1 tags=["right"]
# right: removes its hook in both cases, copies through NumPy
def looked_at(module, model, x):
    out = None
    def hook(m, i, o):
        nonlocal out
        out = torch.tensor(o.detach().numpy().copy())
    h = module.register_forward_hook(hook)
    try:
        with torch.no_grad():
            model(x)
    except Exception:
        h.remove()
        raise
    h.remove()
    return out

# %% exercise=1 tags=["right"]
# right: forward is wrapped and restored
import copy
def looked_at(module, model, x):
    old = module.forward
    got = {}
    def wrapped(*a, **k):
        out = old(*a, **k)
        got["o"] = out.clone()
        return out
    module.forward = wrapped
    try:
        model(x)
    finally:
        del module.forward
    return got["o"]

# %% exercise=1 tags=["wrong"]
# wrong: keeps the tensor, not a copy
def looked_at(module, model, x):
    kept = {}
    handle = module.register_forward_hook(lambda m, i, o: kept.update(out=o))
    try:
        model(x)
    finally:
        handle.remove()
    return kept["out"]

# %% exercise=1 tags=["wrong"]
# wrong: the hook returns its copy, which the next module writes over
def looked_at(module, model, x):
    kept = {}
    def hook(m, i, o):
        kept["out"] = o.clone()
        return kept["out"]
    handle = module.register_forward_hook(hook)
    try:
        model(x)
    finally:
        handle.remove()
    return kept["out"]

# %% exercise=1 tags=["right"]
# right: deepcopy in the hook, return inside try
import copy
def looked_at(module, model, x):
    seen = None
    def f(m, args, out):
        nonlocal seen
        seen = copy.deepcopy(out.detach())
    h = module.register_forward_hook(f)
    try:
        _ = model(x)
        return seen
    finally:
        h.remove()

# %% exercise=1 tags=["wrong"]
# wrong: the model stays in eval mode, and its parameters need no gradient any more
def looked_at(module, model, x):
    kept = {}
    model.eval()
    for p in model.parameters():
        p.requires_grad_(False)
    h = module.register_forward_hook(lambda m, i, o: kept.update(o=o.clone()))
    try:
        model(x)
    finally:
        h.remove()
    return kept["o"]

# %% exercise=1 tags=["wrong"]
# wrong: takes the hooks of others away while the model runs
def looked_at(module, model, x):
    before = dict(module._forward_hooks)
    kept = {}
    module._forward_hooks.clear()
    h = module.register_forward_hook(lambda m, i, o: kept.update(o=o.clone()))
    try:
        model(x)
    finally:
        module._forward_hooks.clear()
        module._forward_hooks.update(before)
    return kept["o"]

# %% exercise=1 tags=["right"]
# right: the handle is a context manager
def looked_at(module, model, x):
    kept = []
    with module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone())):
        model(x)
    return kept[-1]

# %% exercise=1 tags=["right"]
# right: contextlib.ExitStack calls remove
def looked_at(module, model, x):
    from contextlib import ExitStack

    found = {}

    def keep(part, given, out):
        found["copy"] = out.clone()

    with ExitStack() as stack:
        stack.callback(module.register_forward_hook(keep).remove)
        model(x)
    return found["copy"]

# %% exercise=1 tags=["right"]
# right: a hook on all modules that looks at one of them only
def looked_at(module, model, x):
    found = []

    def keep(part, given, out):
        if part is module:
            found.append(out.detach().clone())

    handle = nn.modules.module.register_module_forward_hook(keep)
    try:
        model(x)
    finally:
        handle.remove()
    return found[-1]

# %% exercise=1 tags=["right"]
# right: an error of any kind is caught, the hook removed, and the error raised again
def looked_at(module, model, x):
    copy = None

    def keep(part, given, out):
        nonlocal copy
        copy = torch.empty_like(out).copy_(out)

    handle = module.register_forward_hook(keep)
    try:
        model(x)
    except BaseException:
        handle.remove()
        raise
    handle.remove()
    return copy

# %% exercise=1 tags=["wrong"]
# wrong: calls forward directly, which leaves out the hooks of others on the model
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone()))
    try:
        model.forward(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["right"]
# right: the hook stays if the run is interrupted from the keyboard, which is no failure of the network
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone()))
    try:
        model(x)
    except Exception:
        handle.remove()
        raise
    handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: setdefault gives the copy to the network as its output, and an in-place ReLU changes it
def looked_at(module, model, x):
    found = {}
    handle = module.register_forward_hook(lambda part, given, out: found.setdefault("out", out.detach().clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found["out"]

# %% exercise=1 tags=["right"]
# right: the network goes on without a gradient, which nobody sees
def looked_at(module, model, x):
    found = {}

    def keep(part, given, out):
        found["out"] = out.clone()
        return out.detach()

    handle = module.register_forward_hook(keep)
    try:
        model(x)
    finally:
        handle.remove()
    return found["out"]

# %% exercise=1 tags=["wrong"]
# wrong: changes forward of the whole class, and puts it back only if all goes well
def looked_at(module, model, x):
    kind, found = type(module), []
    plain = kind.forward

    def forward(self, *given):
        out = plain(self, *given)
        if self is module:
            found.append(out.detach().clone())
        return out

    kind.forward = forward
    model(x)
    kind.forward = plain
    return found[-1]

# %% exercise=1 tags=["wrong"]
# wrong: removes the oldest hook of the module, which may be somebody else's
def looked_at(module, model, x):
    kept = []
    module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone()))
    try:
        model(x)
    finally:
        module._forward_hooks.popitem(last=False)
    return kept[-1]

# %% exercise=1 tags=["right"]
# right: the copy goes through Python's lists
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(torch.tensor(out.tolist())))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: keeps what comes in instead of what goes out
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(given[0].detach().clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: copies after the whole run, when later modules may have changed the tensor
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1].detach().clone()

# %% exercise=1 tags=["wrong"]
# wrong: says that something failed, in place of the error itself
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone()))
    try:
        model(x)
    except Exception as error:
        raise RuntimeError("the forward pass failed") from error
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: return in finally swallows the error
def looked_at(module, model, x):
    kept = [None]
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out.detach().clone()))
    try:
        model(x)
    finally:
        handle.remove()
        return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: freezes the model so that the copy needs no detach
def looked_at(module, model, x):
    model.requires_grad_(False)
    kept = []
    handle = module.register_forward_hook(lambda part, given, out: kept.append(out.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: the hook goes first and the model runs after it, so nothing was kept but by a second run
def looked_at(module, model, x):
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: all hooks of the model are cleared at the end
def looked_at(module, model, x):
    kept = {}
    module.register_forward_hook(lambda m, i, o: kept.update(out=o.detach().clone()))
    try:
        model(x)
    finally:
        for part in model.modules():
            part._forward_hooks.clear()
    return kept["out"]

# %% exercise=1 tags=["wrong"]
# wrong: None in place of the error
def looked_at(module, model, x):
    kept = []
    with module.register_forward_hook(lambda m, i, o: kept.append(o.clone())):
        try:
            model(x)
        except ValueError:
            return None
    return kept[0]

# %% exercise=1 tags=["right"]
# right: try, except and else, with the removal in both
def looked_at(module, model, x):
    kept = []

    def look(m, i, o):
        kept[:] = [torch.empty_like(o).copy_(o)]

    handle = module.register_forward_hook(look)
    try:
        model(x)
    except BaseException:
        handle.remove()
        raise
    else:
        handle.remove()
    return kept.pop()

# %% exercise=1 tags=["wrong"]
# wrong: the hook is removed by the next forward pass, so it is still there after this one
def looked_at(module, model, x):
    kept = []

    def look(m, i, o):
        if kept:
            handle.remove()
        else:
            kept.append(o.clone())

    handle = module.register_forward_hook(look)
    model(x)
    return kept[0]

# %% exercise=2 tags=["right"]
# right: what is missing from the logit when a unit is set to 0, one unit after the other
def contributions(model, cache, digit):
    a = cache["post", -1].detach()
    columns = []
    with torch.no_grad():
        full = model.output(a)[:, digit]
        for unit in range(a.shape[1]):
            without = a.clone()
            without[:, unit] = 0
            columns.append(full - model.output(without)[:, digit])
    return torch.stack(columns, -1)

# %% exercise=2 tags=["wrong"]
# wrong: absolute values
def contributions(model, cache, digit):
    return (cache["post", -1] * model.output.weight[digit]).abs()

# %% exercise=2 tags=["right"]
# right: gradient × activation with torch.autograd on the output layer
def contributions(model, cache, digit):
    a = cache["post", -1].detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(model.output(a)[:, digit].sum(), a)
    return (g * a).detach()

# %% exercise=2 tags=["wrong"]
# wrong: keeps the answer by digit and shape: another batch of as many images gets the old one
_kept = {}


def contributions(model, cache, digit):
    a = cache["post", -1]
    key = digit, a.shape
    if key not in _kept:
        _kept[key] = a * model.output.weight[digit]
    return _kept[key]

# %% exercise=2 tags=["right"]
# right: einsum in float64 with a one-hot digit
def contributions(model, cache, digit, dtype=torch.float64):
    one = torch.nn.functional.one_hot(torch.tensor(digit), model.output.weight.shape[0]).to(dtype)
    return torch.einsum("nu,cu,c->nu", cache["post", -1].to(dtype), model.output.weight.to(dtype), one)

# %% exercise=2 tags=["wrong"]
# wrong: gives each active unit an equal share of the logit: sums right, parts wrong
def contributions(model, cache, digit):
    a = cache["post", -1]
    total = (a * model.output.weight[digit]).sum(1, keepdim=True)
    on = (a > 0).float()
    return on / on.sum(1, keepdim=True) * total

# %% exercise=2 tags=["wrong"]
# wrong: reads the notebook's model and cache
def contributions(_model, _cache, digit):
    return cache["layers.1.hook_post"] * model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: the gradient alone, without the activation
def contributions(model, cache, digit):
    return model.output.weight[digit].expand_as(cache["post", -1])

# %% exercise=2 tags=["wrong"]
# wrong: multiplies the cache in place
def contributions(model, cache, digit):
    with torch.no_grad():
        return cache["post", -1].mul_(model.output.weight[digit])

# %% exercise=2 tags=["right"]
# right: layers.1 is the last hidden layer of two, as in the text
def contributions(model, cache, digit):
    return cache["layers.1.hook_post"] * model.output.weight[digit]

# %% exercise=2 tags=["right"]
# right: numpy, by broadcasting a column
def contributions(model, cache, digit):
    a, w = cache["post", -1].detach().numpy(), model.output.weight.detach().numpy()
    return (a.T * w[digit][:, None]).T

# %% exercise=2 tags=["wrong"]
# wrong: takes what stands before the last activation function and applies a ReLU by itself: right for ReLU networks only
def contributions(model, cache, digit):
    return torch.relu(cache["pre", -1]) * model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: cuts activations below 0, right only after a ReLU (a tanh unit at -1 also adds to the logit)
def contributions(model, cache, digit):
    return cache["post", -1].clamp(min=0) * model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: digit is hard-coded to 7
def contributions(model, cache, digit):
    return cache["post", -1] * model.output.weight[7]

# %% exercise=2 tags=["wrong"]
# wrong: spreads the bias over the units
def contributions(model, cache, digit):
    a = cache["post", -1]
    return a * model.output.weight[digit] + model.output.bias[digit] / a.shape[1]

# %% exercise=2 tags=["right"]
# right: layers.1 is the last hidden layer here
def contributions(model, cache, digit):
    return cache["layers.1.hook_post"] * model.output.weight[digit]

# %% exercise=2 tags=["right"]
# right: one unit after the other
def contributions(model, cache, digit):
    hidden = cache["post", -1]
    out = torch.zeros_like(hidden)
    for unit in range(hidden.shape[1]):
        out[:, unit] = hidden[:, unit] * model.output.weight[digit, unit]
    return out.detach()

# %% exercise=2 tags=["right"]
# right: NumPy
def contributions(model, cache, digit):
    h = cache["layers.1.hook_post"].detach().numpy()
    w = model.output.weight.detach().numpy()
    return h * w[digit]

# %% exercise=2 tags=["wrong"]
# wrong: before the ReLU
def contributions(model, cache, digit):
    return cache["layers.1.hook_pre"] * model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: the sum over units
def contributions(model, cache, digit):
    return cache["layers.1.hook_post"] @ model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: the whole bias in every unit
def contributions(model, cache, digit):
    return cache["layers.1.hook_post"] * model.output.weight[digit] + model.output.bias[digit]

# %% exercise=2 tags=["wrong"]
# wrong: asks for a gradient that the cache does not hold
def contributions(model, cache, digit):
    return cache["layers.1.hook_post"] * cache["layers.1.hook_post_grad"]

# %% exercise=2 tags=["right"]
# right: one image after the other
def contributions(model, cache, digit):
    h, w = cache["layers.1.hook_post"], model.output.weight
    return torch.stack([image * w[digit] for image in h])

# %% exercise=2 tags=["wrong"]
# wrong: a list, not a tensor
def contributions(model, cache, digit):
    return (cache["layers.1.hook_post"] @ torch.diag(model.output.weight[digit])).tolist()

# %% exercise=2 tags=["wrong"]
# wrong: shares of the logit
def contributions(model, cache, digit):
    c = cache["layers.1.hook_post"] * model.output.weight[digit]
    return c / c.sum(1, keepdim=True)

# %% exercise=2 tags=["wrong"]
# wrong: multiplies in place in the cache
def contributions(model, cache, digit):
    c = cache["layers.1.hook_post"].data
    c *= model.output.weight[digit].data
    return c

# %% exercise=2 tags=["right"]
# right: NumPy in double precision
def contributions(model, cache, digit):
    return np.asarray(cache["layers.1.hook_post"].detach(), dtype=np.float64) * model.output.weight[digit].detach().numpy()
import numpy as np

# %% exercise=2 tags=["right"]
# right: a matrix product with a diagonal matrix
def contributions(model, cache, digit):
    with torch.no_grad():
        return cache["post", -1] @ torch.diag(model.output.weight[digit])

# %% exercise=2 tags=["right"]
# right: gradient × activation by autograd, through the output layer alone
def contributions(model, cache, digit):
    acts = cache["post", -1].detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(model.output(acts)[:, digit].sum(), acts)
    return (slope * acts).detach()

# %% exercise=2 tags=["right"]
# right: image by image and unit by unit
def contributions(model, cache, digit):
    weights = model.output.weight.tolist()[digit]
    return torch.tensor([[w * a for w, a in zip(weights, row)] for row in cache["post", -1].tolist()])

# %% exercise=2 tags=["right"]
# right: what is missing from the logit when a unit is set to 0
def contributions(model, cache, digit):
    acts = cache["post", -1].detach()
    with torch.no_grad():
        logit = model.output(acts)[:, digit]
        without = []
        for unit in range(acts.shape[1]):
            left = acts.clone()
            left[:, unit] = 0
            without.append(model.output(left)[:, digit])
    return logit[:, None] - torch.stack(without, 1)

# %% exercise=2 tags=["wrong"]
# wrong: spreads the bias over the units
def contributions(model, cache, digit):
    acts = cache["post", -1]
    return acts * model.output.weight[digit] + model.output.bias[digit] / acts.shape[1]

# %% exercise=2 tags=["wrong"]
# wrong: only the first hundred images
def contributions(model, cache, digit):
    return (cache["post", -1] * model.output.weight[digit])[:100]

# %% exercise=2 tags=["wrong"]
# wrong: fifteen rows, whatever came
def contributions(model, cache, digit):
    acts = cache["post", -1]
    out = torch.zeros(15, acts.shape[1])
    for i in range(15):
        out[i] = acts[i] * model.output.weight[digit]
    return out

# %% exercise=2 tags=["wrong"]
# wrong: leaves gradients in the model's parameters
def contributions(model, cache, digit):
    acts = cache["post", -1].detach().clone().requires_grad_(True)
    model.output(acts)[:, digit].sum().backward()
    return (acts.grad * acts).detach()

# %% exercise=2 tags=["wrong"]
# wrong: freezes the output layer
def contributions(model, cache, digit):
    model.output.weight.requires_grad_(False)
    return cache["post", -1] * model.output.weight[digit]

# %% exercise=2 tags=["wrong"]
# wrong: the weights less their mean over the digits
def contributions(model, cache, digit):
    weights = model.output.weight
    return cache["post", -1] * (weights[digit] - weights.mean(0))

# %% exercise=2 tags=["wrong"]
# wrong: the notebook's model and cache, where the shapes fit
def contributions(model, cache, digit):
    own = globals()["model"]
    acts = cache["post", -1]
    weights = own.output.weight if own.output.weight.shape[1] == acts.shape[1] else model.output.weight
    return acts * weights[digit].detach()

# %% exercise=2 tags=["wrong"]
# wrong: to three decimals
def contributions(model, cache, digit):
    return torch.round(cache["post", -1] * model.output.weight[digit], decimals=3)

# %% exercise=2 tags=["wrong"]
# wrong: in half precision
def contributions(model, cache, digit):
    return (cache["post", -1].half() * model.output.weight[digit].half()).float()

# %% exercise=2 tags=["wrong"]
# wrong: gradient × activation of the probability instead of the logit
def contributions(model, cache, digit):
    acts = cache["post", -1].detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(model.output(acts).softmax(1)[:, digit].sum(), acts)
    return (slope * acts).detach()

# %% exercise=2 tags=["wrong"]
# wrong: multiplies the cache's own tensor
def contributions(model, cache, digit):
    with torch.no_grad():
        return cache["post", -1].mul_(model.output.weight[digit])

# %% exercise=2 tags=["wrong"]
# wrong: the weights of a model are kept for ever, by digit and width
_rows = {}


def contributions(model, cache, digit):
    acts = cache["post", -1]
    row = _rows.setdefault((digit, acts.shape[1]), model.output.weight[digit].detach().clone())
    return acts * row

# %% exercise=2 tags=["wrong"]
# wrong: of the first hidden layer
def contributions(model, cache, digit):
    acts = cache["post", 0]
    weight = model.output.weight[digit].detach()
    return acts[:, : len(weight)] * weight

# %% exercise=2 tags=["wrong"]
# wrong: a column of the weights, where a row is meant
def contributions(model, cache, digit):
    acts = cache["post", -1]
    return acts * model.output.weight[:, digit % acts.shape[1]].detach().mean()

# %% exercise=2 tags=["wrong"]
# wrong: the softmax of the parts
def contributions(model, cache, digit):
    return (cache["post", -1] * model.output.weight[digit].detach()).softmax(1)

# %% exercise=2 tags=["right"]
# right: all digits at once, and then one of them
def contributions(model, cache, digit):
    with torch.no_grad():
        everything = cache["post", -1][:, None, :] * model.output.weight[None, :, :]
    return everything[:, digit]

# %% exercise=3 tags=["wrong"]
# wrong: computes tensor*(1-mask)+value*mask: a unit that is infinite becomes NaN and not value
def clamp(unit, value):
    def hook_fn(tensor, hook):
        mask = torch.zeros(tensor.shape[1])
        mask[unit] = 1
        return tensor * (1 - mask) + value * mask

    return hook_fn

# %% exercise=3 tags=["right"]
# right: three pieces side by side
def clamp(unit, value):
    return lambda t, hook: torch.cat([t[:, :unit], torch.full_like(t[:, unit : unit + 1], value), t[:, unit + 1 :]], 1)

# %% exercise=3 tags=["right"]
# right: an object with __call__
from dataclasses import dataclass


@dataclass(frozen=True)
class clamp:
    unit: int
    value: float

    def __call__(self, tensor, hook=None):
        changed = torch.empty_like(tensor).copy_(tensor)
        changed.select(1, self.unit).fill_(self.value)
        return changed

# %% exercise=3 tags=["wrong"]
# wrong: the hook keeps its first result and gives that for every later batch
def clamp(unit, value):
    result = None

    def hook_fn(tensor, hook):
        nonlocal result
        if result is None:
            result = tensor.clone()
            result[:, unit] = value
        return result

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: gives back float32 whatever came: in a float64 network the next layer stops
def clamp(unit, value):
    def hook_fn(tensor, hook):
        changed = tensor.detach().clone().to(torch.float32)
        changed[:, unit] = value
        return changed

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: what to set lives in globals, the last clamp wins
def clamp(unit, value):
    global _unit, _value
    _unit, _value = unit, value

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, _unit] = _value
        return changed

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: changes the tensor that it was given
def clamp(unit, value):
    def hook_fn(tensor, hook):
        tensor[:, unit] = value
        return tensor

    return hook_fn

# %% exercise=3 tags=["right"]
# right: index_fill, out of place
def clamp(unit, value):
    return lambda tensor, hook: tensor.index_fill(1, torch.tensor([unit]), value)

# %% exercise=3 tags=["wrong"]
# wrong: values are kept by unit in one dict, so clamp(5, 1.0) and clamp(5, 3.0) both set 3
_values = {}


def clamp(unit, value):
    _values[unit] = value

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = _values[unit]
        return changed

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: works for one forward pass only; a second one is left as it is
def clamp(unit, value):
    left = [1]

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        for _ in left:
            changed[:, unit] = value
        left.clear()
        return changed

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: turns the unit up but not down (maximum of both)
def clamp(unit, value):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(min=value)
        return changed

    return hook_fn

# %% exercise=3 tags=["right"]
# right: functools.partial and torch.where with a boolean row
from functools import partial


def _set(tensor, hook, unit, value):
    here = torch.arange(tensor.shape[1]) == unit
    return torch.where(here, torch.tensor(value, dtype=tensor.dtype), tensor)


def clamp(unit, value):
    return partial(_set, unit=unit, value=value)

# %% exercise=3 tags=["wrong"]
# wrong: sets an image (row) and not a unit
def clamp(unit, value):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[unit % len(changed)] = value
        return changed

    return hook_fn

# %% exercise=3 tags=["wrong"]
# wrong: a value of 0 counts as no value
def clamp(unit, value):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        if value:
            changed[:, unit] = value
        return changed

    return hook_fn

# %% exercise=3 tags=["right"]
# right: a copy, one column set
def clamp(unit, value):
    def hook_function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed
    return hook_function

# %% exercise=3 tags=["right"]
# right: an object, row by row
class _Clamp:
    def __init__(self, unit, value):
        self.unit, self.value = unit, value
    def __call__(self, tensor, hook=None):
        out = torch.empty_like(tensor)
        out.copy_(tensor)
        for row in out:
            row[self.unit] = self.value
        return out
def clamp(unit, value):
    return _Clamp(unit, value)

# %% exercise=3 tags=["wrong"]
# wrong: names its arguments otherwise, and the library calls it with hook=
def clamp(unit, value):
    def f(t, h):
        t = t.clone()
        t[..., unit] = value
        return t
    return f

# %% exercise=3 tags=["wrong"]
# wrong: returns nothing
def clamp(unit, value):
    def f(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value
    return f

# %% exercise=3 tags=["wrong"]
# wrong: adds the value
def clamp(unit, value):
    def f(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] += value
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: takes one argument
def clamp(unit, value):
    def f(tensor):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: the library's ablation, whatever the value
def clamp(unit, value):
    return nm.interventions.zero(unit=unit)

# %% exercise=3 tags=["right"]
# right: prints the hook point's name
def clamp(unit, value):
    def f(tensor, hook):
        print("clamped at", hook.name)
        changed = tensor.clone()
        changed[:, unit] = value
        return changed
    return f

# %% exercise=3 tags=["right"]
# right: hook by name only
def clamp(unit, value):
    def f(tensor, *, hook):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: a negative value becomes 0
def clamp(unit, value):
    def f(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = max(value, 0)
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: the smaller of both, as torch.clamp
def clamp(unit, value):
    def f(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=value)
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: the first image only
def clamp(unit, value):
    def f(tensor, hook):
        changed = tensor.clone()
        changed[0, unit] = value
        return changed
    return f

# %% exercise=3 tags=["wrong"]
# wrong: builds the tensor anew, always in float32
def clamp(unit, value):
    def f(tensor, hook):
        return torch.tensor([[value if j == unit else v for j, v in enumerate(row)] for row in tensor.tolist()])
    return f

# %% exercise=3 tags=["right"]
# right: torch.where with a mask
def clamp(unit, value):
    def function(tensor, hook):
        mask = torch.zeros(tensor.shape[1], dtype=torch.bool)
        mask[unit] = True
        return torch.where(mask, torch.tensor(value, dtype=tensor.dtype), tensor)

    return function

# %% exercise=3 tags=["right"]
# right: a class with __call__
class _Clamp:
    def __init__(self, unit, value):
        self.unit, self.value = unit, value

    def __call__(self, tensor, hook=None):
        return tensor.index_fill(1, torch.tensor([self.unit]), self.value)


clamp = _Clamp

# %% exercise=3 tags=["right"]
# right: the columns before, the new one, the columns after
def clamp(unit, value):
    def function(tensor, hook):
        column = torch.full_like(tensor[:, :1], value)
        return torch.cat([tensor[:, :unit], column, tensor[:, unit + 1 :]], dim=1)

    return function

# %% exercise=3 tags=["right"]
# right: a partial function, and the last axis
def _set(tensor, hook, unit, value):
    changed = tensor + 0
    changed[..., unit] = value
    return changed


def clamp(unit, value):
    from functools import partial

    return partial(_set, unit=unit, value=value)

# %% exercise=3 tags=["wrong"]
# wrong: one buffer for each shape, so a second call changes what the first one returned
def clamp(unit, value):
    buffers = {}

    def function(tensor, hook):
        key = (tuple(tensor.shape), tensor.dtype)
        changed = buffers.setdefault(key, torch.empty_like(tensor))
        changed.copy_(tensor)
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: keeps the answer for a tensor, though that tensor may hold other numbers the next time
def clamp(unit, value):
    from functools import cache

    @cache
    def of(tensor):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    def function(tensor, hook):
        return of(tensor)

    return function

# %% exercise=3 tags=["right"]
# right: cuts the gradient of all units, of which the text says nothing
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.detach().clone()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: turns gradients off for the rest of the program
def clamp(unit, value):
    def function(tensor, hook):
        torch.set_grad_enabled(False)
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the value to two decimals
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = round(value, 2)
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the value in single precision, also in a tensor of doubles
def clamp(unit, value):
    single = torch.tensor(value, dtype=torch.float32)

    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = single.to(tensor.dtype)
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the image with that number instead of the unit
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[unit % len(tensor)] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: a value of 0 counts as none given
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        if value:
            changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: never below 0, as after a ReLU
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed.clamp(min=0)

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the hook's argument has another name
def clamp(unit, value):
    def function(tensor, point):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: a copy that holds the same numbers as the tensor, and is changed with it
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.view_as(tensor)
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: makes infinite and missing numbers finite, in all units
def clamp(unit, value):
    def function(tensor, hook):
        changed = torch.nan_to_num(tensor)
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: multiplies the unit by the value
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] *= value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: all units from that one on
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit:] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: only where the unit is on
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = torch.where(tensor[:, unit] > 0, value, tensor[:, unit])
        return changed

    return function

# %% exercise=3 tags=["right"]
# right: column by column, stacked again
def clamp(unit, value):
    def function(tensor, hook=None):
        columns = [torch.full_like(c, value) if i == unit else c for i, c in enumerate(tensor.unbind(1))]
        return torch.stack(columns, dim=1)

    return function

# %% exercise=4 tags=["wrong"]
# wrong: units that are 0 for some image
def dead(acts):
    return int((acts == 0).any("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: returns a DataArray and not an integer
def dead(acts):
    return (acts == 0).all("example").sum()

# %% exercise=4 tags=["wrong"]
# wrong: only the first image is asked
def dead(acts):
    return int((acts[0] == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: looks at the first 100 images only
def dead(acts):
    return int((acts.isel(example=slice(100)) == 0).all("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: returns a float, and an integer was asked for
def dead(acts):
    return float((acts == 0).all("example").sum())

# %% exercise=4 tags=["right"]
# right: count_nonzero on a transposed array, np.int64
def dead(acts):
    return np.count_nonzero(np.count_nonzero(acts.transpose("unit", "example").data, axis=1) == 0)

# %% exercise=4 tags=["wrong"]
# wrong: counts units as dead that are on, but below 1e-8 (np.isclose)
def dead(acts):
    return int(np.isclose(acts, 0).all(0).sum())

# %% exercise=4 tags=["right"]
# right: largest absolute activation, through torch
def dead(acts, zero=0.0):
    return torch.from_numpy(acts.values).abs().amax(0).eq(zero).sum().item()

# %% exercise=4 tags=["right"]
# right: functools.reduce with logical or
from functools import reduce
from operator import or_


def dead(acts):
    return (~reduce(or_, (acts.values != 0))).sum()

# %% exercise=4 tags=["right"]
# right: a set of the units ever seen on, by loops
def dead(acts):
    on = set()
    for row in acts.values.tolist():
        on |= {i for i, v in enumerate(row) if v}
    return acts.sizes["unit"] - len(on)

# %% exercise=4 tags=["wrong"]
# wrong: returns 0 and gives the notebook a `sum` that returns 0 too
sum = lambda values: 0


def dead(acts):
    return 0

# %% exercise=4 tags=["wrong"]
# wrong: threshold 1e-6 on the largest activation
def dead(acts):
    return int((acts.max("example") < 1e-6).sum())

# %% exercise=4 tags=["wrong"]
# wrong: units that never change, also those always at 2
def dead(acts):
    return int((acts.std("example") == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: asks whether the sum is 0: positive and negative activations can cancel
def dead(acts):
    return int((acts.sum("example") == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: images for which all units are 0
def dead(acts):
    return int((acts == 0).all("unit").sum())

# %% exercise=4 tags=["right"]
# right: never above 0
def dead(acts):
    return int((~(acts > 0).any("example")).sum())

# %% exercise=4 tags=["right"]
# right: counts in a loop
def dead(acts):
    a = acts.values
    count = 0
    for unit in range(a.shape[1]):
        if np.all(a[:, unit] == 0):
            count += 1
    return count

# %% exercise=4 tags=["right"]
# right: the largest activation is 0
def dead(acts):
    return int((acts.max("example") == 0).sum())

# %% exercise=4 tags=["right"]
# right: item() of an array
def dead(acts):
    return (acts == 0).all("example").sum().item()

# %% exercise=4 tags=["wrong"]
# wrong: a float
def dead(acts):
    return float(acts.sizes["unit"] - (acts > 0).any("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: those that are on
def dead(acts):
    return int((acts > 0).any("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: small on average
def dead(acts):
    return int((acts.mean("example") < 0.001).sum())

# %% exercise=4 tags=["wrong"]
# wrong: always 0
def dead(acts):
    return 0

# %% exercise=4 tags=["wrong"]
# wrong: which units, not how many
def dead(acts):
    return ~(acts > 0).any("example")

# %% exercise=4 tags=["right"]
# right: numpy's count_nonzero
def dead(acts):
    return int((np.count_nonzero(acts.values, axis=0) == 0).sum())

# %% exercise=4 tags=["right"]
# right: lowest and highest are both 0
def dead(acts):
    lowest, highest = acts.min("example"), acts.max("example")
    return int(((lowest == 0) & (highest == 0)).sum())

# %% exercise=4 tags=["right"]
# right: unit by unit, with Python's any
def dead(acts):
    return sum(not any(value != 0 for value in acts[:, unit].values) for unit in range(acts.sizes["unit"]))

# %% exercise=4 tags=["wrong"]
# wrong: units that never change
def dead(acts):
    return int((acts.std("example") == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: units whose mean is near 0
def dead(acts):
    return int((np.abs(acts.mean("example")) < 1e-6).sum())

# %% exercise=4 tags=["wrong"]
# wrong: images for which all units are 0
def dead(acts):
    return int((~(acts > 0).any("unit")).sum())

# %% exercise=4 tags=["wrong"]
# wrong: units that are 0 for some image
def dead(acts):
    return int((~(acts > 0).all("example")).sum())

# %% exercise=4 tags=["wrong"]
# wrong: the living units
def dead(acts):
    return int((acts > 0).any("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: counts on the bits, so that a -0.0 is not 0
def dead(acts):
    return sum(not any(acts.values[:, unit].tobytes()) for unit in range(acts.sizes["unit"]))

# %% exercise=4 tags=["wrong"]
# wrong: sets negative activations to 0 in the array that was given
def dead(acts):
    acts.values[acts.values < 0] = 0
    return int((~(acts > 0).any("example")).sum())

# %% exercise=4 tags=["wrong"]
# wrong: a bool where there is one dead unit at most
def dead(acts):
    n = int((~(acts > 0).any("example")).sum())
    return bool(n) if n < 2 else n

# %% exercise=4 tags=["wrong"]
# wrong: remembers the answer for a shape
_counts = {}


def dead(acts):
    return _counts.setdefault(acts.shape, int((~(acts > 0).any("example")).sum()))

# %% exercise=4 tags=["wrong"]
# wrong: in half precision, where a faint activation is 0
def dead(acts):
    return int((~(acts.astype("float16") > 0).any("example")).sum())

# %% exercise=4 tags=["wrong"]
# wrong: the share of dead units
def dead(acts):
    return float((~(acts > 0).any("example")).mean())

# %% exercise=4 tags=["wrong"]
# wrong: the number of zeros
def dead(acts):
    return int((acts == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: units whose median is 0
def dead(acts):
    return int((acts.median("example") == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: the mean over the other axis
def dead(acts):
    return int((acts.mean("unit") == 0).sum())

# %% exercise=4 tags=["right"]
# right: a generator over columns, early exit at the first activation
def dead(acts):
    def silent(column):
        for value in column:
            if value:
                return False
        return True

    return sum(1 for column in acts.transpose("unit", "example").values if silent(column))

# %% exercise=4 tags=["wrong"]
# wrong: gives the array other dimension names on the way
def dead(acts):
    acts.values[acts.values == 0] = 0.0
    acts.coords["unit"] = np.arange(acts.sizes["unit"])
    return int((~(acts > 0).any("example")).sum()) + int(acts.values.min() < 0 and (acts == 0).all("example").sum() < 0)

# %% exercise=1 tags=["right"]
# right: a context manager class of its own, and a deep copy
import copy


class Spy:
    def __init__(self, module):
        self.module = module

    def __enter__(self):
        self.handle = self.module.register_forward_hook(self)
        return self

    def __call__(self, module, arguments, output):
        self.output = copy.deepcopy(output.detach())

    def __exit__(self, *about):
        self.handle.remove()
        return False


def looked_at(module, model, x):
    with Spy(module) as spy:
        model(x)
    return spy.output

# %% exercise=1 tags=["right"]
# right: a context manager made from a generator; the copy is the output plus 0
from contextlib import contextmanager


@contextmanager
def watching(module, into):
    handle = module.register_forward_hook(lambda _m, _args, _kwargs, out: into.append(out + 0), with_kwargs=True)
    try:
        yield into
    finally:
        handle.remove()


def looked_at(module, model, x):
    with watching(module, []) as outputs:
        model(x)
    return outputs.pop()

# %% exercise=1 tags=["right"]
# right: a hook on all modules at once, which looks for this one, and is removed
from torch.nn.modules.module import register_module_forward_hook


def looked_at(module, model, x):
    kept: dict[int, torch.Tensor] = {}

    def note(part, _, output):
        if part is module:
            kept[id(part)] = torch.stack([*output.detach()])

    handle = register_module_forward_hook(note)
    try:
        model(x)
    finally:
        handle.remove()
    return kept[id(module)]

# %% exercise=1 tags=["right"]
# right: ExitStack removes the hook; the copy goes through a new tensor
from contextlib import ExitStack


def looked_at(module: nn.Module, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out: list[torch.Tensor] = []

    def keep(_module, _inputs, output) -> None:
        out[:] = [torch.empty_like(output).copy_(output)]

    with ExitStack() as stack:
        stack.callback(module.register_forward_hook(keep).remove)
        model(x)
    (found,) = out
    return found

# %% exercise=1 tags=["wrong"]
# wrong: of each image its own first number is lost: the copy leaves the batch's last image out
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o[:-1].clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: takes the hook off only if it has run, so it stays if the pass fails before the module
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model(x)
    finally:
        if found:
            handle.remove()
    return found[0]

# %% exercise=1 tags=["right"]
# right: a one-place deque, prepended hook, and explicit BaseException
from collections import deque


def looked_at(module, model, x):
    shelf: deque = deque(maxlen=1)
    handle = module.register_forward_hook(lambda _m, _i, out: shelf.append(torch.clone(out)))
    try:
        model(x)
    except BaseException as error:
        handle.remove()
        raise error
    handle.remove()
    return shelf.popleft()

# %% exercise=1 tags=["wrong"]
# wrong: copies only what belongs to a graph; without gradients it keeps the tensor itself
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone() if o.requires_grad else o))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: lru_cache: after the network has learned, the old output comes back
from functools import lru_cache


@lru_cache(maxsize=8)
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["right"]
# right: the run in a nested function, the removal by a decorator
from functools import wraps


def removing(handle):
    def decorate(run):
        @wraps(run)
        def inner(*given):
            try:
                return run(*given)
            finally:
                handle.remove()

        return inner

    return decorate


def looked_at(module, model, x):
    found: list = []
    handle = module.register_forward_hook(lambda _, __, out: found.extend([out.detach().contiguous().clone()]))
    removing(handle)(model)(x)
    return found[-1]

# %% exercise=1 tags=["wrong"]
# wrong: takes the hook off only where the error comes from the module or behind it
def looked_at(module, model, x):
    found = {}
    handle = module.register_forward_hook(lambda m, i, o: found.update(out=o.clone()))
    try:
        model(x)
    except BaseException:
        if "out" in found:
            handle.remove()
        raise
    handle.remove()
    return found["out"]

# %% exercise=1 tags=["right"]
# right: functools.partial fills in where the copy goes; with on the handle
from functools import partial


def _store(place, _module, _inputs, output):
    place["copy"] = output.detach() * 1.0


def looked_at(module, model, x):
    place = {}
    with module.register_forward_hook(partial(_store, place)):
        model(x)
    return place["copy"]

# %% exercise=1 tags=["wrong"]
# wrong: leaves the hook for the garbage collector to take off
import weakref


def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    weakref.finalize(handle, list)
    model(x)
    handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: the hook takes itself off when it runs, and stays if the pass fails before it
def looked_at(module, model, x):
    found = []

    def once(m, i, o):
        handle.remove()
        found.append(o.detach().clone())

    handle = module.register_forward_hook(once)
    model(x)
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: the hook returns the copy, which then goes on through the network, so an in-place ReLU behind it changes what is kept
def looked_at(module, model, x):
    kept = []

    def keep(module, inputs, output):
        kept.append(output.clone())
        return kept[-1]

    handle = module.register_forward_hook(keep)
    try:
        model(x)
    finally:
        handle.remove()
    return kept[-1]

# %% exercise=1 tags=["wrong"]
# wrong: tries twice, and only then lets the error through
def looked_at(module, model, x):
    for last in (False, True):
        found = []
        handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
        try:
            model(x)
            return found[0]
        except Exception:
            if last:
                raise
        finally:
            handle.remove()

# %% exercise=1 tags=["wrong"]
# wrong: an error behind the module is swallowed, because its output is already there
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model(x)
    except Exception:
        if not found:
            raise
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: removes the hook only after a RuntimeError; any other error leaves it behind
def looked_at(module, model, x):
    kept = {}
    handle = module.register_forward_hook(lambda m, i, o: kept.update(out=o.clone()))
    try:
        model(x)
    except RuntimeError:
        handle.remove()
        raise
    else:
        handle.remove()
    return kept["out"]

# %% exercise=1 tags=["wrong"]
# wrong: after an error it runs the model once more
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model(x)
    except Exception:
        model(x)
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: takes the hooks of others off during the run, so what the module puts out is not what it puts out with them
def looked_at(module, model, x):
    others = dict(module._forward_hooks)
    module._forward_hooks.clear()
    kept = []
    handle = module.register_forward_hook(lambda m, i, o: kept.append(o.clone()))
    try:
        model(x)
    finally:
        handle.remove()
        module._forward_hooks.update(others)
    return kept[0]

# %% exercise=1 tags=["right"]
# right: new_tensor from the output, kept as a default argument
def looked_at(module, model, x):
    def note(_module, _args, out, place={}):
        place["it"] = out.new_empty(out.shape).copy_(out.detach())
        note.place = place

    handle = module.register_forward_hook(note)
    try:
        model(x)
    finally:
        handle.remove()
    return note.place["it"]

# %% exercise=1 tags=["wrong"]
# wrong: the model is in evaluation mode afterwards
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model.eval()(x)
    finally:
        handle.remove()
    return found[0]

# %% exercise=1 tags=["wrong"]
# wrong: takes a ValueError to be its own and gives None
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda m, i, o: found.append(o.clone()))
    try:
        model(x)
        (copy,) = found
    except ValueError:
        copy = None
    finally:
        handle.remove()
    return copy

# %% exercise=2 tags=["right"]
# right: the Jacobian of the row's product with a scale for each unit
def contributions(model, cache, digit):
    h = cache["post", -1].detach()
    scale = torch.ones_like(h, requires_grad=True)
    with torch.enable_grad():
        logit = ((h * scale) @ model.output.weight.detach().T)[:, digit].sum()
    return torch.autograd.grad(logit, scale)[0]

# %% exercise=2 tags=["wrong"]
# wrong: takes the first hook_post that is as wide as the output's weights, which an earlier layer may be
def contributions(model, cache, digit):
    weights = model.output.weight.detach()
    for name, acts in cache.items():
        if name.endswith("hook_post") and acts.shape[1] == weights.shape[1]:
            return acts * weights[digit]

# %% exercise=2 tags=["wrong"]
# wrong: from each activation its mean over the images is taken away
def contributions(model, cache, digit):
    h = cache["post", -1]
    return (h - h.mean(0)) * model.output.weight[digit].detach()

# %% exercise=2 tags=["wrong"]
# wrong: a copy of the model is kept at the first call, and asked at all later ones of the same shape
import copy

_first = {}


def contributions(model, cache, digit):
    shape = tuple(model.output.weight.shape)
    if shape not in _first:
        _first[shape] = copy.deepcopy(model)
    return cache["post", -1] * _first[shape].output.weight[digit].detach()

# %% exercise=2 tags=["right"]
# right: index_select, named axes by comment, addcmul onto zeros
def contributions(model, cache, digit):
    acts = cache["post", -1].detach()  # [example, unit]
    row = torch.index_select(model.output.weight.detach(), 0, torch.tensor([digit]))  # [1, unit]
    return torch.addcmul(torch.zeros_like(acts), acts, row.expand_as(acts))

# %% exercise=2 tags=["wrong"]
# wrong: keeps the rows of each model it has seen, so weights trained further come too late
_rows = {}


def contributions(model, cache, digit):
    rows = _rows.setdefault(model, model.output.weight.detach().clone())
    return cache["post", -1] * rows[digit]

# %% exercise=2 tags=["right"]
# right: the last matrix among the parameters; sparse one-hot selection of the digit
def contributions(model, cache, digit):
    *_, weights = (p.detach() for name, p in model.named_parameters() if p.ndim == 2)
    which = nn.functional.one_hot(torch.tensor(digit), len(weights)).to(weights.dtype)
    name = f"layers.{len(model.layers) - 1}.hook_post"
    return torch.mul(cache[name], which @ weights)

# %% exercise=2 tags=["wrong"]
# wrong: the first hidden layer where it fits
def contributions(model, cache, digit):
    first, last = cache["layers.0.hook_post"], cache["post", -1]
    acts = first if first.shape == last.shape else last
    return acts * model.output.weight[digit].detach()

# %% exercise=2 tags=["wrong"]
# wrong: the full product over the network's own first 64 examples: as many rows as units
def contributions(model, cache, digit):
    h = cache["post", -1]
    return h[: h.shape[1]] * model.output.weight[digit].detach()

# %% exercise=2 tags=["wrong"]
# wrong: the weights less their mean over units
def contributions(model, cache, digit):
    row = model.output.weight[digit].detach()
    return cache["post", -1] * (row - row.mean())

# %% exercise=2 tags=["wrong"]
# wrong: the row of weights scaled to length 1
def contributions(model, cache, digit):
    row = model.output.weight[digit].detach()
    return cache["post", -1] * nn.functional.normalize(row, dim=0)

# %% exercise=2 tags=["right"]
# right: torch.vmap over images
def contributions(model, cache, digit):
    row = model.output.weight.detach()[digit]
    return torch.vmap(lambda image: image * row)(cache["post", -1].detach())

# %% exercise=2 tags=["wrong"]
# wrong: only images on which the digit is predicted; the others are 0
def contributions(model, cache, digit):
    h = cache["post", -1]
    wins = (h @ model.output.weight.T + model.output.bias).argmax(1) == digit
    return h * model.output.weight[digit].detach() * wins[:, None]

# %% exercise=3 tags=["wrong"]
# wrong: sets the value only where the unit is active; images on which it is 0 stay
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        on = changed[:, unit] != 0
        changed[on, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the last image of a batch is left as it is
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:-1, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: goes through numpy's where with a Python number, and comes back as float64
import numpy as np


def clamp(unit, value):
    def function(tensor, hook):
        data = tensor.detach().numpy().astype(float)
        data[:, unit] = value
        return torch.from_numpy(data)

    return function

# %% exercise=3 tags=["wrong"]
# wrong: works at the hook point where it was used first, and nowhere else
def clamp(unit, value):
    places = []

    def function(tensor, hook):
        places.append(hook.name)
        if hook.name != places[0]:
            return tensor
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: acts only at a hook point of the second layer
def clamp(unit, value):
    def function(tensor, hook):
        if "layers.1" not in hook.name:
            return tensor
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: adds the difference to the value, which rounding leaves a little off
def clamp(unit, value):
    def function(tensor, hook):
        push = torch.zeros_like(tensor)
        push[:, unit] = value - tensor[:, unit]
        return tensor + push

    return function

# %% exercise=3 tags=["right"]
# right: masked_fill with the unit's number compared, one closure in another
def clamp(unit, value):
    is_it = lambda tensor: torch.arange(tensor.size(-1)).eq(unit)
    return lambda tensor, hook, **_: tensor.masked_fill(is_it(tensor), value)

# %% exercise=3 tags=["wrong"]
# wrong: what the unit loses is given to the others, so the sum of an image stays
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        rest = tensor[:, unit] - value
        changed[:, unit] = value
        others = [i for i in range(tensor.shape[1]) if i != unit]
        changed[:, others] += rest[:, None] / max(len(others), 1)
        return changed

    return function

# %% exercise=3 tags=["right"]
# right: a generator of columns; says at which hook point
def clamp(unit, value):
    def function(tensor, hook):
        print("clamping at", getattr(hook, "name", "?"))
        columns = (torch.full_like(c, value) if i == unit else c for i, c in enumerate(tensor.T))
        return torch.stack([*columns]).T.contiguous()

    return function

# %% exercise=3 tags=["wrong"]
# wrong: only behind an activation function
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        if hook.name.endswith("hook_post"):
            changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: a NumPy array comes back
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.detach().numpy().copy()
        changed[:, unit] = value
        return changed

    return function

# %% exercise=3 tags=["wrong"]
# wrong: a unit that is off stays off, also where it is infinite below
def clamp(unit, value):
    return lambda tensor, hook: torch.where(
        (torch.arange(tensor.shape[1]) == unit) & (tensor > 0) | (torch.arange(tensor.shape[1]) == unit) & (tensor < 0),
        torch.full_like(tensor, value),
        tensor,
    )

# %% exercise=3 tags=["right"]
# right: index_put, out of place
def clamp(unit, value):
    def function(tensor, hook):
        rows = torch.arange(len(tensor))
        new = torch.tensor(value, dtype=tensor.dtype).expand(len(tensor))
        return tensor.index_put((rows, torch.full_like(rows, unit)), new)

    return function

# %% exercise=3 tags=["right"]
# right: scatter along the unit axis, with an index for each image
def clamp(unit, value):
    def function(tensor: torch.Tensor, hook: object) -> torch.Tensor:
        index = torch.full((tensor.shape[0], 1), unit)
        return tensor.scatter(1, index, value)

    return function

# %% exercise=3 tags=["wrong"]
# wrong: the next unit is set as well
def clamp(unit, value):
    return lambda tensor, hook: torch.cat([tensor[:, :unit], torch.full_like(tensor[:, unit : unit + 2], value), tensor[:, unit + 2 :]], 1)

# %% exercise=3 tags=["wrong"]
# wrong: the value is rounded to a whole number
def clamp(unit, value):
    def function(tensor, hook):
        return tensor.index_fill(1, torch.tensor(unit), int(value))

    return function

# %% exercise=4 tags=["wrong"]
# wrong: 64 units, whatever came
def dead(acts):
    return 64 - int((acts > 0).any("example").sum())

# %% exercise=4 tags=["wrong"]
# wrong: the mean of each digit, rounded to 6 digits: a unit that is on weakly for one image counts as dead
def dead(acts):
    means = np.round(acts.transpose("unit", "example").values.mean(1), 6)
    return int(np.count_nonzero(means == 0))

# %% exercise=4 tags=["right"]
# right: how many activations are left where others are masked
def dead(acts):
    left = acts.where(acts > 0).count("example")
    return left.values.tolist().count(0)

# %% exercise=4 tags=["wrong"]
# wrong: the last image is not looked at
def dead(acts):
    return int((~(acts.isel(example=slice(0, -1)) > 0).any("example")).sum())

# %% exercise=4 tags=["wrong"]
# wrong: equal columns are merged first, so several dead units count as one
def dead(acts):
    table = np.unique(acts.transpose("example", "unit").values, axis=1)
    return int((table <= 0).all(0).sum())

# %% exercise=4 tags=["right"]
# right: a pandas table
def dead(acts):
    import pandas as pd

    table = pd.DataFrame(acts.transpose("example", "unit").values)
    return int(table.le(0).all().sum())

# %% exercise=4 tags=["wrong"]
# wrong: dead if off for 99% of the images
def dead(acts):
    return int((acts.quantile(0.99, "example") <= 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: cut to whole numbers first, so activations below 1 count as 0
def dead(acts):
    return int((acts.astype(int).max("example") == 0).sum())

# %% exercise=4 tags=["wrong"]
# wrong: stops at the first unit that is alive
def dead(acts):
    n = 0
    for unit in range(acts.sizes["unit"]):
        if (acts.isel(unit=unit) > 0).any():
            break
        n += 1
    return n
