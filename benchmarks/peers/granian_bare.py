"""Granian with its own interface, RSGI: reads the body and answers a constant."""

# /// script
# dependencies = ["granian[uvloop]==2.8.9"]
# ///

import sys
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces


async def app(scope, protocol):
    await protocol()
    protocol.response_str(200, [], "ok")


if __name__ == "__main__":
    Granian(
        f"{Path(__file__).stem}:app",
        port=int(sys.argv[1]),
        interface=Interfaces.RSGI,
        working_dir=Path(__file__).parent,
        log_enabled=False,
    ).serve()
