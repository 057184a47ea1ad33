"""Where a study is kept: an SQLite file, a journal file, or a database."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from training.errors import OptionError, first_line
from training.run.secrets import without_passwords

_JOURNALS: Final = (".journal", ".log")
# A process that says nothing for so long is dead, and its trial lost.
_HEARTBEAT_S: Final = 15
_DEAD_S: Final = 90
_LOCKED_S: Final = 60  # how long a process waits for others to write to an SQLite file


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
        reason = without_passwords(first_line(error)).rstrip(".")
        raise OptionError(
            f"--storage is {without_passwords(place)!r}, which cannot be opened: {reason}; give a file such as "
            "searches/houses.db, or the URL of a database"
        ) from error


@contextmanager
def connected(place: str) -> Iterator[BaseStorage]:
    """The same, whose connections are closed at the end."""
    found = opened(place)
    try:
        yield found
    finally:
        if isinstance(found, RDBStorage):
            found.engine.dispose()


class _Database(RDBStorage):
    """A database that loses heartbeats in silence: if it fails, the next report of the search fails, too."""

    def record_heartbeat(self, trial_id: int) -> None:
        with suppress(SQLAlchemyError, StorageInternalError):
            super().record_heartbeat(trial_id)


def _database(url: str) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of heartbeats
        try:
            found = _connected(url)
        except (IntegrityError, OperationalError):  # another process has made the same tables meanwhile
            found = _connected(url)
    if found.engine.dialect.name == "sqlite":
        _lock_first(found.engine)
    return found


def _connected(url: str) -> RDBStorage:
    arguments = {"connect_args": {"timeout": _LOCKED_S}} if url.startswith("sqlite") else {}
    return _Database(url, engine_kwargs=arguments, heartbeat_interval=_HEARTBEAT_S, grace_period=_DEAD_S)


def _lock_first(engine: Engine) -> None:
    """Lock the SQLite file at the begin of each transaction rather than at its first change.

    Optuna reads whether a trial waits and then takes it; SQLite has no locks of rows, so two processes would take the
    same one. See "Enabling Serializable / Locking" in SQLAlchemy's pages on SQLite.
    """

    def leave_begin_to_us(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", leave_begin_to_us)
    event.listen(engine, "begin", begin)
    engine.dispose()  # the connections that were made without it
