"""Odd networks through the whole of it: looked at, asked, and put on a page, without a crash, a warning or an empty number."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neural_microscope as nm
import small_runs
from neural_microscope import report
from neural_microscope.analysis.findings import findings
from neural_microscope.analysis.look import FirstLook, first_look
from neural_microscope.report import compose
from neural_microscope.training import Observer, Training
from undrawn import save_nothing

DIGITS = nm.data.load("digits")
RECORD = nm.RecordConfig(per_octave=1, probe_size=100)


def mlp(**settings: Any) -> nm.MLP:
    return nm.MLP(nm.MLPConfig(image_shape=(8, 8), **settings))


def cnn(**settings: Any) -> nm.CNN:
    return nm.CNN(nm.CNNConfig(image_shape=(8, 8), **settings))


def dead(model: nm.MLP) -> nm.MLP:
    with torch.no_grad():
        model.layers[0].weights.bias.fill_(-10)  # type: ignore[union-attr, operator]
    return model


class Interrupt(Observer):
    """Control-C at initialization."""

    def before_update(self, training: Training) -> None:
        raise KeyboardInterrupt


NETWORKS: dict[str, Callable[[], Any]] = {
    "untrained": lambda: mlp(hidden=(5,)),
    "interrupted": lambda: mlp(hidden=(5,)),
    "linear": lambda: mlp(hidden=()),
    "one unit": lambda: mlp(hidden=(1,)),
    "dead": lambda: dead(mlp(hidden=(3,))),
    "odd cnn": lambda: cnn(channels=(3,), head=(), pool="average", activation="gelu", norm="batch"),
    "tanh": lambda: mlp(hidden=(6,), activation="tanh"),
    "norm": lambda: mlp(hidden=(6, 5), norm="layer", norm_position="after", dropout=0.1, bias=False),
}
SLOW = ("untrained", "interrupted", "tanh", "norm")
QUICK = [(name, name == "dead") for name in NETWORKS if name not in SLOW]
PAGES = [*QUICK, *(pytest.param(name, True, marks=pytest.mark.slow) for name in NETWORKS if (name, True) not in QUICK)]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FirstLook]:
    """The look at a network, recorded once."""
    folder, known = tmp_path_factory.mktemp("odd"), dict[str, FirstLook]()

    def of(name: str) -> FirstLook:
        if name not in known:
            run, epochs = folder / name.replace(" ", "-"), 0 if name == "untrained" else 1
            observers = [nm.Recorder(run, RECORD), *([Interrupt()] if name == "interrupted" else [])]
            try:
                nm.train(NETWORKS[name](), DIGITS, nm.TrainConfig(epochs=epochs, batch_size=256), observers=observers)
            except KeyboardInterrupt:
                assert name == "interrupted"
            known[name] = first_look(nm.Run.open(run))
        return known[name]

    return of


@pytest.fixture(scope="module")
def page(looked: Callable[[str], FirstLook], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The page about a network, composed once with its pictures and once without."""
    folder, known = tmp_path_factory.mktemp("pages"), dict[tuple[str, bool], str]()

    def of(name: str, drawn: bool = False) -> str:
        if (name, drawn) not in known:
            with pytest.MonkeyPatch.context() as patch:
                if not drawn:
                    save_nothing(patch)
                known[name, drawn] = compose([looked(name)], folder / "page.html").read_text("utf-8")
        return known[name, drawn]

    return of


class Words(HTMLParser):
    """The words of a page, and whether its tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words += [value or "" for name, value in attrs if name in ("alt", "aria-label")]
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append("" if self.open and self.open[-1] in ("style", "script") else data)


@pytest.mark.parametrize(("name", "drawn"), PAGES)
def test_an_odd_network_has_a_whole_page_without_an_empty_number(
    name: str, drawn: bool, page: Callable[..., str]
) -> None:
    words = "\n".join(Words(page(name, drawn)).words)
    assert not re.search(r"\b(nan|inf)\b", words, re.IGNORECASE), re.findall(r".{40}\b(?:nan|inf)\b.{40}", words)
    many = r"\b1 (?:\w+ )?(?:images|units|channels|seeds|draws|networks|epochs|steps)\b"
    assert not re.search(many, words), re.findall(f".{{0,60}}{many}.{{0,30}}", words)


@pytest.mark.parametrize("name", ["untrained", "interrupted", "dead"])
def test_nothing_is_said_to_be_learned_where_nothing_was(name: str, looked: Callable[[str], FirstLook]) -> None:
    assert [finding.sentence for finding in findings(looked(name)) if finding.shown] == []


@pytest.mark.slow
def test_one_snapshot_is_called_one(looked: Callable[[str], FirstLook], page: Callable[..., str]) -> None:
    assert looked("interrupted").run.steps == [0]
    text = page("interrupted", drawn=True)
    assert "one snapshot: untrained" in text  # below a picture
    assert not re.search(r"(falls|rises) from", text.split("<script")[0])


def test_a_dead_layer_is_called_undefined_and_not_collapsed(page: Callable[..., str]) -> None:
    text = page("dead", drawn=True)
    assert "every image has the same activations at the last snapshot" in text
    assert "3 of 3 units are dead" in text
    assert "within-class variability is not shown to shrink" in text


def test_too_few_probe_images_are_refused_in_one_sentence(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "small")
    with pytest.raises(
        nm.errors.RunError, match=r"12 probe images; this analysis needs 20 or more: RecordConfig\(probe_size"
    ):
        first_look(nm.Run.open(tmp_path / "small"))
    few = nm.data.Dataset("few", DIGITS.train, DIGITS.test.balanced(15))
    nm.train(mlp(hidden=(5,)), few, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "few", RECORD)])
    with pytest.raises(
        nm.errors.RunError, match="15 probe images; this analysis needs 20 or more: record with a test set"
    ):
        first_look(nm.Run.open(tmp_path / "few"))


def relabeled(images: nm.data.ImageSet) -> nm.data.ImageSet:
    """Labels from 1 to 10, as of EMNIST's letters, and one image of class 6."""
    kept = [*np.flatnonzero(images.labels != 5), np.flatnonzero(images.labels == 5)[0]]
    return nm.data.ImageSet(images.images[kept], images.labels[kept] + 1, 11, images.name)


@pytest.mark.usefixtures("unsaved")
@pytest.mark.filterwarnings("ignore:the test set has too few images of some classes")
def test_an_empty_and_a_rare_class_have_a_page_that_says_so(tmp_path: Path) -> None:
    data = nm.data.Dataset("letters", relabeled(DIGITS.train), relabeled(DIGITS.test))
    observers = [nm.Recorder(tmp_path / "run", RECORD)]
    nm.train(mlp(hidden=(5,), classes=11), data, nm.TrainConfig(epochs=1, batch_size=256), observers=observers)
    run = nm.Run.open(tmp_path / "run")
    assert np.bincount(run.probe.labels).tolist() == [0, 11, 11, 11, 11, 11, 1, 11, 11, 11, 11]
    words = "\n".join(Words(compose([first_look(run)], tmp_path / "page.html").read_text("utf-8")).words)
    assert "class 0 has none, class 6 has 1; others up to 11" in words


@pytest.mark.usefixtures("unsaved")
@pytest.mark.parametrize("points", [(), ("1.hook_out", "2.hook_out")], ids=["logits", "no logits"])
def test_a_modules_page_says_what_needs_the_module_or_its_classes(points: tuple[str, ...], tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5), torch.nn.ReLU(), torch.nn.Linear(5, 10))
    record = nm.RecordConfig(per_octave=1, probe_size=60, hook_points=points)
    nm.train(net, DIGITS, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "foreign", record)])
    page = report.write([nm.Run.open(tmp_path / "foreign")], tmp_path / "page.html")
    words = "\n".join(Words(page.read_text("utf-8")).words)
    assert "this takes the module itself" in words
    assert ("this takes a number for each class" in words) == bool(points)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("probe", "first", "reason"),
    [
        (torch.randn(24, 5, 3), torch.nn.Linear(3, 4), "the first weights are [4, 3], and an example holds 15 numbers"),
        (
            torch.randint(0, 9, (24, 5)),
            torch.nn.Embedding(9, 5),
            "the first weights are [9, 5], and an example holds 5",
        ),
    ],
    ids=["sequences", "tokens"],
)
def test_a_page_does_not_show_first_weights_as_pictures_of_inputs_that_have_no_pixels(
    probe: torch.Tensor, first: torch.nn.Module, reason: str, tmp_path: Path
) -> None:
    width = first(probe).flatten(1).shape[1]
    net = torch.nn.Sequential(first, torch.nn.Flatten(), torch.nn.Linear(width, 3))
    with nm.record(tmp_path / "run", net, probe=probe, labels=torch.arange(24) % 3, steps=1) as recorder:
        recorder.step(loss=1.0)
    page = report.write([nm.Run.open(tmp_path / "run")], tmp_path / "page.html")
    words = "\n".join(Words(page.read_text("utf-8")).words)
    assert reason in words
    assert "incoming weights" not in words
