"""Fashion-MNIST from its idx files: in a given folder, from Debian's package, or downloaded once to a cache.

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

from training.data.dataset import Dataset, last_rows_test
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

# SHA-256 of the uncompressed files; the compressed ones differ between distributors.
FILES: Final = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_DOWNLOAD_TIMEOUT_S: Final = 60
_REMEDY: Final = "install the package dataset-fashion-mnist, or give the publisher's four .gz files with --data-dir"


def load(folder: Path | None, *, installed: Path = DEBIAN, cache: Path | None = None, url: str = UPSTREAM) -> Dataset:
    """Load all 70,000 images; the last 10,000 are the test split.

    Reads from ``folder`` if given, else from ``installed`` if that exists, else from ``cache``; files that are missing
    or damaged there are downloaded from ``url``. Raises `DataError` if a file is missing or its content is not the
    publisher's.
    """
    if folder is not None or installed.is_dir():
        directory = folder or installed

        def read(name: str) -> bytes:
            return _read_file(name, directory / f"{name}.gz")
    else:
        directory = cache or user_cache_path("mlp-serving") / NAME

        def read(name: str) -> bytes:
            return _read_cached(name, directory / f"{name}.gz", url)

    train_images, train_labels, test_images, test_labels = (_idx(name, read) for name in FILES)
    inputs = np.concatenate([train_images, test_images]).reshape(-1, EDGE * EDGE)
    return Dataset(
        name=NAME,
        inputs=inputs,
        targets=np.concatenate([train_labels, test_labels]).astype(np.int64),
        labels=LABELS,
        columns=dataset.pixels(EDGE, EDGE),
        target_names=("article",),
        shape=(EDGE, EDGE),
        division=last_rows_test(len(inputs), TEST_ROWS),
        source={"name": NAME, "url": "https://github.com/zalandoresearch/fashion-mnist", "sha256": dict(FILES)},
    )


def _idx(name: str, read: Callable[[str], bytes]) -> NDArray[np.uint8]:
    """Parse an idx file; its hash was checked, so its header is valid."""
    content = read(name)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _read_file(name: str, path: Path) -> bytes:
    try:
        compressed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from error
    return _decompress(name, compressed, path)


def _decompress(name: str, compressed: bytes, origin: Path | str) -> bytes:
    """Decompress the file ``name`` and check its hash."""
    try:
        content = gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{origin} is damaged or not a .gz file ({error}); {_REMEDY}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise DataError(
            f"{origin} is not a file of Fashion-MNIST: its uncompressed SHA-256 is {found[:12]}…, "
            f"expected {FILES[name][:12]}…; {_REMEDY}"
        )
    return content


def _read_cached(name: str, path: Path, url: str) -> bytes:
    """Read from the cache at ``path`` if valid there, else download from ``url``."""
    with contextlib.suppress(DataError):
        return _read_file(name, path)
    origin = f"{url}/{path.name}"
    try:
        # No URL of a user, and a hash says what it must be.
        with urllib.request.urlopen(origin, timeout=_DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310 # nosec B310
            compressed: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds a connection
        raise DataError(
            f"Fashion-MNIST is not on this machine and cannot be downloaded from {origin} ({error}); {_REMEDY}"
        ) from error
    content = _decompress(name, compressed, origin)
    _cache(path, compressed)
    return content


def _cache(path: Path, compressed: bytes) -> None:
    """Write atomically; ignore a cache that cannot be written."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            temporary.write_bytes(compressed)
            temporary.replace(path)


KIND: Final = DataKind(
    description=NAME,
    load=lambda _name, options, _track: load(options["data_dir"]),
    names=(NAME,),
    options=(DataOption("data_dir", "--data-dir", "folder with the four .gz files", type=Path, metavar="FOLDER"),),
    options_help="read from this machine if installed, else downloaded once",
    defaults={"flip": True},  # clothes look the same mirrored, unlike letters and digits
)
