"""Images beside raw rows: rows a second, the processor time of each, and how long others wait meanwhile.

The server has one processor and the clients another. For each body, over one connection and over many: answers a
second, the median and the 99th percentile of their time, the server's processor time for a row, and the median and the
longest time of a probe of /health/live that asks all the while. Prints a table:

    python -m benchmarks.images
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import clients, payloads, provenance
from benchmarks.clients import Clients
from benchmarks.markdown import listed
from benchmarks.servers import Running, ours

_CONNECTIONS: Final = (1, 64)
_FORM_FILES: Final = 32
_PROBES_PER_S: Final = 50.0
_PATIENCE_S: Final = 30.0


class Case(NamedTuple):
    """A request, and how many rows it has."""

    request: bytes
    rows: int


def file_of(pixels: NDArray[np.uint8], file_format: str, edge: int) -> bytes:
    """``pixels`` as a file of ``edge`` x ``edge`` pixels, in colour above the model's size."""
    image = Image.fromarray(pixels)
    if edge != len(pixels):
        noise = np.random.default_rng(0).normal(0, 4, (edge, edge, 3))
        drawn = np.asarray(image.resize((edge, edge)).convert("RGB"))
        image = Image.fromarray(np.clip(drawn + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, file_format)
    return file.getvalue()


def form(file: bytes, count: int) -> tuple[bytes, str]:
    """A form of so many files, and its Content-Type."""
    head = b'--B\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return (head + file + b"\r\n") * count + b"--B--\r\n", "multipart/form-data; boundary=B"


def cases() -> dict[str, Case]:
    """The requests by name."""
    pixels = payloads.rows(1).astype(np.uint8).reshape(28, 28)
    small = file_of(pixels, "PNG", 28)
    b64 = json.dumps({"inputs": [{"b64": base64.b64encode(small).decode()}]}).encode()
    found = {
        "raw, 28 x 28": Case(clients.post(pixels.tobytes(), "application/octet-stream"), 1),
        "PNG, 28 x 28": Case(clients.post(small, "image/png"), 1),
        "PNG in base64 in JSON, 28 x 28": Case(clients.post(b64, "application/json"), 1),
        f"form of {_FORM_FILES} PNG, 28 x 28": Case(clients.post(*form(small, _FORM_FILES)), _FORM_FILES),
    }
    for file_format in ("PNG", "JPEG", "WEBP"):
        for edge in (28, 512, 1024):
            body = file_of(pixels, file_format, edge)
            request = clients.post(body, f"image/{file_format.lower()}", "/predict?resize=true")
            found.setdefault(f"{file_format}, {edge} x {edge}", Case(request, 1))
    return found


async def measure(running: Running, case: Case, connections: int, seconds: float) -> str:
    """The figures of one line of the table."""
    group = Clients(running.server.port)
    tally = group.keep_alive(connections, case.request)
    probe = group.one_shot(_PROBES_PER_S, clients.get("/health/live"))
    await asyncio.sleep(seconds / 5)
    for each in (tally, probe):
        each.clear()
    before_s = running.processor_s()
    await asyncio.sleep(seconds)
    used_s = running.processor_s() - before_s
    assert set(tally.answers) == {200}, tally.answers
    rows = tally.answers[200] * case.rows
    times = " | ".join(
        f"{each:.1f}" for each in (tally.median_ms(), tally.quantile_ms(0.99), probe.median_ms(), probe.quantile_ms(1))
    )
    await group.stop(_PATIENCE_S)
    return f"{rows / seconds:,.0f} | {used_s / rows * 1e6:,.0f} | {times}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each case")
    parser.add_argument("--only", default="", help="regular expression of the cases to run")
    given = parser.parse_args()
    print(listed(provenance.of(provenance.MODEL, "python -m benchmarks.images")))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(
        "\n| body | kB | connections | rows/s | processor µs/row | p50 ms | p99 ms | probe p50 ms | longest probe ms |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as temporary:
        server = ours("ours", provenance.MODEL.parents[1])
        with Running(server, [0], Path(temporary) / "log") as running:
            for name, case in cases().items():
                for connections in _CONNECTIONS if re.search(given.only, name) else ():
                    figures = clients.run(measure(running, case, connections, given.seconds))
                    print(f"| {name} | {len(case.request) / 1e3:.1f} | {connections} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
