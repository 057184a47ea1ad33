"""Every option in one place: flag, `MLP_*` variable, default, bounds, unit. The only reader of those variables."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from service import platforms
from service.errors import StartError
from service.platforms import Given

_log = logging.getLogger(__name__)

PREFIX: Final = "MLP_"
_LINKS: Final = ("tcp://", "udp://", "sctp://")
_PREFIX_PATH: Final = r"((/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+)?"
# Old names of options, which work for one more version.
_RENAMED: Final = {"express": "fast_path", "max_held_bytes": "max_buffered_bytes"}


def _option(default: object, description: str, unit: str = "", ge: float | None = None, le: float | None = None) -> Any:
    bounds = "" if ge is None else f"; {ge:,} to {le:,} {unit}".rstrip()
    return Field(default, description=description + bounds, ge=ge, le=le)


def _matching(pattern: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise PydanticCustomError("unexpected", "expected {expected}", {"expected": expected})
        return value

    return AfterValidator(check)


class Settings(BaseSettings):
    """The server's options. A flag overrides its variable, a variable the platform, and the platform the default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        cli_prog_name="mlp-serve",
        cli_kebab_case=True,
        cli_show_env_vars=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )

    host: str = _option("127.0.0.1", "address to listen on; 0.0.0.0 for all IPv4 interfaces")
    port: int = _option(8000, "TCP port to listen on; 0 picks a free one", ge=0, le=65535)
    uds: Path | None = _option(None, "Unix socket to listen on, instead of --host and --port")
    uds_mode: Annotated[str, _matching("[0-7]{3}", "three digits from 0 to 7, such as 660")] = _option(
        "660", "who may use the Unix socket, as chmod takes it: owner, group, others"
    )
    grpc_port: int = _option(0, "TCP port for gRPC, with the extra mlp-serving[grpc]; 0 is off", ge=0, le=65535)
    admin_port: int = _option(
        0, "TCP port for metrics, live view and probes, without TLS, instead of the main one; 0 is off", ge=0, le=65535
    )
    admin_host: str | None = _option(None, "address of the admin port; as --host if it is not set")
    tls_cert: Path | None = _option(None, "PEM file of the server's certificate and its issuers; HTTP and gRPC use TLS")
    tls_key: Path | None = _option(None, "PEM file of the certificate's private key")
    tls_key_password_file: Path | None = _option(None, "file of the key's password, if it is encrypted")
    tls_client_ca: Path | None = _option(
        None, "PEM file of issuers; clients must have a certificate that one of them signed"
    )
    models: Path = _option(Path("models"), "folder of models, <name>/<version>/; the newest good version serves")
    model: str | None = _option(
        None, "model for POST /predict; required if there are several; <name>@<version> also pins it"
    )
    model_versions: str | None = _option(None, "pinned versions, <name>@<version>,…; other versions do not serve")
    keep_versions: int = _option(
        2, "versions of each model to keep loaded: the serving one and the newest others", ge=1, le=100
    )
    reload_interval_s: float = _option(
        5.0, "time between two looks at the models folder for new versions; 0 looks at start alone", "s", ge=0, le=3600
    )
    predict_route: str | None = _option(
        None, "another path for POST, which answers instances with predictions as /v1 does, for Vertex AI"
    )
    root_path: Annotated[str, _matching(_PREFIX_PATH, "a path such as /flats, without / at its end")] = _option(
        "", "path prefix of the proxy before the server, such as /flats; it may strip the prefix or not"
    )
    health_route: str | None = _option(None, "another path for GET, which answers 200 while /health/ready does")
    provider: Literal["auto", "cpu", "cuda"] = _option(
        "auto", "where to run; auto may fall back to the CPU, cuda never"
    )
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = _option(
        1, "number of server processes; auto is one for each full CPU of the container's quota; 1 to 1,024 or auto"
    )
    fast_path: bool = _option(True, "answer predictions before ASGI, several times faster; false for comparison")
    precision: Literal["auto", "fp32", "int8"] = _option(
        "auto", "arithmetic of the network; auto is int8 on a CPU if the manifest shows it is as good"
    )
    page: bool = _option(True, "show a page to try the models at / and a live view at /status, to browsers")
    log_level: Literal["debug", "info", "warning", "error"] = _option(
        "info", "lowest level to log; requests are logged at info"
    )
    log_format: Literal["auto", "json", "text"] = _option(
        "auto", "one JSON object per line, or text; auto is text on a terminal"
    )
    payload_log: Path | None = _option(
        None, "folder for files with the rows and answers of some requests; see docs/logs.md"
    )
    payload_sample: float = _option(0.01, "share of the requests in the payload log", ge=0, le=1)
    payload_log_max_bytes: int = _option(
        2**30, "maximum size of the payload log; the oldest files are removed", "bytes", ge=2**24, le=2**39
    )
    api_keys_file: Path | None = _option(
        None, "file of API keys, see docs/keys.md; changes count within two seconds; without it no request needs a key"
    )
    public: str | None = _option(None, "what needs no API key: some of metrics,docs,page; health checks never need one")
    trusted_proxies: str | None = _option(
        None,
        "networks of proxies whose X-Forwarded-For names the client, 10.0.0.0/8,127.0.0.1; unix for sockets",
    )
    cors_origins: str | None = _option(
        None, "origins whose pages may use the server from a browser: https://a.example,https://b.example, or * for all"
    )
    gzip_over_bytes: int = _option(
        0, "size from which JSON and text are compressed for clients that accept gzip; 0 never", "bytes", ge=0, le=2**30
    )
    unseen_values: Literal["refuse", "impute"] = _option(
        "refuse",
        "what to do with a missing value where training saw none, and with an unknown category: refuse the row, or "
        "impute the mean or the most frequent category, and say so in x-model-warnings",
    )
    max_body_bytes: int = _option(
        16 * 1024**2, "maximum size of a request body, also after decompression", "bytes", ge=1024, le=2**30
    )
    max_buffered_bytes: int = _option(
        256 * 1024**2,
        "maximum size of all buffered request bodies together; over it 429",
        "bytes",
        ge=1024,
        le=2**37,
    )
    max_request_rows: int = _option(10_000, "maximum rows in a request", "rows", ge=1, le=1_000_000)
    max_queue_rows: int = _option(
        100_000,
        "maximum queued rows of large requests, and as many of small ones; over it 429",
        "rows",
        ge=1,
        le=10_000_000,
    )
    max_queue_s: float = _option(
        1.0, "maximum time that a request may wait for those before it; over it 429", "s", ge=0.001, le=3600
    )
    receive_timeout_s: float = _option(10.0, "time limit for receiving a request body", "s", ge=0.1, le=600)
    request_timeout_s: float = _option(
        30.0, "time limit for a response; x-request-timeout-s can shorten it", "s", ge=0.001, le=3600
    )
    # A proxy must give up an idle connection first, or it may send a request into one that is being closed. nginx and
    # AWS's load balancer keep one for 60 s, Go and Traefik for 90 s.
    keep_alive_timeout_s: int = _option(120, "time before an idle connection is closed", "s", ge=1, le=3600)
    max_connection_age_s: int = _option(
        0, "age from which a connection is closed after its next response; 0 for no limit", "s", ge=0, le=86_400
    )
    max_requests_per_connection: int = _option(
        0, "responses after which a connection is closed; 0 for no limit", "requests", ge=0, le=1_000_000_000
    )
    shadow: str | None = _option(
        None,
        "versions to compare with those served, on the same rows, in spare time: name@version, separated by commas",
    )
    drift_features: int = _option(
        50, "features of each model that are watched for drift, the most important ones; 0 watches nothing", ge=0, le=50
    )
    drift_window_s: float = _option(
        3600.0, "how far back served rows count for drift; longer needs no more memory", "s", ge=60, le=2_592_000
    )
    metrics_max_labels: int = _option(
        100,
        "labels or targets of each model that have metrics of their own; all other labels count as (other)",
        ge=1,
        le=10_000,
    )
    drain_timeout_s: int = _option(
        20, "time limit for finishing accepted requests after a stop signal", "s", ge=1, le=3600
    )


def load(arguments: Sequence[str], warn: Callable[[str], object] = _log.warning) -> Settings:
    """Read the settings from the command line, the environment, the cloud platform and the defaults.

    Prints the help and exits on ``--help``. Calls ``warn`` with a message for each option given by its old name. Raises
    `StartError` for an unknown option or variable, naming the closest known one, and for a value out of bounds.
    """
    names = list(Settings.model_fields)
    sagemaker = list(arguments[:1]) == [platforms.SERVE]
    arguments = [*_renamed_variables(warn), *_renamed_flags(arguments[sagemaker:], warn)]
    _refuse_unknown(
        "option",
        (argument.split("=", 1)[0] for argument in arguments if argument.startswith("--")),
        ["--help", *map(_flag, names)],
        "mlp-serve --help lists all options",
    )
    _refuse_unknown(
        "environment variable",
        (name for name in _own_variables(os.environ) if name not in map(_variable, _RENAMED)),
        [*map(_variable, names)],
        f"unset it, or see mlp-serve --help for all {PREFIX}* variables",
    )
    unset = [name for name in names if not _is_set(name, arguments)]
    given = platforms.given(os.environ, unset, sagemaker=sagemaker)
    linked = {name: Settings.model_fields[name].default for name in unset if _variable(name) in os.environ}
    found = linked | {name: each.value for name, each in given.items()}
    arguments = [*(f"{_flag(name)}={value}" for name, value in found.items()), *arguments]
    try:
        return CliApp.run(Settings, cli_args=arguments, cli_exit_on_error=False)
    except ValidationError as error:
        raise StartError(_first_fault(error, given)) from error
    except SettingsError as error:
        raise StartError(f"{error}; mlp-serve --help lists all options") from error


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _is_set(name: str, arguments: Sequence[str]) -> bool:
    """Whether an option is set by its flag or its variable, unless Kubernetes has set that for a Service."""
    flag, variable = _flag(name), _variable(name)
    by_variable = variable in os.environ and not _is_link(variable, os.environ)
    return by_variable or any(each == flag or each.startswith(f"{flag}=") for each in arguments)


def _is_link(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether a variable is the address of a Service, such as one named mlp-grpc, and not what the option wants."""
    return variable not in _own_variables(environment) and environment[variable].startswith(_LINKS)


def _renamed_flags(arguments: Sequence[str], warn: Callable[[str], object]) -> list[str]:
    """``arguments`` with new names for old ones."""
    new_names = {_flag(old): _flag(new) for old, new in _RENAMED.items()}
    translated = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in new_names:
            warn(f"{name} is deprecated; use {new_names[name]}")
        translated.append(f"{new_names.get(name, name)}{equals}{value}")
    return translated


def _renamed_variables(warn: Callable[[str], object]) -> list[str]:
    """Flags for variables with old names, unless the new variable is set, too. Later flags override them."""
    flags = []
    for old, new in _RENAMED.items():
        if (value := os.environ.get(_variable(old))) is not None:
            warn(f"{_variable(old)} is deprecated; use {_variable(new)}")
            if _variable(new) not in os.environ:
                flags.append(f"{_flag(new)}={value}")
    return flags


def _own_variables(environment: Iterable[str]) -> list[str]:
    """The variables meant for this server. Kubernetes sets others for a Service whose name begins with mlp.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    names = [name for name in environment if name.startswith(PREFIX)]
    services = [name.removesuffix("_SERVICE_HOST") for name in names if name.endswith("_SERVICE_HOST")]
    links = tuple(f"{service}_{part}" for service in services for part in ("SERVICE_", "PORT"))
    return [name for name in names if not (links and name.startswith(links))]


def _refuse_unknown(what: str, found: Iterable[str], known: Sequence[str], otherwise: str) -> None:
    for name in found:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {nearest[0]}?" if nearest else otherwise
            raise StartError(f"unknown {what} {name}: {remedy}")


def _first_fault(error: ValidationError, given: Mapping[str, Given]) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    # An option of two types has a fault for each of them.
    reasons = " or ".join(each["msg"].lower() for each in error.errors() if each["loc"][0] == name)
    source = given[name].source if name in given else f"{_flag(name)} ({_variable(name)})"
    return f"{source} is {fault['input']!r}: {reasons}; see mlp-serve --help"
