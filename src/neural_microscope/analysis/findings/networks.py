"""Rules about a whole network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import stats

from ... import statistics
from ...claim import Claim, tested
from ...measure import LABELS, of
from ...wording import tied
from .. import causal, geometry, predictions
from ..look import FirstLook, LayerLook

RELABELINGS = 20_000
FEWEST_CLASSES = 7
"""The number of classes from which there are enough relabelings (5,040) for a corrected p."""


@of(predictions.confusion).rule("the network generalizes", "Is its test accuracy above chance?", scope="network")
def generalizes(look: FirstLook) -> Iterator[Claim]:
    """Accuracy compared with that of the same confusion matrix with randomly permuted class names.

    Names are exchangeable in an untrained network, and in one trained on random labels, so the test is exact for both; shuffling labels
    image by image would not be, because such a network responds similarly to similar images.
    """
    matrix = look["predictions.confusion"]["images"].values
    log = look.run.log
    total, classes = int(matrix.sum()), int((matrix.sum(1) > 0).sum())
    accuracy, start = (float(log["test_accuracy"][i]) for i in (-1, 0))
    by_class = log["test_accuracy_by_class"][-1].values
    worst = int(np.nanargmin(by_class)) if np.isfinite(by_class).any() else 0
    lowest = np.flatnonzero(by_class == by_class[worst])
    right = int(np.trace(matrix))
    if classes >= FEWEST_CLASSES:
        rng = np.random.default_rng(0)
        named = np.flatnonzero(matrix.sum(1) > 0)
        inner = matrix[np.ix_(named, named)]
        drawn = (
            inner[np.arange(classes), rng.permuted(np.tile(np.arange(classes), (RELABELINGS, 1)), axis=1)].sum(1)
            / total
        )
        p = float(statistics.p_values(np.asarray(np.trace(inner) / total), drawn))
        low, high = (float(x) for x in statistics.null_band(drawn))
        floor, draws, null = 1 / (1 + RELABELINGS), RELABELINGS, f"{RELABELINGS:,} relabelings of the classes"

        def least(level: float) -> float:
            return float(np.quantile(drawn, 1 - level, method="higher"))
    else:
        chance = float(matrix.sum(1).max() / total)
        p, untrained = float(stats.binom.sf(right - 1, total, chance)), np.zeros(0)
        if look.layers:
            control = look.layers[-1]["controls.untrained_networks"]
            untrained = control["accuracy_untrained"].values
            p = max(p, float(statistics.networks(control["accuracy"].values, untrained).p))
        low, high = (float(stats.binom.ppf(end / 100, total, chance)) / total for end in statistics.INTERVAL)
        floor, draws, null = 0.0, 0, "the share of the most frequent class; untrained networks"

        def least(level: float) -> float:
            alone = float(stats.binom.isf(level, total, chance)) / total
            return _within(float(np.fmax(alone, beyond_sample(untrained, "above", level))))

    interval = stats.binomtest(right, total).proportion_ci(method="wilson")
    yield tested(
        yes="test accuracy {accuracy:2%}, above chance.",
        no="test accuracy {accuracy:2%}, not shown to be above chance.",
        numbers={
            "accuracy": accuracy,
            "probe": right / total,
            "probe_low": float(interval.low),
            "probe_high": float(interval.high),
            "probe_null_low": low,
            "probe_null_high": high,
            "start": start,
            "worst": worst,
            "lowest": tied(lowest),
            "worst_accuracy": float(by_class[worst]),
        },
        effect="probe",
        evidence="On the probe images {probe:1%} (95% interval over images {probe_low:1%} to {probe_high:1%}); "
        f"{'with the class names permuted' if draws else 'always predicting the most frequent class'} {{probe_null_low:1%}} to "
        "{probe_null_high:1%}. On all test images: at initialization {start:1%}, at the end lowest for {lowest} ({worst_accuracy:1%}).",
        null=null,
        p=p,
        floor=floor,
        draws=draws,
        n=total,
        units="accuracy",
        call='run.log["test_accuracy"], nm.analysis.predictions.confusion(run.activations("logits"))',
        critical=least,
    )


@of(predictions.learning_order).rule(
    "classes are learned at different times",
    "Are the classes learned at different times?",
    scope="network",
    false_on=LABELS,
    why="an untrained network has one snapshot, which gives no order",
)
def order(look: FirstLook) -> Iterator[Claim]:
    """Share of the variance of the ranks of the images, in the order in which they are learned, that lies between the classes. An image is
    learned at the snapshot from which it stays correct to the end.

    Classes predicted for most of their images at initialization are left out: an untrained network that predicts one class for everything
    has "learned" it at step 0. Not shown where fewer than two of the others reach 50%.
    """
    table = look["predictions.learning_order"]
    at, when, labels = table["class_learned_at"].values, table["learned_at"].values, table["label"].values
    learned = np.flatnonzero((at > 0) | np.isnan(at))
    learned = learned[np.isin(learned, labels)]
    reached = learned[np.isfinite(at[learned])]
    if len(look.run.steps) < 2 or len(learned) < 2:
        return
    groups = [np.nan_to_num(when[labels == label], nan=np.inf) for label in learned]
    n, freedom = sum(map(len, groups)), len(learned) - 1
    if np.ptp(stats.rankdata(np.concatenate(groups))) == 0:
        return
    never, known = int(np.isnan(at[learned]).sum()), np.flatnonzero(at == 0)
    ordered = len(reached) > 1  # else no class comes first and none last
    between = float(stats.kruskal(*groups).statistic) / (n - 1)
    first, last = (int(reached[pick(at[reached])]) if ordered else math.nan for pick in (np.argmin, np.argmax))
    firsts, lasts = (reached[at[reached] == at[end]] if ordered else [] for end in (first, last))
    low, high = (float(stats.chi2.ppf(end / 100, freedom)) / (n - 1) for end in statistics.INTERVAL)
    yield tested(
        yes="some classes are learned earlier than others (an image's class explains {between:1%} of the variance in when it is learned).",
        no="no class is shown to be learned earlier than others.",
        numbers={
            "first": first,
            "last": last,
            "firsts": tied(firsts),
            "first_ties": len(firsts),
            "lasts": tied(lasts),
            "first_at": float(at[first]) if ordered else math.nan,
            "last_at": float(at[last]) if ordered else math.nan,
            "between": between,
            "between_null_low": low,
            "between_null_high": high,
            "never": never,
            "known": len(known),
            "knowns": tied(known),
        },
        effect="between",
        evidence="Shuffled labels {between_null_low:1%} to {between_null_high:1%}. An image is learned once it stays correct to the "
        f"""end. {
            "First to have half of their images learned: {firsts} ({first_at:step}); last: {lasts} ({last_at:step}). "
            if ordered
            else ""
        }"""
        + ("{never:,} {never:class never reaches|classes never reach} 50%" if never else "All classes reach 50%")
        + (
            "; {knowns} {known:has|have} half at initialization, so the share of variance leaves {known:it|them} out."
            if len(known)
            else "."
        ),
        null="shuffled labels (Kruskal and Wallis's chi-squared law)",
        p=float(stats.chi2.sf(between * (n - 1), freedom)) if ordered else 1.0,
        n=n,
        units="share of variance",
        call='nm.analysis.predictions.learning_order(run.activations("logits"))',
        critical=(lambda level: float(stats.chi2.isf(level, freedom)) / (n - 1)) if ordered else None,
    )


@of(predictions.calibration_error).rule(
    "confidence differs from accuracy",
    "Does the network's confidence differ from its accuracy?",
    scope="network",
    false_on=(),
    why="an untrained network, or one tested on labels from another task, can be truly miscalibrated",
)
def calibration(look: FirstLook) -> Iterator[Claim]:
    """Accuracy compared with that on labels drawn from the network's own probabilities, whose mean is the mean confidence."""
    values = look.logits.isel(snapshot=-1).transpose("example", "class").values.astype(float)
    labels = look.logits["label"].values
    chances = np.exp(values - values.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    sure, right = chances.max(1), values.argmax(1) == labels
    variance, n = float((sure * (1 - sure)).sum()), len(labels)
    if variance <= 0:
        return
    skew = float((sure * (1 - sure) * (1 - 2 * sure)).sum()) / variance**1.5
    law, gap = stats.pearson3(skew), float(right.mean() - sure.mean())
    z = gap * n / math.sqrt(variance)
    low, high = (
        float(law.ppf(end / 100)) * math.sqrt(variance) / n + float(sure.mean()) for end in statistics.INTERVAL
    )
    over = gap < 0

    def least(level: float) -> tuple[float, float]:
        below, above = (float(sure.mean() + end(level / 2) * math.sqrt(variance) / n) for end in (law.ppf, law.isf))
        return (_within(below, 0), _within(above)) if over else (_within(above), _within(below, 0))

    ece = look["predictions.calibration_error"]
    ece = ece.isel(snapshot=-1) if "snapshot" in ece.dims else ece
    yield tested(
        yes=f"the network is {'overconfident' if over else 'underconfident'}: mean confidence {{sure:1%}}, accuracy {{right:1%}}.",
        no="the network is not shown to be over- or underconfident: mean confidence {sure:1%}, accuracy {right:1%}.",
        numbers={
            "sure": float(sure.mean()),
            "right": float(right.mean()),
            "right_null_low": low,
            "right_null_high": high,
            "ece": float(ece["ece"]),
            "ece_null_high": float(ece["ece_null_high"]),
        },
        effect="right",
        evidence="A calibrated network with this confidence has an accuracy of {right_null_low:1%} to "
        "{right_null_high:1%} (two-sided). Expected calibration "
        "error (not the test) {ece:3}; a calibrated network's is below {ece_null_high:3}.",
        null="labels drawn from the network's own probabilities (Pearson's type III law)",
        p=min(1.0, 2 * float(min(law.sf(z), law.cdf(z)))),
        n=n,
        units="accuracy",
        call='nm.analysis.predictions.calibration_error(run.activations("logits"))',
        critical=least,
    )


@of(geometry.neural_collapse).rule(
    "within-class variability shrinks",
    "Does within-class variability shrink in the last hidden layer?",
    scope="network",
)
def collapse(look: FirstLook) -> Iterator[Claim]:
    """tr Sw / tr Sb: the variance of the activations within the classes, divided by the variance between the class means. Compared with
    untrained networks and with shuffled labels; it must be below both.
    """
    table = look["geometry.neural_collapse"]
    if table is None:
        return
    start, end = (float(table["nc1_trace"][i]) for i in (0, -1))
    yield controlled(
        look.layers[-1],
        "log_spread",
        side="below",
        shown_as=np.exp,
        digits="g",
        hook_point=look.layers[-1].hook_point,
        yes="within-class variability shrinks: in the last hidden layer the variance within classes is {log_spread:g} times that between "
        "them ({compared:#image}).",
        no="within-class variability is not shown to shrink in the last hidden layer (tr Sw / tr Sb {log_spread:g} on {compared:#image}).",
        numbers={
            "start": start,
            "end": end,
            "ratio": end / start if start else math.nan,
            "ratio_low": float(table["nc1_trace_change_low"]),
            "ratio_high": float(table["nc1_trace_change_high"]),
        },
        evidence="On all {probed:,} images it goes from {start:g} at initialization to {end:g}, {ratio:2} times as much (95% interval "
        "{ratio_low:2} to {ratio_high:2}).",
        units="tr Sw / tr Sb",
        call=f'nm.analysis.geometry.neural_collapse(run.activations("{look.layers[-1].hook_point}"), logits=run.activations("logits"))',
    )


@of(causal.cumulative_ablation).rule(
    "selective units matter together",
    "Ablated together, do units with a higher AUC matter more or less?",
    scope="network",
    false_on=LABELS,
    why="which units an untrained network needs for its predictions is a fact about that network, not about learning",
)
def pruning(look: FirstLook) -> Iterator[Claim]:
    """Mean accuracy while units are ablated one after the other, those of the highest AUC in their layer first, compared
    with random orders; two-sided. Every order ablates the same share of each layer.
    """
    curves = look["causal.cumulative_ablation"]
    if curves is None:
        return
    area, drawn = float(curves["auc"].sel(order="highest AUC first")), curves["random_auc"].values
    law = statistics.networks(np.asarray(area), drawn, side="both")
    worse = area < drawn.mean()
    names = [layer.hook_point for layer in look.layers]
    yield tested(
        yes=f"together, units with a higher AUC matter {'more' if worse else 'less'}: ablated first, they lower accuracy "
        f"{'more' if worse else 'less'} than units in random order do.",
        no="together, units with a higher AUC are not shown to matter more or less (ablated first, compared with random order).",
        numbers={
            "area": area,
            "area_null_low": float(law.low),
            "area_null_high": float(law.high),
            "least_first": float(curves["auc"].sel(order="lowest AUC first")),
        },
        effect="area",
        evidence="Accuracy, averaged over the shares of units ablated, {area:1%}; random orders {area_null_low:1%} to {area_null_high:1%} "
        "(two-sided); the lowest AUC first {least_first:1%} (not tested). Every order ablates the same share of each hidden layer.",
        null=f"{len(drawn)} random orders, each with the same share of every layer (Student's t)",
        p=float(law.p),
        n=int(curves.attrs["n_examples"]),
        units="accuracy",
        call=f"nm.analysis.causal.cumulative_ablation(run.model(), run.probe, {names}, by_layer=True, draws={len(drawn)})",
        critical=lambda level: (
            _within(beyond_sample(drawn, "below" if worse else "above", level / 2), 0),
            _within(beyond_sample(drawn, "above" if worse else "below", level / 2), 0),
        ),
    )


def controlled(
    layer: LayerLook,
    name: str,
    *,
    side: statistics.Side,
    numbers: dict[str, float],
    evidence: str,
    shown_as: Callable[[Any], Any] = float,
    digits: str = "3",
    **words: object,
) -> Claim:
    """A claim about a statistic of `untrained_networks` that must lie beyond untrained networks' and beyond shuffled labels', both.

    ``digits``: the format of its values, see `wording.fill`.
    """
    control = layer["controls.untrained_networks"]
    own, size = control[name].values, int(control.attrs["n_examples"])
    samples = [control[f"{name}_{kind}"].values for kind in ("untrained", "shuffled")]
    laws = [statistics.networks(own, sample, side=side) for sample in samples]
    ends = {
        f"{name}_{kind}_{end}": float(shown_as(getattr(law, end)))
        for kind, law in zip(("null", "shuffled"), laws, strict=True)
        for end in ("low", "high")
    }

    def beyond(end: statistics.Side, level: float) -> float:
        """The value from which both nulls are exceeded."""
        ends = [beyond_sample(sample, end, level) for sample in samples]
        return float(shown_as(min(ends) if end == "below" else max(ends)))

    def least(level: float) -> float | tuple[float, float]:
        if side != "both":
            return beyond("below", level) if side == "below" else _within(beyond("above", level))
        below, above = _within(beyond("below", level / 2)), _within(beyond("above", level / 2))
        return (below, above) if bool(2 * own < laws[0].low + laws[0].high) else (above, below)

    said = (
        "On these {compared:#image}: untrained networks "
        f"{{{name}_null_low:{digits}}} to {{{name}_null_high:{digits}}}, shuffled labels "
        f"{{{name}_shuffled_low:{digits}}} to {{{name}_shuffled_high:{digits}}}"
        f"{' (two-sided)' if side == 'both' else ''}."
    )
    return tested(
        effect=name,
        numbers={name: float(shown_as(own)), **ends, "compared": size, "probed": len(layer.run.probe), **numbers},
        evidence=f"{said} {evidence}",
        null=str(control.attrs["null"]),
        p={words: float(law.p) for words, law in zip(("untrained networks", "shuffled labels"), laws, strict=True)},
        n=size,
        critical=least,
        **words,
    )


def _within(value: float, low: float = -1.0) -> float:
    """Infinite if a share or a correlation would have to lie outside ``low`` to 1: no such effect is possible."""
    return value if math.isnan(value) or low <= value <= 1 else math.inf


def beyond_sample(sample: np.ndarray, side: statistics.Side, level: float) -> float:
    """The value from which one more draw of a sample is rare at a one-sided level (Student's law)."""
    sample = sample[np.isfinite(sample)]
    if len(sample) < 3:
        return math.nan
    half = float(stats.t.isf(level, len(sample) - 1) * sample.std(ddof=1) * math.sqrt(1 + 1 / len(sample)))
    return float(sample.mean()) + (-half if side == "below" else half)
