"""Starting real servers: the log of those that start; one error message and exit status 1 from those that cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service import artifact
from service.log_writer import LogWriter
from service.manifest import FORMAT
from service.run import _reported
from service.server import Stop
from tests.service.published import publish
from tests.service.running import PATIENCE_S, Connection, Running, command, environment, post, refused
from tests.service.trapped import replace

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def version_dir(models: Path) -> Path:
    return models / "small" / "1"


def refused_with(models: Path, *arguments: str) -> str:
    return refused("--models", str(models), *arguments)


def test_a_truncated_model(models: Path, version_dir: Path) -> None:
    path = version_dir / artifact.MODEL
    path.write_bytes(path.read_bytes()[:100])
    assert refused_with(models) == (
        f"{path} (100 bytes) is not the file that was published: its SHA-256 differs from the one in metadata.json; "
        "copy the version again, or publish it anew"
    )


def test_an_altered_model(models: Path, version_dir: Path) -> None:
    path = version_dir / artifact.MODEL
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert refused_with(models) == (
        f"{path} ({len(content)} bytes) is not the file that was published: its SHA-256 differs from the one in "
        "metadata.json; copy the version again, or publish it anew"
    )


def test_a_model_that_is_not_onnx(models: Path, version_dir: Path) -> None:
    replace(version_dir, artifact.MODEL, b"no graph")
    assert refused_with(models) == (
        f"{version_dir} is refused: the graph does not load: it is no ONNX file, as wire type 6 is none of ONNX; "
        "publish the model again"
    )


def test_a_model_with_wrong_answers_to_its_golden_rows(models: Path, version_dir: Path) -> None:
    replace(version_dir, artifact.MODEL, publish(models.parent / "elsewhere", seed=7).graph())
    assert re.fullmatch(
        re.escape(f"{version_dir} is refused: a golden row is answered with ")
        + r"'\w+', [\d.e-]+ away from the published '\w+'; at most 0.0001 is allowed; publish the model again",
        refused_with(models),
    )


def test_a_manifest_of_a_newer_format(models: Path, version_dir: Path) -> None:
    path = version_dir / artifact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT + 1}))
    assert refused_with(models) == (
        f"{path}: 'format' is {FORMAT + 1}, and this release reads up to {FORMAT}; "
        "install a newer mlp-serving, or publish the model with this one"
    )


def test_no_manifest(models: Path, version_dir: Path) -> None:
    path = version_dir / artifact.MANIFEST
    path.unlink()
    assert refused_with(models) == f"{path} cannot be read: No such file or directory; publish the model again"


def test_a_version_that_is_not_a_number(models: Path, version_dir: Path) -> None:
    moved = version_dir.rename(version_dir.with_name("v2"))
    assert refused_with(models) == (
        f"{moved}: a version folder is named by a positive integer such as '1', not 'v2'; "
        "rename it, or move it out of the models folder"
    )


def test_an_empty_models_folder(tmp_path: Path) -> None:
    assert refused_with(tmp_path) == f"models folder '{tmp_path}' is empty; publish a model with: make train"


def test_no_models_folder(tmp_path: Path) -> None:
    assert refused_with(tmp_path / "none").startswith(
        f"models folder '{tmp_path}/none' cannot be read: No such file or directory"
    )


def test_a_model_folder_with_a_bad_name(models: Path) -> None:
    (models / "small").rename(models / "a b")
    assert refused_with(models) == (
        "model name 'a b': a name has 1 to 128 letters, digits, '.', '_' and '-', and begins with a letter or a digit"
    )


def test_a_default_model_that_does_not_exist(models: Path) -> None:
    assert refused_with(models, "--model", "large") == "--model (MLP_MODEL) is 'large', and there are: small"


def test_int8_requested_and_not_published(models: Path, version_dir: Path) -> None:
    assert refused_with(models, "--precision", "int8") == (
        f"{version_dir} is refused: it was published without int8; start with --precision fp32, "
        "or publish one that has it"
    )


def test_cuda_requested_with_a_runtime_without_it(models: Path) -> None:
    assert re.fullmatch(
        r"CUDA is not in this build of ONNX Runtime [\d.]+ \([\w, ]+\); "
        r"install mlp-serving\[gpu\] instead of mlp-serving\[cpu\], or start with --provider cpu",
        refused_with(models, "--provider", "cuda"),
    )


def test_no_space_for_the_metrics_of_several_workers(models: Path, tmp_path: Path) -> None:
    """A limit on file sizes has the same effect as a full disk."""
    limited = ["sh", "-c", 'ulimit -f 64; exec "$@"', "sh", *command("--models", str(models), "--workers", "2")]
    (temporary := tmp_path / "temporary").mkdir()
    ended = subprocess.run(
        limited,
        env=environment(TMPDIR=str(temporary)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 1
    (message,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert re.fullmatch(
        rf"mlp-serve: no space for the workers' metrics: {temporary}/mlp-serving-metrics-\w+/\w+_0.db needs 131,072 "
        "bytes, and each worker 786,432 or more: File too large; "
        "free some, or set TMPDIR to a folder with space, such as a memory volume",
        message,
    )
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use(models: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused_with(models, "--port", str(port), "--workers", workers) == (
            f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --host and --port"
        )


def test_an_unknown_option() -> None:
    assert refused("--prot", "80") == "unknown option --prot: did you mean --port?"


def test_an_unknown_variable() -> None:
    assert refused(MLP_PROT="80") == "unknown environment variable MLP_PROT: did you mean MLP_PORT?"


def test_a_value_out_of_bounds() -> None:
    message = (
        "--drain-timeout-s (MLP_DRAIN_TIMEOUT_S) is '0': input should be greater than or equal to 1; "
        "see mlp-serve --help"
    )
    assert refused("--drain-timeout-s=0") == refused(MLP_DRAIN_TIMEOUT_S="0") == message


def test_the_start_logs_address_models_and_cpus(models: Path) -> None:
    with Running(models, "--log-format=text", variables={"MLP_PROVIDER": "cpu"}) as server:
        first, *lines = server.log
    reader, unwatched, second, third, fourth = lines
    assert re.fullmatch(r"INFO +1 worker\(s\) of one thread, on [\d.]+ CPUs of quota and affinity\n", first)
    assert reader == "INFO     numbers in JSON are read by compiled code\n"
    assert re.fullmatch(
        r"INFO +loaded small version 1 \(cpu, fp32\) after [\d.]+ s: \d+ µs a run, [\d.]+ µs a row, "
        r"up to \d+ rows on the event loop\n",
        second,
    )
    assert unwatched.startswith("INFO     drift of small version 1 is not watched: its manifest has no reference ")
    assert third == "INFO     model small: version 1 serves\n"
    assert fourth == f"INFO     ready on http://127.0.0.1:{server.port} (documentation at /docs)\n"


def test_an_old_name_of_an_option_is_a_warning_in_the_log(models: Path) -> None:
    with Running(models, "--express=true", variables={"MLP_MAX_HELD_BYTES": "4096"}) as server:
        lines = [json.loads(line) for line in server.log]
    assert [line["message"] for line in lines if line["level"] == "warning"] == [
        "MLP_MAX_HELD_BYTES is deprecated; use MLP_MAX_BUFFERED_BYTES",
        "--express is deprecated; use --fast-path",
    ]


def test_as_many_workers_as_cpus(models: Path) -> None:
    with Running(models, "--workers=auto") as server:
        count = int(re.search(r"(\d+) worker\(s\)", server.log[0])[1])  # type: ignore[index]
        assert count >= 1
        assert len(server.workers()) == (count if count > 1 else 0)


def run(program: str) -> subprocess.CompletedProcess[str]:
    """The end of a Python program that starts the server in its own way."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_bug_at_the_start_is_logged(models: Path) -> None:
    program = (
        "import sys; from service import app, __main__; app.build = lambda *_, **__: 1 / 0; "
        f"sys.exit(__main__.main(['--models', {str(models)!r}, '--port', '0']))"
    )
    ended = run(program)
    assert ended.returncode == 1
    logged = json.loads(ended.stderr.splitlines()[-1])
    assert (logged["level"], logged["message"]) == ("critical", "the server failed")
    assert logged["traceback"].endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("error", ["StartError('loading it failed')", "ValueError('interrupted')"])
def test_an_error_that_a_stop_signal_caused_is_not_reported(models: Path, error: str) -> None:
    """1. SIGTERM during the start. 2. Native code turns the SystemExit into another error. 3. The exit status is 0."""
    program = (
        "import os, signal, sys; from service import cpus, __main__; from service.errors import StartError\n"
        "def available():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        f"    except SystemExit: raise {error} from None\n"
        "cpus.available = available\n"
        f"sys.exit(__main__.main(['--models', {str(models)!r}, '--port', '0', '--log-level', 'error']))"
    )
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_stop_signal_while_the_server_is_imported() -> None:
    program = (
        "import os, signal, sys; from service import deferred_models, __main__\n"
        "def imported():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: sum(range(1000))\n"
        "deferred_models.import_fastapi = imported\n"
        "sys.exit(__main__.main([]))"
    )
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_signal_while_a_version_loads(models: Path, workers: int) -> None:
    """1. A version loads for ever. 2. SIGTERM. 3. The server ends at once with 0, and nothing is refused."""
    program = (
        "import os, signal, sys; from service import __main__; from service.inference.loader import Loader\n"
        "server = os.getpid()\n"
        "def load(*_):\n"
        "    os.kill(server, signal.SIGTERM)\n"
        "    while True: sum(range(1000))\n"
        "Loader.load = load\n"
        f"arguments = ['--models', {str(models)!r}, '--port', '0', '--workers', '{workers}', '--log-level', 'error']\n"
        "sys.exit(__main__.main(arguments))"
    )
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_signal_whose_exception_is_lost_ends_the_server(models: Path, workers: int) -> None:
    """1. SIGTERM during the start. 2. The SystemExit is raised in a destructor. 3. The server ends with 0."""
    program = (
        "import os, signal, sys; from service import __main__, cpus\n"
        "class Stopping:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "available = cpus.available\n"
        "def stopped():\n"
        "    cpus.available = available; Stopping(); return available()\n"
        "cpus.available = stopped\n"
        f"arguments = ['--models', {str(models)!r}, '--port', '0', '--workers', '{workers}', '--log-level', 'error']\n"
        "sys.exit(__main__.main(arguments))"
    )
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unread_log_delays_neither_responses_nor_the_end(models: Path, workers: int) -> None:
    """1. Nobody reads the log's pipe. 2. 2,000 requests are answered. 3. SIGTERM. 4. The lines are intact."""
    ask = [
        post(b'{"inputs": [[1, 2, 3, 4]]}'),
        post(b'{"inputs": [[1, 2, 3]]}'),
        b"GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n",
    ]
    with Running(models, workers=workers) as server:
        server.read_log(on=False)
        lines = [server.connect() for _ in range(8)]
        for _ in range(250):
            for index, line in enumerate(lines):
                line.send(ask[index % 3])
            assert [line.answer().status for line in lines] == [200, 422, 200] * 2 + [200, 422]
        server.terminate()
        assert server.exit_status() == 0
        server.read_log(on=True)
        *complete, last = server.whole_log()
        assert len(complete) > 100
        assert all(json.loads(line) for line in complete)
        assert not last.endswith("\n") or json.loads(last)  # it may be cut, as the pipe was full


class InterruptedWriter(LogWriter):
    """A stop signal comes while the last lines are written."""

    def __init__(self) -> None:
        self.flushed = False

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 - as in the base class
        for number in STOP_SIGNALS:
            os.kill(os.getpid(), number)
        self.flushed = True


def test_a_stop_signal_does_not_interrupt_the_last_lines() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        stop, writer = Stop(), InterruptedWriter()
        stop.listen()
        assert _reported(lambda: 1, stop, writer) == 1
        assert writer.flushed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_server_without_stderr_does_not_log_to_its_sockets(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command("--models", str(models), f"--port={port}")]
    process = subprocess.Popen(closed, env=environment())
    try:
        answers = [health(port) for _ in range(20)]
        assert answers == [200] * 20
        assert Path(f"/proc/{process.pid}/fd/2").readlink() == Path(os.devnull)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def health(port: int) -> int:
    """The status of a health check, once the server has started."""
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with Connection(port) as line:
                line.send(b"GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n")
                return line.answer().status
        except ConnectionRefusedError:
            assert time.monotonic() < ends_s
            time.sleep(0.05)
