"""The start: what is imported for it, and what is left to the garbage collector."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from tests.service.running import PATIENCE_S, Running, environment

NOT_NEEDED: Final = {
    *("torch", "onnx", "sklearn", "pandas", "PIL", "pyarrow", "grpc", "google", "rich", "opentelemetry.sdk"),
    *("numpy.ma", "numpy.random", "numpy.testing", "numpy.f2py", "unittest", "xml", "pydantic.v1"),
    *("service.scoring", "service.models", "service.pictures", "service.grpc.server", "service.tracing.build"),
}
# Imported by each worker, where libraries import them late.
SMALL: Final = {"encodings.cp437", "fastapi.telemetry._runtime"}


def printed(program: str) -> list[str]:
    """The lines that ``program`` prints in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout.splitlines()


def test_what_is_imported_is_exempt_from_garbage_collection() -> None:
    program = (
        "import gc, sys; from service import __main__\n"
        "def hook(event, arguments):\n"
        "    if event == 'import' and arguments[0] == 'service.app': print('collects', gc.isenabled())\n"
        "sys.addaudithook(hook)\n"
        "try: __main__.main(['--help'])\n"
        "except SystemExit: print('collects', gc.isenabled(), gc.get_freeze_count() > 50_000)"
    )
    first, *_help, last = printed(program)
    assert (first, last) == ("collects False", "collects True True")


def test_fastapi_builds_its_models_when_they_are_used(shared_models: Path) -> None:
    program = (
        "from service import __main__; import pydantic\n"
        "try: __main__.main(['--help'])\n"
        "except SystemExit:\n"
        "    from fastapi.openapi.models import OpenAPI\n"
        "    print(OpenAPI.__pydantic_complete__, pydantic.BaseModel.model_config)"
    )
    assert printed(program)[-1] == "False {}"
    with Running(shared_models) as server, server.client() as client:
        assert client.get("/openapi.json").json()["paths"].keys() >= {"/predict", "/models", "/health/live"}


def imported(models: Path, workers: int) -> Counter[str]:
    """How many processes of a server imported each module until it was ready."""
    with Running(models, workers=workers, variables={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        return Counter(line.rpartition("|")[2].strip() for line in server.log if line.startswith("import time:"))


def test_the_start_imports_nothing_that_only_some_requests_need(shared_models: Path) -> None:
    names = imported(shared_models, workers=1)
    assert {"service.app", "fastapi", "onnxruntime"} <= names.keys()
    assert not [name for name in names for each in NOT_NEEDED if f"{name}.".startswith(f"{each}.")]


def test_workers_import_nothing_that_they_could_share(shared_models: Path) -> None:
    more = imported(shared_models, workers=2) - imported(shared_models, workers=1)
    assert more.keys() <= {"multiprocessing.popen_fork", *SMALL}
