"""A storage that stops working, and one that two processes share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from training.run.search import storage


def test_a_heartbeat_that_fails_is_silent(tmp_path: Path) -> None:
    place = tmp_path / "s.db"
    opened = storage.opened(str(place))
    assert isinstance(opened, RDBStorage)

    def objective(trial: optuna.Trial) -> float:
        place.unlink()
        opened.record_heartbeat(trial._trial_id)
        return 0.0

    with pytest.raises((StorageInternalError, AssertionError)):  # Optuna hides one behind the other
        optuna.create_study(storage=opened).optimize(objective, n_trials=1)
    opened.engine.dispose()


_TAKES_ALL = """
import sys
import optuna
from training.run.search import storage

study = optuna.load_study(study_name="s", storage=storage.opened(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while trial := study.ask().user_attrs.get("name"):
    print(trial, flush=True)
"""


def test_each_waiting_trial_is_taken_by_one_process(tmp_path: Path) -> None:
    place = str(tmp_path / "s.db")
    opened = storage.opened(place)
    assert isinstance(opened, RDBStorage)
    study = optuna.create_study(study_name="s", storage=opened)
    for number in range(100):
        study.enqueue_trial({}, user_attrs={"name": str(number)})
    opened.engine.dispose()
    command = [sys.executable, "-c", _TAKES_ALL, place]
    processes = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(3)]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    outputs = [each.communicate(timeout=60)[0].split() for each in processes]
    taken = [trial for output in outputs for trial in output]
    assert len(taken) == len(set(taken)) == 100
