"""The step at which the outcome of a training is decided: error barriers between children of one network (Frankle et al. 2020), on MNIST.

Adam at 0.001, batch 128, two epochs (938 steps). After five, the barrier of 784-32-16-10 at step 0 is half as high again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import neural_microscope as nm

pytestmark = [pytest.mark.mnist, pytest.mark.slow]
FORKS = (0, 60)


class UntilTheLastFork(nm.training.Observer):
    """Ends the training there: only its children go on."""

    def stepped(self, training: nm.training.Training) -> None:
        if training.step == FORKS[-1]:
            training.stop("the last fork")


def forked(folder: Path, mnist: Path, hidden: tuple[int, ...], seeds: int) -> xr.Dataset:
    """The barriers of a pair of children from each fork of each seed's network, so that intervals over pairs are over seeds."""
    data = nm.data.load("mnist", folder=mnist)
    record = nm.RecordConfig(
        per_octave=0, every_epoch=False, steps=FORKS, keep_states=True, probe_size=10, norms_every=0
    )
    nm.train_population(
        nm.MLPConfig(hidden=hidden),
        data,
        nm.TrainConfig(epochs=2),
        seeds=range(seeds),
        order="shared",
        observers=lambda seed: [nm.Recorder(folder / str(seed), record), UntilTheLastFork()],
    )
    runs = [nm.Run.open(folder / str(seed)) for seed in range(seeds)]
    found = nm.replays.decided(runs, pairs=1, at=FORKS, data=data)
    print(
        hidden, found[["barrier", "barrier_low", "barrier_high", "excess", "excess_low", "excess_high"]].to_dict("list")
    )
    return found


def test_a_small_network_is_decided_by_step_60_and_not_at_initialization(tmp_path: Path, mnist_folder: Path) -> None:
    """784-32-16-10, 16 seeds: most barriers are small and a few are large, so that eight are too few for an interval above 0."""
    found = forked(tmp_path, mnist_folder, (32, 16), 16)
    at_0, at_60 = found["barrier"].values
    assert found["excess_low"][0] > 0
    assert found["barrier_q"][0] < 0.05
    assert found.attrs["decided"] == 60
    assert at_0 > 5 * at_60
    assert found["barrier_high"][1] < 0.002
    assert found["errors"].isel(share=[0, -1]).max() < 0.12  # they have learned, and not diverged


def test_lenet_is_stable_at_initialization(tmp_path: Path, mnist_folder: Path) -> None:
    """784-300-100-10, 4 seeds: below one point from initialization on, and yet lower from step 60 on."""
    found = forked(tmp_path, mnist_folder, (300, 100), 4)
    assert found["barrier_high"][0] < 0.01
    assert found["barrier_high"][1] < 0.002
    assert found["excess_low"][0] > 0
    assert found["errors"].isel(share=[0, -1]).max() < 0.05
