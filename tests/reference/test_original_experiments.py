"""Every experiment of the notebooks, as docs/original.md does it: its blocks run in order, its numbers hold.

The page is about one network and one seed; tolerances allow for the few images that another processor's rounding turns.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from original import BLOCKS, GRADIENT, SELECTIVE, overlap, run_block, stated
from scipy.special import logsumexp
from sklearn.metrics import silhouette_score

pytestmark = [pytest.mark.mnist, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(network: dict[str, Any]) -> SimpleNamespace:
    """Every name the page has made at its end."""
    names = dict(network)
    for number in range(1, len(BLOCKS)):
        run_block(number, names)
    return SimpleNamespace(**names)


def plain(page: SimpleNamespace, *, brightness: float = 1.0, without: int | None = None) -> np.ndarray:
    """The test images' logits, [example, class], by the matrix products themselves, in float64."""
    weights = [value.double().numpy() for value in page.model.state_dict().values()]
    x = page.data.test.images.reshape(-1, 784) / 255 * brightness
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = np.maximum(x @ weight.T + bias, 0)
    if without is not None:
        x[:, without] = 0
    return x @ weights[-2].T + weights[-1]


def right(page: SimpleNamespace, logits: np.ndarray) -> np.ndarray:
    return logits.argmax(1) == page.data.test.labels


def test_1_digits_differ_in_ink_more_than_random_images_do(page: SimpleNamespace) -> None:
    assert [round(page.mean, 4), round(page.deviation, 4)] == stated("*Original:* mean #, standard deviation #;")
    train = page.data.train
    ones = train.images[train.labels == 1] / 255
    np.testing.assert_allclose(page.deviation_by_digit.sel(label=1), ones.std(), rtol=1e-4)
    mean, low, high = (page.ink[name] for name in ("mean", "mean_null_low", "mean_null_high"))
    assert mean.values[1, 0] == pytest.approx(ones.mean(), rel=1e-4)
    assert stated("ranges from # (class 1) to # (class 0), while") == pytest.approx(mean.values[[1, 0], 0], abs=6e-4)
    assert stated("any class stay within # to #;") == pytest.approx([float(low.min()), float(high.max())], abs=6e-4)
    assert ((mean < low) | (mean > high)).sum() >= 9
    assert stated("to 0.132; #% of the variance") == pytest.approx(100 * page.ink["explained"].values, abs=0.6)
    assert stated("#% of all pixels are exactly black") == pytest.approx(100 * page.histogram["zero"].values, abs=0.6)
    assert page.histogram["zero"].values[0] == pytest.approx((train.images == 0).mean(), abs=1e-6)


def test_2_another_batch_moves_the_mean_more_than_an_epoch_does(page: SimpleNamespace) -> None:
    moved, noise = float(page.each_epoch[2]), float(page.sampling[2])
    assert stated("unit 2 changes by # from one epoch") == pytest.approx([moved], abs=0.006)
    assert stated("it has a standard deviation of #.") == pytest.approx([noise], abs=0.01)
    alive = page.sampling > 0.1
    assert (page.sampling > page.each_epoch.values)[alive].all()
    angle, floor = (float(page.moved[name][-1]) for name in ("subspace_angle", "subspace_angle_floor_high"))
    assert stated("directions rotate by # rad") == pytest.approx([angle], abs=0.01)
    assert stated("one epoch differ by at most #.") == pytest.approx([floor], abs=0.006)


def test_3_five_digits_are_harder_or_easier_than_chance_allows(page: SimpleNamespace) -> None:
    assert stated("# images are misclassified") == pytest.approx([len(page.wrong)], abs=8)
    assert len(page.wrong) == (~right(page, plain(page))).sum()
    table = page.by_digit
    low, high = (100 * float(table[f"accuracy_null_{end}"][3]) for end in ("low", "high"))
    assert stated("class 3 would lie between # and #%") == pytest.approx([low, high], abs=0.2)
    accuracy = table["accuracy"]
    assert np.flatnonzero(accuracy < table["accuracy_null_low"]).tolist() == [3, 8, 9]
    assert np.flatnonzero(accuracy > table["accuracy_null_high"]).tolist() == [0, 1]
    assert page.confusion["images"].values.sum() - np.trace(page.confusion["images"]) == len(page.wrong)


def test_4_classes_lie_apart_and_five_selective_units_do_not_part_them(page: SimpleNamespace) -> None:
    before, after = page.together["silhouette"].values
    null = page.together["silhouette_null_high"].values[1]
    assert after == pytest.approx(silhouette_score(page.now.values, page.now["label"]), abs=1e-4)
    assert stated("the silhouette of the ten classes is #; shuffled labels give #, and the untrained network #.") == (
        pytest.approx([after, null, before], abs=0.006)
    )
    purity = 100 * page.together["purity"].values
    assert stated("nearest neighbors, #% have its class; untrained #%") == pytest.approx(purity[::-1], abs=1.6)
    assert page.together_five["silhouette"] > after
    assert int(page.components["above_chance"]) == 4
    trust = [float(page.tsne[name].mean()) for name in ("trustworthiness", "trustworthiness_null_high")]
    assert stated("consider their trustworthiness, # (a random layout has #)") == pytest.approx(trust, abs=0.02)
    assert page.tsne["agreement"][0, 1] > 0.8  # of two seeds' neighbors; 0.88 and above 0.9 on two kinds of processor
    five = page.subspaces.sel(rank=5)
    values = [*five["silhouette"].values[[0, 2]], *(float(five[f"silhouette_null_{e}"][0]) for e in ("low", "high"))]
    sentence = "most selective units reach a silhouette of #, random sets of five # to #"
    assert stated(sentence) == pytest.approx([values[0], *values[2:]], abs=0.006)
    assert stated("five with the largest output weights reach #, just") == pytest.approx(values[1:2], abs=0.02)
    least = float(page.subspaces["silhouette_q"].min())
    assert stated("over the 45 sets tested, the smallest q is #:") == pytest.approx([least], abs=0.05)
    assert least > 0.05


def test_5_one_unit_is_dead_and_another_nearly_so(page: SimpleNamespace) -> None:
    density = page.activity[page.layer].isel(snapshot=-1)["density"].values
    assert density[11] == 0
    assert 0 < density[15] < 0.01
    assert (np.delete(density, (11, 15)) > 0.1).all()
    assert page.class_by_logit.values.argmax(1).tolist() == list(range(10))


def test_6_the_mean_gradient_of_the_true_logit_is_the_row_of_output_weights(page: SimpleNamespace) -> None:
    weights = page.model.output.weight.detach().numpy()
    np.testing.assert_allclose(page.by_logit, weights, atol=1e-12)
    assert overlap(page.selectivity.top_units(page.by_loss).values, GRADIENT) >= 0.95


def test_6_gradient_times_activation_is_what_a_unit_adds_to_the_logit(page: SimpleNamespace) -> None:
    parts = page.direct["contribution"].values
    np.testing.assert_allclose(parts.sum(1) + page.model.output.bias.detach().numpy(), plain(page), atol=1e-4)
    labels = page.data.test.labels
    loss = lambda logits: logits.gather(1, page.labels[:, None]).sum()  # noqa: E731
    _, cache = page.model.run_with_cache(page.data.test.tensor(), names_filter=page.layer, incl_bwd=True, loss=loss)
    product = (cache["post_grad", -1] * cache["post", -1]).numpy()
    np.testing.assert_allclose(parts[np.arange(len(labels)), :, labels], product, atol=1e-5)
    own = np.stack([parts[labels == c][:, :, c].mean(0) for c in range(10)])
    weights = page.by_logit.values
    assert weights[9].argmax() == 7
    assert sorted(np.argsort(-own[9])[:3]) == sorted(stated("its largest contributions from units #, # and #."))
    shared = [len(set(np.argsort(-a)[:3]) & set(np.argsort(-b)[:3])) for a, b in zip(own, weights, strict=True)]
    assert stated("The two lists share # of 30") == pytest.approx([sum(shared)], abs=1)
    beyond = int((page.direct["evidence_q"] < 0.05).sum())
    assert stated("pairs of unit and class, # contribute") == pytest.approx([beyond], abs=4)


def test_7_a_unit_that_hardly_fires_tops_a_list_and_has_no_effect(page: SimpleNamespace) -> None:
    assert overlap(page.listed.values, SELECTIVE) >= 0.95
    assert page.listed[2].values.tolist() == stated("units for class 2 are #, #, #, and so on")
    on = page.last[:, 15] > 0
    twos = float(on[page.last["label"] == 2].mean())
    index = float(page.selectivity.selectivity_by_class(page.last)[2, 15])
    first, share, share_of_twos = stated(
        "first for class 2 with #, is active on #% of the images, and on #% of class 2"
    )
    assert [first, share] == pytest.approx([index, 100 * float(on.mean())], abs=0.03)
    assert share_of_twos == pytest.approx(100 * twos, abs=0.6)
    assert not page.effects["right_change"][15].any()
    assert page.table["gated"].values.nonzero()[0].tolist() == [11, 15]
    assert (page.table["selectivity_q"] < 0.05).sum() == 14
    assert stated("under ablation is # (95% interval # to #)") == pytest.approx(page.agree, abs=0.02)


def test_7_choosing_and_judging_on_the_same_images_flatters(page: SimpleNamespace) -> None:
    same, halves = float(page.flattered.mean()), float(page.judged.mean())
    assert stated("units have a mean selectivity of #; chosen on one half and judged on the other, #.") == (
        pytest.approx([same, halves], abs=0.006)
    )
    assert same > 0.1 > abs(halves) * 2


def test_8_effects_are_those_of_plain_forward_passes(page: SimpleNamespace) -> None:
    base, cut = right(page, plain(page)), right(page, plain(page, without=14))
    labels = page.data.test.labels
    lost = [base[labels == c].mean() - cut[labels == c].mean() for c in range(10)]
    np.testing.assert_allclose(page.by_digit_lost[14], lost, atol=1e-9)
    assert float(page.doses["accuracy"][0]) == pytest.approx(cut.mean(), abs=1e-9)
    assert (page.doses["loss_increase"].sel(bin=page.doses["factor"] == 1) == 0).all()
    shift = page.shift["shift"].values
    assert (shift.sum(1) == 0).all()
    said = plain(page, without=14).argmax(1)
    np.testing.assert_array_equal(shift[9], np.bincount(said[labels == 9], minlength=10) - page.confusion["images"][9])
    assert shift[9, 4] > 0.5 * -shift[9, 9]


def test_8_no_unit_costs_more_than_a_random_direction(page: SimpleNamespace) -> None:
    nines, all_of_2 = 100 * float(page.by_digit_lost[14, 9]), 100 * float(page.effects["accuracy_drop"][2])
    assert stated("accuracy of class 9 by # points") == pytest.approx([nines], abs=1)
    assert stated("unit 2 lowers overall accuracy by # points") == pytest.approx([all_of_2], abs=1)
    q, p = float(page.effects["loss_increase_q"].min()), float(page.doses["loss_increase_p"].min())
    assert stated("no unit of this layer stands out (smallest q #)") == pytest.approx([q], abs=0.02)
    assert stated("scaling another unit (smallest p #)") == pytest.approx([p], abs=0.07)
    assert q > 0.05


def test_8_pixels_from_0_to_255_change_the_table(page: SimpleNamespace) -> None:
    logits = plain(page, brightness=255)
    assert page.loud.accuracy == pytest.approx(right(page, logits).mean(), abs=2e-4)
    for name, result, effects in (
        ("pixels 0..255", page.loud, page.loud_effects),
        ("pixels 0..1, as trained", page.right, page.effects),
    ):
        drops = 100 * effects["accuracy_drop"].values[[0, 2, 8, 9, 14]]
        numbers = stated(f"| {name} | #% | # | # | # | # | # |")
        assert numbers == pytest.approx([100 * result.accuracy, *drops], abs=0.3)
    fives = 100 * (page.right.accuracy_by_class - page.loud.accuracy_by_class)[5]
    true = logits[np.arange(len(logits)), page.data.test.labels]
    assert page.loud.loss == pytest.approx((logsumexp(logits, axis=1) - true).mean(), rel=1e-4)
    assert stated("class 5 loses # points, and the loss rises from # to #.") == pytest.approx(
        [fives, page.right.loss, page.loud.loss], rel=0.05
    )


def test_9_saliency_and_single_pixels_are_what_torch_gives(page: SimpleNamespace) -> None:
    first, second = page.model.layers[0].linear, page.model.layers[1].linear
    images = page.some.tensor().requires_grad_()
    act = torch.relu(second(torch.relu(first(images.flatten(1)))))[:, 14]
    (gradient,) = torch.autograd.grad(act.sum(), images)
    np.testing.assert_allclose(page.map_of_14["attribution"], gradient[:, 0], atol=1e-6)
    lit = torch.relu(second(torch.relu(first(torch.eye(784))))).T.detach().numpy()
    np.testing.assert_allclose(page.lit["response"].values.reshape(16, 784), lit, atol=1e-5)


def test_9_the_maps_do_not_differ_from_random_networks_and_one_pixel_says_little(page: SimpleNamespace) -> None:
    outside, high, p = (float(page.against[f"mean_outside{end}"]) for end in ("", "_null_high", "_p"))
    assert stated("unit 14 have #% of their pixels outside") == pytest.approx([100 * outside], abs=1)
    by_chance, stated_p = stated("has up to #% (p = #)")
    assert by_chance == pytest.approx(100 * high, abs=0.6)
    assert stated_p == pytest.approx(p, abs=0.03)
    assert p > 0.05
    assert (page.lit["response"][1] == 0).all()
    assert stated("unit 1 is active on #% of the digits") == pytest.approx(
        [100 * float((page.last[:, 1] > 0).mean())], abs=1
    )
    highest = [float(page.lit["response"][2].max()), float(page.last[:, 2].max())]
    assert stated("unit 2 reaches # on a single pixel and # on a digit") == pytest.approx(highest, rel=0.1)


def test_10_normalized_pixels_and_layer_norm_with_dropout_reach_the_published_accuracies(page: SimpleNamespace) -> None:
    published, best = stated("#% with normalized pixels; about #% with LayerNorm and dropout in the best order.")
    assert 100 * page.normalized_test.accuracy == pytest.approx(published, abs=0.15)
    assert 100 * page.mixed_test.accuracy == pytest.approx(best, abs=0.3)
    found = [100 * page.normalized_test.accuracy, 100 * page.mixed_test.accuracy]
    assert stated("*Here:* #% and #%.") == pytest.approx(found, abs=0.2)
    means = [float(table["selectivity"].mean()) for table in (page.mixed_table, page.table)]
    assert stated("more selective, with a mean of # against #:") == pytest.approx(means, abs=0.04)
    share = page.mixed_test.accuracy
    assert stated("uncertain by ±# points") == pytest.approx([196 * np.sqrt(share * (1 - share) / 10_000)], abs=0.06)
