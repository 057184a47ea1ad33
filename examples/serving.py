"""Start the service for as long as an example needs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def serve(models: Path) -> Iterator[str]:
    """Serve the models in a folder on a free port; yields the server's URL once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "service", "--models", str(models), "--port", str(port), "--log-level", "warning"]
    )
    try:
        while not is_ready(url):
            if server.poll() is not None:
                raise SystemExit("the server did not start; its log says why")
            time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait()


def is_ready(url: str) -> bool:
    """Whether the server is ready for requests."""
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False
