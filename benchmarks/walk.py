"""A newcomer's walk: the commands of docs/walk.md, run in a fresh clone, and the seconds of each.

    python -m benchmarks.walk            prints the table
    python -m benchmarks.walk --write    writes it into the page, too

Runs every `sh` block above the heading "Deploy", a command at a time. `make serve` stays in the background; it ends,
for the table, when the server is ready. Without pip's cache, so downloads are included.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import provenance
from benchmarks.markdown import table
from benchmarks.servers import free_port

PAGE: Final = provenance.ROOT / "docs" / "walk.md"
ADDRESS: Final = "localhost:8000"
SERVE: Final = "make serve"
# For the server to take a model that was just published.
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.1
_LAST: Final = "\n## Deploy\n"
_BEGIN, _END = "<!-- begin walk -->\n", "\n<!-- end walk -->"


class WalkError(Exception):
    """A command of the page failed."""


class Timed(NamedTuple):
    """A command of the page, and how long it took."""

    command: str
    took_s: float


def commands(page: str) -> list[str]:
    """The commands of a page above its section "Deploy", in order; a line that ends with a backslash goes on."""
    blocks = re.findall(r"^```sh\n(.+?)^```$", page.partition(_LAST)[0], re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


class Walk:
    """Runs commands in a folder, on a port of its own, and stops what they started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._servers: list[subprocess.Popen[bytes]] = []
        (folder / ".curlrc").write_text("silent\nshow-error\nfail\n")
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MLP_", "VIRTUAL_ENV"))
        } | {"CURL_HOME": str(folder), "PORT": str(self.port), "PIP_NO_CACHE_DIR": "1"}

    def run(self, command: str) -> Timed:
        """Run a command to its end, or until the server that it starts is ready. Raises `WalkError` if it fails."""
        local = command.replace(ADDRESS, f"localhost:{self.port}")
        began = time.perf_counter()
        if command.startswith(SERVE):
            self._serve(local)
        else:
            self._until_it_succeeds(local, began + (PATIENCE_S if command.startswith("curl ") else 0))
        return Timed(command, time.perf_counter() - began)

    def close(self) -> None:
        """Stop the servers by SIGTERM: a parent that ignores SIGINT, as a script does for ``&``, would pass that on."""
        for server in self._servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()

    def _serve(self, command: str) -> None:
        server = subprocess.Popen(
            ["bash", "-c", command], cwd=self._folder, env=self._environment, start_new_session=True, stderr=sys.stderr
        )
        self._servers.append(server)
        ready = f"http://localhost:{self.port}/health/ready"
        while not _answers(ready):
            if server.poll() is not None:
                raise WalkError(f"{command} ended with status {server.returncode} before the server was ready")
            time.sleep(PAUSE_S)

    def _until_it_succeeds(self, command: str, deadline: float) -> None:
        while True:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self._folder, env=self._environment, capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            if time.perf_counter() > deadline:
                raise WalkError(f"{command} ended with status {done.returncode}: {done.stderr.decode()[-2000:]}")
            time.sleep(PAUSE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own address
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def fresh_clone() -> Iterator[tuple[Path, Timed]]:
    """A clone of HEAD in a temporary folder, and how long cloning took."""
    folder = Path(tempfile.mkdtemp(prefix="mlp-walk-"))
    began = time.perf_counter()
    try:
        subprocess.run(["git", "clone", "--quiet", provenance.ROOT, folder / "clone"], check=True)
        yield folder / "clone", Timed("git clone", time.perf_counter() - began)
    finally:
        shutil.rmtree(folder)


def section(timed: list[Timed], load: float) -> str:
    """The table of the page, with the provenance of its figures; ``load`` is the processes running before."""
    rows = [(f"`{each.command}`", f"{each.took_s:.2f}") for each in timed]
    rows.append(("all", f"{sum(each.took_s for each in timed):.0f}"))
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {provenance.commit()[:7]}, {provenance.processor()}, "
        f"{len(os.sched_getaffinity(0))} processors, Python {sys.version.split()[0]}, "
        f"{load:.1f} other processes at the start; one run."
    )
    return table(("command", ">s"), rows) + f"\n\n{about}"


def with_section(page: str, written: str) -> str:
    """``page`` with its table replaced."""
    before, rest = page.split(_BEGIN, 1)
    return before + _BEGIN + written + _END + rest.split(_END, 1)[1]


def main() -> int:
    """Walk, print the table, and write it if asked to; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walk", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/walk.md")
    options = parser.parse_args()
    page, load = PAGE.read_text(), os.getloadavg()[0]
    with fresh_clone() as (folder, cloned):
        walk, timed = Walk(folder), [cloned]
        try:
            for command in commands(page):
                timed.append(walk.run(command))
                print(f"{timed[-1].took_s:7.1f} s  {command}", file=sys.stderr)
        except WalkError as error:
            print(f"walk: {error}", file=sys.stderr)
            return 1
        finally:
            walk.close()
    written = section(timed, load)
    print(written)
    if options.write:
        PAGE.write_text(with_section(PAGE.read_text(), written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
