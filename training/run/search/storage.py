"""Where a study is kept: an SQLite file, a journal file, or a database."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from training.errors import OptionError
from training.run.secrets import without_passwords

_JOURNALS: Final = (".journal", ".log")
# A process that says nothing for so long is dead, and its trial lost.
_HEARTBEAT_S: Final = 15
_DEAD_S: Final = 90


def opened(place: str) -> BaseStorage:
    """Open the storage at ``place``: a URL, or a file, which is a journal if its name ends with ``.journal`` or
    ``.log``, and otherwise an SQLite database. A file is made if there is none. Raises `OptionError`."""
    try:
        if "://" in place:
            return _database(place)
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        if place.endswith(_JOURNALS):
            return JournalStorage(JournalFileBackend(place))
        return _database(f"sqlite:///{place}")
    except (OSError, SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = without_passwords(str(error).strip().splitlines()[0]).rstrip(".")
        raise OptionError(
            f"--storage is {without_passwords(place)!r}, which cannot be opened: {reason}; give a file such as "
            "searches/houses.db, or the URL of a database"
        ) from error


class _Database(RDBStorage):
    """A database that loses heartbeats in silence: if it fails, the next report of the search fails, too."""

    def record_heartbeat(self, trial_id: int) -> None:
        with suppress(SQLAlchemyError, StorageInternalError):
            super().record_heartbeat(trial_id)


def _database(url: str) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of heartbeats
        try:
            return _Database(url, heartbeat_interval=_HEARTBEAT_S, grace_period=_DEAD_S)
        except (IntegrityError, OperationalError):  # another process has made the same tables meanwhile
            return _Database(url, heartbeat_interval=_HEARTBEAT_S, grace_period=_DEAD_S)
