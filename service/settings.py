"""Every option once: flag, `MLP_*` variable, default, bounds, unit. The only reader of the environment."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from service.errors import StartError

PREFIX: Final = "MLP_"


def _option(default: object, description: str, unit: str = "", ge: float | None = None, le: float | None = None) -> Any:
    bounds = "" if ge is None else f"; {ge:,} to {le:,} {unit}".rstrip()
    return Field(default, description=description + bounds, ge=ge, le=le)


class Settings(BaseSettings):
    """The server's options. A flag wins over its variable, a variable over the default."""

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

    host: str = _option("127.0.0.1", "address to listen on; 0.0.0.0 is every IPv4 address of the machine")
    port: int = _option(8000, "TCP port to listen on; 0 picks a free one", ge=0, le=65535)
    models: Path = _option(Path("models"), "folder with models/<name>/<version>/; the newest version of each is served")
    model: str | None = _option(None, "name of the model that POST /predict means; needed when there are several")
    provider: Literal["auto", "cpu", "cuda"] = _option("auto", "where to run: cuda runs on the GPU or does not start")
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = _option(
        1, "processes that answer requests; auto is one for each whole CPU of the container's quota; 1 to 1,024 or auto"
    )
    express: bool = _option(True, "answer predictions before ASGI begins, several times faster; false for comparison")
    precision: Literal["auto", "fp32", "int8"] = _option(
        "auto", "of the network's arithmetic; auto is int8 on a CPU where the manifest shows it to be as good"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _option(
        "info", "least severe message to log; requests are logged at info"
    )
    log_format: Literal["auto", "json", "text"] = _option(
        "auto", "one JSON object a line, or text; auto is text at a terminal"
    )
    max_body_bytes: int = _option(
        16 * 1024**2, "largest request body, also after decompression", "bytes", ge=1024, le=2**30
    )
    max_held_bytes: int = _option(
        256 * 1024**2,
        "bodies that wait to be whole or to be read, all together; over it 429",
        "bytes",
        ge=1024,
        le=2**37,
    )
    max_request_rows: int = _option(10_000, "most rows in one request", "rows", ge=1, le=1_000_000)
    max_queue_rows: int = _option(
        100_000,
        "most rows of large requests waiting at once, and of small ones; over it 429",
        "rows",
        ge=1,
        le=10_000_000,
    )
    receive_timeout_s: float = _option(10.0, "longest time for a request's body to arrive", "s", ge=0.1, le=600)
    request_timeout_s: float = _option(
        30.0, "longest time from a request to its answer; x-request-timeout-s can shorten it", "s", ge=0.001, le=3600
    )
    keep_alive_timeout_s: int = _option(75, "how long an idle connection is kept", "s", ge=1, le=3600)
    drain_timeout_s: int = _option(
        20, "longest time to answer what was accepted, after a signal to stop", "s", ge=1, le=3600
    )


def load(arguments: Sequence[str]) -> Settings:
    """Settings from the command line, over the environment, over the defaults.

    Prints the help and exits on ``--help``. Raises `StartError` for an unknown option or variable, with the nearest
    known name, and for a value outside its bounds.
    """
    names = list(Settings.model_fields)
    _refuse_unknown(
        "option",
        (argument.split("=", 1)[0] for argument in arguments if argument.startswith("--")),
        ["--help", *(f"--{name.replace('_', '-')}" for name in names)],
        "mlp-serve --help lists them all",
    )
    _refuse_unknown(
        "environment variable",
        _own_variables(os.environ),
        [f"{PREFIX}{name.upper()}" for name in names],
        f"unset it, or see mlp-serve --help for all {PREFIX}* variables",
    )
    try:
        return CliApp.run(Settings, cli_args=list(arguments), cli_exit_on_error=False)
    except ValidationError as error:
        raise StartError(_first_fault(error)) from error
    except SettingsError as error:
        raise StartError(f"{error}; mlp-serve --help lists all options") from error


def _own_variables(environment: Iterable[str]) -> list[str]:
    """The variables meant for us: not the ones Kubernetes sets for a Service whose name happens to begin with mlp.

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


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    # One that can be of two types has a fault for each of them.
    reasons = " or ".join(each["msg"].lower() for each in error.errors() if each["loc"][0] == name)
    flag, variable = f"--{name.replace('_', '-')}", f"{PREFIX}{name.upper()}"
    return f"{flag} ({variable}) is {fault['input']!r}: {reasons}; see mlp-serve --help"
