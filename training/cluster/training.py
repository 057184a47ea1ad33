"""Train a network on the workers of a Ray cluster, watched from here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final
from uuid import uuid4

import ray
from ray.train import (
    CheckpointConfig,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
)
from ray.train.torch import TorchTrainer

from training.cluster import connection, worker
from training.cluster.choice import Cluster
from training.cluster.reports import Reporting, Reports
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine.trainer import Epoch
from training.errors import ClusterError, OptionError, TrainingError
from training.recipe.train import TrainResult

_POLL_S: Final = 0.2


def train_network(
    cluster: Cluster,
    dataset: Dataset,
    split: Split,
    config: Config,
    *,
    on_epoch: Callable[[Epoch], object],
    on_teacher_epoch: Callable[[Epoch], None],  # noqa: ARG001 - the signature of `recipe.train.train_network`
    on_step: Callable[[], None],
) -> TrainResult:
    """As `recipe.train.train_network`, on the workers of ``cluster``; raises `ClusterError` too.

    ``on_epoch`` is told of epochs some seconds after they ended, and cannot stop training. ``on_step`` is called while
    it waits, and may end training by raising.
    """
    cluster.check(config)
    _check_shards(dataset, cluster.workers)
    with connection.connected(cluster, dataset.inputs.nbytes) as folder:
        storage = cluster.storage or str(folder / "checkpoints")
        reports = ray.remote(num_cpus=0)(Reports).remote()
        reference = ray.put(worker.Job(dataset, split, config, cluster.checkpoint_every_s))
        trainer = _trainer(cluster, config, [reference], storage, Reporting(reports))
        return _watched(_in_thread(trainer.fit), reports, on_epoch, on_step)


def _trainer(cluster: Cluster, config: Config, job: list[Any], storage: str, reporting: Reporting) -> TorchTrainer:
    gpus = ray.cluster_resources().get("GPU", 0)
    return TorchTrainer(
        worker.run,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(
            num_workers=cluster.workers,
            use_gpu=config.device == "cuda" or (config.device == "auto" and gpus >= cluster.workers),
        ),
        run_config=RunConfig(
            name=f"mlp-train-{uuid4().hex[:8]}",
            storage_path=_storage(storage),
            failure_config=FailureConfig(max_failures=cluster.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            callbacks=[reporting],
            logging_config=LoggingConfig(log_level="INFO" if cluster.logs else "CRITICAL"),
        ),
    )


def _watched(
    fitting: Future[Any], reports: Any, on_epoch: Callable[[Epoch], object], on_step: Callable[[], None]
) -> TrainResult:
    """Wait for the result, and pass on what is reported meanwhile."""
    seen = 0
    next_report = reports.take.remote(seen)
    while not fitting.done():
        on_step()
        wait([fitting], timeout=_POLL_S)
        if ray.wait([next_report], timeout=0)[0]:
            for epoch in ray.get(next_report):
                on_epoch(Epoch(**epoch))
                seen += 1
            next_report = reports.take.remote(seen)
    trained = _result(fitting)
    for epoch in trained.history[seen:]:
        on_epoch(epoch)
    return trained


def _result(fitting: Future[Any]) -> TrainResult:
    try:
        result = fitting.result()
    except TrainingFailedError as error:
        raise _error_of(error) from error
    with suppress(OSError):
        result.filesystem.delete_dir(result.path)  # the checkpoints
    returned = result.return_value
    if isinstance(returned, TrainingError):
        raise returned
    trained: TrainResult = returned
    return trained


def _error_of(error: TrainingFailedError) -> TrainingError:
    """The error of a run that failed too often: one of ours if a worker raised it."""
    failures = getattr(error, "worker_failures", {})
    causes = [getattr(each, "_base_exc", each) for each in failures.values()]
    for cause in causes:
        if isinstance(cause, TrainingError):
            return cause
    cause = causes[0] if causes else error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return ClusterError(f"training failed on the Ray cluster: {lines[-1].strip()}; --ray-logs shows more")


def _check_shards(dataset: Dataset, workers: int) -> None:
    if dataset.streamed is None:
        return
    used = sum(dataset.streamed.files.rows_of((index, workers)) > 1 for index in range(workers))
    if used < workers:
        raise OptionError(
            f"--ray-workers is {workers}, but the row groups of {dataset.name} are enough for {used}; use fewer "
            "workers, or write the table with smaller row groups"
        )


def _storage(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _in_thread(work: Callable[[], Any]) -> Future[Any]:
    """The result of ``work``, in a thread that does not keep the process from ending."""
    done: Future[Any] = Future()

    def call() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            done.set_exception(error)
        else:
            done.set_result(result)

    Thread(target=call, name="ray-train", daemon=True).start()
    return done
