"""Runs that differ only in seed are one population of the page: it tells the first network, and names every run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import neural_microscope as nm
from neural_microscope import cli
from neural_microscope.run import network_names

pytestmark = pytest.mark.usefixtures("undrawn")  # what the page's table and sentences say of the runs
RECORD = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=40, gallery_size=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seeds of an MLP, one MLP of another width in a folder of the same name, and a CNN."""
    folder, digits = tmp_path_factory.mktemp("population"), nm.data.load("digits")
    networks = {f"a/r{seed}": nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(4,)), seed=seed) for seed in range(3)}
    networks["b/r0"] = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(3,)))
    networks["cnn"] = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(2,), head=()))
    for name, network in networks.items():
        config = nm.TrainConfig(epochs=1, batch_size=256, seed=network.seed)
        nm.train(network, digits, config, observers=[nm.Recorder(folder / name, RECORD)])
    return {name: folder / name for name in networks}


def rows(text: str) -> list[tuple[str, str]]:
    """(network, seed of its weights) of each run in the table at the page's end."""
    table = text[text.index("<span>The runs</span>") :].split("</table>")[0]
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    return [(row[0], row[2]) for row in cells]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_report_of_seeds_of_one_network_names_each(count: int, folders: dict[str, Path], tmp_path: Path) -> None:
    runs = [nm.Run.open(folders[f"a/r{seed}"]) for seed in range(count)]
    text = nm.report.write(runs, tmp_path / "page.html").read_text("utf-8")
    assert rows(text) == [("MLP", str(seed)) for seed in range(count)]
    assert re.search(
        rf"{count} seeds, with test accuracies from [\d.]+% to [\d.]+%; each claim states on how many it is shown", text
    )
    assert re.search(rf"Shown on \d of {count} seeds", text)


def test_the_command_reports_a_population_beside_another_network(folders: dict[str, Path], tmp_path: Path) -> None:
    cli.report([folders[name] for name in ("a/r1", "cnn", "a/r0")], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert rows(text) == [("MLP", "1"), ("MLP", "0"), ("CNN", "0")]
    assert re.search(
        r"2 seeds, with test accuracies from [\d.]+% to [\d.]+%; each claim states on how many it is shown", text
    )
    assert "1 seed, not replicated" in text


def test_networks_in_folders_of_one_name_are_told_apart(folders: dict[str, Path], tmp_path: Path) -> None:
    again = shutil.copytree(folders["a/r0"], tmp_path / "again" / "r0")
    runs = [nm.Run.open(folder) for folder in (folders["a/r0"], again, folders["cnn"])]
    assert network_names(runs) == ["MLP (a/r0)", "MLP (again/r0)", "CNN"]
    assert network_names([runs[0], runs[0]]) == ["MLP (r0)", "MLP (r0) 2"]


def test_networks_of_one_kind_are_named_by_the_setting_in_which_they_differ(tmp_path: Path) -> None:
    digits = nm.data.load("digits")

    def trained(name: str, hidden: tuple[int, ...], learning_rate: float = 1e-3) -> nm.Run:
        model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=hidden), seed=0)
        training = nm.TrainConfig(epochs=0, learning_rate=learning_rate)
        nm.train(model, digits, training, observers=[nm.Recorder(tmp_path / name, RECORD)])
        return nm.Run.open(tmp_path / name)

    one, slow, wide = trained("a", (4,)), trained("b", (4,), learning_rate=1e-4), trained("c", (8, 4))
    assert network_names([one, slow]) == ["MLP (learning rate 0.001)", "MLP (learning rate 0.0001)"]
    assert network_names([wide, one]) == ["MLP (hidden 8-4)", "MLP (hidden 4)"]
    assert network_names([one, slow, wide]) == ["MLP (a)", "MLP (b)", "MLP (c)"], "no setting tells all three apart"
