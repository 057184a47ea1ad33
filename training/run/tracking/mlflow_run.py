"""A run in MLflow: options, curves, test scores, and the version with its card as artifacts."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Final

from training.errors import OptionError, first_line
from training.release.card_page import README
from training.release.quiet import quiet
from training.run.observers import End, Observer, Start, Status
from training.run.secrets import without_passwords
from training.run.tracking import content

# A server that does not answer holds the run up for 20 s at most; by default it would be several minutes. MLflow
# reports its use to its makers unless told otherwise.
_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
with quiet():
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

if TYPE_CHECKING:
    from training.engine.trainer import Epoch

_SEND_S: Final = 2.0  # an epoch may take less time than a request
_STATUS: Final[dict[Status, str]] = {
    "finished": "FINISHED",
    "pruned": "FINISHED",
    "refused": "FAILED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}
_MAX_METRICS: Final = 1000  # of a request
_PARENT: Final = "mlflow.parentRunId"
_DESCRIPTION: Final = "mlflow.note.content"


def opened(uri: str, name: str) -> MlflowRun:
    """Begin a run of model ``name`` in the experiment of that name. Raises `OptionError` if that is not possible."""
    try:
        with quiet():
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(name)
            experiment = client.create_experiment(name) if found is None else found.experiment_id
            return MlflowRun(client, experiment, name)
    except Exception as error:
        reason = without_passwords(first_line(error))
        raise OptionError(
            f"--mlflow is {without_passwords(uri)!r}, where no run can be begun: {reason}; start a server there, or "
            "give a database such as sqlite:///mlflow.db"
        ) from error


class MlflowRun(Observer):
    """A run that ``client`` begins in ``experiment``, within the run ``parent`` if that is given."""

    def __init__(self, client: MlflowClient, experiment: str, name: str, parent: str | None = None) -> None:
        tags = {_PARENT: parent} if parent else {}
        self._client = client
        self._experiment = experiment
        self._id: str = client.create_run(experiment, run_name=name, tags=tags).info.run_id
        self._score_name = ""
        self._metrics: list[Metric] = []
        self._sent_s = time.monotonic()

    def nested(self, name: str) -> Observer:
        """Begin a run within this one."""
        return MlflowRun(self._client, self._experiment, name, self._id)

    def on_start(self, start: Start) -> None:
        """Log the options."""
        self._score_name = content.score_name(start)
        params = [Param(name, str(value)) for name, value in content.parameters(start).items()]
        tags = [RunTag("model", start.name), RunTag("command", start.command), RunTag("device", start.device)]
        self._client.log_batch(self._id, params=params, tags=tags)

    def on_epoch(self, epoch: Epoch) -> None:
        """Log the figures of an epoch, with those of others if epochs are short."""
        self._add(content.curves(epoch, self._score_name), epoch.number)
        if time.monotonic() - self._sent_s > _SEND_S:
            self._send()

    def on_end(self, end: End) -> None:
        """Log scores, card and files, and how the run ended."""
        epoch = 0 if end.run is None else len(end.run.history)
        self._add(content.results(end), epoch)
        self._send()
        if end.release is not None:
            folder = end.release.folder
            self._client.log_artifacts(self._id, str(folder), f"{folder.parent.name}/{folder.name}")
            head = (folder / README).read_text().partition("\n## ")[0]
            self._client.set_tag(self._id, _DESCRIPTION, head)
            self._client.set_tag(self._id, "version", folder.name)
        self._client.set_tag(self._id, "status", end.status)
        self._client.set_terminated(self._id, _STATUS[end.status])

    def _add(self, figures: dict[str, float], step: int) -> None:
        now_ms = int(time.time() * 1000)
        self._metrics += [Metric(name, value, now_ms, step) for name, value in figures.items() if not math.isnan(value)]

    def _send(self) -> None:
        for first in range(0, len(self._metrics), _MAX_METRICS):
            self._client.log_batch(self._id, metrics=self._metrics[first : first + _MAX_METRICS])
        self._metrics = []
        self._sent_s = time.monotonic()
