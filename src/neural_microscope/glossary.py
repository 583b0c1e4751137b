"""The glossary: every term with a short gloss for pages, a longer definition for the documentation, and wordings to avoid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Term(NamedTuple):
    """A term of the field, or of this package."""

    term: str
    gloss: str
    """One or two sentences, shown where a page marks the term."""
    more: str = ""
    """The rest of the definition, for the glossary page."""
    marked: tuple[str, ...] = ()
    """Other names under which a page marks it."""
    avoid: tuple[str, ...] = ()
    """Wordings that it replaces; `lint.words` finds each."""


TERMS = (
    Term("activation", "A unit's value for one image."),
    Term(
        "hook point",
        "A named place in a network at which its activations can be read and changed. layers.0 is the output of the first hidden layer.",
        "`layers.0.hook_pre` is the input of the first layer's nonlinearity, `layers.0.hook_post` its output.",
    ),
    Term("activation function", "The nonlinearity after a layer's linear map, such as ReLU.", avoid=("the bend",)),
    Term(
        "pre-activation",
        "What a unit computes before its activation function: its bias plus each activation that it reads times a weight.",
        "In a layer without an activation function, the output itself. With normalization in between, the *sum before normalization*.",
        marked=("sum before normalization",),
    ),
    Term("contribution", "An activation times its weight: its part of the next unit's pre-activation."),
    Term("dot product", "The sum of the products of two lists of numbers, here of activations and weights."),
    Term("bias", "A learned number that is added to a unit's weighted sum, the same for every image."),
    Term(
        "kernel",
        "The small array of weights that a convolution applies at every position.",
        "Each output channel has one for each input channel. Outside of the map it reads 0.",
    ),
    Term(
        "pooling",
        "A map is divided into windows, and each is replaced by its largest value (max pooling) or its mean (average pooling).",
    ),
    Term("softmax", "Turns logits into probabilities that sum to 1: e to the power of each, divided by their sum."),
    Term("unit, channel", "One value of a layer for each image; in a convolutional layer, one whole feature map."),
    Term(
        "snapshot",
        "The network as recorded at one step of training; the first is the initialization.",
        "It holds the weights, and the activations of the probe images. Snapshots are log-spaced from step 0, with one at each "
        "epoch's end. In the explorer, all networks are shown at the same share of their snapshots.",
        avoid=("a moment of training",),
    ),
    Term(
        "initialization",
        "The untrained network with its random initial weights, at step 0.",
        avoid=("the random start", "before the first step"),
    ),
    Term("step", "One update of the weights by the optimizer. Step 0 is the untrained network."),
    Term(
        "probe images",
        "A fixed, class-balanced part of the test images whose activations were recorded at every snapshot.",
        "A class with too few test images gives all of them.",
    ),
    Term("gallery", "A few probe images whose full feature maps are recorded."),
    Term(
        "density",
        "The share of the images on which the unit is above 0.",
        "*Ultra-low density*: above 0 for less than 1% of the images. *Always on*: above 0 for more than 99%. *Saturated* (tanh): "
        "beyond 0.99 in magnitude.",
    ),
    Term("dead", "Never above zero on any probe image."),
    Term(
        "class selectivity",
        "How much more a unit responds to its class than to the others: (m − rest) / (m + rest), −1 to 1. The class is chosen on one "
        "half of the images and judged on the other.",
        "m is the unit's mean activation for the class, rest the mean of the other classes' means; 0.001 is added to the denominator. "
        "Its highest value over the classes is the index of Morcos et al. (2018).",
        marked=("selectivity", "selectivity index"),
        avoid=("tell the classes apart", "the unit likes"),
    ),
    Term(
        "AUC",
        "The probability that an image of the class activates the unit more than an image of another class; 0.5 without preference.",
        marked=("auc",),
    ),
    Term(
        "mean activation per class",
        "A unit's activation, averaged over the images of each class.",
        avoid=("answers to each class",),
    ),
    Term(
        "top-activating images",
        "The images with the highest activations of a unit.",
        avoid=("what excites it", "from most to least"),
    ),
    Term(
        "shown, not shown",
        "Shown: the result lies beyond all its nulls, after correction for everything that the page asks about a network. Not shown: "
        "it does not; this is no evidence that there is no effect.",
        avoid=("is no better than",),
    ),
    Term("description", "A count or a size without a test."),
    Term(
        "null",
        "The distribution of a result when there is no effect: shuffled labels or images, random directions, untrained networks. "
        "Pictures draw it as gray bands and lines.",
        avoid=("what chance gives",),
    ),
    Term(
        "corrected p",
        "The probability of such a result when there is no effect, multiplied to account for the number of questions asked, and within a "
        "question for that of layers or units.",
    ),
    Term(
        "false-discovery rate",
        "The expected share of false positives among all units that are reported (Benjamini and Hochberg 1995).",
    ),
    Term(
        "interval",
        "The range of a value over new samples of the images, at 95%. Variation between seeds may be larger.",
        "Most are bootstrap intervals.",
    ),
    Term(
        "ablate",
        "Set the unit's activation to zero for every image, and run the rest of the network again.",
        "*Mean ablation*: set it to its mean over reference images. *Resample ablation*: set it to its value on a reference image drawn "
        "at random. *Restore* undoes it.",
        marked=("ablation",),
        avoid=("cut out", "put back"),
    ),
    Term("clamp, scale", "Set a unit's activation to a fixed value; multiply it by a factor.", avoid=("hold at 0",)),
    Term(
        "activation patching",
        "Activations of one image are replaced by those of another.",
        "*Denoising*: a clean value is patched into the corrupted run. *Noising*: a corrupted value is patched into the clean run. "
        "*Attribution patching*: the same, estimated from one gradient. *Path patching*: the part of a change that passes from one unit "
        "through another.",
        avoid=("as on image",),
    ),
    Term(
        "loss increase",
        "By how much ablating the unit alone raises the loss, the mean of −log p of the true class, in nats.",
        avoid=("dearest", "costs most"),
    ),
    Term(
        "nats",
        "The unit of the loss: natural logarithms; 0.01 nats more lower the probability of the true class by about 1%.",
    ),
    Term(
        "accuracy drop",
        "The share of the images by which accuracy falls when the unit alone is ablated.",
        "*Newly wrong* images are misclassified only after an ablation, *newly right* ones only before it.",
        avoid=("7 images lost",),
    ),
    Term("points", "Percentage points of accuracy."),
    Term("logit", "The network's output for each class before the softmax."),
    Term(
        "test accuracy",
        "The share of the test images whose highest logit is that of their label. The test error is the rest.",
        avoid=("rightly", "misread"),
    ),
    Term(
        "confusion matrix",
        "Counts of images by true class (rows) and predicted class (columns).",
        "*Confusion shift*: the counts after an intervention minus those before it.",
        avoid=("is taken for",),
    ),
    Term(
        "random direction",
        "A direction in a layer's space that belongs to no unit, along which each image moves as far as ablating the unit moves it; in a "
        "convolutional layer a mix of the channels.",
        marked=("random direction of equal norm",),
    ),
    Term(
        "random units", "As many units, drawn at random from all units of the same layers and changed in the same way."
    ),
    Term(
        "effective pattern",
        "The gradient of the unit with respect to the pixels; times the pixels where it is laid over the image.",
        "For a unit that reads the pixels directly, its weights.",
    ),
    Term(
        "principal components",
        "The two directions in which a layer's activations vary most, computed at the end of training.",
    ),
    Term(
        "parallel analysis",
        "The variance that a principal component explains when each unit's values are shuffled over the images (Horn 1965).",
    ),
    Term("eigen-gap", "The ratio of a component's variance to the next one's; near 1, the two are interchangeable."),
    Term(
        "participation ratio, effective rank",
        "The number of equally strong directions with the same spread of variance; by squares, or by entropy.",
    ),
    Term(
        "TwoNN",
        "A dimension estimated from the ratio of each example's distances to its second and first neighbor (Facco et al. 2017).",
    ),
    Term(
        "neural collapse",
        "Late in training, within-class variability shrinks toward zero (NC1), class means form a simplex (NC2), the output weights "
        "align with them (NC3), and predictions follow the nearest mean (NC4) (Papyan, Han and Donoho 2020).",
        avoid=("draw together",),
    ),
    Term(
        "tr Sw / tr Sb",
        "The variance of the activations within the classes, divided by the variance between the class means.",
    ),
    Term(
        "silhouette, neighbor purity",
        "How much closer an image lies to its own class than to the nearest other; the share of its nearest neighbors with its class.",
        avoid=("brought the images together",),
    ),
    Term(
        "t-SNE, UMAP",
        "Layouts in the plane that aim to keep neighbors together.",
        "*Trustworthiness*: the extent to which neighbors in the layout are neighbors in the activations.",
    ),
    Term(
        "born, died",
        "The first snapshot at which a unit fires for any image, and the one from which it never fires again.",
    ),
    Term("update-to-weight ratio", "The norm of one optimizer step over the norm of the weights that it changes."),
    Term(
        "stable rank",
        "The sum of a matrix's squared singular values over the largest of them: roughly the number of directions that carry it.",
    ),
    Term(
        "sharpness",
        "The largest eigenvalue of the loss's Hessian.",
        "Under full-batch gradient descent it settles near 2 / learning rate, the *edge of stability*.",
    ),
    Term(
        "delayed generalization, grokking",
        "The training images are fitted long before test accuracy rises.",
        "*Memorization*: fitting training images by features peculiar to each, as with random labels.",
        avoid=("by heart",),
    ),
    Term(
        "layer normalization, batch normalization",
        "A layer's inputs are given mean 0 and standard deviation 1: over the units for each image, or over a batch for each unit.",
    ),
    Term("dropout", "At each training step random units are set to zero."),
    Term(
        "margin",
        "The true class's logit minus the highest other.",
        "Where influence is the subject, minus the log-sum-exp of all others: the log-odds log p / (1 − p) of the class.",
    ),
    Term(
        "learned at",
        "The snapshot from which an image stays correctly classified to the end of training.",
        "*Forgetting event*: correct at one snapshot, misclassified at the next (Toneva et al. 2019).",
    ),
    Term(
        "calibration error",
        "The mean difference between confidence and accuracy.",
        "*Overconfident*: confidence above accuracy; *underconfident*: below. *Brier score*: the mean squared distance between "
        "probabilities and labels.",
        avoid=("righter than it is sure",),
    ),
    Term(
        "mutual information",
        "The information in a unit's activation about the class, in bits, minus the bias of counting.",
    ),
    Term("precision", "The share of a unit's top-activating images that belong to one class."),
    Term(
        "monosemanticity",
        "0 if a unit responds equally to all classes, 1 if it responds to one only.",
        "*Localist unit*: every image of one class activates it more than any other image does.",
    ),
    Term("gated unit", "A unit that is constant or rarely fires, so that its selectivity is not judged."),
    Term(
        "tuning curve",
        "A unit's mean activation for each class.",
        "*Explained (eta²)*: the share of its variance between classes.",
    ),
    Term("activation quantiles", "Images across the range of a unit's activation, not only the strongest."),
    Term("since", "The first step from which a unit's final class is shown at every snapshot."),
    Term("privileged basis", "Single units are more, or less, class-selective than random directions."),
    Term(
        "rank agreement",
        "The rank correlation between two measures over a layer's units.",
        avoid=("rank the units alike",),
    ),
    Term(
        "CKA",
        "A similarity of two layers, invariant to rotation and scale; the debiased form is about 0 for unrelated layers.",
        "*RSA*: the rank correlation of the distances between all pairs of images.",
    ),
    Term(
        "Procrustes distance",
        "The distance between two layers after the best rotation and scaling; 0 for the same shape, at most √2.",
    ),
    Term(
        "CCA, SVCCA, PWCCA",
        "Correlations after the best linear map on both sides: over all, the leading, or the weighted directions.",
        "*Principal angle*: the angle between the leading directions of two sets of activations.",
    ),
    Term(
        "drift",
        "The change of a layer's activations over training, split into shift, scaling, rotation and function.",
        "*Rotation*: the part that a rotation removes. *Function*: the part that no rotation or scaling removes, a change in which images "
        "are similar. *Floor*: the difference between two disjoint sets of images at one snapshot. *Displacement*: the distance of an "
        "image from its counterpart after the best rotation.",
    ),
    Term(
        "rotated basis",
        "The same space with randomly rotated axes, which contains no units.",
        "A unit whose match does not exceed the matches in a rotated basis does not recur.",
    ),
    Term(
        "replication",
        "The number of other networks in which a unit recurs beyond a rotated basis; the number of seeds on which a claim is shown.",
    ),
    Term("dose-response", "The change of the loss as a unit is scaled down and up."),
    Term(
        "direct logit attribution",
        "A logit as a sum over units; exact at the last layer.",
        "*Evidence*: a unit's mean contribution to a class's logit on that class minus on the others.",
    ),
    Term(
        "interaction",
        "The loss increase of two units ablated together minus the sum of the two alone.",
        "Above 0 they are *redundant*; below 0 they depend on each other.",
    ),
    Term("cumulative ablation", "Accuracy against the share of units ablated."),
    Term(
        "attribution",
        "A number for each pixel: its contribution to an output.",
        "*Saliency*: the gradient of the output with respect to each pixel. *Integrated gradients*: the gradient averaged on the straight "
        "path from a *baseline* (the image for absent pixels) to the image, times the difference; the *completeness error* is the "
        "difference between their sum and the change of the output. *Occlusion*: the change of the output when a patch is covered. "
        "*Grad-CAM*: the positions of a convolutional layer's maps that raise an output.",
    ),
    Term(
        "sanity check",
        "The similarity of an attribution map to the original as weights are randomized from the top layer down (Adebayo et al. 2018).",
        "A map that does not change does not depend on the network.",
    ),
    Term(
        "activation maximization",
        "An image optimized to maximize a unit's activation.",
        "*Reach*: the activation it attains, where 0 is the data's mean and 1 the strongest image.",
    ),
    Term(
        "linear probe",
        "A linear classifier trained on a layer's activations.",
        "*Control labels*: random labels, to measure how much the probe can memorize.",
    ),
    Term(
        "dictionary, latent",
        "A set of directions learned from activations; the amount of one direction in an example.",
        "*TopK sparse autoencoder*: a network that reconstructs activations from its *k* strongest latents. *Cross-entropy recovered*: the "
        "share of the loss increase from removing a layer that the reconstruction undoes. *Random dictionary*: untrained directions of the "
        "same number.",
    ),
    Term(
        "feature, superposition",
        "A property of the input that a network may represent; more features than units, in overlapping directions.",
        "*Interference*: the error in reading one feature because others are active.",
    ),
    Term(
        "edit",
        "A change of a trained network: forget a class, repair a confusion, prune, steer.",
        "*Price*: its effect on the images that it is not about. *Retrained networks*: networks trained from their initialization in "
        "the way that the edit imitates, for example without a class; their *spread* is their distance from one another.",
    ),
    Term(
        "total variation",
        "Half of the summed absolute differences of two networks' predicted probabilities: 0 if they agree, 1 at most.",
    ),
    Term(
        "replay",
        "A recorded training continued from one of its snapshots, with a change and without it, in several orders of the batches.",
        "A *twin* continues without the change, a *branch* with it, a *null branch* with a random change of the same kind and size.",
        marked=("twin", "null branch"),
    ),
    Term(
        "takeover",
        "The ablation effect of a unit rises after another unit was lost, beyond the largest rise of any unit after random other losses.",
    ),
    Term(
        "error barrier",
        "How far the error on the straight line between the weights of two networks rises above the line between their own errors.",
        "Networks without one are *linearly connected*.",
    ),
    Term(
        "influence",
        "The change that a training image makes to a prediction, a confusion or a unit by being among the training images.",
        "An *estimate* of it is arithmetic on a trained network. The *truth* is the mean over networks retrained without the image, or "
        "without a set of images.",
    ),
    Term(
        "reliability, ceiling",
        "How well a measured truth agrees with itself when it is measured again; the highest agreement that an estimate can reach with it.",
        "The reliability is the correlation between two halves of the seeds, extended to all of them (Spearman and Brown). The ceiling is "
        "its square root.",
    ),
    Term("phantom", "Data or a network with a planted answer.", "An *empty* phantom has none."),
    Term("instrument", "A measure with a phantom on which its result is known."),
    Term("calibration", "Running every instrument on planted and on empty phantoms."),
    Term("power", "The share of phantoms with a planted effect of a given size in which an instrument finds it."),
    Term(
        "explorer",
        "The interactive page of a recorded run.",
        "A *card* lists a unit's measures and the claims about it.",
    ),
    Term(
        "verify",
        "Compare every file of a run folder with its recorded hash.",
        avoid=("every byte is as it was written",),
    ),
    Term("training run", "All recorded steps of a network, including initialization.", avoid=("its whole life",)),
)
"""Every term, in the order of the glossary page."""


def glosses(names: Iterable[str] = ()) -> dict[str, str]:
    """The glosses by the names under which pages mark them, all or those asked for; a KeyError for one that is not in the glossary."""
    every = {name: one.gloss for one in TERMS for name in (one.term, *one.marked)}
    return {name: every[name] for name in names} if names else every
