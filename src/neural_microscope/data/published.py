"""Data sets known by name: where they are published, and the hashes by which their files are recognized."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import files
from ..errors import DataError, reason
from . import idx


@dataclass(frozen=True)
class Published:
    """Four IDX files of 10 classes and the hashes of both their forms: a name in `idx.FILES` -> ``sha256:<hex>``, …"""

    name: str
    mirrors: tuple[str, ...]
    gzipped: Mapping[str, str]
    plain: Mapping[str, str] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()

    def check(self, path: Path) -> None:
        """DataError where a file is not the published one. A plain file without a published hash passes."""
        file = path.name.removesuffix(".gz").replace(".idx", "-idx")
        expected = (self.gzipped if path.suffix == ".gz" else self.plain).get(file)
        if expected is None:
            return
        came = digest(path, expected)
        if came != expected:
            raise DataError(
                f"{path} is not the file that {self.name} was published with: expected {expected}, but {came} came;"
                f" move it away to download it again, or load the folder by its path to read it unchecked"
            )


def digest(path: Path, like: str) -> str:
    """``algorithm:hex`` of a file, by the algorithm of the hash ``like``. Errors: DataError where it can't be read."""
    algorithm = like.partition(":")[0]
    try:
        with files.opened(path) as file:
            # MD5 is what some sets were published with, and recognizes a file even where it may not protect secrets
            found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    except OSError as error:
        raise DataError(f"can't read {path}: {reason(error)}") from None
    return f"{algorithm}:{found.hexdigest()}"


def _pins(algorithm: str, *hashes: str) -> dict[str, str]:
    return {file: f"{algorithm}:{value}" for file, value in zip(idx.FILES, hashes, strict=True)}


_ALL = (
    # By Yann LeCun and Corinna Cortes, from NIST's digits; commonly distributed under CC BY-SA 3.0.
    Published(
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _pins(
            "sha256",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        _pins(
            "sha256",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    # By Zalando Research, MIT.
    Published(
        "fashion-mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        _pins(
            "md5",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
    # By ROIS-CODH, CC BY-SA 4.0.
    Published(
        "kmnist",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        _pins(
            "md5",
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
)

KNOWN = {published.name: published for published in _ALL}

WRITTEN = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}
"""Names as prose writes them."""


def written(name: str) -> str:
    """The name of a data set as prose writes it: the name itself where it is the reader's own."""
    return WRITTEN.get(name, name)
