"""Fashion-MNIST's own files: known, refused where they are others, and fetched once from a real HTTP server."""

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

from training.data import fashion_mnist
from training.data.dataset import Dataset
from training.errors import DataError

NAMES = [f"{name}.gz" for name in fashion_mnist.FILES]
REMEDY = "install the package dataset-fashion-mnist, or give the publisher's four .gz files with --data-dir"


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    assert fashion_mnist.DEBIAN.is_dir(), "run `make data`"
    return fashion_mnist.load(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The publisher's files, to be put in disorder."""
    shutil.copytree(fashion_mnist.DEBIAN, tmp_path / "files")
    return tmp_path / "files"


class Upstream:
    """A web server that hands out a folder, or ``answer`` instead of every file, and remembers what it was asked."""

    def __init__(self, folder: Path, answer: bytes | None = None) -> None:
        self.asked: list[str] = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.asked.append(self.path)
                if answer is not None:
                    self.wfile.write(answer)
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


def refusal(**places: Any) -> str:
    with pytest.raises(DataError) as refused:
        fashion_mnist.load(places.pop("folder", None), **places)
    return str(refused.value)


def same(one: Dataset, other: Dataset) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)


def test_it_is_the_published_set(loaded: Dataset) -> None:
    assert (loaded.inputs.shape, loaded.inputs.dtype) == ((70_000, 784), np.uint8)
    assert loaded.images
    assert (loaded.shape, loaded.test_rows, loaded.target_names) == ((28, 28), 10_000, ("article",))
    assert loaded.labels == (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    assert np.bincount(loaded.targets[:60_000]).tolist() == [6000] * 10
    assert np.bincount(loaded.targets[60_000:]).tolist() == [1000] * 10
    assert [column.name for column in loaded.columns[27:29]] == ["pixel_0_27", "pixel_1_0"]


def test_the_first_images_are_the_known_ones(loaded: Dataset) -> None:
    """Both splits begin with an ankle boot; the second of the test split is a pullover."""
    first = [loaded.labels[label] for label in loaded.targets[[0, 1, 60_000, 60_001]]]
    assert first == ["Ankle boot", "T-shirt/top", "Ankle boot", "Pullover"]
    boot = loaded.inputs[0].reshape(28, 28)
    assert boot[:3].sum() == 0
    assert boot[3, 12:21].tolist() == [1, 0, 0, 13, 73, 0, 0, 1, 4]
    assert (boot.sum(), loaded.inputs[60_000].sum()) == (76_247, 33_456)


def test_a_folder_that_is_given_goes_first(folder: Path, loaded: Dataset) -> None:
    assert same(fashion_mnist.load(folder, installed=folder / "nowhere"), loaded)


def test_files_are_fetched_once_and_kept(upstream: Upstream, tmp_path: Path, loaded: Dataset) -> None:
    assert same(load_from(upstream.url, tmp_path), loaded)
    assert upstream.asked == [f"/{name}" for name in NAMES]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert same(load_from("http://127.0.0.1:1", tmp_path), loaded)


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(
    upstream: Upstream, folder: Path, loaded: Dataset
) -> None:
    (folder / NAMES[1]).write_bytes(b"<html>Please log in</html>")
    (folder / NAMES[3]).unlink()
    assert same(load_from(upstream.url, folder), loaded)
    assert upstream.asked == [f"/{NAMES[1]}", f"/{NAMES[3]}"]
    assert (folder / NAMES[1]).read_bytes() == (fashion_mnist.DEBIAN / NAMES[1]).read_bytes()


def test_a_cache_that_cannot_be_written_is_done_without(upstream: Upstream, tmp_path: Path, loaded: Dataset) -> None:
    (tmp_path / "file").touch()
    assert same(load_from(upstream.url, tmp_path / "file" / "cache"), loaded)


def test_without_network_one_sentence_tells_what_to_do(tmp_path: Path) -> None:
    assert refusal(installed=tmp_path / "nowhere", cache=tmp_path, url="http://127.0.0.1:1") == (
        f"Fashion-MNIST is not on this machine and cannot be fetched from http://127.0.0.1:1/{NAMES[0]} "
        f"(<urlopen error [Errno 111] Connection refused>); {REMEDY}"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.0 404 Not Found\r\n\r\n",
            "Fashion-MNIST is not on this machine and cannot be fetched from {origin} (HTTP Error 404: Not Found)",
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nthe line went dead",
            "Fashion-MNIST is not on this machine and cannot be fetched from {origin} "
            "(IncompleteRead(18 bytes read, 81 more expected))",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\n<html>Please log in</html>",
            "{origin} is damaged, or no .gz file (Not a gzipped file (b'<h'))",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\n" + gzip.compress(b"some other file"),
            "{origin} is not Fashion-MNIST's: unpacked, its SHA-256 is {other}…, expected c59f468a2f67…",
        ),
    ],
    ids=["not found", "broken off", "a web page", "another file"],
)
def test_an_answer_that_is_not_the_file_is_told_and_not_kept(answer: bytes, reason: str, tmp_path: Path) -> None:
    server = Upstream(tmp_path, answer)
    try:
        found = refusal(installed=tmp_path / "nowhere", cache=tmp_path / "cache", url=server.url)
    finally:
        server.stop()
    other = hashlib.sha256(b"some other file").hexdigest()[:12]
    assert found == f"{reason.format(origin=f'{server.url}/{NAMES[0]}', other=other)}; {REMEDY}"
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_missing_is_told(folder: Path) -> None:
    (folder / NAMES[2]).unlink()
    assert refusal(folder=folder) == f"{folder / NAMES[2]} cannot be read: No such file or directory; {REMEDY}"


def test_a_file_that_is_cut_off_is_told(folder: Path) -> None:
    path = folder / NAMES[3]
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(folder=folder) == (
        f"{path} is damaged, or no .gz file (Compressed file ended before the end-of-stream marker was reached); "
        f"{REMEDY}"
    )


def test_a_file_with_one_pixel_changed_is_told(folder: Path) -> None:
    path = folder / NAMES[3]
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    assert refusal(folder=folder).startswith(f"{path} is not Fashion-MNIST's: unpacked, its SHA-256 is ")


def test_files_in_each_others_place_are_told(folder: Path) -> None:
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).rename(folder / NAMES[1])
    assert refusal(folder=folder) == (
        f"{folder / NAMES[1]} is not Fashion-MNIST's: unpacked, its SHA-256 is 0402a96d92fd…, "
        f"expected bad3541b69d9…; {REMEDY}"
    )
