"""Whether the extra is installed, and gRPC without a log of its own. Imports nothing of it."""

from __future__ import annotations

import importlib.util
import os
from typing import Final

from service.errors import StartError

_MODULES: Final = ("grpc", "grpc_health", "grpc_reflection")


def check() -> None:
    """Raise `StartError` if a package of the extra is missing."""
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(
            f"--grpc-port (MLP_GRPC_PORT) needs the package {missing[0]}; pip install 'mlp-serving[grpc]', or leave it "
            "out"
        )
    # Its core would write lines of its own between ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
