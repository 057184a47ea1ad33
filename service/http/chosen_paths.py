"""Paths that a platform chooses for predictions and for its health check, as Vertex AI does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.errors import StartError
from service.http.paths import RouteTable

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?|/")
_MAX_CHARS: Final = 500
_PREDICT: Final = "--predict-route (MLP_PREDICT_ROUTE, AIP_PREDICT_ROUTE)"
_HEALTH: Final = "--health-route (MLP_HEALTH_ROUTE, AIP_HEALTH_ROUTE)"
# Paths of this server that answer 200 while requests should be sent to it, or while it is alive.
_PROBES: Final = frozenset(
    {
        *("/", "/ping", "/health", "/health/live", "/health/ready", "/health/startup", "/v2/health/live"),
        *("/v2/health/ready", "/v1/models/{name}", "/v2/models/{name}/ready"),
    }
)


class ChosenPaths(NamedTuple):
    """Paths to add: for predictions, and for health."""

    predict: tuple[str, ...] = ()
    health: tuple[str, ...] = ()


def chosen_paths(
    predict: str | None, health: str | None, table: RouteTable, other_patterns: Sequence[str]
) -> ChosenPaths:
    """The chosen paths that ``table`` does not serve yet. Raises `StartError` for one that is no path, or is taken.

    A path that answers predictions already, or a health check, stays what it is. ``other_patterns`` are those of the
    server that are not in the table.
    """
    predictions = [route.pattern for route in table.routes]
    others = [*(route.pattern for route in table.resources), *other_patterns]
    if predict is not None and predict == health:
        raise StartError(f"{_PREDICT} and {_HEALTH} are both {predict!r:.100}; choose two paths")
    return ChosenPaths(
        () if predict is None else _added(_PREDICT, predict, predictions, others),
        () if health is None else _added(_HEALTH, health, _PROBES, [*predictions, *others]),
    )


def _added(option: str, path: str, fitting: Sequence[str] | frozenset[str], others: Sequence[str]) -> tuple[str, ...]:
    if len(path) > _MAX_CHARS or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise StartError(
            f"{option} is {path!r:.100}, expected a path such as /predict, of at most {_MAX_CHARS} letters, digits and "
            "characters that need no %"
        )
    if any(_matches(pattern, path) for pattern in fitting):
        return ()
    if any(_matches(pattern, path) for pattern in others):
        raise StartError(f"{option} is {path!r:.100}, which the server uses for something else; choose another path")
    return (path,)


def _matches(pattern: str, path: str) -> bool:
    parts = re.split(r"\{\w+\}", pattern)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None
