"""Fashion-MNIST from its publisher's idx files: a folder given, Debian's package, or fetched once and kept.

https://github.com/zalandoresearch/fashion-mnist
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from training.data.dataset import Dataset
from training.data.images import dataset
from training.data.kind import DataKind, DataOption
from training.errors import DataError

NAME: Final = "fashion-mnist"
LABELS: Final = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
EDGE: Final = 28
TEST_ROWS: Final = 10_000
DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")
UPSTREAM: Final = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"

# SHA-256 of the unpacked files: packers differ from place to place.
FILES: Final = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_DOWNLOAD_TIMEOUT_S: Final = 60
_REMEDY: Final = "install the package dataset-fashion-mnist, or give the publisher's four .gz files with --data-dir"


def load(folder: Path | None, *, installed: Path = DEBIAN, cache: Path | None = None, url: str = UPSTREAM) -> Dataset:
    """All 70,000 images, the publisher's test split last.

    From ``folder`` where one is given; else from ``installed``; else from ``cache``, to which what is missing or
    damaged is fetched from ``url``. Raises `DataError` where a file is not there or not the publisher's.
    """
    if folder is not None or installed.is_dir():
        place = folder or installed

        def read(name: str) -> bytes:
            return _packed(name, place / f"{name}.gz")
    else:
        kept = cache or user_cache_path("mlp-serving") / NAME

        def read(name: str) -> bytes:
            return _fetched(name, kept / f"{name}.gz", url)

    train_images, train_labels, test_images, test_labels = (_idx(name, read) for name in FILES)
    return Dataset(
        name=NAME,
        inputs=np.concatenate([train_images, test_images]).reshape(-1, EDGE * EDGE),
        targets=np.concatenate([train_labels, test_labels]).astype(np.int64),
        labels=LABELS,
        columns=dataset.pixels(EDGE, EDGE),
        target_names=("article",),
        shape=(EDGE, EDGE),
        test_rows=TEST_ROWS,
        source={"name": NAME, "url": "https://github.com/zalandoresearch/fashion-mnist", "sha256": dict(FILES)},
    )


def _idx(name: str, read: Callable[[str], bytes]) -> NDArray[np.uint8]:
    """One idx file as an array: its hash was pinned, so its header need not be doubted."""
    content = read(name)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _packed(name: str, path: Path) -> bytes:
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from error
    return _unpacked(name, packed, path)


def _unpacked(name: str, packed: bytes, origin: Path | str) -> bytes:
    """The file called ``name``, proven to be the publisher's."""
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{origin} is damaged, or no .gz file ({error}); {_REMEDY}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise DataError(
            f"{origin} is not Fashion-MNIST's: unpacked, its SHA-256 is {found[:12]}…, expected {FILES[name][:12]}…; "
            f"{_REMEDY}"
        )
    return content


def _fetched(name: str, path: Path, url: str) -> bytes:
    """From the cache at ``path`` where it is whole there, else from ``url``."""
    with contextlib.suppress(DataError):
        return _packed(name, path)
    origin = f"{url}/{path.name}"
    try:
        with urllib.request.urlopen(origin, timeout=_DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310
            packed: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is an answer, with a connection
        raise DataError(
            f"Fashion-MNIST is not on this machine and cannot be fetched from {origin} ({error}); {_REMEDY}"
        ) from error
    content = _unpacked(name, packed, origin)
    _keep(path, packed)
    return content


def _keep(path: Path, packed: bytes) -> None:
    """Whole or not at all; where there is no room or right for a cache, training does without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / path.name
            whole.write_bytes(packed)
            whole.replace(path)


KIND: Final = DataKind(
    description=NAME,
    load=lambda _name, options, _track: load(options["data_dir"]),
    names=(NAME,),
    options=(DataOption("data_dir", "--data-dir", "folder with the four .gz files", type=Path, metavar="FOLDER"),),
    options_help="read from this machine if installed, else downloaded once",
    defaults={"flip": True},  # clothes may face either way; mirrored letters or digits would be different ones
)
