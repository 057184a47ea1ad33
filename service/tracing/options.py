"""OpenTelemetry's environment variables: whether spans are made, and of which requests. Imports nothing of the extra.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. The SDK reads the others itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from service.errors import StartError

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_DISABLED: Final = "OTEL_SDK_DISABLED"
_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"
_QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_DEFAULT_QUEUED_SPANS: Final = 2048
# Whether the caller decides, and the share of the other requests; None is that of `_RATIO`.
_SAMPLERS: Final[Mapping[str, tuple[bool, float | None]]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}
_PARENT_BASED: Final = "parentbased_always_on"
_MODULES: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True, slots=True)
class TracingOptions:
    """Where spans go, without a user and a password, and of which requests.

    ``ratio`` is the share of requests, from 0 to 1. If ``parent_decides``, it is that of requests without a trace, and
    others are as their callers say. ``queued_spans`` bounds what waits to be sent.
    """

    endpoint: str
    parent_decides: bool
    ratio: float
    queued_spans: int


def from_environment(environment: Mapping[str, str]) -> TracingOptions | None:
    """The options, or None if no spans are asked for: there is no endpoint, or they are switched off.

    Raises `StartError` for a value that is not known, and if the extra is not installed.
    """
    given = {name: value.strip() for name, value in environment.items() if name.startswith("OTEL_") and value.strip()}
    endpoint = given.get(_TRACES_ENDPOINT) or given.get(_ENDPOINT)
    exporter = given.get(_EXPORTER, "otlp" if endpoint else "none")
    if exporter == "none" or given.get(_DISABLED, "").lower() == "true":
        return None
    if exporter != "otlp":
        raise StartError(f"{_EXPORTER} is {exporter!r:.60}, expected otlp or none")
    for name in _PROTOCOLS:
        if given.get(name, _PROTOCOL) != _PROTOCOL:
            raise StartError(
                f"{name} is {given[name]!r:.60}, expected {_PROTOCOL}; unset it, and send to the receiver's port for "
                f"HTTP, which is 4318 by default, or set {_EXPORTER}=none"
            )
    shown = _shown(endpoint or _DEFAULT_ENDPOINT)
    _check_extra(given)
    parent_decides, ratio = _sampler(given)
    return TracingOptions(shown, parent_decides, ratio, _queued_spans(given))


def _shown(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise StartError(f"{_ENDPOINT} is {endpoint!r:.60}, expected a URL such as {_DEFAULT_ENDPOINT}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_extra(given: Mapping[str, str]) -> None:
    missing = [name for name in _MODULES if not _is_installed(name)]
    if missing:
        asked = next(name for name in (_TRACES_ENDPOINT, _ENDPOINT, _EXPORTER) if name in given)
        raise StartError(
            f"{asked} asks for spans, which need the package {missing[0]}; pip install 'mlp-serving[tracing]', or set "
            f"{_EXPORTER}=none"
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def _sampler(given: Mapping[str, str]) -> tuple[bool, float]:
    name = given.get(_SAMPLER, _PARENT_BASED)
    if name not in _SAMPLERS:
        raise StartError(f"{_SAMPLER} is {name!r:.60}, expected one of {', '.join(_SAMPLERS)}")
    parent_decides, ratio = _SAMPLERS[name]
    if ratio is not None:
        return parent_decides, ratio
    text = given.get(_RATIO, "1.0")
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise StartError(f"{_RATIO} is {text!r:.60}, expected a share of the requests from 0 to 1, such as 0.01")
    return parent_decides, ratio


def _queued_spans(given: Mapping[str, str]) -> int:
    text = given.get(_QUEUE, str(_DEFAULT_QUEUED_SPANS))
    if not text.isdecimal() or not 1 <= int(text) <= 2**24:
        raise StartError(f"{_QUEUE} is {text!r:.60}, expected a number of spans from 1 to {2**24:,}")
    return int(text)
