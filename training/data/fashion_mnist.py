"""Fashion-MNIST from its publisher's idx files: a folder given, Debian's package, or fetched once and kept.

https://github.com/zalandoresearch/fashion-mnist
"""

from __future__ import annotations

import gzip
import hashlib
import os
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

from training.data.dataset import Column, Dataset
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


def load(folder: Path | None, *, installed: Path = DEBIAN, cache: Path | None = None, url: str = UPSTREAM) -> Dataset:
    """All 70,000 images, the publisher's test split last.

    From ``folder`` where one is given; else from ``installed``; else from ``cache``, to which what is missing is
    fetched from ``url``. Raises `DataError` where a file is not there or not the publisher's.
    """
    if folder is not None or installed.is_dir():
        place = folder or installed

        def read(name: str) -> bytes:
            return _packed(place / f"{name}.gz")
    else:
        kept = cache or user_cache_path("mlp-serving") / NAME

        def read(name: str) -> bytes:
            return _fetched(name, kept, url)

    train_images, train_labels, test_images, test_labels = (_idx(name, read) for name in FILES)
    pixels = (f"pixel_{row}_{column}" for row in range(EDGE) for column in range(EDGE))
    return Dataset(
        name=NAME,
        inputs=np.concatenate([train_images, test_images]).reshape(-1, EDGE * EDGE),
        targets=np.concatenate([train_labels, test_labels]).astype(np.int64),
        labels=LABELS,
        columns=tuple(Column(name) for name in pixels),
        target_names=("article",),
        shape=(EDGE, EDGE),
        test_rows=TEST_ROWS,
        source={"name": NAME, "url": "https://github.com/zalandoresearch/fashion-mnist", "sha256": dict(FILES)},
    )


def _idx(name: str, read: Callable[[str], bytes]) -> NDArray[np.uint8]:
    """One idx file as an array: its hash was pinned, so its header need not be doubted."""
    content = read(name)
    _verify(name, content)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _verify(name: str, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise DataError(
            f"{name} is not Fashion-MNIST's: its SHA-256 is {found[:12]}…, expected {FILES[name][:12]}…; "
            "install the package dataset-fashion-mnist, or give the publisher's files with --data-dir"
        )


def _packed(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read: {reason}; --data-dir takes a folder with {', '.join(f'{n}.gz' for n in FILES)}"
        ) from error


def _fetched(name: str, cache: Path, url: str) -> bytes:
    path = cache / f"{name}.gz"
    if not path.exists():
        try:
            with urllib.request.urlopen(f"{url}/{path.name}", timeout=_DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310
                content = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise DataError(
                f"Fashion-MNIST is not on this machine and cannot be fetched from {url} ({error}); install the package "
                "dataset-fashion-mnist, or give the publisher's files with --data-dir"
            ) from error
        _keep(path, content)
    content = _packed(path)
    if hashlib.sha256(content).hexdigest() != FILES[name]:
        path.unlink()  # a damaged file is fetched anew the next time
    return content


def _keep(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(number, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
