"""What holds for all tests: property tests depend on no machine's speed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Fixtures are what examples share on purpose: networks, servers.
settings.register_profile(
    "any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("any speed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What `@pytest.mark.anyio` runs coroutines on."""
    return "asyncio"
