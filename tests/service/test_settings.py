"""Every option as a flag, as a variable, at and beyond its bounds, and in the help; unknown options are rejected."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from annotated_types import Ge, Le

from service.errors import StartError
from service.settings import Settings, load
from tests.service.errors import error_message
from tests.service.running import command, environment

# The text of an option, and its value. None is the default.
EXAMPLES: dict[str, tuple[str, object]] = {
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "uds": ("/run/mlp.sock", Path("/run/mlp.sock")),
    "uds_mode": ("666", "666"),
    "grpc_port": ("8001", 8001),
    "admin_port": ("8002", 8002),
    "admin_host": ("0.0.0.0", "0.0.0.0"),
    "tls_cert": ("/tls/tls.crt", Path("/tls/tls.crt")),
    "tls_key": ("/tls/tls.key", Path("/tls/tls.key")),
    "tls_key_password_file": ("/tls/password", Path("/tls/password")),
    "tls_client_ca": ("/tls/ca.crt", Path("/tls/ca.crt")),
    "models": ("/srv/models", Path("/srv/models")),
    "model": ("digits", "digits"),
    "model_versions": ("digits@3,flats@1", "digits@3,flats@1"),
    "keep_versions": ("3", 3),
    "reload_interval_s": ("0.5", 0.5),
    "predict_route": ("/v1/p:predict", "/v1/p:predict"),
    "root_path": ("/flats", "/flats"),
    "health_route": ("/healthy", "/healthy"),
    "provider": ("cuda", "cuda"),
    "workers": ("auto", "auto"),
    "fast_path": ("false", False),
    "precision": ("int8", "int8"),
    "page": ("false", False),
    "log_level": ("warning", "warning"),
    "log_format": ("text", "text"),
    "payload_log": ("payloads", Path("payloads")),
    "payload_sample": ("0.5", 0.5),
    "payload_log_max_bytes": ("33554432", 33554432),
    "api_keys_file": ("/srv/keys", Path("/srv/keys")),
    "public": ("metrics,docs", "metrics,docs"),
    "trusted_proxies": ("10.0.0.0/8,unix", "10.0.0.0/8,unix"),
    "cors_origins": ("https://a.example", "https://a.example"),
    "gzip_over_bytes": ("4096", 4096),
    "unseen_values": ("impute", "impute"),
    "max_body_bytes": ("4096", 4096),
    "max_buffered_bytes": ("8192", 8192),
    "max_request_rows": ("64", 64),
    "max_queue_rows": ("128", 128),
    "max_queue_s": ("0.5", 0.5),
    "receive_timeout_s": ("2.5", 2.5),
    "request_timeout_s": ("0.25", 0.25),
    "keep_alive_timeout_s": ("5", 5),
    "max_connection_age_s": ("60", 60),
    "max_requests_per_connection": ("1000", 1000),
    "shadow": ("small@2,other@3", "small@2,other@3"),
    "drift_features": ("7", 7),
    "drift_window_s": ("86400", 86400.0),
    "metrics_max_labels": ("20", 20),
    "drain_timeout_s": ("3", 3),
}
NAMES = list(Settings.model_fields)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return f"MLP_{name.upper()}"


def bounds(name: str) -> tuple[float, float] | None:
    least = [each.ge for each in Settings.model_fields[name].metadata if isinstance(each, Ge)]
    most = [each.le for each in Settings.model_fields[name].metadata if isinstance(each, Le)]
    return (float(str(least[0])), float(str(most[0]))) if least and most else None


def text(name: str, number: float) -> str:
    return str(int(number)) if Settings.model_fields[name].annotation is int else repr(number)


BOUNDED = [name for name in NAMES if bounds(name)]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(("MLP_", "AIP_", "SAGEMAKER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PORT", raising=False)


def start_error(*arguments: str) -> str:
    return error_message(StartError, load, arguments)


def test_every_option_has_an_example_other_than_its_default() -> None:
    assert list(EXAMPLES) == NAMES
    defaults = load([])
    assert [name for name in NAMES if getattr(defaults, name) == EXAMPLES[name][1]] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_a_flag_and_a_variable_and_the_flag_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(load([]), name)
    given, meant = EXAMPLES[name]
    assert getattr(load([flag(name), given]), name) == meant
    assert getattr(load([f"{flag(name)}={given}"]), name) == meant
    monkeypatch.setenv(variable(name), given)
    assert getattr(load([]), name) == meant
    if default is not None:
        assert getattr(load([flag(name), str(default)]), name) == default


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_are_accepted_and_values_beyond_are_rejected(name: str) -> None:
    least, most = bounds(name) or (0.0, 0.0)
    for number in (least, most):
        assert getattr(load([flag(name), text(name, number)]), name) == number
    step = 1 if Settings.model_fields[name].annotation is int else least / 2 or 0.5
    for beyond, word, bound in ((least - step, "greater", least), (most + step, "less", most)):
        given = text(name, beyond)
        assert start_error(flag(name), given) == (
            f"{flag(name)} ({variable(name)}) is {given!r}: input should be {word} than or equal to {bound:.15g}; "
            "see mlp-serve --help"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prot", "80"], "unknown option --prot: did you mean --port?"),
        (["--model-name=x"], "unknown option --model-name: did you mean --model?"),
        (["--zzz"], "unknown option --zzz: mlp-serve --help lists all options"),
        (["--"], "unknown option --: mlp-serve --help lists all options"),
        (["--halp"], "unknown option --halp: did you mean --help?"),
        (
            ["models"],
            "error parsing CLI: unrecognized arguments: models; mlp-serve --help lists all options",
        ),
        (["--port"], "error parsing CLI: argument --port: expected one argument; mlp-serve --help lists all options"),
        (
            ["--port", "http"],
            "--port (MLP_PORT) is 'http': input should be a valid integer, unable to parse string as an integer; "
            "see mlp-serve --help",
        ),
        (
            ["--workers", "many"],
            "--workers (MLP_WORKERS) is 'many': input should be a valid integer, unable to parse string as an integer "
            "or input should be 'auto'; see mlp-serve --help",
        ),
        (
            ["--workers", "0"],
            "--workers (MLP_WORKERS) is '0': input should be greater than or equal to 1 or input should be 'auto'; "
            "see mlp-serve --help",
        ),
        (
            ["--provider", "gpu"],
            "--provider (MLP_PROVIDER) is 'gpu': input should be 'auto', 'cpu' or 'cuda'; see mlp-serve --help",
        ),
        (
            ["--fast-path", "maybe"],
            "--fast-path (MLP_FAST_PATH) is 'maybe': input should be a valid boolean, unable to interpret input; "
            "see mlp-serve --help",
        ),
        (
            ["--request-timeout-s", "nan"],
            "--request-timeout-s (MLP_REQUEST_TIMEOUT_S) is 'nan': input should be less than or equal to 3600; "
            "see mlp-serve --help",
        ),
    ],
)
def test_an_invalid_option_is_rejected_with_the_remedy(arguments: list[str], message: str) -> None:
    assert start_error(*arguments) == message


@pytest.mark.parametrize(("old", "new"), [("express", "fast_path"), ("max_held_bytes", "max_buffered_bytes")])
def test_an_old_name_still_works_and_warns(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, value = EXAMPLES[new]
    warnings: list[str] = []
    assert getattr(load([f"{flag(old)}={given}"], warnings.append), new) == value
    assert getattr(load([flag(old), given], warnings.append), new) == value
    assert warnings == [f"{flag(old)} is deprecated; use {flag(new)}"] * 2
    warnings.clear()
    monkeypatch.setenv(variable(old), given)
    assert getattr(load([], warnings.append), new) == value
    assert warnings == [f"{variable(old)} is deprecated; use {variable(new)}"]
    default = str(Settings.model_fields[new].default)
    assert getattr(load([flag(new), default], warnings.append), new) == Settings.model_fields[new].default
    monkeypatch.setenv(variable(new), default)
    assert getattr(load([], warnings.append), new) == Settings.model_fields[new].default


def test_an_old_name_is_not_suggested() -> None:
    assert start_error("--expresss") == "unknown option --expresss: mlp-serve --help lists all options"


def test_an_unknown_variable_is_rejected_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_MAX_BODY_SIZE", "1")
    assert start_error() == "unknown environment variable MLP_MAX_BODY_SIZE: did you mean MLP_MAX_BODY_BYTES?"
    monkeypatch.delenv("MLP_MAX_BODY_SIZE")
    monkeypatch.setenv("MLP_ZZZ", "1")
    assert start_error() == (
        "unknown environment variable MLP_ZZZ: unset it, or see mlp-serve --help for all MLP_* variables"
    )


def test_an_invalid_variable_is_rejected_like_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_PORT", "")
    assert start_error() == (
        "--port (MLP_PORT) is '': input should be a valid integer, unable to parse string as an integer; "
        "see mlp-serve --help"
    )


def test_variables_that_kubernetes_sets_for_services_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"MLP_SERVING_{name}", "10.0.0.1")
    assert load([]) == Settings()


@pytest.mark.parametrize("name", ["MLP", "MLP_GRPC", "MLP_ADMIN"])
def test_a_service_that_is_named_like_an_option_does_not_set_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Settings()
    monkeypatch.setenv(f"{name}_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv(f"{name}_PORT", "tcp://10.0.0.1:80")
    assert load([]) == plain
    assert load(["--workers=2"]).workers == 2
    monkeypatch.setenv(f"{name}_PORT", "81")
    assert load([]) != plain


def test_the_help_describes_every_option() -> None:
    shown = subprocess.run(
        command("--help"), env=environment(COLUMNS="1000"), capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    entries = [" ".join(entry.split()) for entry in re.split(r"\n  (?=--)", shown.stdout)[1:]]
    entry_of = {entry.split()[0]: entry for entry in entries}
    assert set(entry_of) == {flag(name) for name in NAMES}
    for name, field in Settings.model_fields.items():
        entry = entry_of[flag(name)]
        assert field.description is not None
        assert field.description in entry
        assert f"(default: {field.default})" in entry
        assert f"[env: {variable(name)}]" in entry
        limits = bounds(name)
        if limits is not None:
            assert re.search(rf"; {limits[0]:,.15g} to {limits[1]:,.15g}", entry), entry
        if name.endswith(("_s", "_bytes", "_rows")):
            unit = name.rsplit("_", 1)[1]
            assert re.search(rf" {unit} \(default", entry), entry


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--root-path", "flats", "a path such as /flats, without / at its end"),
        ("--root-path", "/flats/", "a path such as /flats, without / at its end"),
        ("--root-path", "/a b", "a path such as /flats, without / at its end"),
        ("--uds-mode", "999", "three digits from 0 to 7, such as 660"),
        ("--uds-mode", "0o660", "three digits from 0 to 7, such as 660"),
    ],
)
def test_a_value_of_another_form_is_rejected(option: str, value: str, expected: str) -> None:
    variable_name = f"MLP_{option.removeprefix('--').upper().replace('-', '_')}"
    with pytest.raises(StartError) as rejected:
        load([option, value])
    assert str(rejected.value) == f"{option} ({variable_name}) is {value!r}: expected {expected}; see mlp-serve --help"
