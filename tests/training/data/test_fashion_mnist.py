"""Loading Fashion-MNIST, rejecting other files, and downloading once from a real HTTP server."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.errors import message_of
from training.data import fashion_mnist
from training.data.dataset import TEST, Dataset

NAMES = [f"{name}.gz" for name in fashion_mnist.FILES]
REMEDY = "install the package dataset-fashion-mnist, or give the publisher's four .gz files with --data-dir"


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    assert fashion_mnist.DEBIAN.is_dir(), "run `make data`"
    return fashion_mnist.load(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the publisher's files to damage."""
    shutil.copytree(fashion_mnist.DEBIAN, tmp_path / "files")
    return tmp_path / "files"


class Upstream:
    """A web server for a folder, or with ``response`` for every request; it records the requests."""

    def __init__(self, folder: Path, response: bytes | None = None) -> None:
        self.requests: list[str] = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.requests.append(self.path)
                if response is not None:
                    self.wfile.write(response)
                    return
                content = (folder / self.path.lstrip("/")).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream(fashion_mnist.DEBIAN)
    yield server
    server.stop()


def load_from(url: str, cache: Path) -> Dataset:
    return fashion_mnist.load(None, installed=cache / "nowhere", cache=cache, url=url)


def rejection(folder: Path | None = None, **options: Any) -> str:
    return message_of(fashion_mnist.load, folder, **options)


def same(one: Dataset, other: Dataset) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)


def test_shapes_labels_and_counts(loaded: Dataset) -> None:
    assert (loaded.inputs.shape, loaded.inputs.dtype) == ((70_000, 784), np.uint8)
    assert loaded.images
    assert (loaded.shape, len(loaded.division.rows_of(TEST)), loaded.target_names) == ((28, 28), 10_000, ("article",))
    assert loaded.labels == (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    assert np.bincount(loaded.targets[:60_000]).tolist() == [6000] * 10
    assert np.bincount(loaded.targets[60_000:]).tolist() == [1000] * 10
    assert [column.name for column in loaded.columns[27:29]] == ["pixel_0_27", "pixel_1_0"]


def test_first_images(loaded: Dataset) -> None:
    """Both splits begin with an ankle boot; the second test image is a pullover."""
    first = [loaded.labels[label] for label in loaded.targets[[0, 1, 60_000, 60_001]]]
    assert first == ["Ankle boot", "T-shirt/top", "Ankle boot", "Pullover"]
    boot = loaded.inputs[0].reshape(28, 28)
    assert boot[:3].sum() == 0
    assert boot[3, 12:21].tolist() == [1, 0, 0, 13, 73, 0, 0, 1, 4]
    assert (boot.sum(), loaded.inputs[60_000].sum()) == (76_247, 33_456)


def test_given_folder_takes_precedence(folder: Path, loaded: Dataset) -> None:
    assert same(fashion_mnist.load(folder, installed=folder / "nowhere"), loaded)


def test_files_are_downloaded_once(upstream: Upstream, tmp_path: Path, loaded: Dataset) -> None:
    assert same(load_from(upstream.url, tmp_path), loaded)
    assert upstream.requests == [f"/{name}" for name in NAMES]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert same(load_from("http://127.0.0.1:1", tmp_path), loaded)


def test_damaged_cached_file_is_downloaded_again(upstream: Upstream, folder: Path, loaded: Dataset) -> None:
    (folder / NAMES[1]).write_bytes(b"<html>Please log in</html>")
    (folder / NAMES[3]).unlink()
    assert same(load_from(upstream.url, folder), loaded)
    assert upstream.requests == [f"/{NAMES[1]}", f"/{NAMES[3]}"]
    assert (folder / NAMES[1]).read_bytes() == (fashion_mnist.DEBIAN / NAMES[1]).read_bytes()


def test_unwritable_cache_is_ignored(upstream: Upstream, tmp_path: Path, loaded: Dataset) -> None:
    (tmp_path / "file").touch()
    assert same(load_from(upstream.url, tmp_path / "file" / "cache"), loaded)


def test_without_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    assert rejection(installed=tmp_path / "nowhere", cache=tmp_path, url="http://127.0.0.1:1") == (
        f"Fashion-MNIST is not on this machine and cannot be downloaded from http://127.0.0.1:1/{NAMES[0]} "
        f"(<urlopen error [Errno 111] Connection refused>); {REMEDY}"
    )


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            b"HTTP/1.0 404 Not Found\r\n\r\n",
            "Fashion-MNIST is not on this machine and cannot be downloaded from {origin} (HTTP Error 404: Not Found)",
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nthe line went dead",
            "Fashion-MNIST is not on this machine and cannot be downloaded from {origin} "
            "(IncompleteRead(18 bytes read, 81 more expected))",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\n<html>Please log in</html>",
            "{origin} is damaged or not a .gz file (Not a gzipped file (b'<h'))",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\n" + gzip.compress(b"some other file", mtime=0),
            "{origin} is not a file of Fashion-MNIST: its uncompressed SHA-256 is {other}…, expected c59f468a2f67…",
        ),
    ],
    ids=["not found", "cut short", "a web page", "another file"],
)
def test_wrong_response_is_rejected_and_not_cached(response: bytes, reason: str, tmp_path: Path) -> None:
    server = Upstream(tmp_path, response)
    try:
        found = rejection(installed=tmp_path / "nowhere", cache=tmp_path / "cache", url=server.url)
    finally:
        server.stop()
    other = hashlib.sha256(b"some other file").hexdigest()[:12]
    assert found == f"{reason.format(origin=f'{server.url}/{NAMES[0]}', other=other)}; {REMEDY}"
    assert not (tmp_path / "cache").exists()


def test_missing_file_is_rejected(folder: Path) -> None:
    (folder / NAMES[2]).unlink()
    assert rejection(folder=folder) == f"{folder / NAMES[2]} cannot be read: No such file or directory; {REMEDY}"


def test_truncated_file_is_rejected(folder: Path) -> None:
    path = folder / NAMES[3]
    path.write_bytes(path.read_bytes()[:1000])
    assert rejection(folder=folder) == (
        f"{path} is damaged or not a .gz file (Compressed file ended before the end-of-stream marker was reached); "
        f"{REMEDY}"
    )


def test_changed_pixel_is_rejected(folder: Path) -> None:
    path = folder / NAMES[3]
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    assert rejection(folder=folder).startswith(f"{path} is not a file of Fashion-MNIST: its uncompressed SHA-256 is ")


def test_swapped_files_are_rejected(folder: Path) -> None:
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).rename(folder / NAMES[1])
    assert rejection(folder=folder) == (
        f"{folder / NAMES[1]} is not a file of Fashion-MNIST: its uncompressed SHA-256 is 0402a96d92fd…, "
        f"expected bad3541b69d9…; {REMEDY}"
    )
