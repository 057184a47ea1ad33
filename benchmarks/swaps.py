"""A hundred versions are swapped in a minute under load: no request fails, each answer is wholly of one version.

    python -m benchmarks.swaps

Two workers; 32 clients ask all the time, over the fast path and then over ASGI. Every version is another network, and
each answer is compared with that of the network whose version it names. Fails if one is wrong, or if the swaps take
longer than a minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import provenance
from tests.service.published import publish
from tests.service.running import Running
from tests.service.test_reload import OFTEN, hammered, serves, until

LIMIT_S: Final = 60.0
WORKERS: Final = 2


def swapped(folder: Path, swaps: int, clients: int, fast_path: str) -> tuple[float, int, list[str]]:
    """The seconds that all swaps took, the number of answers, and what went wrong."""
    networks = {1: publish(folder, version=1, seed=1)}
    with Running(folder, *OFTEN, "--fast-path", fast_path, workers=WORKERS) as server:
        with hammered(server, networks, clients=clients) as load:
            began_s = time.monotonic()
            for version in range(2, swaps + 2):
                hidden = folder / ".new"
                networks[version] = publish(hidden, version=version, seed=version)
                (hidden / "small" / str(version)).rename(folder / "small" / str(version))
                until(partial(serves, server, version))
            took_s = time.monotonic() - began_s
        server.terminate()
        status = server.exit_status()
        return took_s, load.answers, [*load.wrong, *([f"exit status {status}"] if status else [])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    print(f"{provenance.processor()}, commit {provenance.commit()}")
    failed = False
    for fast_path, name in (("true", "fast path"), ("false", "ASGI")):
        with tempfile.TemporaryDirectory() as folder:
            took_s, answers, wrong = swapped(Path(folder), given.swaps, given.clients, fast_path)
        print(f"{name}: {given.swaps} swaps in {took_s:.1f} s, {answers:,} answers, {len(wrong)} wrong: {wrong[:3]}")
        failed |= bool(wrong) or took_s > LIMIT_S * given.swaps / 100
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
