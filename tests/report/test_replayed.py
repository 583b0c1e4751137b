"""The report of a run whose training was forked."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import pytest

import neural_microscope as nm
import small_runs
from elements import Elements
from neural_microscope.report.html import escape
from neural_microscope.report.replayed import replayed, section

KEPT = nm.RecordConfig(per_octave=1, probe_size=24, norms_every=4, keep_states=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two replays beside it: one that loses a unit, one that changes nothing."""
    folder = tmp_path_factory.mktemp("forked")
    small_runs.train(folder / "mlp", record=KEPT, model=small_runs.mlp(hidden=(6,)))
    lost = nm.changes.Ablate("layers.0", 2)
    nm.replay(folder / "mlp", at=8, change=lost, branches=2, nulls=3, data=small_runs.data())
    nm.replay(folder / "mlp", at=8, orders="same", data=small_runs.data())
    return folder


@pytest.mark.usefixtures("undrawn")
def test_a_page_tells_what_its_run_became_when_it_was_trained_otherwise(folder: Path, tmp_path: Path) -> None:
    run = nm.Run.open(folder / "mlp")
    page = nm.report.write([run], tmp_path / "page.html").read_text("utf-8")
    (made,) = (one for one in nm.replays.replays_of(run) if one.changes)
    part = page[page.index('id="replays"') : page.index('id="about"')]
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part)))
    assert '<a href="#replays">Trained otherwise</a>' in page
    assert "Ablate layers.0 unit 2, from step 8 to 18" in text
    assert "2 orders, 3 null branches in each." in text
    stored = Elements(page).stored
    told = nm.replays.claims(made)
    assert len(told) == 2
    for claim in told:
        assert claim.sentence[1:] in text
        (same,) = (held for held in stored.values() if held["rule"] == claim.rule)
        assert (same["verdict"], same["numbers"]) == (claim.verdict, claim.to_json()["numbers"])
        assert f'data-claim="{escape(next(name for name, held in stored.items() if held is same))}"' in part
    assert "an order" not in text.split("Trained otherwise")[0]


@pytest.mark.usefixtures("undrawn")
def test_without_replays_of_this_very_run_there_is_no_such_part(folder: Path, tmp_path: Path) -> None:
    small_runs.train(tmp_path / "mlp", record=KEPT, model=small_runs.mlp(hidden=(6,), seed=1))
    shutil.copytree(folder / "mlp.replays", tmp_path / "mlp.replays")
    look = nm.analysis.look.first_look(nm.Run.open(tmp_path / "mlp"))
    assert nm.replays.replays_of(look.run)
    assert replayed([look]) == {}
    assert section({}) == ""


@pytest.mark.usefixtures("undrawn")
def test_a_replay_that_diverged_or_is_damaged_is_named_and_the_page_is_whole(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "forked")
    run = nm.Run.open(tmp_path / "forked" / "mlp")
    fast = nm.changes.LearningRate(1e30)
    with pytest.warns(UserWarning, match="diverged"):
        nm.replay(run, at=8, change=fast, branches=1, nulls=0, data=small_runs.data())
    damaged = tmp_path / "forked" / "mlp.replays" / "damaged"
    damaged.mkdir()
    (damaged / "replay.json").write_text("{")
    page = nm.report.write([run], tmp_path / "page.html").read_text("utf-8")
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    assert "Ablate layers.0 unit 2, from step 8 to 18" in text
    assert "Not measured: a network diverged" in text or re.search(r"Not measured: .*diverge", text)
    assert re.search(r"Not measured: .*replay\.json is not a valid document", text)
