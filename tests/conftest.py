"""Hypothesis profiles, the backend of async tests, and the marker of slow tests."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.slow import SLOW

TESTS = Path(__file__).parent

# No deadline, as machines differ in speed. Examples may share fixtures, such as networks and servers. Each run has the
# same examples, so that a change fails by itself alone; --hypothesis-profile=explore tries new ones.
settings.register_profile(
    "thorough",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("thorough"), derandomize=False)
settings.register_profile("fast", settings.get_profile("thorough"), max_examples=10)
settings.load_profile("thorough")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of tests marked `anyio`."""
    return "asyncio"


def pytest_configure() -> None:
    """Let programs that tests start get the signals that a parent of the tests ignores, as ``&`` and ``nohup`` do."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests listed in `tests.slow`."""
    for item in items:
        file = item.path.relative_to(TESTS).as_posix()
        name = re.split(r"::|\[", item.nodeid)[1]  # of the class or function
        if file in SLOW or f"{file}::{name}" in SLOW:
            item.add_marker(pytest.mark.slow)
