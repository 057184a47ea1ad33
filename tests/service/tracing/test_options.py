"""OpenTelemetry's variables: what switches spans on, what they sample, and what is not understood."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from service.errors import StartError
from service.tracing.options import TracingOptions, from_environment

HERE = "http://collector:4318"


def chosen(**variables: str) -> TracingOptions | None:
    return from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE} | variables)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "here", "OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},  # as if it were unset
        {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": HERE},
    ],
)
def test_spans_are_off(variables: dict[str, str]) -> None:
    assert from_environment(variables) is None


def test_an_endpoint_switches_them_on_and_callers_decide() -> None:
    assert chosen() == TracingOptions(HERE, parent_decides=True, ratio=1.0, queued_spans=2048)
    assert chosen(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://a/b", OTEL_BSP_MAX_QUEUE_SIZE="9000") == TracingOptions(
        "http://a/b", parent_decides=True, ratio=1.0, queued_spans=9000
    )


def test_a_password_is_not_shown() -> None:
    found = chosen(OTEL_EXPORTER_OTLP_ENDPOINT="https://user:secret@collector:4318/v1?key=secret")
    assert found is not None
    assert found.endpoint == "https://collector:4318/v1"


def test_the_exporter_alone_sends_to_this_machine() -> None:
    found = from_environment({"OTEL_TRACES_EXPORTER": "otlp"})
    assert found is not None
    assert found.endpoint == "http://localhost:4318"


@pytest.mark.parametrize(
    ("name", "parent_decides", "ratio"),
    [
        ("always_on", False, 1.0),
        ("always_off", False, 0.0),
        ("traceidratio", False, 0.25),
        ("parentbased_always_on", True, 1.0),
        ("parentbased_always_off", True, 0.0),
        ("parentbased_traceidratio", True, 0.25),
    ],
)
def test_the_samplers(name: str, parent_decides: bool, ratio: float) -> None:
    found = chosen(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG="0.25")
    assert found is not None
    assert (found.parent_decides, found.ratio) == (parent_decides, ratio)


def test_a_ratio_that_is_not_given_is_one() -> None:
    found = chosen(OTEL_TRACES_SAMPLER="traceidratio")
    assert found is not None
    assert found.ratio == 1.0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER is 'console', expected otlp or none"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', expected http/protobuf; unset it, and send to the receiver's port "
            "for HTTP, which is 4318 by default, or set OTEL_TRACES_EXPORTER=none",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4318', expected a URL such as http://localhost:4318",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
            "OTEL_TRACES_SAMPLER is 'jaeger_remote', expected one of always_on, always_off, traceidratio, "
            "parentbased_always_on, parentbased_always_off, parentbased_traceidratio",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1%"},
            "OTEL_TRACES_SAMPLER_ARG is '1%', expected a share of the requests from 0 to 1, such as 0.01",
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
            "OTEL_BSP_MAX_QUEUE_SIZE is '0', expected a number of spans from 1 to 16,777,216",
        ),
    ],
)
def test_what_is_not_known_is_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(StartError) as caught:
        chosen(**variables)
    assert str(caught.value) == message


def test_without_the_extra_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, *more: Any) -> Any:
        return None if name == "opentelemetry.exporter.otlp.proto.http" else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(StartError) as caught:
        chosen()
    assert str(caught.value) == (
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for spans, which need the package opentelemetry.exporter.otlp.proto.http; "
        "pip install 'mlp-serving[tracing]', or set OTEL_TRACES_EXPORTER=none"
    )
    assert from_environment({}) is None
