"""mlp-models as a process: pipes, signals, full disks, closed streams."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service import artifact
from tests.service.models.command_line import ended, start
from tests.service.running import PATIENCE_S, environment

# Runs a command that is interrupted when it proves its first version.
INTERRUPTED = """
import signal, sys
from service.models import prover
from service.models.__main__ import main
prover.Prover.load = lambda *_: signal.raise_signal(signal.SIGINT)
sys.exit(main(sys.argv[1:]))
"""


def shell(script: str, models: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}", "bash", sys.executable, "-m", "service.models"],
        env=environment(MLP_MODELS=str(models)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_exit_status(versions: Path) -> None:
    for status, arguments in ((0, ["list"]), (1, ["list", "smal"]), (2, ["lst"])):
        process = start(
            *arguments,
            *(["--models", str(versions)] if status < 2 else []),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        found = ended(process)
        assert found.status == status
        assert (found.out == "") == (status != 0)
        assert len(found.err.splitlines()) == (1 if status else 0)


@pytest.mark.parametrize("command", ["rollback small", "list small", "check small"])
def test_a_reader_that_is_gone(versions: Path, command: str) -> None:
    """The command does its work without an error."""
    done = shell(f'"$@" {command} | true', versions)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert artifact.versions(versions / "small") == ([1, 2] if command == "rollback small" else [1, 2, 3])


def test_closed_streams(versions: Path) -> None:
    assert shell('"$@" rollback small >&-', versions).returncode == 0
    assert shell('"$@" restore small >&- 2>&- <&-', versions).returncode == 0
    assert artifact.versions(versions / "small") == [1, 2, 3]
    assert shell('"$@" list smal 2>&-', versions).returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk(versions: Path) -> None:
    done = shell('"$@" list > /dev/full', versions)
    assert (done.returncode, done.stderr) == (
        1,
        "mlp-models: the output cannot be written: No space left on device; free some space\n",
    )
    assert shell('"$@" list smal 2> /dev/full', versions).returncode == 1


def test_ctrl_c_is_quiet(versions: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "rollback", "small", "--models", str(versions)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (128 + signal.SIGINT, "", "")
    assert artifact.versions(versions / "small") == [1, 2, 3]


def test_a_terminal_without_utf8(versions: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.models", "check", "small", "--models", str(versions)],
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0
    assert rb"\xb5s a run" in done.stdout
