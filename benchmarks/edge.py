"""What keys, their limits, trusted proxies, CORS and compression cost a prediction: python -m benchmarks.edge

Services with the shipped model in one process, on in-memory connections, take turns of one-row requests whose heads are
cached; one has none of these options. Only processor time counts, so other programs disturb it little. Prints each
median, and that of the ratio to the service without options, with the quartiles. Nothing is written.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import load, payloads, provenance, wire
from benchmarks.markdown import listed, table
from service import app, metrics
from service.http.transport.fast_path import protocol_factory
from service.keys import api_key
from service.keys.key_file import Key
from service.settings import Settings

_CONNECTIONS: Final = 64
_TURNS: Final = 10  # of a round, in a row
_ROUNDS_BEFORE: Final = 5
# Options of the service, and the headers that its requests have beside the key.
_PROXIES: Final = {"trusted_proxies": "unix"}, "X-Forwarded-For: 192.0.2.1\r\n"
_CORS: Final = {"cors_origins": "https://shop.example"}, "Origin: https://shop.example\r\n"
_GZIP: Final = {"gzip_over_bytes": 4096}, "Accept-Encoding: gzip\r\n"
CASES: Final[dict[str, tuple[float | None, list[tuple[dict[str, Any], str]]]]] = {
    "no option": (None, []),
    "keys": (0.0, []),
    "keys with limits": (1e9, []),
    "trusted proxies": (None, [_PROXIES]),
    "CORS": (None, [_CORS]),
    "compression, of larger answers": (None, [_GZIP]),
    "all of them": (1e9, [_PROXIES, _CORS, _GZIP]),
}


async def measured(rounds: int) -> dict[str, list[float]]:
    """Microseconds of processor time per request, by case; one for each round."""
    body = payloads.body("raw", 1)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            cases: dict[str, tuple[wire.Connections, bytes]] = {}
            for number, (name, (limit, parts)) in enumerate(CASES.items()):
                options: dict[str, Any] = {}
                headers = "".join(each for _, each in parts)
                for option, _ in parts:
                    options |= option
                if limit is not None:
                    path, key = _key(Path(folder) / str(number), limit)
                    options["api_keys_file"], headers = path, f"{headers}X-API-Key: {key}\r\n"
                settings = Settings(models=provenance.MODEL.parents[1], **options)
                service = app.build(settings, None, metrics.alone())
                await stack.enter_async_context(service.app.router.lifespan_context(service.app))
                connections = wire.Connections(wire.constant, protocol_factory(service.fast_path), _CONNECTIONS)
                cases[name] = connections, wire.request(body, load.CONTENT_TYPES["raw"], headers=headers)
            return await _rounds(cases, rounds)


async def _rounds(cases: dict[str, tuple[wire.Connections, bytes]], rounds: int) -> dict[str, list[float]]:
    names = list(cases)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-_ROUNDS_BEFORE, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            connections, request = cases[name]
            started_s = time.process_time()
            for _ in range(_TURNS):
                await connections.turn(request)
            if turn >= 0:
                found[name].append((time.process_time() - started_s) / _TURNS / _CONNECTIONS * 1e6)
    return found


def _key(path: Path, limit: float) -> tuple[Path, str]:
    """A file with one key, and the key."""
    key = api_key.new()
    path.write_text(Key("bench", api_key.digest(key.encode()), limit, limit).line())
    return path, key


def shown(found: dict[str, list[float]]) -> str:
    """The figures as a table."""
    without = np.array(found["no option"])
    rows = []
    for name, times in found.items():
        low, median, high = np.quantile(np.array(times) / without, [0.25, 0.5, 0.75])
        rows.append((name, f"{np.median(times):.1f}", f"{median:.3f} ({low:.3f} to {high:.3f})"))
    return table(("with", ">µs per request", ">ratio (quartiles)"), rows)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.edge", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="rounds (default: 300, a minute or two)")
    given = parser.parse_args()
    figures = asyncio.run(measured(given.rounds))
    print(listed(provenance.of(provenance.MODEL, " ".join(sys.argv))))
    print(shown(figures))


if __name__ == "__main__":
    main()
