# %% [markdown]
# # How does this carry over?
#
# *The same questions in the words of TransformerLens: what is the same in a language model, what is not, and what has no counterpart
# here.*
#
# **You will be able to**
#
# * read and write code with `run_with_cache`, `run_with_hooks`, name filters and hook contexts, in either library;
# * say what a logit lens needs, build a network in which it is literal, and use honest substitutes where it is not;
# * patch activations, estimate patches from one gradient, and patch single paths, each by hand once.
#
# **Minutes:** 50 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb), and
# [04](04_Causal_Interventions.ipynb) for cutting out and its null. No transformer is needed, and none is run.
#
# Before each answer the notebook asks for your guess and keeps it. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Words in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("06")

# %% [markdown]
# ## 1. The words
#
# TransformerLens is a library in which much of the research on circuits in language models is written. Its idea is the *hook point* of
# notebook 01, and this project took its words from there. Here they are, on our MLP. First reading:

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
    first, _ = model.run_with_cache(x, stop_at="layers.0.hook_post")  # no further than here
print("all:     ", *cache)
print("filtered:", *few)
assert torch.equal(cache["post", -1], cache["layers.1.hook_post"])  # short for: the last layer that has one
assert torch.equal(first, cache["post", 0])

# %% [markdown]
# Then changing, in two forms: for one call, or for as long as a block lasts. A hook function gets the tensor and the hook point, and may
# give back another tensor.


# %%
def halve(tensor, hook):
    assert hook.name == "layers.1.hook_post"
    return tensor / 2


with torch.no_grad():
    once = model.run_with_hooks(x, fwd_hooks=[("layers.1.hook_post", halve)])
    with model.hooks(fwd_hooks=[("layers.1.hook_post", halve)]):
        inside = model(x)
    behind = model(x)
assert torch.equal(once, inside) and torch.equal(behind, logits)
by_hand = cache["post", -1] / 2 @ model.output.weight.T + model.output.bias
assert torch.allclose(once, by_hand.detach(), atol=1e-4)
print("one call and one block do the same; behind the block nothing is left")

# %% [markdown]
# Word by word:
#
# | TransformerLens | here | what differs |
# |---|---|---|
# | `HookedRootModule` | `nm.HookedModel`; `nm.hooked(module)` | any PyTorch module can be wrapped, with one hook point behind each of its parts |
# | tokens [batch, pos] | images [example, 1, row, col] | an image has no positions: one answer for all of it |
# | `blocks.0.mlp.hook_post` [batch, pos, d_mlp] | `layers.0.hook_post` [example, unit] | no axis of positions |
# | `hook_resid_post`, `hook_attn_out` | none | no residual stream, no attention (section 3) |
# | `run_with_cache(tokens, names_filter=…)` | the same | there a mistyped name gives an empty cache, here an error with the nearest name |
# | `cache["post", -1]` | the same | an error where that layer was not cached, never another one |
# | `run_with_hooks(…, fwd_hooks=[(name, f)])` | the same | here another shape, and a hook that is never reached, are errors |
# | `with model.hooks(…)`, `add_hook`, `reset_hooks` | the same | `reset_hooks` removes what `add_hook` attached, and nothing else |
# | `stop_at_layer=1` | `stop_at="layers.0.hook_post"` | a name, not a number |
# | `model.W_U` [d_model, d_vocab] | `model.output.weight` [class, unit] | turned, as PyTorch has it; here with a bias |
# | `patching.generic_activation_patch` | `analysis.causal.patch_between` | both directions, intervals, and random directions as the null |
# | direct logit attribution, path patching | `analysis.causal` has both | beside shuffled labels, or random directions |
#
# ### Exercise 1: keep only a few
# *Difficulty ●●○○ · 10 minutes*
#
# Write `keep_only(units)`, which returns a hook function that sets all units to 0 *except* those. The tensor that comes in must stay as
# it is.

# %% [markdown] tags=["hint"]
# Begin with `torch.zeros_like(tensor)` and copy the chosen columns into it. The inner function's arguments are called `tensor` and
# `hook`.


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
    function = keep_only([0, 2])
    assert callable(function), f"keep_only gives {type(function).__name__}; it should give a function"
    given = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    before = given.clone()
    found = function(given, hook=None)
    assert found is not None, "the inner function gives nothing back: return the changed tensor"
    assert torch.equal(given, before), "the tensor that came in was changed: work on a new one"
    assert found.tolist() != [[0, 2, 0], [0, 5, 0]], (
        "that is the other way round: the units named are the ones that stay"
    )
    assert found.tolist() == [[1, 0, 3], [4, 0, 6]], (
        f"of units 0, 1, 2 those named, 0 and 2, should stay: {found.tolist()}"
    )
    with torch.no_grad():
        alone = model.run_with_hooks(x, fwd_hooks=[("layers.1.hook_post", keep_only([]))])
    assert torch.allclose(alone, model.output.bias.detach().expand_as(alone), atol=1e-5), (
        "with no unit kept, the logits should be the biases"
    )


# %% [markdown]
# ## 2. What each unit says: direct logit attribution
#
# The last hidden layer reaches the logits by one multiplication, so each logit is a plain sum: one term from each unit, and the bias. In
# a transformer the same is done with everything that ever wrote into the residual stream. By hand, and with the library:

# %% tags=["varies"]
terms = cache["post", -1][:, :, None] * model.output.weight.detach().T  # [example, unit, class]
assert torch.allclose(terms.sum(1) + model.output.bias.detach(), logits, atol=1e-3)

causal = nm.analysis.causal
direct = causal.direct_logit_attribution(model, images)
assert np.allclose(direct["contribution"].values, terms.numpy(), atol=1e-3)
beyond = int((direct["evidence_q"] < 0.05).sum())
lesson.say(f"""Every logit of {len(images):,} images is such a sum, by hand and by library. Of the {direct["evidence"].size} pairs of unit and digit, {beyond} speak for or against
their digit beyond what shuffled labels give.""")

# %% tags=["varies"]
top = logits.topk(2).values
closest = int((top[:, 0] - top[:, 1]).argmin())
nm.plots.direct_logit_attribution(direct, closest)

# %% [markdown]
# *What to see:* the image on which the network hesitates most, its two highest logits side by side. The bars of each panel add up to the
# logit; orange units speak for the digit, blue ones against it, and the two sums are nearly equal.
#
# This is an identity and no experiment: nothing was changed. It says what was added up, not what would happen otherwise.
#
# ## 3. The logit lens, and who has one
#
# The *logit lens* asks of a transformer, layer by layer: if all later layers did nothing, what would it say? It is a natural question
# *there*, because each block only **adds** to a running sum, the *residual stream*. Leaving out the later blocks leaves a vector of the
# same kind, in the same coordinates, and the last matrix can read it.
#
# Our MLP has no such sum. Each layer *replaces* the one before, in other coordinates and even another width:

# %%
try:
    cache["post", 0] @ model.output.weight.T
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# That error is honest. With two layers of one width there would be no error, and no meaning either: unit 5 of one layer has nothing to do
# with unit 5 of the next. So: **an MLP or a CNN has no literal logit lens.** Two honest substitutes follow. The first asks a weaker
# question of the same network; the second asks the same question of another network.
#
# ### Substitute one: fit the reading
#
# Ask what could be *read off* a layer: fit a linear map from the layer to what the network says in the end (for language models this is
# the *tuned lens*), and look how often its highest answer is the network's. "Could be read off" is less than "the network reads it". And
# random features can be read as well, so beside it stands the same fit to the layers of the *untrained* network. **From the bare pixels,
# a linear map fitted to the network's logits: for what share of new images does it say what the network says?**

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
        )  # least squares
        agree.append((new @ weights).argmax(1) == final["judge"].argmax(1))
    return np.array(agree)


trained = lens_of(model)
untrained = np.array([lens_of(nm.MLP(model.config, seed).eval()).mean(1) for seed in range(100, 103)])
for name, found, band in zip(layers, trained, untrained.T, strict=True):
    low, high = nm.statistics.bootstrap_mean(found.astype(float))
    print(
        f"{name:<20} {found.mean():.1%}, 95 % {low:.1%} to {high:.1%}; three untrained networks {band.min():.1%} to {band.max():.1%}"
    )
lesson.reveal("pixels", round(float(trained[0].mean()), 2))
assert not lesson.full or 0.7 < trained[0].mean() < trained[1].mean()
assert not lesson.full or (untrained[:, 1:] < trained[0].mean()).all()

# %% tags=["varies"]
depth = np.arange(len(layers))
nm.plots.lines(
    {"trained": (depth, 100 * trained.mean(1))},
    null={"untrained": (depth, 100 * untrained.min(0), 100 * untrained.max(0))},
    x="layer (0: pixels, 1: first hidden, 2: last hidden)",
    y="says what the network says (%)",
    title="A fitted lens: read early, but so are pixels",
)

# %% [markdown]
# *What to see:* the line ends at (nearly) 100 %, because from the last hidden layer on the logits are linear anyhow. It begins high: much
# of what the network says can be read off the bare pixels. The grey band of three untrained networks falls instead: random layers with
# few units lose what the pixels had. What learning added to a layer is what lies above *both*, the grey and the pixels, and no more.
#
# A *linear probe* is the same with the true digit in place of the network's answer. By hand once, against the library, and then image by
# image: from which layer on does the probe say what it says at the last?

# %% tags=["varies"]
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

acts = nm.activations(model, images, layers)
before = nm.activations(run.model(step=0), images, layers)
order = nm.statistics.canonical_order(images.labels, acts[layers[1]].values.reshape(len(images), -1).astype(float))
fit, held = (order[half] for half in nm.statistics.halves(images.labels[order]))  # whatever order the images come in
said = {}
for name in layers:
    numbers = acts[name].values.reshape(len(images), -1).astype(float)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000)).fit(numbers[fit], images.labels[fit])
    said[name] = probe.predict(numbers[held])
library = nm.analysis.probes.linear_probe(acts[layers[1]], controls=1, draws=200)
by_hand = (said[layers[1]] == images.labels[held]).mean()
assert abs(by_hand - float(library["accuracy"])) < 0.01

for name in layers[1:]:
    pair = [nm.analysis.probes.linear_probe(some[name], controls=1, draws=200) for some in (acts, before)]
    now, then = (float(found["accuracy"]) for found in pair)
    print(
        f"{name}: a probe reads {now:.1%} rightly ({float(pair[0]['accuracy_low']):.1%} to {float(pair[0]['accuracy_high']):.1%}, n = {len(held)}); "
        f"untrained {then:.1%}; shuffled labels up to {float(pair[0]['accuracy_null_high']):.1%}"
    )

answers = np.array([said[name] for name in layers])  # [layer, example]
settled = np.array([next(i for i in range(3) if (column[i:] == column[-1]).all()) for column in answers.T])
for i, name in enumerate(layers):
    print(f"settled from {name} on: {(settled == i).mean():.0%} of {len(held)} images")
assert not lesson.full or (settled == 0).mean() > 0.6

# %% [markdown]
# Most images are settled from the pixels on, as far as a linear reader goes. Stories of the kind "in layer 7 the model changes its mind"
# are about the rest, and whoever tells one should say how large the rest is.
#
# ### Substitute two: a network that has a stream
#
# Now a small network that is built like a transformer's trunk: the image enters a stream of 64 numbers; three blocks each read the stream
# and *add* to it; one matrix, the *unembedding*, reads the logits off. (A transformer has a normalisation before each reading, and
# attention, which moves things between positions. Neither is here.) It is plain PyTorch, written as anybody would, and `nm.hooked` gives
# it its names.


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


def taught(seed):
    network = Residual(x[0].numel(), seed)
    epochs = {"full": 3, "short": 3, "digits": 12}[lesson.form]
    nm.train(
        network,
        lesson.data,
        nm.TrainConfig(epochs=epochs, optimizer="adamw", schedule="cosine", learning_rate=2e-3, seed=seed),
    )
    return network.eval()


residual = taught(0)
lens = nm.hooked(residual)
stops = ["embed.hook_out", *(f"blocks.{i}.hook_out" for i in range(3))]  # the stream, before and after each block
writes = ["embed.hook_out", *(f"blocks.{i}.down.hook_out" for i in range(3))]  # what was added to it

with torch.no_grad():
    out, stream = lens.run_with_cache(x)
total = sum(stream[name] for name in writes)
assert torch.allclose(total, stream[stops[-1]], atol=1e-4)  # the stream is the sum of all that was written
assert torch.allclose(residual.unembed(total), out, atol=1e-3)
print("the stream is the sum of what was written, and the logits are one reading of it")
print(f"test accuracy {nm.evaluate(residual, judge).accuracy:.1%}")

# %% [markdown]
# Here the logit lens is literal: give the stream after each block to the unembedding. **If no block ran at all, and the embedding were
# read at once: for what share of the test images would the answer be right?**

# %%
mine = 0.8  # your guess
lesson.guess("embed", mine)


# %% tags=["varies"]
def literal(network, some):
    """The share read rightly when the stream is read off at each stop, [stop]."""
    with torch.no_grad():
        _, stream = nm.hooked(network).run_with_cache(some.tensor(), names_filter=stops)
        return np.array(
            [float((network.unembed(stream[name]).argmax(1) == some.label_tensor()).float().mean()) for name in stops]
        )


found = literal(residual, judge)
lesson.reveal("embed", round(float(found[0]), 2))
for name, share in zip(stops, found, strict=True):
    print(f"{name:<18} {share:.1%}")
assert abs(found[-1] - nm.evaluate(residual, judge).accuracy) < 6e-3

# %% [markdown]
# **Does it hold on another seed?** Two more networks, taught in the same way, and beside them twenty that were taught nothing.

# %% tags=["varies"]
seeds = np.array([found, *(literal(taught(seed), judge) for seed in (1, 2))])
nothing = np.array([literal(Residual(x[0].numel(), seed).eval(), judge) for seed in range(100, 120)])
low, high = np.percentile(nothing, [2.5, 97.5], axis=0)
nm.plots.lines(
    {"three seeds": (range(4), 100 * seeds)},
    null={"untaught": (range(4), 100 * low, 100 * high)},
    x="blocks that have run",
    y="read rightly if this were all (%)",
    title="The literal logit lens of a residual MLP",
)

# %% tags=["varies"]
spread = seeds.max(0) - seeds.min(0)
lesson.say(f"""*What to see:* black the mean, grey lines the three seeds. Read off at once, the embedding gives {
    seeds[:, 0].min():.0%} to {seeds[:, 0].max():.0%}; after all
blocks it is {seeds[:, -1].min():.1%} to {seeds[:, -1].max():.1%}; untaught networks stay below {
    100 * high.max():.0f} %. {
    "The early readings differ between seeds far more than the last"
    if spread[0] > 3 * spread[-1]
    else "Early and late readings differ between seeds about alike"
}: nothing in the training asked for early readability.""")

# %% [markdown]
# Nothing asked for it, and that is the caution for language models as well: a low reading at an early stop does not mean that the
# information is absent. It may stand there in other coordinates than the last matrix reads. That is what the tuned lens, substitute one,
# was made for. One image, as such pictures usually come:

# %% tags=["varies"]
with torch.no_grad():
    by_stop = torch.stack([residual.unembed(stream[name]) for name in stops], 1)  # [example, stop, class]
flips = (by_stop.argmax(2)[:, :-1] != by_stop.argmax(2)[:, -1:]).any(1) & (out.argmax(1) == labels)
lead = (by_stop[:, 0].amax(1) - by_stop[:, 0].gather(1, labels[:, None])[:, 0]).where(flips, torch.tensor(-1.0))
shown = int(lead.argmax())  # the one that began most wrongly
leading = by_stop[shown].amax(0).argsort(descending=True)[:3].tolist()
nm.plots.lines(
    {f"digit {digit}": (range(4), by_stop[shown, :, digit].numpy()) for digit in leading},
    x="blocks that have run",
    y="logit, if this were all",
    title=f"One image of the digit {int(labels[shown])}: what it would have been called",
)

# %% tags=["varies"]
lesson.say(f"""*What to see:* three logits of one image, of those whose early reading differs from the last the one that began most wrongly. There are {float(flips.float().mean()):.0%} of them among {len(x):,} images:
the picture shows what can happen, and is no summary.""")

# %% [markdown]
# ### Exercise 2: the logit lens
# *Difficulty ●●○○ · 10 minutes*
#
# Write `logit_lens(network, cache)`: the logits [example, stop, class] at the four `stops`, from a cache that
# `nm.hooked(network).run_with_cache` gave.

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
    with torch.no_grad():
        toy = Residual(4, seed=3).eval()
        logits, cache = nm.hooked(toy).run_with_cache(torch.rand(5, 1, 2, 2))
        found = logit_lens(toy, cache)
        assert found is not None, "nothing came back"
        assert found.shape == (5, 4, 10), f"5 images, 4 stops and 10 classes make (5, 4, 10), not {tuple(found.shape)}"
        written = cache["blocks.2.down.hook_out"] @ toy.unembed.weight.T + toy.unembed.bias
        assert not torch.allclose(found[:, 3], written, atol=1e-5), (
            "this reads what the last block wrote; the lens reads the sum up to there"
        )
        assert torch.allclose(found[:, 3], logits, atol=1e-5), "at the last stop it should be the network's own logits"
        early = cache["embed.hook_out"] @ toy.unembed.weight.T + toy.unembed.bias
        assert torch.allclose(found[:, 0], early, atol=1e-5), (
            "at the first stop it should read the embedding; is the bias left out"
        )


# %% [markdown]
# ## 4. Activation patching
#
# The work on *indirect object identification* (IOI) in GPT-2 compares two prompts that differ in one name, a *clean* and a *corrupted*
# one. It carries activations from one run into the other and asks how much of the *logit difference* between the two names comes back.
# Here the two answers are two digits. A sentence can be changed in one word; an image can't, so we look for pairs that are as near to
# each other as there are: for each image of one digit, the nearest image of the other. The digits are the two that the network confuses
# most.

# %% tags=["varies"]
seen = nm.analysis.predictions.confusion(nm.activations(model, judge)["logits"])["images"].values
confused = seen + seen.T - 2 * np.diag(np.diag(seen))
one, other = (int(i) for i in np.unravel_index(confused.argmax(), confused.shape))
pool = judge.subset(np.flatnonzero(nm.evaluate(model, judge).predictions.numpy() == judge.labels))  # read rightly
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
print(
    f"clean: {len(clean)} images of the digit {one}; corrupted: for each the nearest image of the digit {other}. "
    f"Logit difference {float(metric(clean_logits).mean()):+.1f} and {float(metric(corrupted_logits).mean()):+.1f}"
)

# %% [markdown]
# *Denoising*: the corrupted image runs, but one unit of the last hidden layer holds its value from the clean run. 0: nothing comes back;
# 1: the whole difference. **How much does the strongest of the 64 units bring back?**

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
lesson.reveal("patch", round(by_hand, 2))
nm.plots.patching(table)

# %% tags=["varies"]
outside = int((table["denoising_q"] < 0.05).sum())
half = int(np.argmax(np.cumsum(np.sort(table["denoising"].values)[::-1]) > 0.5)) + 1
lesson.say(f"""*What to see:* left, what each unit brings back; right, what is left when it is spoilt. Grey: as much movement in a random direction. Outside it beyond doubt: {outside} of 64
units (q < 0.05, n = {len(clean)} pairs, 3,000 directions); the strongest brings back {by_hand:.0%} (95 % {float(table["denoising_low"][best]):.0%} to {float(table["denoising_high"][best]):.0%}), and it takes {half} units to bring back half.""")

# %% [markdown]
# At *this* layer the experiment was not needed. The logits are a weighted sum of the last hidden layer, so each unit brings back exactly
# its share of the sum, and all shares add up to 1:

# %% tags=["varies"]
row = (model.output.weight[one] - model.output.weight[other]).detach()
shares = ((clean_cache[layer] - corrupted_cache[layer]) * row).sum(0) / gap
assert np.allclose(shares.numpy(), table["denoising"].values, atol=1e-3)
first = causal.patch_between(model, clean, corrupted, "layers.0.hook_post", metric=metric, draws=200)
lesson.say(f"""Sum over all units, last hidden layer: {float(table["denoising"].sum()):.3f}. First hidden layer: {float(first["denoising"].sum()):.2f} when clean values
are put in, {float((1 - first["noising"]).sum()):.2f} lost when they are taken out. Behind a ReLU the parts need not add up, and the two directions need not agree.""")
assert abs(float(table["denoising"].sum()) - 1) < 1e-3

# %% [markdown]
# **Does it hold on another seed?** Units have no names that carry over. What can be compared is the shape of the result: how strong the
# strongest is, and how many it takes.

# %% tags=["varies"]
for seed in (1, 2):
    twin = lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(recipe, seed=seed)).model()
    again = causal.patch_between(twin, clean, corrupted, layer, metric=metric)["denoising"].values
    enough = int(np.argmax(np.cumsum(np.sort(again)[::-1]) > 0.5)) + 1
    print(f"seed {seed}: the strongest brings back {again.max():.0%}; half is brought back by {enough} units")
print(f"seed 0: {table['denoising'].values.max():.0%}; {half} units")

# %% [markdown]
# Few units are needed, but never one. A difference spread over a handful of units is what a dense layer with no reason to keep things
# apart looks like.
#
# ### Exercise 3: the other direction
# *Difficulty ●●●○ · 15 minutes*
#
# Write `noising(network, clean, corrupted, name, unit, metric)` for image tensors `clean` and `corrupted`: the clean images run, with one
# unit at its corrupted value. Return what is *left* of the difference, over all pairs: 1 if nothing is lost, 0 if everything is.

# %% [markdown] tags=["hint"]
# Like `put_clean`, with the two exchanged. (metric of the patched run − metric of the corrupted run), summed, over (metric clean − metric
# corrupted), summed.


# %% tags=["stub"]
def noising(network, clean, corrupted, name, unit, metric):
    raise NotImplementedError("return one number, the share of the difference that is left")


# %% tags=["solution"]
def noising(network, clean, corrupted, name, unit, metric):
    with torch.no_grad():
        good, bad = metric(network(clean)), metric(network(corrupted))
        _, cache = network.run_with_cache(corrupted, names_filter=name)

        def spoil(tensor, hook):
            changed = tensor.clone()
            changed[:, unit] = cache[name][:, unit]
            return changed

        spoilt = metric(network.run_with_hooks(clean, fwd_hooks=[(name, spoil)]))
    return float((spoilt - bad).sum() / (good - bad).sum())


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    a, b = clean.tensor(), corrupted.tensor()
    name = "layers.0.hook_post"
    unit = int(
        (first["denoising"] - (1 - first["noising"])).values.__abs__().argmax()
    )  # where the directions differ most
    found = noising(model, a, b, name, unit, metric)
    assert found is not None, "nothing came back"
    with torch.no_grad():
        good, bad = metric(model(a)).sum(), metric(model(b)).sum()
        values = model.run_with_cache(a)[1][name].clone()
        back = model.run_with_cache(b)[1][name]
        values[:, unit] = back[:, unit]
        spoilt = metric(model.run_from(name, values)).sum()  # the rest of the network, started from there
    wanted = float((spoilt - bad) / (good - bad))
    assert abs(found - (1 - wanted)) > 1e-4 or abs(wanted - 0.5) < 1e-3, (
        "this is the share that is lost; what is left is asked for"
    )
    assert abs(found - float(first["denoising"][unit])) > 1e-4, (
        "this is denoising: the clean images run, with the corrupted value put in"
    )
    assert abs(found - wanted) < 1e-3, (
        "it is not what the rest of the network gives: which run is patched, and what is subtracted"
    )


# %% [markdown]
# ## 5. Attribution patching: all units from one gradient
#
# A patch of each unit in turn takes a run for each. In a language model that is too much, so one estimates: the change of the unit times
# the slope of the metric in it. One forward and one backward pass give all units at once. By hand:

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
# The slope is taken at the corrupted image, and a ReLU bends on the way to the clean one. **How well do the estimates follow the exact
# patches? Guess the correlation over the 128 units of the first layer.**

# %%
mine = 0.9  # your guess
lesson.guess("estimate", mine)

# %% tags=["varies"]
lesson.reveal("estimate", round(float(quick["correlation"]), 2))
nm.plots.attribution_vs_patching(quick)

# %% tags=["varies"]
gap_of = float(np.abs(quick["estimate"] - quick["exact"]).max())
lesson.say(f"""*What to see:* each dot a unit; on the line the estimate would be exact. Correlation {float(quick["correlation"]):.2f} (95 % over units {float(quick["correlation_low"]):.2f} to
{float(quick["correlation_high"]):.2f}; units shuffled: up to {float(quick["correlation_null_high"]):.2f}), and the worst unit is off by {gap_of:.1%} of the difference.""")

# %% [markdown]
# Here only one ReLU lies between the patch and the logits, and the pairs were chosen to be near. Farther apart more is bent. The same
# estimates for pairs drawn at random, and a patch of *all* units at once, which in truth brings back everything, 100 %:

# %% tags=["varies"]
far = pool.subset(np.random.default_rng(0).choice(of_other, len(clean)))
for words, partner in (("nearest", corrupted), ("random", far)):
    guess = causal.attribution_patching(model, clean, partner, name, metric=metric)
    print(
        f"{words:<8} pairs: correlation {float(guess['correlation']):.3f}, worst unit off by {float(np.abs(guess['estimate'] - guess['exact']).max()):.1%}; "
        f"all units at once: estimated {float(guess['estimate'].sum()):.1%}"
    )

# %% [markdown]
# So the gradient is a good way to find candidates, and what is claimed of them should be patched exactly.
#
# ## 6. Path patching: from whom to whom
#
# A unit of the first layer matters. *Through which* units of the second? Two steps: run the clean images with the sender at its corrupted
# value, and keep what the receiver then holds. Then run the clean images again, the sender as it was, and put only that value into the
# receiver. By hand, for one pair:

# %% tags=["varies"]
sender = int(first["noising"].values.argmin())  # whose spoiling costs most
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

total = 1 - float(first["noising"][sender])
assert abs(float(paths["effect"].sum()) - total) < 1e-2  # here every path leads through one receiver
order = np.argsort(-paths["effect"].values)
nm.plots.lines(
    {"each receiver": (range(1, 65), 100 * paths["effect"].values[order])},
    null={
        "random direction": (
            range(1, 65),
            100 * paths["effect_null_low"].values[order],
            100 * paths["effect_null_high"].values[order],
        )
    },
    x="units of the second layer, the most carrying first",
    y="share of the difference (%)",
    title="One sender, and who passes its change on",
)

# %% tags=["varies"]
carried = int((paths["effect_p"] < 0.05).sum())
lesson.say(f"""*What to see:* the sender's whole effect, {total:.1%} of the difference, dealt out over the 64 units it can go through; {carried} of them carry more, or less, than if the first layer had
moved as far in a random direction (p < 0.05, where chance alone gives about 3 of 64). Below 0 are those that work against it. The paths add up to the whole, because no other way leads on and the last step is linear.""")

# %% [markdown]
# In a transformer the sum does *not* close so neatly: the stream carries a sender's change past every block at once, and later blocks
# answer to earlier ones. That can be tried on the residual network.
#
# ### Exercise 4: the direct path
# *Difficulty ●●●● · 20 minutes*
#
# In a residual network what block 0 writes reaches the logits along the stream *directly*, and also through the later blocks, which read
# it. Write `direct_effect(network, clean, corrupted)`: the change of the logits [example, class] of the clean images when block 0 writes
# what it writes for the corrupted images, while blocks 1 and 2 go on writing what they write for the *clean* ones.

# %% [markdown] tags=["hint"]
# Hook three points at once: `blocks.0.down.hook_out` gets the corrupted cache's tensor, `blocks.1.down.hook_out` and
# `blocks.2.down.hook_out` the clean cache's. `nm.interventions.patch(tensor)` makes such a hook function.


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
    toy = Residual(4, seed=4).eval()
    a, b = torch.rand(6, 1, 2, 2), torch.rand(6, 1, 2, 2)
    found = direct_effect(toy, a, b)
    assert found is not None, "nothing came back"
    assert found.shape == (6, 10), f"6 pairs and 10 classes make (6, 10), not {tuple(found.shape)}"
    with torch.no_grad():
        streams = [toy.embed(side.flatten(1)) for side in (a, b)]
        wrote = [toy.blocks[0].down(toy.blocks[0].act(toy.blocks[0].up(stream))) for stream in streams]
        wanted = (wrote[1] - wrote[0]) @ toy.unembed.weight.T
        free = toy.unembed(toy.blocks[2](toy.blocks[1](streams[0] + wrote[1]))) - toy(a)
        whole = toy(b) - toy(a)
    assert not torch.allclose(found, whole, atol=1e-6), (
        "this is the whole change from clean to corrupted: only block 0's writing is exchanged"
    )
    assert not torch.allclose(found, free, atol=1e-6), (
        "the later blocks answer to the change here: hold what they write at the clean values"
    )
    assert not torch.allclose(found, -wanted, atol=1e-6), (
        "the sign is turned round: the logits after the change less those before"
    )
    assert torch.allclose(found, wanted, atol=1e-5), (
        "the direct path is linear, and this is not what the unembedding makes of the change"
    )


# %% [markdown]
# ## 7. Into TransformerLens itself
#
# `nm.interop.to_transformer_lens` turns a network of this project into a genuine `HookedRootModule`, so that everything written for those
# can be tried on it. The next cell runs with and without TransformerLens, and says which it was.

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
# What can't be carried over is what its cache computes from a residual stream (`accumulated_resid` and the like): an MLP has none, and it
# says so with a KeyError. Versions that were tried, and a recipe for each tool, stand in [docs/interop.md](../docs/interop.md).
#
# ## 8. Hand the run to others
#
# A run is files. Its log opens with xarray alone; its network goes out in the folder form of the Hugging Face hub (nothing is uploaded)
# and comes back equal to the bit; for other runtimes there is ONNX, for other readers NetCDF, where these are installed.

# %% tags=["varies"]
import tempfile
from pathlib import Path

import xarray

log = xarray.open_zarr(run.folder / "log.zarr")
print("the log, opened by xarray alone:", ", ".join(f"{dim} {size}" for dim, size in list(log.sizes.items())[:4]))
assert np.array_equal(log["test_accuracy"].values, run.log["test_accuracy"].values)

with tempfile.TemporaryDirectory() as folder:
    nm.interop.to_hub(run, Path(folder) / "model")
    print("hub form:", *sorted(path.name for path in (Path(folder) / "model").iterdir()))
    again = nm.interop.from_hub(Path(folder) / "model")
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    print("read back: the same logits, to the bit")
    for what, needs in (("NetCDF", ("h5netcdf", "h5py")), ("ONNX", ("onnx", "onnxscript"))):
        if any(importlib.util.find_spec(one) is None for one in needs):
            print(f"{what}: needs {' and '.join(needs)}, not installed here")
        elif what == "NetCDF":
            nm.interop.to_netcdf(run, Path(folder) / "log.nc")
            print("NetCDF: written")
        else:
            print("ONNX: installed; nm.interop.to_onnx(model, path, images) writes every hook point as an output")

# %% [markdown]
# ## What you have seen
#
# * The words of TransformerLens are the words here. What differs is strictness, and that an image has no positions.
# * Direct logit attribution is an identity at the last layer. So is patching there; the two say the same thing.
# * A logit lens needs a residual stream. Without one, fitted readings are what is left, and they have to be compared with pixels and
#   untrained layers. In a residual MLP the lens is literal, and differs from seed to seed where training asked for nothing.
# * Patching in two directions, attribution patching and path patching each take a few lines of hooks. Their null is a movement as large
#   in a random direction.
# * Nothing here shows that a finding about these networks holds for a language model. What carries over is how to ask.
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
