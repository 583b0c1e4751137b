"""Edits judged by networks that were really trained that way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from ..analysis.edits import distance_from_retrained, edit_price
from ..claim import Claim, tested
from ..claim import judge as judged
from ..config import TrainConfig
from ..data import Dataset, ImageSet
from ..doors import door
from ..errors import RunError
from ..hooks import activations
from ..models import Network, build
from ..recording import recorded_data
from ..run import Run
from ..training.feed import Feed, order_of
from ..training.population import train_branches
from .kinds import Edit
from .making import Subject

AT_ONCE = 1000
"""Images whose feature maps are held at once."""

GOAL = "goal"
"""The row of distances on the images alone that the edit is about."""

FAMILIES = 4
"""Rules of a judgment, over which its claims are corrected."""


@dataclass(frozen=True, eq=False)
class Judgment:
    """An edit with its price, beside networks that were really trained that way."""

    edit: Edit
    """The edit."""
    distance: xr.Dataset
    """`analysis.edits.distance_from_retrained`: rows ``logits``, ``goal`` (the logits of the images that the edit is about alone) and the
    hidden layers."""
    price: xr.Dataset
    """`analysis.edits.edit_price`, with the shares, accuracy and loss of each retrained network: ``share_retrained``,
    ``accuracy_retrained``, ``loss_retrained`` [seed]."""
    claims: list[Claim]
    """Its claims with their verdicts."""
    network: Network = field(repr=False)
    """The edited copy."""
    retrained: list[Network] = field(repr=False)
    """The networks that were trained that way."""

    @property
    def text(self) -> str:
        """The claims in words, a line each."""
        return "\n".join(f"{claim.verdict}: {claim.sentence} {claim.reasons}" for claim in self.claims)


@door
def edited(run: Run, edit: Edit, *, data: Dataset | None = None, seed: int = 0) -> Any:
    """A copy of a run's network with an edit, in evaluation mode; the run stays as it is.

    Args:
        run: A finished run of an `MLP` or `CNN` that classifies.
        edit: The edit.
        data: Training and test images of the run; None: the set that `load` knows by the recorded name.
        seed: Seed of the order in which an edit trains on, and of a random choice of units.

    Raises:
        ConfigError: The edit can't be made in this network or with these images.
        RunError: A run that can't be trained again, or other data.

    >>> never = nm.edits.edited(run, nm.edits.Forget(7), data=digits)
    >>> bool((never(images).argmax(1) == 7).any())
    False
    """
    return edit.apply(_subject(run, data, seed))[0]


@door
def retrain(run: Run, edit: Edit, *, seeds: int | Iterable[int] = 8, data: Dataset | None = None) -> list[Network]:
    """Networks trained from their initialization in the way that an edit imitates, with a run's settings.

    Each has initial weights and an order of batches of its own. Where `training.population` can, all are trained in one
    stack. One list judges every edit with the same goal, see `judge`.

    Args:
        run: A finished run of an `MLP` or `CNN` that classifies.
        edit: The edit.
        seeds: Seeds of the networks, or how many: those after the run's own.
        data: Training and test images of the run; None: the set that `load` knows by the recorded name.

    Raises:
        ConfigError: The edit does not fit the images.
        RunError: A run that can't be trained again, or other data.

    >>> never = nm.edits.retrain(run, nm.edits.Forget(7), seeds=1, data=digits)[0]
    >>> bool((never(images).argmax(1) == 7).any())
    False
    """
    at = _subject(run, data, 0)
    first = int(run.description["model"]["seed"]) + 1
    each = list(range(first, first + seeds)) if isinstance(seeds, int) else [int(one) for one in seeds]
    networks = [build(edit.architecture(run.config), one) for one in each]
    images, changes = edit.training(at.data)
    feeds = [Feed(order_of(images, at.config, one), changes) for one in each]
    train_branches(networks, images, at.config, feeds=feeds)
    return [one.eval() for one in networks]


@door
def judge(
    run: Run,
    edit: Edit,
    *,
    retrained: Sequence[Any] | None = None,
    seeds: int | Iterable[int] = 8,
    data: Dataset | None = None,
    draws: int = 99,
    seed: int = 0,
) -> Judgment:
    """The gain and the price of an edit, and the verdict on whether it lies within the spread of networks trained that way.

    All is measured on test images, beside random edits of equal size; a set of training images that was forgotten is
    measured on these. A verdict is corrected over the four claims.

    Args:
        run: A finished run of an `MLP` or `CNN` that classifies.
        edit: The edit.
        retrained: Three or more networks that were trained that way, of `retrain`; None: they are trained.
        seeds: Seeds of these networks, or how many.
        data: Training and test images of the run; None: the set that `load` knows by the recorded name.
        draws: Random edits of equal size. With 79 or fewer none of these comparisons can be shown.
        seed: Seed of the random edits, of the order in which an edit trains on, and of a random choice of units.

    Raises:
        ConfigError: The edit can't be made in this network or with these images.
        RunError: A run that can't be trained again, or other data.

    >>> found = nm.edits.judge(run, nm.edits.Forget(7), data=digits, seeds=3, draws=5)
    >>> float(found.price["share"]), found.distance.layer.values.tolist()[:2]
    (0.0, ['logits', 'goal'])
    """
    at = _subject(run, data, seed)
    network, random = edit.apply(at)
    networks = list(retrain(run, edit, seeds=seeds, data=at.data) if retrained is None else retrained)
    view = View.of(edit, at.data)
    before, after = view.of_network(at.model), view.of_network(network)
    others = [view.of_network(one) for one in networks]
    drawn: list[xr.DataArray] = []

    def looks() -> Iterator[Mapping[str, xr.DataArray]]:
        for one in random(draws, seed):
            look = view.of_network(one)
            drawn.append(view.judged_logits(look))
            yield view.rows(look)

    distance = distance_from_retrained(view.rows(after), [view.rows(one) for one in others], looks(), view.rows(before))
    goal = view.goal
    logits = [view.judged_logits(one) for one in (before, after)]
    price = edit_price(logits[0], logits[1], goal, xr.concat(drawn, "draw") if drawn else None)
    theirs = [edit_price(logits[0], view.judged_logits(one), goal) for one in others]
    price = price.assign(
        {
            f"{name}_retrained": ("seed", [float(one[name]) for one in theirs], price[name].attrs)
            for name in ("share", "accuracy", "loss")
        }
    )
    return Judgment(edit, distance, price, _claims(edit, distance, price), network, networks)


@dataclass(frozen=True, eq=False)
class View:
    """The images of a judgment, and the activations of a network on them."""

    test: ImageSet
    more: ImageSet | None
    """Training images that the edit is about."""
    goal: np.ndarray
    """For each image, those of ``more`` last, the class that the edit is to make rarer, or -1."""

    @classmethod
    def of(cls, edit: Edit, data: Dataset) -> View:
        """The view for an edit."""
        more, goal = edit.more(data), edit.goal(data.test)
        return cls(data.test, more, goal if more is None else np.concatenate([goal, np.asarray(more.labels)]))

    def of_network(self, network: Network) -> dict[str, xr.DataArray]:
        """Logits and hidden layers of the test images, and as ``more`` the logits of the others."""
        names = [f"layers.{number}.hook_post" for number in range(len(network.layers))]
        found = _seen(network, self.test, ["logits", *names])
        return found if self.more is None else found | {"more": _seen(network, self.more, ["logits"])["logits"]}

    def judged_logits(self, look: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Logits of all images."""
        return look["logits"] if self.more is None else xr.concat([look["logits"], look["more"]], "example")

    def rows(self, look: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
        """The rows of a table of distances."""
        about = np.flatnonzero(self.goal >= 0)
        goal = {GOAL: self.judged_logits(look)[about]} if len(about) else {}
        layers = {name.removesuffix(".hook_post"): look[name] for name in look if name not in ("logits", "more")}
        return {"logits": look["logits"], **goal, **layers}


def _seen(network: Network, images: ImageSet, names: list[str]) -> dict[str, xr.DataArray]:
    """Activations of images, feature maps as means of their channels."""
    parts = []
    for begin in range(0, len(images), AT_ONCE):
        some = activations(network, images.subset(slice(begin, begin + AT_ONCE)), names)
        parts.append({name: one.mean(("row", "col")) if "row" in one.dims else one for name, one in some.items()})
    return {name: xr.concat([part[name] for part in parts], "example") for name in names}


def _subject(run: Run, data: Dataset | None, seed: int) -> Subject:
    """The network of a run and its training, if it can be trained again."""
    config, about = run.train_config, run.description
    if not isinstance(config, TrainConfig) or about["sampler"] != "default" or about.get("loss") == "own":
        raise RunError(
            f"{run.folder} records a training that can't be done again here: give a run of nm.train on a Dataset"
        )
    if run.task != "classification" or run.status != "finished":
        raise RunError(f"{run.folder} is a {run.task} run, {run.status}; edits need a finished classification run")
    return Subject(run.model(), recorded_data(run.folder, about, data), config, seed)


# --- claims -----------------------------------------------------------------------------------------------------------------


def _claims(edit: Edit, distance: xr.Dataset, price: xr.Dataset) -> list[Claim]:
    made = [_within(edit, distance), _beyond(edit, distance), _gained(edit, price), _cheap(edit, price)]
    return judged([one for one in made if one is not None], FAMILIES)


def _drawn(p: xr.DataArray) -> dict[str, Any]:
    return {"floor": float(p.attrs["floor"]), "draws": int(p.attrs["draws"])}


def _numbers(distance: xr.Dataset, row: int) -> dict[str, float | int | str]:
    """The numbers of a row, and those of the predictions on all test images."""
    here, logits = distance.isel(layer=row), distance.sel(layer="logits")
    names = (
        "distance",
        "own",
        "own_max",
        "limit",
        "excess",
        "excess_null_high",
        "distance_null_low",
        "distance_null_high",
    )
    numbers: dict[str, float | int | str] = {name: float(here[name]) for name in names}
    numbers |= {"tv": float(logits["distance"]), "tv_own": float(logits["own"]), "tv_max": float(logits["own_max"])}
    numbers |= {f"random_{end}": float(logits[f"distance_null_{end}"]) for end in ("low", "high")}
    return numbers | {"row": str(here["layer"].values), "networks": distance.sizes["seed"]}


SPREAD = (
    "a mean total variation of {tv:3} of their predictions; theirs from one another is {tv_own:3}, at most {tv_max:3}"
)


def _within(edit: Edit, distance: xr.Dataset) -> Claim:
    p = {
        "the limit of their spread": float(distance["limit_p"].max(skipna=False)),
        "random edits of equal size": float(distance["distance_p"].sel(layer="logits")),
    }
    row = int(np.argmax(np.nan_to_num(distance["limit_p"].values, nan=2.0)))
    return replace(
        tested(
            yes=f"the edited network lies within the spread of {{networks:,}} networks {edit.trained}: {SPREAD}.",
            no=f"the edited network is not shown to lie within the spread of {{networks:,}} networks {edit.trained}: {SPREAD}.",
            numbers=_numbers(distance, row),
            effect="distance",
            evidence="Farthest: {row}, {distance:3} from them, theirs {own:3}, limit {limit:3}; predictions of random edits {random_low:3} "
            "to {random_high:3}.",
            null=f"{distance.attrs['null']}; a random edit: {edit.equal}",
            p=p,
            n=distance.sizes["seed"],
            of="networks",
            **_drawn(distance["distance_p"]),
        ),
        rule="an edit lies within the retrained networks' spread",
        measure="edits.distance_from_retrained",
    )


def _beyond(edit: Edit, distance: xr.Dataset) -> Claim:
    p = distance["excess_p"].values
    row = int(np.argmin(np.nan_to_num(p, nan=2.0)))
    return replace(
        tested(
            yes=f"the edited network lies beyond the spread of networks {edit.trained}: by its {{row}} it is {{distance:3}} from them, "
            "they are {own:3} from one another.",
            no=f"the edited network is not shown to lie beyond the spread of networks {edit.trained}.",
            numbers=_numbers(distance, row),
            effect="excess",
            evidence="Clearest by its {row}: {excess:3} farther; one more of them: at most {excess_null_high:3}. Predictions: {tv:3} "
            "from them, they {tv_own:3}, at most {tv_max:3}.",
            null="one more retrained network",
            p=float(np.minimum(np.nanmin(p) * len(p), 1)) if np.isfinite(p).any() else np.nan,
            n=distance.sizes["seed"],
            of="networks",
        ),
        rule="an edit lies beyond the retrained networks' spread",
        measure="edits.distance_from_retrained",
    )


def _gained(edit: Edit, price: xr.Dataset) -> Claim | None:
    if not edit.aim:
        return None
    moves = f"{edit.aim} goes from {{share_before:1%}} to {{share:1%}} (retrained networks: {{theirs:1%}})"
    test = "less the fall of accuracy elsewhere, that is {net_gain:3}"
    return _priced(
        edit,
        price,
        "net_gain",
        "an edit reaches its goal",
        f"{moves}; {test}, more than after random edits of equal size.",
        f"{moves}; {test}, not shown to be more than after random edits of equal size.",
        "Random edits: {net_gain_null_low:3} to {net_gain_null_high:3}.",
        n=price.attrs["n_about"],
    )


def _cheap(edit: Edit, price: xr.Dataset) -> Claim:
    moves = (
        "elsewhere accuracy goes from {accuracy_before:2%} to {accuracy:2%} and the loss {loss_increase:rises3} nats"
    )
    return _priced(
        edit,
        price,
        "loss_increase",
        "an edit raises the loss less than random ones",
        f"{moves}: random edits of equal size raise it more.",
        f"{moves}; it is not shown that random edits of equal size raise it more.",
        "Interval {loss_increase_low:3} to {loss_increase_high:3}; random edits {loss_increase_null_low:3} to {loss_increase_null_high:3}.",
        n=price.attrs["n_examples"] - price.attrs["n_about"],
        units="nats",
    )


def _priced(
    edit: Edit, price: xr.Dataset, effect: str, rule: str, yes: str, no: str, evidence: str, **words: Any
) -> Claim:
    scalars = {str(name): float(one) for name, one in price.data_vars.items() if one.ndim == 0}
    numbers = scalars | {"theirs": float(price["share_retrained"].mean())}
    claim = tested(
        yes=yes,
        no=no,
        numbers=numbers,
        effect=effect,
        evidence=evidence,
        null=f"random edits of equal size: {edit.equal}",
        p=float(price[f"{effect}_p"]),
        **words,
        **_drawn(price[f"{effect}_p"]),
    )
    return replace(claim, rule=rule, measure="edits.edit_price")
