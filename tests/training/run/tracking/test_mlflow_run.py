"""What a run logs to MLflow, read by MLflow's client."""

from __future__ import annotations

import http.server
import io
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.training.run.tracking.runs import CONFIG, fails, run
from training.errors import Diverged, OptionError
from training.run.observers import End, Pruned
from training.run.tracking import mlflow_run
from training.run.tracking.guarded import Failures, Guarded


@pytest.fixture(autouse=True)
def _file_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need no migration of a database, which takes ten seconds; MLflow wants to be asked for them."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def runs_in(uri: str) -> list[Any]:
    """All runs of the model, the newest first."""
    client = mlflow_run.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found: list[Any] = list(client.search_runs([experiment.experiment_id]))
    return found


def test_options_curves_scores_and_the_version_are_logged(tmp_path: Path) -> None:
    uri = (tmp_path / "store").as_uri()
    end = run(mlflow_run.opened(uri, "small"), tmp_path / "models")
    (found,) = runs_in(uri)
    assert end.run is not None
    assert end.release is not None
    assert (found.info.run_name, found.info.status, found.data.tags["status"]) == ("small", "FINISHED", "finished")
    params = found.data.params
    assert (params["hidden"], params["lr"], params["train_rows"]) == ("8 4", "0.01", str(len(end.run.split.train)))
    assert set(params) >= set(CONFIG.__dataclass_fields__)
    client = mlflow_run.MlflowClient(tracking_uri=uri)
    curve = client.get_metric_history(found.info.run_id, "validation_loss")
    assert [(each.step, each.value) for each in curve] == [(e.number, e.validation_loss) for e in end.run.history]
    scores = end.release.candidate.scores["fp32"]
    assert {name: found.data.metrics[f"test_{name}"] for name in scores} == scores
    logged = {Path(each.path).name for each in client.list_artifacts(found.info.run_id, "small/1")}
    assert logged == {file.name for file in end.release.folder.iterdir()}
    assert found.data.tags["mlflow.note.content"].startswith("# small, version 1\n\nA multi-layer perceptron")


def test_trials_are_runs_within_the_run_with_their_own_end(tmp_path: Path) -> None:
    uri = (tmp_path / "store").as_uri()
    parent = mlflow_run.opened(uri, "small")
    for name, error in (("trial 0", Pruned("worse")), ("trial 1", Diverged("nan")), ("trial 2", KeyboardInterrupt())):
        fails(parent.nested(name), error)
    parent.on_end(End())
    by_name = {each.info.run_name: each for each in runs_in(uri)}
    assert {name: (each.info.status, each.data.tags["status"]) for name, each in by_name.items()} == {
        "small": ("FINISHED", "finished"),
        "trial 0": ("FINISHED", "pruned"),
        "trial 1": ("FAILED", "failed"),
        "trial 2": ("KILLED", "interrupted"),
    }
    assert by_name["trial 0"].data.tags["mlflow.parentRunId"] == by_name["small"].info.run_id


def test_a_place_where_nothing_can_be_logged_is_an_error_at_the_start() -> None:
    with pytest.raises(OptionError) as error:
        mlflow_run.opened("no-such-scheme://me:secret@host", "small")
    assert str(error.value).startswith("--mlflow is 'no-such-scheme://me:***@host', where no run can be begun: ")
    assert str(error.value).endswith("; start a server there, or give a database such as sqlite:///mlflow.db")


class Dying(http.server.BaseHTTPRequestHandler):
    """Answers as a tracking server until the run has begun, and then with errors."""

    def do_GET(self) -> None:
        self._answer(200, b'{"experiment": {"experiment_id": "7", "name": "small", "lifecycle_stage": "active"}}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/runs/create"):
            self._answer(200, b'{"run": {"info": {"run_id": "r", "run_uuid": "r", "experiment_id": "7"}, "data": {}}}')
        else:
            self._answer(400, b'{"error_code": "BAD_REQUEST", "message": "the disk is full"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_a_server_that_fails_in_the_middle_costs_no_run(tmp_path: Path) -> None:
    log = io.StringIO()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracked = mlflow_run.opened(f"http://127.0.0.1:{server.server_port}", "small")
        guarded = Guarded(tracked, Failures("--mlflow", Console(file=log, width=300)))
        end = run(guarded, tmp_path / "models")
        server.shutdown()
    assert end.release is not None
    (line,) = log.getvalue().splitlines()
    assert line.startswith("--mlflow failed, and the run goes on without it: ")
    assert line.endswith("the disk is full")
