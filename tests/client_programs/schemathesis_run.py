"""schemathesis on a server's OpenAPI document: all checks, in all phases. Argument: the server's address.

This file is also the module of its hooks.
"""
# /// script
# dependencies = ["schemathesis==4.32.5"]
# ///

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import schemathesis

# A schema cannot say that columns have the same length, that data fit a shape, or that a body is gzip; and loading a
# model is always refused. Examples and rows are held against the schema in tests/service/http/test_openapi.py.
CONFIGURATION = f"""
hooks = "{Path(__file__).resolve()}"

[[operations]]
include-path-regex = "(:predict|/predict|/infer|/invocations|load)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "422"]
"""


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: dict[str, Any]) -> None:
    """Leave the server its time: a 504 after a request's own 5e-324 s is no failure."""
    if case.headers is not None:
        case.headers.pop("x-request-timeout-s", None)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(CONFIGURATION)
        program = Path(sys.executable).with_name("schemathesis")
        options = ["--checks", "all", "--mode", "all", "--max-examples", "10", "--seed", "1", "--continue-on-failure"]
        command = [program, "run", f"{sys.argv[1]}/openapi.json", *options, "--request-timeout", "20"]
        return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
