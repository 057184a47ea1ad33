"""A changed file of keys counts without a restart; a broken one changes nothing and is reported once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import StartError, Unauthenticated
from service.keys.buckets import Buckets
from service.keys.watching import WatchedKeys
from service.requests import RequestRecord
from tests.service.keys.made import Made, make, write

pytestmark = pytest.mark.anyio

OLD, NEW = make("old"), make("new")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "keys", OLD)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "service.keys"):
        yield


def lets_in(watched: WatchedKeys, made: Made) -> bool:
    try:
        watched.access.admit({b"x-api-key": made.secret.encode()}, RequestRecord("GET", "/", "id", 0.0))
    except Unauthenticated:
        return False
    return True


def known(watched: WatchedKeys) -> tuple[bool, bool]:
    return lets_in(watched, OLD), lets_in(watched, NEW)


async def test_keys_are_rotated(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watched = WatchedKeys(path, Buckets())
    found = [known(watched)]
    for keys in ((OLD, NEW), (NEW,)):
        write(path, *keys)
        await watched.look()
        found.append(known(watched))
    assert found == [(True, False), (True, True), (False, True)]
    assert caplog.messages == [
        f"1 key(s) in {path}",
        f"2 key(s) in {path}; new: new",
        f"1 key(s) in {path}; withdrawn: old",
    ]


async def test_a_kubernetes_secret_is_swapped_by_its_links(tmp_path: Path) -> None:
    """As in a volume: keys → ..data/keys, and ..data → a folder with a date."""
    for folder, made in (("..1", OLD), ("..2", NEW)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "keys", made)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    watched = WatchedKeys(tmp_path / "keys", Buckets())
    assert known(watched) == (True, False)
    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    await watched.look()
    assert known(watched) == (False, True)


@pytest.mark.parametrize("content", [b"", b"web", b"\xff", b"#" * 2**21, None])
async def test_a_broken_file_keeps_the_old_keys(
    path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    watched = WatchedKeys(path, Buckets())
    caplog.clear()
    for _ in range(3):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
        await watched.look()
        assert known(watched) == (True, False)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().endswith("; the previous 1 key(s) stay valid")
    write(path, NEW)
    await watched.look()
    assert known(watched) == (False, True)


async def test_a_file_that_is_mended_is_reported(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watched = WatchedKeys(path, Buckets())
    for _ in range(2):
        path.write_bytes(b"")
        await watched.look()
        write(path, OLD)
        await watched.look()
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "INFO", "ERROR", "INFO"]
    assert caplog.messages[-1] == f"1 key(s) in {path}"
    assert known(watched) == (True, False)


async def test_it_looks_again_and_again(path: Path) -> None:
    turns = asyncio.Semaphore(0)
    looked = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        looked.set()
        await turns.acquire()

    watched = WatchedKeys(path, Buckets(), sleep)
    task = asyncio.create_task(watched.run())
    for keys, expected in (((OLD, NEW), (True, True)), ((NEW,), (False, True))):
        await looked.wait()
        looked.clear()
        write(path, *keys)
        turns.release()
        await looked.wait()
        assert known(watched) == expected
    task.cancel()


def test_a_server_does_not_start_without_good_keys(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(StartError, match="there is no key"):
        WatchedKeys(path, Buckets())


def test_a_file_that_everybody_may_write_is_warned_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.chmod(0o644)
    WatchedKeys(path, Buckets())
    assert [record.levelname for record in caplog.records] == ["INFO"]
    path.chmod(0o646)
    WatchedKeys(path, Buckets())
    assert caplog.messages[1] == (f"everybody on this machine may write to {path}, and so let themselves in; chmod o-w")
