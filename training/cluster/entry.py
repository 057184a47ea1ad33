"""The entry point of scoring on a cluster: it checks the options before it imports Ray."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from training.cluster.choice import Cluster


def choose(address: str, workers: int, *, logs: bool) -> Callable[..., Generator[Any, None, None]]:
    """`scoring.ordered` on the cluster at ``address``. Raises `OptionError`."""
    cluster = Cluster(address, workers, logs=logs)
    if not logs:
        # Read when Ray is imported. Ray Data would print an error for each run that is none.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    from training.cluster.scoring import ordered  # noqa: PLC0415 - takes seconds

    return partial(ordered, cluster)
