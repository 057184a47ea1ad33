"""Signals in each state of a run, each in a new process, and at each stage of a whole run, each in a fork.

The processes handle SIGINT even if the parent of the tests ignores it, as `cmd &` in a script does.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service import artifact
from tests.service.running import PATIENCE_S

_WHOLE_RUN_S = 600.0  # on a busy machine
MESSAGE = "mlp-train: interrupted; nothing was published\n"
BEGIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
def INT(): signal.raise_signal(signal.SIGINT)
def TERM(): signal.raise_signal(signal.SIGTERM)
"""
INSTALL = """
from training.run.interrupt import Interrupts
run = Interrupts()
run.install()
"""


def ended(code: str, *arguments: str, timeout_s: float = 3 * PATIENCE_S) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of a process that runs ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("sent", "status"), [("INT", 130), ("TERM", 143)])
@pytest.mark.parametrize(
    "code",
    [
        "{}()",
        "try: {}()\nexcept BaseException: print('swallowed')",
        "class Torn:\n def __del__(self): {}()\nTorn()\nprint('swallowed')",
        "with run.orderly(): {}(); {}(); print('a second does not end it')",
        "with run.orderly(): pass\n{}()",
    ],
)
def test_a_signal_ends_the_process_at_once(code: str, sent: str, status: int) -> None:
    assert ended(INSTALL + code.replace("{}", sent)) == (status, "", MESSAGE)


def test_no_thread_prints_after_the_message() -> None:
    """As the thread of a progress bar would."""
    bar = """
import itertools, os, threading
threading.Thread(target=lambda: [os.write(2, b".") for _ in itertools.count()], daemon=True).start()
"""
    for _ in range(5):
        status, _, stderr = ended(INSTALL + bar + "INT()")
        assert status == 130
        assert stderr.endswith(MESSAGE), stderr[-100:]


@pytest.mark.parametrize(
    "code",
    [
        "with run.orderly(): TERM(); print('cleaned up'); run.check(); print('not here')",
        "with run.orderly(): TERM(); print('cleaned up')\nprint('not here')",
        "with run.orderly():\n with run.orderly(): pass\n TERM(); print('cleaned up'); run.check(); print('not here')",
        "with run.publishing(): TERM(); INT(); INT(); print('cleaned up'); run.commit(); print('not here')",
        "with run.publishing(): TERM(); print('cleaned up')\nprint('not here')",
    ],
)
def test_with_something_to_clean_up_a_signal_waits_for_the_next_check(code: str) -> None:
    indented = code.replace("\n", "\n ")
    code = f"{INSTALL}\ntry:\n {indented}\nexcept KeyboardInterrupt:\n sys.stdout.flush()\n run.end()"
    assert ended(code) == (143, "cleaned up\n", MESSAGE)


def test_after_the_commit_signals_are_ignored() -> None:
    code = "with run.publishing():\n run.commit(); INT(); TERM(); INT()\nINT(); print('published')"
    assert ended(INSTALL + code) == (0, "published\n", "")


def test_a_second_commit_can_be_interrupted() -> None:
    """As when another run has published the same version."""
    code = "\ntry:\n with run.publishing(): run.commit(); TERM(); run.commit(); print('not here')\n"
    assert ended(INSTALL + code + "except KeyboardInterrupt: run.end()") == (143, "", MESSAGE)


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    code = (
        "signal.signal(signal.SIGINT, signal.SIG_IGN)" + INSTALL + "INT()\nprint('goes on'); sys.stdout.flush(); TERM()"
    )
    assert ended(code) == (143, "goes on\n", MESSAGE)


def test_without_install_python_handles_signals() -> None:
    code = "from training.run.interrupt import Interrupts\nrun = Interrupts()\nwith run.orderly(): INT()"
    status, _, stderr = ended(code)
    assert status == -signal.SIGINT
    assert stderr.endswith("KeyboardInterrupt\n")


def test_the_handlers_are_installed_before_the_slow_imports() -> None:
    code = (
        "import training.__main__\nprint(sorted(sys.modules.keys() & {'numpy', 'torch', 'rich', 'sklearn', 'pyarrow'}))"
    )
    assert ended(code) == (0, "[]\n", "")


@pytest.mark.parametrize(("module", "sent", "status"), [("rich.console", "INT", 130), ("numpy", "TERM", 143)])
def test_a_signal_during_an_import_prints_one_sentence(module: str, sent: str, status: int, tmp_path: Path) -> None:
    """Also if the importer catches ImportError and does without."""
    code = f"""
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            try: {sent}()
            except BaseException: raise ImportError(name)
sys.meta_path.insert(0, Finder)
import runpy
runpy.run_module("training", run_name="__main__", alter_sys=True)
"""
    assert ended(code, "digits", "--models", str(tmp_path / "models")) == (status, "", MESSAGE)
    assert list(tmp_path.iterdir()) == []


# By stage: the call at which to fork, the call at which to signal the fork (empty: at once), the signal, the status.
STAGES: dict[str, tuple[str, str, str, int]] = {
    "reading": ("training.data.source.load", "", "INT", 130),
    "first step": ("training.engine.loop.train_epoch", "", "TERM", 143),
    "evaluating": ("training.release.evaluate.classification", "", "INT", 130),
    "exporting": ("training.release.onnx_export.export", "", "TERM", 143),
    "quantizing": ("training.release.quantize.compare", "onnxruntime.quantization.quantize_static", "INT", 130),
    "drawing the card": ("training.release.card.card", "", "TERM", 143),
    "writing": ("service.artifact_writer._write_version", "service.artifact_writer.sync", "INT", 130),
    "renaming": ("service.artifact_writer._write_version", "service.artifact_writer._rename", "TERM", 0),
    "renamed": ("service.artifact_writer._write_version", "shutil.rmtree", "INT", 0),
}
WHOLE_RUN = """
import importlib, json, os, pathlib, torch
torch.set_num_threads(1)  # a fork has one thread
import training.__main__ as command, training.cli.run
from service import int8
from training.release import quantize
quantize.MIN_WEIGHTS = int8.MIN_ROWS = 0
stages = json.loads(sys.argv.pop(1))

def before(path, do):
    parent, _, name = path.rpartition(".")
    module = importlib.import_module(parent)
    real = getattr(module, name)
    def hooked(*arguments, **options):
        do()
        return real(*arguments, **options)
    setattr(module, name, hooked)

def fork(stage, later, send):
    folder = pathlib.Path(stage)
    if folder.exists():
        return  # not the first call
    folder.mkdir()
    if os.fork():
        folder.joinpath("status").write_text(str(os.waitstatus_to_exitcode(os.wait()[1])))
        return
    os.chdir(folder)
    os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT), 2)
    global fork
    fork = lambda *_: None  # later stages do not fork again
    before(later, send) if later else send()

for stage, (at, later, sent, _) in stages.items():
    before(at, lambda stage=stage, later=later, sent=sent: fork(stage, later, {"INT": INT, "TERM": TERM}[sent]))
command.main()
"""


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each stage, with the stderr, the status and the models of its fork."""
    folder, temporary = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("temporary")
    code = f"import os; os.environ['TMPDIR'] = {str(temporary)!r}; os.chdir({str(folder)!r})\n" + WHOLE_RUN
    arguments = ["digits", "--hidden", "8", "--epochs", "2", "--models", "models"]
    status, _, stderr = ended(code, json.dumps(STAGES), *arguments, timeout_s=_WHOLE_RUN_S)
    assert status == 0, stderr
    assert list(temporary.glob("tmp*")) == []  # torch keeps a cache there
    return folder


@pytest.mark.timeout(_WHOLE_RUN_S)
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_at_any_stage_publishes_all_or_nothing(whole_run: Path, stage: str) -> None:
    stderr, status = ((whole_run / stage / name).read_text() for name in ("stderr", "status"))
    models = whole_run / stage / "models"
    assert int(status) == STAGES[stage][-1], stderr
    assert "Traceback" not in stderr
    if status == "0":
        assert stderr.endswith("published models/digits/1; its card is models/digits/1/README.md\n")
        assert list(models.glob("**/.publishing*")) == []
        artifact.read(models / "digits" / "1")
    else:
        assert stderr.endswith(MESSAGE)
        assert list(models.glob("**/*")) == []
