"""Messages of the command line when it is used wrongly: the option as typed, what is possible, and where the help is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import neural_microscope as nm
from command_line import microscope

FINISHED = Path(__file__).parents[1] / "fixtures" / "run-0.1" / "finished"
TRAIN = "train mlp --out new --data digits"
HELP = "See: microscope train mlp --help"
MESSAGES: dict[str, tuple[int, str]] = {
    f"{TRAIN} --epochs -1": (2, f"--epochs is -1; it must be 0 or more. {HELP}"),
    f"{TRAIN} --epochs 9999999999999": (2, f"--epochs is 9999999999999; it must be at most 1,099,511,627,776. {HELP}"),
    f"{TRAIN} --epochs two": (2, f"--epochs is 'two'; it must be a whole number. {HELP}"),
    f"{TRAIN} --learning-rate two": (2, f"--learning-rate is 'two'; it must be a number. {HELP}"),
    f"{TRAIN} --learning-rate -1": (2, f"--learning-rate is -1.0; it must be 0 or more, and finite. {HELP}"),
    f"{TRAIN} --probe-size 0": (2, f"--probe-size is 0; it must be 1 or more. {HELP}"),
    f"{TRAIN} --optimizer foo": (2, f"--optimizer is 'foo'; it must be one of 'sgd', 'adam', 'adamw'. {HELP}"),
    f"{TRAIN} --tokens foo": (2, f"--tokens is 'foo'; it must be a whole number, mean or all. {HELP}"),
    f"{TRAIN} --image-shape 3": (2, f"--image-shape needs 2 values. {HELP}"),
    f"{TRAIN} --hidden 0": (
        2,
        "--hidden is 0; each entry must be a whole number from 1 to 16,777,216, for at most 1,000 layers; "
        f"leave it empty for no hidden layer. {HELP}",
    ),
    "train cnn --out new --channels": (
        2,
        "--channels is empty; a CNN needs at least one convolutional layer. See: microscope train cnn --help",
    ),
    f"{TRAIN} --image-shape 9 9": (
        1,
        "the model takes images of (9, 9); digits has (8, 8). Set --image-shape 8 8",
    ),
    f"{TRAIN} --outt x": (2, f"microscope train mlp has no --outt; did you mean --out? {HELP}"),
    f"{TRAIN} --channels 3": (2, f"microscope train mlp has no --channels; did you mean --image-channels? {HELP}"),
    f"{TRAIN} extra": (2, f"this command takes no extra. {HELP}"),
    "train mlp": (2, f"--out PATH is missing. {HELP}"),
    "train rnn --out x": (
        2,
        "no network 'rnn'; there are: mlp, cnn; did you mean 'cnn'? See: microscope train --help",
    ),
    "train --out x": (2, "the kind of network is missing: mlp or cnn. See: microscope train --help"),
    "raport x": (
        2,
        "no command 'raport'; there are: demo, train, resume, replay, verify, report, explore, learn, calibrate, sweep; "
        "did you mean 'report'? See: microscope --help",
    ),
    "--out x train mlp": (
        2,
        "no command '--out'; there are: demo, train, resume, replay, verify, report, explore, learn, calibrate, sweep. "
        "See: microscope --help",
    ),
    "train mlp --data digits more": (2, f"--out PATH is missing. {HELP}"),
    "report x --outt y": (2, "microscope report has no --outt; did you mean --output? See: microscope report --help"),
    "report -o x.html": (2, "RUN is missing. See: microscope report --help"),
    "verify": (2, "RUN is missing. See: microscope verify --help"),
    "verify nosuch more": (2, "this command takes no more. See: microscope verify --help"),
    f"{TRAIN} --bias false": (2, f"this command takes no false. {HELP}"),
    "report nosuch": (1, "there is no folder {here}/nosuch"),
    "resume nosuch": (1, "there is no folder {here}/nosuch"),
    "verify nosuch": (1, "there is no folder nosuch"),
    "verify demo": (
        1,
        "demo is not a run folder: it has no run.json, but holds runs: cnn, mlp. Give one, such as demo/cnn",
    ),
    "explore demo": (
        1,
        "{here}/demo is not a run folder: it has no run.json, but holds runs: cnn, mlp. Give one, such as {here}/demo/cnn",
    ),
    "verify empty": (
        1,
        "empty is not a run folder: it has no run.json. A run folder is what `microscope train --out FOLDER` "
        "or nm.Recorder(FOLDER) writes",
    ),
    f"explore {FINISHED} --snapshots 0": (
        1,
        "--snapshots is 0; it must be at least 1. See: microscope explore --help",
    ),
    "replay x --at 2 --rate -1": (
        1,
        "--rate is -1; it must be 0 or more, and finite. See: microscope replay --help",
    ),
    "replay x": (2, "--at INT is missing. See: microscope replay --help"),
    "learn file.txt": (1, "file.txt is a file; give a folder"),
    f"report {FINISHED} --calibration file.txt": (
        1,
        "file.txt is not a calibration; `microscope calibrate --output FILE` writes one (it is not JSON)",
    ),
    "calibrate --pages -3": (1, "--pages is -3; it must be 0 or more. See: microscope calibrate --help"),
    "train mlp --data nowhere/at/all --out full": (1, "full is not empty (it holds 'a'): give a new folder"),
    "demo --data mnst --out new": (
        1,
        "no data set 'mnst'; there are: mnist, fashion-mnist, kmnist, digits; did you mean 'mnist' or 'kmnist'? "
        "(or pass the path of a folder or a file)",
    ),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, a folder of two runs, a folder with a file, and an empty one."""
    monkeypatch.chdir(tmp_path)
    for folder in ("demo/mlp", "demo/cnn", "full", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("file.txt", "demo/mlp/run.json", "demo/cnn/run.json", "full/a"):
        (tmp_path / file).touch()
    return Path(os.getcwd())


@pytest.mark.parametrize("words", MESSAGES)
def test_an_error_says_what_came_what_is_possible_and_what_to_do(words: str, here: Path) -> None:
    code, text = MESSAGES[words]
    done = microscope(*words.split())
    assert done.stderr == f"microscope: {text.format(here=here)}\n"
    assert done.returncode == code
    assert not (here / "new").exists()
    assert done.stdout.strip() == "" or done.stdout.startswith("NOTE: ")
    assert not done.stdout.startswith("\n")


def test_without_words_it_prints_help_and_with_version_the_version() -> None:
    assert microscope().stdout == microscope("--help").stdout
    assert microscope("--version") == (0, f"{nm.__version__}\n", "")


@pytest.mark.parametrize(
    "words", ["", "train", "train mlp", "sweep cnn", "replay", "report", "calibrate", "demo", "learn"]
)
def test_help_fits_80_columns_and_names_options_as_typed(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = microscope(*words.split(), "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "│ (required)" not in done.stdout
    for wrong in ("None", "(default: )", "''", "drop_last", "pixel_mean", "[["):
        assert wrong not in done.stdout
    assert ("(default: that of the" in done.stdout) == (words in ("train mlp", "sweep cnn"))


def test_verify_says_what_a_run_holds_and_counts_what_is_not_its_own(tmp_path: Path) -> None:
    nm.train(
        nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(4,))),
        nm.data.load("digits"),
        nm.TrainConfig(epochs=1),
        observers=[nm.Recorder(tmp_path, nm.RecordConfig(per_octave=0))],
    )
    for number in range(11):
        (tmp_path / f"note-{number:02}").touch()
    assert microscope("verify", tmp_path) == (
        0,
        "11 files that are not part of this run (first: note-00)\n"
        f"{tmp_path}: all files verified (mlp, 2 snapshots to step 12 of 12, finished)\n"
        "hook points: layers.0.hook_pre, layers.0.hook_post, logits\n"
        "snapshots at step 0, 12\n"
        "can be forked (replay --at) at step 0, 12\n",
        "",
    )


def test_a_download_that_fails_takes_two_lines_and_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise nm.errors.DataError("can't download x: tried nothing")

    monkeypatch.setattr("neural_microscope.data.download.fetch", refused)
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", str(tmp_path))
    first, second = microscope("train", "mlp", "--out", tmp_path / "run").stderr.splitlines()
    assert first == "microscope: can't download x: tried nothing;"
    assert second.startswith("put train-images-idx3-ubyte.gz, ")
    assert second.endswith("or add --data digits, which needs no network")
