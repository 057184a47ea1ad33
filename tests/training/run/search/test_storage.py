"""A storage that stops working."""

from __future__ import annotations

from pathlib import Path

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
