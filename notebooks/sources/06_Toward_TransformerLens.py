# %% [markdown]
# # How does this carry over?
#
# *The same questions in the words of TransformerLens: what is the same in a language model, what isn't, and what has no counterpart here.*
#
# When I first read papers on language models, the words stood in my way more than the mathematics. So let's meet the words on a network that we know, and build each tool once by hand.
# You need not know what a transformer is: half a page says it, and none is run.
#
# **You will be able to**
#
# * read code that uses `run_with_cache`, `run_with_hooks`, name filters and hook contexts, and write it for your own network;
# * say what a logit lens needs, build a network that has one, and say what you can measure where there is none;
# * patch activations, estimate patches from one gradient, and patch single paths, each by hand once.
#
# **Minutes:** 55 to read and run, 55 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb), and [04](04_Causal_Interventions.ipynb) for ablation and its null.
#
# The notebook shows no answer before you have guessed. Our own guesses stand here as examples, right or wrong; the version in `exercises/` leaves them to you. Terms are explained
# where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("06")

# %% [markdown]
# ## 1. The words
#
# First the network that all this was made for. A language model gets a text, the *prompt*, cut into pieces: its *tokens*, words or parts of words. The place of a token in the text is its
# *position*. For each position the model keeps a list of numbers, the *residual stream*. It begins as the token's *embedding*, a list that was learned for this token.
#
# Then come the *blocks*, one after the other. Each block reads the stream and *adds* something to it; nothing is overwritten. One part of a block is an MLP like ours, which looks at one
# position at a time. The other part is *attention*, which brings information from other positions.
#
# At the end one matrix, the *unembedding*, turns the stream into a score for each possible next token, the *logits*. Such a stack of blocks is a *transformer*. A few of its units and the
# paths between them that do one nameable job together are called a *circuit*.
#
# Our MLP has no positions, no attention and no stream. In section 3 we build a network that has a stream.
#
# Much of the research on circuits is written in a library called TransformerLens. Its idea is the *hook point* of notebook 01, a named place at which activations can be read and changed,
# and this project took its words from there. (Section 8 has all of them side by side.) Here they are, on our MLP. First, reading:

# %% tags=["varies"]
from dataclasses import replace

import numpy as np
import torch
from torch import nn

recipe = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), recipe)
model = run.model()
images = run.probe  # the same number of each digit
x, labels = images.tensor(), images.label_tensor()

with torch.no_grad():
    logits, cache = model.run_with_cache(x)  # everything
    _, few = model.run_with_cache(x, names_filter=lambda name: name.endswith("hook_post"))  # what a function picks
    until, _ = model.run_with_cache(x, stop_at="layers.0.hook_post")  # no further than here
print("all:     ", *cache)
print("filtered:", *few)
assert torch.equal(cache["post", -1], cache["layers.1.hook_post"])  # short for: the last layer that has one
assert torch.equal(until, cache["post", 0])

# %% [markdown]
# Then changing, in two forms: for one call, or for all calls inside a `with` block. A hook function gets the tensor and the hook point, and may return another tensor.


# %%
def halve(tensor, hook):
    assert hook.name == "layers.1.hook_post"
    return tensor / 2


with torch.no_grad():
    once = model.run_with_hooks(x, fwd_hooks=[("layers.1.hook_post", halve)])
    with model.hooks(fwd_hooks=[("layers.1.hook_post", halve)]):
        inside = model(x)
    after = model(x)
assert torch.equal(once, inside) and torch.equal(after, logits)
by_hand = cache["post", -1] / 2 @ model.output.weight.T + model.output.bias
assert torch.allclose(once, by_hand.detach(), atol=1e-4)
print("one call and one block do the same; after the block nothing is left")

# %% [markdown]
# ### Exercise 1: keep only a few
# *Difficulty ●●○○ · 10 minutes*
#
# Write `keep_only(units)`, which returns a hook function `(tensor, hook)` that sets all units to 0 *except* those. The tensor that comes in must stay as it is. One hook function is used
# for many batches, and several hook functions at once.

# %% [markdown] tags=["hint"]
# Begin with `torch.zeros_like(tensor)` and copy the chosen columns into it. The inner function's arguments are called `tensor` and `hook`.


# %% tags=["stub"]
def keep_only(units):
    raise NotImplementedError("return a function (tensor, hook) -> tensor")


# %% tags=["solution"]
def keep_only(units):
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        kept[:, units] = tensor[:, units]
        return kept

    return function


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    for width, count in ((3, 2), (8, 3), (6, 1), (5, 5), (4, 0)):
        wanted = [rng.permutation(width)[:count].tolist() for _ in range(2)]
        functions = [keep_only(list(units)) for units in wanted]
        for n, units, function in [(n, *both) for n in (2, 5) for both in zip(wanted, functions, strict=True)]:
            assert callable(function), f"keep_only returns a {type(function).__name__}; it should return a function"
            given = torch.tensor(rng.normal(size=(n, width)), dtype=torch.float32 if n == 2 else torch.float64)
            with lessons.unchanged(tensor=given):
                found = function(given, hook=None)
            assert found is not None, "the inner function returns nothing: return the changed tensor"
            assert found.shape == given.shape, f"{list(given.shape)} came in and {list(found.shape)} came out"
            assert found.dtype == given.dtype, f"{given.dtype} came in and {found.dtype} came out"
            for unit in range(width):
                column = given[:, unit] if unit in units else torch.zeros_like(given[:, unit])
                assert torch.equal(found[:, unit], column), (
                    f"of {width} units, {units} should stay and all others become 0; unit {unit} was {given[0, unit]:.2f} for the first "
                    f"image and is {found[0, unit]:.2f} (this function was called for 2 images, then for 5; another one was made beside it)"
                )
    with torch.no_grad():
        alone = model.run_with_hooks(x, fwd_hooks=[("layers.1.hook_post", keep_only([]))])
    assert torch.allclose(alone, model.output.bias.detach().expand_as(alone), atol=1e-5), (
        "with no unit kept, the logits should be the biases"
    )


# %% tags=["right"]
def keep_only(units):
    def function(tensor, hook):
        mask = torch.zeros(tensor.shape[1])
        mask[list(units)] = 1
        return tensor * mask

    return function


# %% tags=["right"]
def keep_only(units):  # numpy
    def function(tensor, hook):
        values = tensor.detach().numpy().copy()
        values[:, [unit for unit in range(values.shape[1]) if unit not in units]] = 0
        return torch.from_numpy(values)

    return function


# %% tags=["wrong"]
def keep_only(units):  # the other way round
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, units] = 0
        return changed

    return function


# %% tags=["wrong"]
def keep_only(units):  # changes its input
    def function(tensor, hook):
        tensor[:, [unit for unit in range(tensor.shape[1]) if unit not in units]] = 0
        return tensor

    return function


# %% tags=["wrong"]
def keep_only(units):  # images in place of units
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        rows = [unit for unit in units if unit < len(tensor)]
        kept[rows] = tensor[rows]
        return kept

    return function


# %% tags=["wrong"]
def keep_only(units):  # the chosen columns alone
    return lambda tensor, hook: tensor[:, units]


# %% tags=["wrong"]
def keep_only(units):  # ones in place of the values
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        kept[:, units] = 1
        return kept

    return function


# %% tags=["wrong"]
def keep_only(units):  # only the first of them
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        kept[:, units[:1]] = tensor[:, units[:1]]
        return kept

    return function


# %% tags=["wrong"]
def keep_only(units):  # from the first to the last of them
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        if units:
            kept[:, min(units) : max(units) + 1] = tensor[:, min(units) : max(units) + 1]
        return kept

    return function


# %% tags=["wrong"]
def keep_only(units):  # returns nothing
    def function(tensor, hook):
        kept = torch.zeros_like(tensor)
        kept[:, units] = tensor[:, units]

    return function


# %% [markdown]
# ## 2. What each unit adds: direct logit attribution
#
# The last hidden layer reaches the logits, the outputs for each class, by one multiplication. So each logit is a plain sum: one term from each unit, and the bias. (In a transformer:
# one term from everything that was ever added to the residual stream.) By hand, and with the library:

# %% tags=["varies"]
terms = cache["post", -1][:, :, None] * model.output.weight.detach().T  # [example, unit, class]
assert torch.allclose(terms.sum(1) + model.output.bias.detach(), logits, atol=1e-3)

causal = nm.analysis.causal
direct = causal.direct_logit_attribution(model, images)
assert np.allclose(direct["contribution"].values, terms.numpy(), atol=1e-3)
beyond = int(nm.statistics.shown(direct["evidence_q"]).sum())
lesson.say(f"""Every logit of {len(images):,} images is such a sum, by hand and by library. Of the {direct["evidence"].size} pairs of unit and digit, {beyond} raise or lower
their digit's logit beyond shuffled labels (q < 0.05, which is p corrected for so many tests).""")

# %% tags=["varies"]
top = logits.topk(2).values
closest = int((top[:, 0] - top[:, 1]).argmin())
nm.plots.direct_logit_attribution(direct, closest)

# %% [markdown]
# *What to look at:* the image whose two highest logits are closest, one panel for each. The bars of a panel add up to the logit: orange units raise it, blue ones lower it. Look for
# units whose bars differ between the panels: they make the difference.
#
# This is an identity, not an experiment: we changed nothing. It says what was added up, not what would happen otherwise.
#
# ## 3. The logit lens, and which networks have one
#
# The *logit lens* asks of a transformer, block by block: if all later blocks did nothing, what would it predict? *There* that is a natural question, because each block only **adds** to
# the residual stream. Leave out the later blocks, and you still have a vector in the same coordinates, which the last matrix can read.
#
# Our MLP has no such sum. Each layer *replaces* the one before, in other coordinates and even with another width:

# %%
try:
    cache["post", 0] @ model.output.weight.T
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# The widths don't fit, so we get an error. If both layers had the same width there would be no error, and no meaning either: unit 5 of one layer has nothing to do with unit 5 of the next.
#
# So *an MLP or a CNN has no logit lens.* Two substitutes follow. The first asks a weaker question of the same network; the second asks the same question of another network.
#
# ### Substitute one: fit the reading
#
# What *could be read off* a layer? We fit a linear map from the layer to the network's own logits (for language models this is the *tuned lens*), and count how often its highest output
# is the network's prediction. That a linear map can read it doesn't mean that the network does. Untrained layers can be read as well, so the null is the same fit to *untrained* networks.
#
# **Fit a linear map from the bare pixels to the network's logits: for what share of new images does it give the network's prediction?**

# %%
mine = 0.5  # your guess
lesson.guess("pixels", mine)

# %% tags=["varies"]
layers = ["input", "layers.0.hook_post", "layers.1.hook_post"]
learn = lesson.data.train.balanced(lesson.pick(10_000, 1000), seed=0)
judge = lesson.data.test
final = {part: nm.activations(model, some)["logits"].values for part, some in (("learn", learn), ("judge", judge))}


def flat(source, some):
    """Each layer as [example, number], with a column of ones for the bias."""
    acts = nm.activations(source, some, layers)
    return [np.column_stack([acts[name].values.reshape(len(some), -1), np.ones(len(some))]) for name in layers]


def lens_of(source, seed=0):
    """For each layer of a network, and each image: does the fitted map say what our model says? [layer, example]"""
    agree = []
    for known, new in zip(flat(source, learn), flat(source, judge), strict=True):
        size = known.shape[1]
        weights = np.linalg.solve(
            known.T @ known + 1e-3 * len(known) * np.eye(size), known.T @ final["learn"]
        )  # least squares, with a small penalty on large weights (ridge), so that it can always be solved
        agree.append((new @ weights).argmax(1) == final["judge"].argmax(1))
    return np.array(agree)


trained = lens_of(model)
untrained = np.array([lens_of(nm.MLP(model.config, seed).eval()).mean(1) for seed in range(100, 103)])
depth = np.arange(len(layers))
if lesson.reveal("pixels", round(float(trained[0].mean()), 2)):
    for name, found, band in zip(layers, trained, untrained.T, strict=True):
        low, high = nm.statistics.bootstrap_mean(found.astype(float))
        print(
            f"{name:<20} {found.mean():.1%}, 95% interval {low:.1%} to {high:.1%}; three untrained networks {band.min():.1%} to {band.max():.1%}"
        )
    display(
        nm.plots.lines(
            {"trained": (depth, 100 * trained.mean(1))},
            null={"untrained": (depth, 100 * untrained.min(0), 100 * untrained.max(0))},
            x="layer (0: pixels, 1: first hidden, 2: last hidden)",
            y="same prediction as the network (%)",
            title="A fitted lens, layer by layer",
        )
    )
    known_before = max(trained[0].mean(), untrained[:, 1].max())
    more = 100 * (trained[1].mean() - known_before)
    lesson.say(f"""From the first hidden layer a linear map gives {trained[1].mean():.1%} of the predictions. Pixels or untrained layers give up to {known_before:.1%}.
    {f"So learning has added {more:.0f} points." if more > 0.5 else "So it is not shown that learning has added anything."}""")
assert not lesson.full or 0.7 < trained[0].mean() < trained[1].mean()
assert not lesson.full or (untrained[:, 1:] < trained[0].mean()).all()

# %% [markdown]
# *What to look at:* first where the line begins, then the gray band of untrained networks. The line has to end near 100%, because from the last hidden layer on the logits are linear.
# The band falls: random layers with few units lose what the pixels had. What learning added to a layer is what lies above *both*, the gray and the pixels.

# %% [markdown]
# A *linear probe* is the same with the true class in place of the network's prediction: a linear classifier, fitted on one half of the images and judged on the other. By hand, and by the
# library:

# %% tags=["varies"]
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

acts = nm.activations(model, images, layers)
# The library sorts the images before it halves them, so that their order can't matter. So do we.
order = nm.statistics.canonical_order(images.labels, acts[layers[1]].values.reshape(len(images), -1).astype(float))
fit, held = (order[half] for half in nm.statistics.halves(images.labels[order]))
probed = {}
for name in layers:
    numbers = acts[name].values.reshape(len(images), -1).astype(float)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000)).fit(numbers[fit], images.labels[fit])
    probed[name] = probe.predict(numbers[held])
library = nm.analysis.probes.linear_probe(acts[layers[1]], controls=1, draws=200)
by_hand = (probed[layers[1]] == images.labels[held]).mean()
assert abs(by_hand - float(library["accuracy"])) < 0.01
print(f"{layers[1]}: a probe's accuracy is {by_hand:.1%}, by hand and by the library")

# %% [markdown]
# And what does an untrained layer give?

# %% tags=["varies"]
before = nm.activations(run.model(step=0), images, layers)
for name in layers[1:]:
    pair = [nm.analysis.probes.linear_probe(some[name], controls=1, draws=200) for some in (acts, before)]
    now, then = (float(found["accuracy"]) for found in pair)
    print(
        f"{name}: a probe's accuracy is {now:.1%} (95% interval {float(pair[0]['accuracy_low']):.1%} to {float(pair[0]['accuracy_high']):.1%}, n = {len(held)}); "
        f"untrained {then:.1%}; shuffled labels up to {float(pair[0]['accuracy_null_high']):.1%}"
    )

# %% [markdown]
# The first untrained layer can be read quite well, too. Now image by image: from which layer on does the probe predict what it predicts at the last layer?

# %% tags=["varies"]
predictions = np.array([probed[name] for name in layers])  # [layer, example]
settled = np.array([next(i for i in range(3) if (column[i:] == column[-1]).all()) for column in predictions.T])
for i, name in enumerate(layers):
    print(f"settled from {name} on: {(settled == i).mean():.0%} of {len(held)} images")
lesson.say(f"""For {(settled == 0).mean():.0%} of the images a linear classifier of the bare pixels already gives the final answer. If somebody writes that "in this layer the network changes
its mind", that can be about the other {(settled != 0).mean():.0%} at most.""")
assert not lesson.full or (settled == 0).mean() > 0.6

# %% [markdown]
# ### Substitute two: a network that has a stream
#
# Now let's build a small network like a transformer. The image enters a stream of 64 numbers; three blocks each read the stream and *add* to it; the unembedding turns it into logits. (No
# positions, no attention, and not the normalization that a transformer has before each block.)
#
# It is plain PyTorch, and `nm.hooked` gives it its hook points.


# %%
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.act, self.down = nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)

    def forward(self, stream):
        return stream + self.down(self.act(self.up(stream)))


class Residual(nn.Module):
    def __init__(self, pixels, seed, width=64, blocks=3):
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Linear(pixels, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.unembed = nn.Linear(width, 10)

    def forward(self, images):
        return self.unembed(self.blocks(self.embed(images.flatten(1))))


def trained_residual(seed):
    network = Residual(x[0].numel(), seed)
    epochs = {"full": 3, "short": 3, "digits": 12}[lesson.form]
    nm.train(
        network,
        lesson.data,
        nm.TrainConfig(epochs=epochs, optimizer="adamw", schedule="cosine", learning_rate=2e-3, seed=seed),
    )
    return network.eval()


residual = trained_residual(0)
lens = nm.hooked(residual)
stops = ["embed.hook_out", *(f"blocks.{i}.hook_out" for i in range(3))]  # the stream, before and after each block
writes = ["embed.hook_out", *(f"blocks.{i}.down.hook_out" for i in range(3))]  # what was added to it

with torch.no_grad():
    out, stream = lens.run_with_cache(x)
total = sum(stream[name] for name in writes)
assert torch.allclose(total, stream[stops[-1]], atol=1e-4)  # the stream is the sum of all that was written
assert torch.allclose(residual.unembed(total), out, atol=1e-3)
print("the stream is the sum of what was written, and the logits are read from it once")
print(f"test accuracy {nm.evaluate(residual, judge).accuracy:.1%}")

# %% [markdown]
# Here we can do just what the logit lens says: give the stream after each block to the unembedding. **If no block ran at all, and we read the embedding at once: what would the test accuracy
# be?**

# %%
mine = 0.8  # your guess
lesson.guess("embed", mine)


# %% tags=["varies"]
def literal(network, some):
    """The accuracy when the stream is read at each stop, [stop]."""
    with torch.no_grad():
        _, stream = nm.hooked(network).run_with_cache(some.tensor(), names_filter=stops)
        return np.array(
            [float((network.unembed(stream[name]).argmax(1) == some.label_tensor()).float().mean()) for name in stops]
        )


found = literal(residual, judge)
seeds = np.array([found, *(literal(trained_residual(seed), judge) for seed in (1, 2))])
nothing = np.array([literal(Residual(x[0].numel(), seed).eval(), judge) for seed in range(100, 120)])
low, high = np.percentile(nothing, [2.5, 97.5], axis=0)
spread = seeds.max(0) - seeds.min(0)
if lesson.reveal("embed", round(float(found[0]), 2)):
    for name, share in zip(stops, found, strict=True):
        print(f"{name:<18} {share:.1%}")
    display(
        nm.plots.lines(
            {"three seeds": (range(4), 100 * seeds)},
            null={"untrained": (range(4), 100 * low, 100 * high)},
            x="blocks that have run",
            y="accuracy if this were all (%)",
            title="The logit lens of a residual MLP",
        )
    )
    lesson.say(f"""**Does it hold on another seed?** Read at once, the embedding of three networks gives {seeds[:, 0].min():.0%} to {seeds[:, 0].max():.0%}; after all
    blocks it is {seeds[:, -1].min():.1%} to {seeds[:, -1].max():.1%}. Of 20 untrained networks, 97.5% stay below {100 * high.max():.1f}% at every stop. The first readings of the three
    networks lie {100 * spread[0]:.1f} points apart, the last {100 * spread[-1]:.1f}: the first reading differs {"more" if spread[0] > spread[-1] else "no more"} among seeds.""")
assert abs(found[-1] - nm.evaluate(residual, judge).accuracy) < 6e-3

# %% [markdown]
# *What to look at:* black is the mean, gray lines are the three seeds, and the band below is 20 untrained networks. The gray lines come together from left to right.
#
# Training rewards only the last reading; nothing asks for early readability. So an early stop may hold the information in a form that the last matrix can't read. That holds for language
# models as well: a low reading at an early stop doesn't mean that the information is absent. (The tuned lens is meant for that.)

# %% [markdown]
# Here is one image, as such pictures usually come:

# %% tags=["varies", "card"]
with torch.no_grad():
    by_stop = torch.stack([residual.unembed(stream[name]) for name in stops], 1)  # [example, stop, class]
flips = (by_stop.argmax(2)[:, :-1] != by_stop.argmax(2)[:, -1:]).any(1) & (out.argmax(1) == labels)
lead = (by_stop[:, 0].amax(1) - by_stop[:, 0].gather(1, labels[:, None])[:, 0]).where(flips, torch.tensor(-1.0))
chosen = int(lead.argmax())  # the one whose true class was furthest behind
true = int(labels[chosen])
leading = [true, *(digit for digit in by_stop[chosen].amax(0).argsort(descending=True).tolist() if digit != true)][:3]
lesson.say(f"""Of {len(x):,} images, {float(flips.float().mean()):.0%} are classified correctly and have an early reading that differs from the last. We chose the one whose true class was furthest
behind: the picture shows what can happen, and is no summary. Read after 0, 1, 2 and 3 blocks, it is classified as {", ".join(map(str, by_stop[chosen].argmax(1).tolist()))}.""")
nm.plots.lines(
    {
        f"{digit} ({style})": (range(4), by_stop[chosen, :, digit].numpy())
        for digit, style in zip(leading, ("solid", "dashed", "dotted"), strict=True)
    },
    x="blocks that have run",
    y="logit, if this were all",
    title=f"One image of the digit {true}, block by block",
)

# %% [markdown]
# *What to look at:* three logits of one image; the solid line is its true class. At each stop the highest line is the prediction.
#
# ### Exercise 2: the logit lens
# *Difficulty ●●○○ · 10 minutes*
#
# Write `logit_lens(network, cache)`: the logits [example, stop, class] at the four `stops`, in their order, from a cache that `nm.hooked(network).run_with_cache` gave. Leave
# the cache as it is.

# %% [markdown] tags=["hint"]
# `network.unembed` takes any stream. `torch.stack(list, 1)` puts a new axis second.


# %% tags=["stub"]
def logit_lens(network, cache):
    raise NotImplementedError("return a tensor [example, stop, class]")


# %% tags=["solution"]
def logit_lens(network, cache):
    return torch.stack([network.unembed(cache[name]) for name in stops], 1)


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    for pixels, width, n in ((4, 64, 5), (4, 64, 3), (9, 16, 7), (4, 8, 1)):
        with torch.no_grad():
            if n != 3:  # the first toy is asked twice
                toy = Residual(pixels, seed=int(rng.integers(1 << 30)), width=width).eval()
            given = torch.tensor(rng.random((n, 1, 1, pixels)), dtype=torch.float32)
            logits, cache = nm.hooked(toy).run_with_cache(given)
            with lessons.unchanged(toy, cache=cache):
                found = logit_lens(toy, cache)
            assert torch.is_tensor(found), f"one tensor should come back, and a {type(found).__name__} came"
            assert tuple(found.shape) == (n, 4, 10), (
                f"{n} images, 4 stops and 10 classes make ({n}, 4, 10), not {tuple(found.shape)}"
            )
            stream = toy.embed(given.flatten(1))
            for stop in range(4):
                wanted = toy.unembed(stream)
                apart = float((found[:, stop] - wanted).abs().max())
                assert apart < 1e-4, (
                    f"after {stop} blocks the unembedding of the stream (the sum so far, with the bias) differs by up to {apart:.2g} from what "
                    "came: are the stops in order, and is it the stream that is read"
                )
                stream = toy.blocks[stop](stream) if stop < 3 else stream
            assert torch.allclose(found[:, 3], logits, atol=1e-4), (
                "at the last stop it should be the network's own logits"
            )


# %% tags=["right"]
def logit_lens(network, cache):
    streams = torch.stack([cache[name] for name in stops])  # [stop, example, stream]
    return (streams @ network.unembed.weight.T + network.unembed.bias).transpose(0, 1)


# %% tags=["right"]
def logit_lens(network, cache):  # from what was written, summed up; numpy
    written = np.cumsum([cache[name].detach().numpy() for name in writes], axis=0)
    W, b = network.unembed.weight.detach().numpy(), network.unembed.bias.detach().numpy()
    return torch.from_numpy(np.einsum("sew,cw->esc", written, W) + b)


# %% tags=["wrong"]
def logit_lens(network, cache):  # the middle stops are exchanged
    names = [stops[0], stops[2], stops[1], stops[3]]
    return torch.stack([network.unembed(cache[name]) for name in names], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # what each block wrote, not the stream
    return torch.stack([network.unembed(cache[name]) for name in writes], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # without the bias
    return torch.stack([cache[name] @ network.unembed.weight.T for name in stops], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # stops first
    return torch.stack([network.unembed(cache[name]) for name in stops])


# %% tags=["wrong"]
def logit_lens(network, cache):  # the last stop for all
    return torch.stack([network.unembed(cache[stops[-1]]) for _ in stops], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # the stops from last to first
    return torch.stack([network.unembed(cache[name]) for name in reversed(stops)], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # probabilities
    return torch.stack([network.unembed(cache[name]).softmax(-1) for name in stops], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # another network's unembedding
    return torch.stack([cache[name] @ torch.ones(cache[name].shape[1], 10) for name in stops], 1)


# %% tags=["wrong"]
def logit_lens(network, cache):  # the stream only, without reading it
    return torch.stack(
        [cache[name][:, :10] if cache[name].shape[1] > 9 else cache[name].repeat(1, 2)[:, :10] for name in stops], 1
    )


# %% [markdown]
# ## 4. Activation patching
#
# "Ann and Tom were at the market, and Tom gave an apple to" should go on with "Ann"; with "and Ann gave an apple to" it should be "Tom". A well-known study of GPT-2 compares such
# prompts, a *clean* and a *corrupted* one. (The task is called *indirect object identification*, IOI.) *Activation patching* replaces activations of one run by those of the other, and asks how
# much of the *logit difference* between the two names it restores.
#
# For us the two names are two digits. You can change one word of a sentence, but not of an image. So we look for pairs that are as close as possible: for each image of one digit, the
# nearest image of the other. The digits are the two that the network confuses most.

# %% tags=["varies"]
seen = nm.analysis.predictions.confusion(nm.activations(model, judge)["logits"])["images"].values
confused = seen + seen.T - 2 * np.diag(np.diag(seen))
one, other = (int(i) for i in np.unravel_index(confused.argmax(), confused.shape))
pool = judge.subset(
    np.flatnonzero(nm.evaluate(model, judge).predictions.numpy() == judge.labels)
)  # classified correctly
of_one, of_other = (np.flatnonzero(pool.labels == digit) for digit in (one, other))
of_one = of_one[: lesson.pick(200, 30)]
flat_pixels = pool.images.reshape(len(pool), -1).astype(float)
distance = ((flat_pixels[of_one][:, None] - flat_pixels[of_other][None, :300]) ** 2).sum(2)
clean, corrupted = pool.subset(of_one), pool.subset(of_other[distance.argmin(1)])


def metric(logits):
    return logits[:, one] - logits[:, other]


layer = "layers.1.hook_post"
with torch.no_grad():
    clean_logits, clean_cache = model.run_with_cache(clean.tensor())
    corrupted_logits, corrupted_cache = model.run_with_cache(corrupted.tensor())
gap = (metric(clean_logits) - metric(corrupted_logits)).sum()
lesson.say(f"""Clean: {len(clean)} images of the digit {one}; corrupted: for each the nearest image of the digit {other}. The logit difference is
{float(metric(clean_logits).mean()):+.1f} and {float(metric(corrupted_logits).mean()):+.1f}.""")

# %% [markdown]
# *Denoising*: the corrupted image runs, but one unit of the last hidden layer gets its value from the clean run. 0 means that nothing is restored, 1 the whole difference.
#
# **How much does the strongest of the 64 units restore?**

# %%
mine = 0.5  # your guess
lesson.guess("patch", mine)

# %% tags=["varies"]
table = causal.patch_between(model, clean, corrupted, layer, metric=metric, draws=3000)
best = int(table["denoising"].values.argmax())


def put_clean(tensor, hook):
    changed = tensor.clone()
    changed[:, best] = clean_cache[hook.name][:, best]
    return changed


with torch.no_grad():
    patched = model.run_with_hooks(corrupted.tensor(), fwd_hooks=[(layer, put_clean)])
by_hand = float((metric(patched) - metric(corrupted_logits)).sum() / gap)
assert abs(by_hand - float(table["denoising"][best])) < 1e-3
outside = int(nm.statistics.shown(table["denoising_q"]).sum())
half = int(np.argmax(np.cumsum(np.sort(table["denoising"].values)[::-1]) > 0.5)) + 1
if lesson.reveal("patch", round(by_hand, 2)):
    display(nm.plots.patching(table))
    lesson.say(f"""The strongest unit restores {by_hand:.0%} (95% interval {float(table["denoising_low"][best]):.0%} to {float(table["denoising_high"][best]):.0%}, n = {len(clean)} pairs of one
    network), and it takes {half} units to restore half. That a unit restores more than a random direction does is shown for {outside or "none"} of 64 (3,000 directions, false-discovery rate
    5%).""")

# %% [markdown]
# *What to look at:* on the left, how much each unit restores; on the right, how much remains when it is corrupted. Gray is the null: as much movement in a random direction. (False-discovery
# rate 5%: of the units that are reported, one in twenty is expected to be false.)

# %% [markdown]
# At *this* layer we did not need the experiment. The logits are a weighted sum of the last hidden layer, so each unit restores exactly its share of the sum, and all shares add up to 1:

# %% tags=["varies"]
row = (model.output.weight[one] - model.output.weight[other]).detach()
shares = ((clean_cache[layer] - corrupted_cache[layer]) * row).sum(0) / gap
assert np.allclose(shares.numpy(), table["denoising"].values, atol=1e-3)
first_layer = causal.patch_between(model, clean, corrupted, "layers.0.hook_post", metric=metric, draws=200)
lesson.say(f"""Sum over all units, last hidden layer: {float(table["denoising"].sum()):.3f}. First hidden layer: {float(first_layer["denoising"].sum()):.2f} when clean values
are patched in, {float((1 - first_layer["noising"]).sum()):.2f} gone when corrupted ones are.""")
assert abs(float(table["denoising"].sum()) - 1) < 1e-3

# %% [markdown]
# From the first hidden layer a ReLU lies on the way to the logits. So there the shares need not add up to 1, and the two directions need not agree.
#
# **Does it hold on another seed?** Unit 5 of one network is not unit 5 of another. What we can compare is the shape of the result: how strong the strongest is, and how many it takes.

# %% tags=["varies"]
strongest = [float(table["denoising"].max())]
for seed in (1, 2):
    twin = lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(recipe, seed=seed)).model()
    again = causal.patch_between(twin, clean, corrupted, layer, metric=metric)["denoising"].values
    strongest.append(float(again.max()))
    enough = int(np.argmax(np.cumsum(np.sort(again)[::-1]) > 0.5)) + 1
    print(f"seed {seed}: the strongest restores {again.max():.0%}; half is restored by {enough} units")
print(f"seed 0: {table['denoising'].values.max():.0%}; {half} units")
lesson.say(
    f"In {'none' if max(strongest) < 0.5 else 'not all'} of these three networks {'does' if max(strongest) < 0.5 else 'do'} one unit restore half of the difference."
)

# %% [markdown]
# ### Exercise 3: the other direction
# *Difficulty ●●●○ · 15 minutes*
#
# Write `noising(network, clean, corrupted, name, unit, metric)` for image tensors `clean` and `corrupted`: the clean images run, with one unit at its corrupted value. Return what is
# *left* of the difference, one number over all pairs: 1 if nothing is gone, 0 if everything is. Leave the network as it was: no hook stays.

# %% [markdown] tags=["hint"]
# Like `put_clean`, with the two exchanged. (metric of the patched run − metric of the corrupted run), summed, over (metric clean − metric corrupted), summed.


# %% tags=["stub"]
def noising(network, clean, corrupted, name, unit, metric):
    raise NotImplementedError("return one number, the share of the difference that is left")


# %% tags=["solution"]
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        patched_run = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((patched_run - bad).sum() / (good - bad).sum())


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    toys = [nm.MLP(replace(model.config, image_shape=(2, 3), hidden=width)) for width in ((7, 6), (9, 5))]
    for toy, depth, n, sign in zip(2 * toys, (0, 1, 0, 1), (8, 3, 11, 20), (1, -1, -1, 1), strict=True):
        toy.train(n == 8)
        name, (up, down) = f"layers.{depth}.hook_post", (int(c) for c in rng.permutation(model.config.classes)[:2])
        score = lambda logits, up=up, down=down: logits[:, up] - logits[:, down] ** 2  # noqa: E731
        with torch.no_grad():
            good = bad = wanted = 0.0
            # a share of next to nothing would say nothing; at the other sign a share below 0 or above 1
            while sign * (good - bad) < n or (sign < 0 and 0 <= wanted <= 1):
                for parameter in toy.parameters():
                    parameter.copy_(torch.tensor(rng.normal(0.1, 0.7, tuple(parameter.shape))))
                a, b = (torch.tensor(rng.random((n, 1, 2, 3)), dtype=torch.float32) for _ in range(2))
                good, bad = score(toy(a)).sum(), score(toy(b)).sum()
                here, there = (toy.run_with_cache(side)[1][name] for side in (a, b))
                unit = int((here - there).abs().sum(0).argmax())
                values = here.clone()
                values[:, unit] = there[:, unit]
                changed = score(toy.run_from(name, values)).sum()  # the rest, started from there
                wanted = float((changed - bad) / (good - bad))
        toy.add_hook(name, lambda tensor, hook: None)  # another's, that changes nothing
        with lessons.unchanged(toy, clean=a, corrupted=b):
            found = noising(toy, a, b, name, unit, score)
        assert found is not None and np.asarray(found).size == 1, (
            f"one number should come back for all {n} pairs, not {found}"
        )
        assert abs(float(found) - wanted) < 1e-3 * (1 + abs(wanted)), (
            f"{n} pairs, unit {unit} of {name} in a small planted network: {wanted:.4f} of the difference is left, and {float(found):.4f} came; "
            "which images run, which value is patched in, and what is subtracted"
        )


# %% tags=["right"]
def noising(network, clean, corrupted, name, unit, metric):  # a block of hooks, and numpy
    with torch.no_grad():
        value = network.run_with_cache(corrupted)[1][name]
        high, low = metric(network(clean)).numpy().sum(), metric(network(corrupted)).numpy().sum()
        with network.hooks([(name, nm.interventions.patch(value, unit=unit))]):
            left = metric(network(clean)).numpy().sum()
    return (left - low) / (high - low)


# %% tags=["right"]
def noising(network, clean, corrupted, name, unit, metric):  # what is gone, from 1
    good, bad = metric(network(clean)), metric(network(corrupted))
    value = network.run_with_cache(corrupted, names_filter=[name])[1][name]

    def hook_fn(tensor, hook):
        return torch.where(torch.arange(tensor.shape[1]) == unit, value, tensor)

    after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, hook_fn)]))
    return 1 - ((good - after).mean() / (good - bad).mean()).item()


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the share that is gone
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((good - after).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # denoising
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(clean, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        after = metric(network.run_with_hooks(corrupted, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # zero ablation
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, _cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = 0
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the whole layer
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed = cache[name].clone()
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the mean of the corrupted values
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit].mean()
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # always unit 0
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, 0] = cache[name][:, 0]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # always the first layer
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter="layers.0.hook_post")

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache["layers.0.hook_post"][:, unit]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[("layers.0.hook_post", corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the mean of the shares
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float(((after - bad) / (good - bad)).mean())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the first pair only
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad)[0] / (good - bad)[0])


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # in the units of the metric
    with torch.no_grad():
        _good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).mean())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # the pairs in another order
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def corrupt(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit].flip(0)
            return changed

        after = metric(network.run_with_hooks(clean, fwd_hooks=[(name, corrupt)]))
    return float((after - bad).sum() / (good - bad).sum())


# %% tags=["wrong"]
def noising(network, clean, corrupted, name, unit, metric):  # a metric of one's own
    with torch.no_grad():
        good, bad = (network(side).amax(1) for side in (clean, corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)
        hook = nm.interventions.patch(cache[name], unit=unit)
        after = network.run_with_hooks(clean, fwd_hooks=[(name, hook)]).amax(1)
    return float((after - bad).sum() / (good - bad).sum())


# %% [markdown]
# ## 5. Attribution patching: all units from one gradient
#
# Patching each unit in turn takes a run for each. In a language model that is too many, so we estimate: the change of the unit times the slope (gradient) of the logit difference with
# respect to it. One forward and one backward pass give all units at once. By hand:

# %% tags=["varies"]
name = "layers.0.hook_post"
_, slopes = model.run_with_cache(
    corrupted.tensor(), names_filter=name, incl_bwd=True, loss=lambda logits: metric(logits).sum()
)
estimate = ((clean_cache[name] - slopes[name]) * slopes[f"{name}_grad"]).sum(0) / gap

quick = causal.attribution_patching(model, clean, corrupted, name, metric=metric)
assert np.allclose(estimate.numpy(), quick["estimate"].values, atol=1e-3)
print("estimates by hand and by library agree for", len(estimate), "units")

# %% [markdown]
# The slope is taken at the corrupted image, and on the way to the clean one a ReLU may switch. **How well do the estimates follow the exact patches? Guess the correlation over the 128
# units of the first layer.**

# %%
mine = 0.9  # your guess
lesson.guess("estimate", mine)

# %% tags=["varies"]
gap_of = float(np.abs(quick["estimate"] - quick["exact"]).max())
if lesson.reveal("estimate", round(float(quick["correlation"]), 2)):
    display(nm.plots.attribution_vs_patching(quick))
    lesson.say(f"""Correlation {float(quick["correlation"]):.2f} (95% interval over units {float(quick["correlation_low"]):.2f} to
    {float(quick["correlation_high"]):.2f}; units shuffled: up to {float(quick["correlation_null_high"]):.2f}). The largest error for one unit is {gap_of:.1%} of the difference.""")

# %% [markdown]
# *What to look at:* each dot is a unit. On the dashed line the estimate (*first-order*: by the slope alone) would be exact; look for dots that lie off it.

# %% [markdown]
# Here only one ReLU lies between the patch and the logits, and the pairs were chosen to be close. So let's also take pairs at random, which are farther apart. And let's look at a patch of
# *all* units at once. We know what that restores: the whole layer is as in the clean run, so 100%. What does the estimate say?

# %% tags=["varies"]
far = pool.subset(np.random.default_rng(0).choice(of_other, len(clean)))
sums = []
for words, partner in (("nearest", corrupted), ("random", far)):
    guess = causal.attribution_patching(model, clean, partner, name, metric=metric)
    sums.append(float(guess["estimate"].sum()))
    print(
        f"{words:<8} pairs: correlation {float(guess['correlation']):.3f}, worst unit off by {float(np.abs(guess['estimate'] - guess['exact']).max()):.1%}; "
        f"all units at once: estimated {float(guess['estimate'].sum()):.1%}"
    )
near, farther = (100 * abs(1 - total) for total in sums)
lesson.say(f"""For all units at once the estimate is off by {near:.0f} points, and by {farther:.0f} for random pairs: the error {"grows" if farther > near else "does not grow"} with the distance of the
images.""")

# %% [markdown]
# So use the gradient to find candidates, and patch exactly what you want to claim.
#
# ## 6. Path patching: from which unit to which
#
# Take one unit of the first layer, the *sender*, and one of the second, the *receiver*. How much of the sender's effect on the logits goes through this receiver? Two steps:
#
# 1. Run the clean images with the sender at its corrupted value. Note which value the receiver takes then.
# 2. Run the clean images again, with the sender as it was, and patch only that value into the receiver.
#
# The change of the logit difference in step 2 went through this receiver. By hand, for one pair:

# %% tags=["varies"]
sender = int(first_layer["noising"].values.argmin())  # whose corruption leaves least
start, end = "layers.0.hook_post", "layers.1.hook_post"
paths = causal.path_patching(
    model, clean, corrupted, (start, sender), (end, None), metric=metric, draws=lesson.pick(399, 99)
)
receiver = int(paths["effect"].values.argmax())


def corrupt_sender(tensor, hook):
    changed = tensor.clone()
    changed[:, sender] = corrupted_cache[start][:, sender]
    return changed


with torch.no_grad():
    arrived = model.run_with_hooks(clean.tensor(), fwd_hooks=[(start, corrupt_sender)], stop_at=end)

    def hand_over(tensor, hook):
        changed = tensor.clone()
        changed[:, receiver] = arrived[:, receiver]
        return changed

    by_path = model.run_with_hooks(clean.tensor(), fwd_hooks=[(end, hand_over)])
by_hand = float((metric(by_path) - metric(clean_logits)).sum() / -gap)
assert abs(by_hand - float(paths["effect"][receiver])) < 1e-3

total = 1 - float(first_layer["noising"][sender])
assert abs(float(paths["effect"].sum()) - total) < 1e-2  # here every path leads through one receiver
order = np.argsort(-paths["effect"].values)
carried = int(nm.statistics.shown(paths["effect_p"]).sum())
nm.plots.lines(
    {"each receiver": (range(1, 65), 100 * paths["effect"].values[order])},
    null={
        "random direction": (
            range(1, 65),
            100 * paths["effect_null_low"].values[order],
            100 * paths["effect_null_high"].values[order],
        )
    },
    x="units of the second layer, largest effect first",
    y="share of the difference (%)",
    title="One sender, and the units that pass its change on",
)

# %% [markdown]
# *What to look at:* where the line lies above the gray band, a unit passes on more of the change than it would if the first layer had moved as far in a random direction. Below 0 are units
# that work against it.

# %% tags=["varies"]
lesson.say(f"""The sender's whole effect is {total:.1%} of the difference, and the paths through the 64 receivers add up to {float(paths["effect"].sum()):.1%}, because no other way leads on
and the last step is linear. The largest effect lies {"above" if float(paths["effect"][receiver]) > float(paths["effect_null_high"][receiver]) else "inside"} its gray band. For {carried}
receivers p < 0.05, without a correction; among 64 tests about {0.05 * 64:.0f} such would be expected if there were no effect.""")

# %% [markdown]
# In a transformer the paths don't add up so simply: the stream carries a sender's change past every block, and later blocks respond to earlier ones. The next exercise is about that, on the
# residual network.
#
# ### Exercise 4: the direct path
# *Difficulty ●●●● · 20 minutes*
#
# In a residual network, what block 0 writes reaches the logits along the stream *directly*, and also through the later blocks, which read it. Write
# `direct_effect(network, clean, corrupted)`: the change of the logits [example, class] of the clean images when block 0 writes what it writes for the corrupted images, while blocks 1
# and 2 go on writing what they write for the *clean* ones. Leave the network as it was.

# %% [markdown] tags=["hint"]
# Hook three points at once: `blocks.0.down.hook_out` gets the corrupted cache's tensor, `blocks.1.down.hook_out` and `blocks.2.down.hook_out` the clean cache's.
# `nm.interventions.patch(tensor)` makes such a hook function.


# %% tags=["stub"]
def direct_effect(network, clean, corrupted):
    raise NotImplementedError("return a tensor [example, class]")


# %% tags=["solution"]
def direct_effect(network, clean, corrupted):
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    for pixels, width, n in ((4, 64, 6), (4, 64, 1), (6, 12, 5), (9, 20, 7)):
        if n > 1:  # the first toy is asked twice
            toy = Residual(pixels, seed=int(rng.integers(1 << 30)), width=width).train(n == 6)
        a, b = (torch.tensor(rng.random((n, 1, 1, pixels)), dtype=torch.float32) for _ in range(2))
        with torch.no_grad():
            logits = toy(a)
            streams = [toy.embed(side.flatten(1)) for side in (a, b)]
            wrote = [toy.blocks[0].down(toy.blocks[0].act(toy.blocks[0].up(stream))) for stream in streams]
            wanted = (wrote[1] - wrote[0]) @ toy.unembed.weight.T
            free = toy.unembed(toy.blocks[2](toy.blocks[1](streams[0] + wrote[1]))) - logits
        with lessons.unchanged(toy, clean=a, corrupted=b):
            found = direct_effect(toy, a, b)
        assert torch.is_tensor(found), f"a tensor should come back, and a {type(found).__name__} came"
        assert tuple(found.shape) == (n, 10), f"{n} pairs and 10 classes make ({n}, 10), not {tuple(found.shape)}"
        assert not torch.allclose(found, free, atol=1e-5), (
            "the later blocks respond to the change here: patch what they write with the clean values"
        )
        assert not torch.allclose(found, -wanted, atol=1e-5), (
            "the sign is the other way round: take the logits after the change minus those before"
        )
        apart = float((found - wanted).abs().max())
        assert apart < 1e-4, (
            f"the direct path is linear, and this differs by up to {apart:.4f} from the unembedding of the change: which images run, what "
            "is exchanged, and what stays clean"
        )


# %% tags=["right"]
def direct_effect(network, clean, corrupted):  # the direct path is linear
    name = "blocks.0.down.hook_out"
    with torch.no_grad():
        ours, theirs = (nm.hooked(network).run_with_cache(side)[1][name] for side in (clean, corrupted))
    return (theirs - ours) @ network.unembed.weight.detach().T


# %% tags=["right"]
def direct_effect(network, clean, corrupted):  # by hand, stream by stream
    def written(block, stream):
        return block.down(block.act(block.up(stream)))

    first, second, third = network.blocks
    with torch.no_grad():
        start, other = network.embed(clean.flatten(1)), network.embed(corrupted.flatten(1))
        after = start + written(first, start)
        later = written(second, after), written(third, after + written(second, after))
        changed = start + written(first, other) + later[0] + later[1]
        return network.unembed(changed) - network(clean)


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the later blocks respond
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [(name, nm.interventions.patch(ours[name])) for name in ()]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # block 2 responds
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [(name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out",)]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # block 1 responds
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [(name, nm.interventions.patch(ours[name])) for name in ("blocks.2.down.hook_out",)]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the sign is turned
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return base - lens.run_with_hooks(clean, fwd_hooks=hooks)


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the logits, not their change
    lens = nm.hooked(network)
    with torch.no_grad():
        _base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(clean, fwd_hooks=hooks)


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the whole change
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return other - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the embedding is exchanged
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("embed.hook_out", nm.interventions.patch(theirs["embed.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the stream after block 0, which holds the embedding too
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.hook_out", nm.interventions.patch(theirs["blocks.0.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # block 0 writes nothing
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(0 * theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(clean, fwd_hooks=hooks) - base


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the mean over the images
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return (lens.run_with_hooks(clean, fwd_hooks=hooks) - base).mean(0)


# %% tags=["wrong"]
def direct_effect(network, clean, corrupted):  # the images that run are the corrupted ones
    lens = nm.hooked(network)
    with torch.no_grad():
        base, ours = lens.run_with_cache(clean)
        _other, theirs = lens.run_with_cache(corrupted)
        hooks = [("blocks.0.down.hook_out", nm.interventions.patch(theirs["blocks.0.down.hook_out"]))]
        hooks += [
            (name, nm.interventions.patch(ours[name])) for name in ("blocks.1.down.hook_out", "blocks.2.down.hook_out")
        ]
        return lens.run_with_hooks(corrupted, fwd_hooks=hooks) - base


# %% [markdown]
# ## 7. Into TransformerLens itself
#
# `nm.interop.to_transformer_lens` turns a network of this project into a `HookedRootModule`, TransformerLens's own class. The next cell compares both, where TransformerLens is installed;
# else it says that it isn't.

# %% tags=["varies"]
import importlib.util

if importlib.util.find_spec("transformer_lens") is None:
    print(
        "TransformerLens is not installed here. With it (pip install transformer-lens, in an environment of its own) this cell compares both."
    )
else:
    theirs = nm.interop.to_transformer_lens(model)
    with torch.no_grad():
        their_logits, raw = theirs.run_with_cache(x)
    their_cache = nm.interop.activation_cache(raw, theirs)
    assert torch.allclose(their_logits, logits, atol=1e-6)
    assert torch.allclose(their_cache["post", -1], cache["post", -1], atol=1e-6)
    print('TransformerLens is installed: its run_with_cache gives the same logits and the same cache["post", -1].')
    print("its names:", *raw)

# %% [markdown]
# One thing can't be carried over: what its cache computes from a residual stream (`accumulated_resid` and the like). An MLP has none, and says so with a KeyError. The versions that we
# tried, and recipes for other tools and file formats, are in [docs/interop.md](../docs/interop.md).
#
# ## 8. Word by word
#
# For reading code that was written for language models. (d_mlp: units of a block's MLP; d_model: width of the stream; d_vocab: number of tokens.)
#
# | TransformerLens | here | what differs |
# |---|---|---|
# | `HookedRootModule` | `nm.HookedModel`; `nm.hooked(module)` | any PyTorch module can be wrapped, with one hook point after each of its parts |
# | tokens [batch, pos] | images [example, 1, row, col] | an image has no positions: one prediction for all of it |
# | `blocks.0.mlp.hook_post` [batch, pos, d_mlp] | `layers.0.hook_post` [example, unit] | no axis of positions |
# | `hook_resid_post`, `hook_attn_out` | none | no residual stream, no attention (section 3) |
# | `run_with_cache(tokens, names_filter=…)` | the same | there a mistyped name gives an empty cache, here an error with the nearest name |
# | `cache["post", -1]` | the same | an error if that layer was not cached |
# | `run_with_hooks(…, fwd_hooks=[(name, f)])` | the same | here another shape, and a hook that is never reached, are errors |
# | `with model.hooks(…)`, `add_hook`, `reset_hooks` | the same | `reset_hooks` removes what `add_hook` attached, and nothing else |
# | `stop_at_layer=1` | `stop_at="layers.0.hook_post"` | a name, not a number |
# | `model.W_U` [d_model, d_vocab] | `model.output.weight` [class, unit] | transposed, as in PyTorch; here with a bias |
# | `patching.generic_activation_patch` | `analysis.causal.patch_between` | both directions, intervals, and random directions as the null |
# | direct logit attribution, path patching | `analysis.causal` has both | with shuffled labels, or random directions, as the null |

# %% [markdown]
# ## What you have seen
#
# * The words of TransformerLens are the words here. But an image has no positions, and a mistyped name is an error here.
# * Direct logit attribution is an identity at the last layer. So is patching there; the two say the same thing.
# * A logit lens needs a residual stream. Without one you can fit a reading, and compare it with pixels and untrained layers.
# * Patching in two directions, attribution patching and path patching each take a few lines of hooks. Their null is a movement as large in a random direction.
# * Nothing here shows that a finding about these networks holds for a language model. What carries over is how to ask.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#06-how-does-this-carry-over), in the documentation.
#
# **Next:** [07](07_Superposition_and_Dictionaries.ipynb), what to do when a unit stands for several things at once.
#
# **Further reading.** nostalgebraist, "interpreting GPT: the logit lens" (2020). N. Belrose et al., "Eliciting latent predictions from
# transformers with the tuned lens", arXiv (2023). K. Wang et al., "Interpretability in the wild: a circuit for indirect object
# identification in GPT-2 small", ICLR 2023. N. Elhage et al., "A mathematical framework for transformer circuits", *Transformer Circuits
# Thread* (2021). N. Nanda and J. Bloom, *TransformerLens* (2022). F. Zhang and N. Nanda, "Towards best practices of activation patching
# in language models: metrics and methods", ICLR 2024. N. Goldowsky-Dill et al., "Localizing model behavior with path patching", arXiv
# (2023). G. Alain and Y. Bengio, "Understanding intermediate layers using linear classifier probes", arXiv (2016). J. Hewitt and P.
# Liang, "Designing and interpreting probes with control tasks", EMNLP 2019.
