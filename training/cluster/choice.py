"""The cluster that a user chooses. Imports nothing of Ray, which takes seconds and may not be installed."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Final

from training.config import Config, Interval, mismatch
from training.errors import OptionError

LOCAL: Final = "local"
DEFAULT_WORKERS: Final = 2
_ADDRESS: Final = re.compile(r"local|auto|[^:/\s]+:[0-9]{1,5}")
_WORKERS: Final = Interval(1, 4096, integer=True)
_CHECKPOINT_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to train or score.

    ``address`` is `LOCAL` for a cluster that is started on this machine, ``auto`` or ``HOST:PORT``. ``storage`` is
    where the checkpoints of training are written: a folder or a URI that all machines share. ``logs`` says whether to
    print what Ray logs. A checkpoint is written after an epoch, if the last one is ``checkpoint_every_s`` old. A run
    goes on after workers were lost up to ``max_failures`` times. Raises `OptionError`.
    """

    address: str = LOCAL
    workers: int = DEFAULT_WORKERS
    storage: str | None = None
    logs: bool = False
    checkpoint_every_s: float = _CHECKPOINT_EVERY_S
    max_failures: int = 3

    def __post_init__(self) -> None:
        if fault := mismatch("--ray-workers", self.workers, _WORKERS):
            raise OptionError(fault)
        if not _ADDRESS.fullmatch(self.address):
            raise OptionError(
                f"--ray is {self.address!r}, expected 'local', 'auto' or HOST:PORT; run the command on a machine of "
                "the cluster with --ray auto, or as a job: ray job submit"
            )
        if importlib.util.find_spec("ray") is None:
            raise OptionError("--ray needs ray; install it with: pip install 'mlp-serving[ray]'")

    @property
    def described(self) -> str:
        """The cluster in words, for the log and the model card."""
        where = "this machine" if self.address == LOCAL else "a cluster"
        return f"{self.workers} Ray worker{'s' * (self.workers > 1)} on {where}"

    def check_storage(self) -> None:
        """Raise `OptionError` if there is no place for checkpoints."""
        if self.address != LOCAL and self.storage is None:
            raise OptionError(
                f"--ray is {self.address!r}, which needs --ray-storage; give a folder that all its machines share, or "
                "a URI such as s3://bucket/checkpoints"
            )

    def check(self, config: Config) -> None:
        """Raise `OptionError` if ``config`` cannot be trained by several workers."""
        if config.teacher_epochs:
            raise OptionError(
                f"--teacher-epochs is {config.teacher_epochs}, expected 0 with --ray: a teacher is trained by one "
                "process; leave one of them out"
            )
        if config.device == "mps":
            raise OptionError("--device is 'mps', expected auto, cuda or cpu with --ray")
