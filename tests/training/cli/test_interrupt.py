"""Signals in each state of a run, in processes of their own; and one whole run, whose forks are sent one at each stage.

The processes take SIGINT whatever the parent of the tests does with it: `cmd &` in a script ignores it.
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

_WHOLE_RUN_S = 600.0  # on a machine that has a lot to do
SENTENCE = "mlp-train: interrupted; nothing was published\n"
BEGIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
def INT(): signal.raise_signal(signal.SIGINT)
def TERM(): signal.raise_signal(signal.SIGTERM)
"""
TAKE = """
from training.cli.interrupt import Interrupts
run = Interrupts()
run.take()
"""


def ended(code: str, *arguments: str, patience_s: float = 3 * PATIENCE_S) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a process that runs ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *arguments],
        capture_output=True,
        text=True,
        timeout=patience_s,
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
def test_a_signal_ends_the_process_at_once_whatever_it_meets(code: str, sent: str, status: int) -> None:
    assert ended(TAKE + code.replace("{}", sent)) == (status, "", SENTENCE)


@pytest.mark.parametrize(
    "code",
    [
        "with run.orderly(): TERM(); print('tidied'); run.check(); print('not here')",
        "with run.orderly(): TERM(); print('tidied')\nprint('not here')",
        "with run.publishing(): TERM(); INT(); INT(); print('tidied'); run.commit(); print('not here')",
        "with run.publishing(): TERM(); print('tidied')\nprint('not here')",
    ],
)
def test_where_there_is_something_to_tidy_up_it_waits_for_the_next_check(code: str) -> None:
    indented = code.replace("\n", "\n ")
    code = f"{TAKE}\ntry:\n {indented}\nexcept KeyboardInterrupt:\n sys.stdout.flush()\n run.end()"
    assert ended(code) == (143, "tidied\n", SENTENCE)


def test_after_the_commit_nothing_interrupts() -> None:
    code = "with run.publishing():\n run.commit(); INT(); TERM(); INT()\nINT(); print('published')"
    assert ended(TAKE + code) == (0, "published\n", "")


def test_where_a_commit_came_to_nothing_the_next_one_is_interrupted() -> None:
    """As when another run took the version's place."""
    code = "\ntry:\n with run.publishing(): run.commit(); TERM(); run.commit(); print('not here')\n"
    assert ended(TAKE + code + "except KeyboardInterrupt: run.end()") == (143, "", SENTENCE)


def test_what_the_parent_ignores_stays_ignored() -> None:
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)" + TAKE + "INT()\nprint('goes on'); sys.stdout.flush(); TERM()"
    assert ended(code) == (143, "goes on\n", SENTENCE)


def test_who_uses_it_as_a_library_has_pythons_own_handlers() -> None:
    code = "from training.interrupt import Interrupts\nrun = Interrupts()\nwith run.orderly(): INT()"
    status, _, said = ended(code)
    assert status == -signal.SIGINT
    assert said.endswith("KeyboardInterrupt\n")


def test_the_command_takes_signals_before_it_imports_what_is_slow() -> None:
    code = (
        "import training.__main__\nprint(sorted(sys.modules.keys() & {'numpy', 'torch', 'rich', 'sklearn', 'pyarrow'}))"
    )
    assert ended(code) == (0, "[]\n", "")


@pytest.mark.parametrize(("module", "sent", "status"), [("rich.console", "INT", 130), ("numpy", "TERM", 143)])
def test_a_signal_during_an_import_is_one_sentence(module: str, sent: str, status: int, tmp_path: Path) -> None:
    """Also where who imports it has a way to do without."""
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
    assert ended(code, "digits", "--models", str(tmp_path / "models")) == (status, "", SENTENCE)
    assert list(tmp_path.iterdir()) == []


# A fork at each of these, which is sent a signal at once or where the run comes to next: what happens to it then.
STAGES: dict[str, tuple[str, str, str, int]] = {
    "reading": ("training.data.source.load", "", "INT", 130),
    "first step": ("training.engine.loop.run", "", "TERM", 143),
    "evaluating": ("training.release.evaluate.classification", "", "INT", 130),
    "exporting": ("training.release.onnx_export.export", "", "TERM", 143),
    "quantising": ("training.release.quantize.compare", "onnxruntime.quantization.quantize_static", "INT", 130),
    "drawing the card": ("training.release.card.card", "", "TERM", 143),
    "writing": ("service.artifact_writer._write_version", "service.artifact_writer._sync", "INT", 130),
    "renaming": ("service.artifact_writer._write_version", "service.artifact_writer._rename", "TERM", 0),
    "renamed": ("service.artifact_writer._write_version", "shutil.rmtree", "INT", 0),
}
WHOLE_RUN = """
import importlib, json, os, pathlib, torch
torch.set_num_threads(1)  # a fork has no threads but one
import training.__main__ as command, training.run
stages = json.loads(sys.argv.pop(1))

def before(path, do):
    place, _, name = path.rpartition(".")
    module = importlib.import_module(place)
    real = getattr(module, name)
    def hooked(*arguments, **options):
        do()
        return real(*arguments, **options)
    setattr(module, name, hooked)

def fork(stage, later, send):
    folder = pathlib.Path(stage)
    if folder.exists():
        return  # it came here before
    folder.mkdir()
    if os.fork():
        folder.joinpath("status").write_text(str(os.waitstatus_to_exitcode(os.wait()[1])))
        return
    os.chdir(folder)
    os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT), 2)
    global fork
    fork = lambda *_: None  # the later stages are not its own
    before(later, send) if later else send()

for stage, (at, later, sent, _) in stages.items():
    before(at, lambda stage=stage, later=later, sent=sent: fork(stage, later, {"INT": INT, "TERM": TERM}[sent]))
command.main()
"""


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one for each stage: what its fork said, its status, and what it published."""
    folder, temporary = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("temporary")
    code = f"import os; os.environ['TMPDIR'] = {str(temporary)!r}; os.chdir({str(folder)!r})\n" + WHOLE_RUN
    arguments = ["digits", "--hidden", "8", "--epochs", "2", "--models", "models"]
    status, _, said = ended(code, json.dumps(STAGES), *arguments, patience_s=_WHOLE_RUN_S)
    assert status == 0, said
    assert list(temporary.glob("tmp*")) == []  # torch has a cache of its own there
    return folder


@pytest.mark.timeout(_WHOLE_RUN_S)
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_at_any_stage_ends_the_run_truly(whole_run: Path, stage: str) -> None:
    said, status = ((whole_run / stage / name).read_text() for name in ("said", "status"))
    models = whole_run / stage / "models"
    assert int(status) == STAGES[stage][-1], said
    assert "Traceback" not in said
    if status == "0":
        assert said.endswith("published models/digits/1; its card is models/digits/1/README.md\n")
        assert list(models.glob("**/.publishing*")) == []
        artifact.read(models / "digits" / "1")
    else:
        assert said.endswith(SENTENCE)
        assert list(models.glob("**/*")) == []
