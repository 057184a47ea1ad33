"""Scoring on a cluster: the same output as here, with a fake that runs the work in this process, and with Ray."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from service.models.command import CommandError
from service.scoring import cluster
from service.scoring.local_files import LocalPlace
from service.scoring.readers.source import Chunk
from service.scoring.scorer import Scored
from tests import ray_environment
from tests.service.scoring.scoring import Scoring
from training.errors import ClusterError, OptionError

ROWS = "".join(f"{number},{number / 3},{-number},{number % 7}\n" for number in range(100))
CSV = "f0,f1,f2,f3\n" + ROWS


class FakeCluster:
    """Runs the work here, with all that goes to a cluster pickled."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, int, bool]] = []
        self._error = error

    def choose(self, address: str, workers: int, *, logs: bool) -> cluster.Run:
        self.calls.append((address, workers, logs))
        if self._error is not None:
            raise self._error
        return self.run

    def run(
        self,
        items: Callable[[], Iterator[Chunk]],
        make_work: Callable[[], Callable[[Chunk], Scored]],
        on_wait: Callable[[], None],
    ) -> Generator[Scored, None, None]:
        work, there = copied(make_work)(), copied(items)
        for item in there():
            on_wait()
            yield copied(work(copied(item)))


def copied(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - pickled here


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeCluster) -> FakeCluster:
    entry = EntryPoint("ray", "training.somewhere:choose", cluster.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: fake.choose)
    monkeypatch.setattr(cluster, "entry_points", lambda group: [entry] if group == cluster.GROUP else [])
    return fake


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.csv", CSV), ("rows.jsonl", '{"f0": 1, "f1": 2.5, "f2": 3, "f3": 4}\n' * 30), ("rows.parquet", None)],
)
def test_the_output_is_that_of_one_process(
    score: Scoring, monkeypatch: pytest.MonkeyPatch, name: str, content: str | None
) -> None:
    columns = {f"f{at}": [float(row + at) for row in range(50)] for at in range(4)}
    given = score.write(name, columns if content is None else content)
    here, there = score.folder / "here.csv", score.folder / "there.csv"
    assert score("small", given, here, "--probabilities").status == 0
    fake = use(monkeypatch, FakeCluster())
    ended = score("small", given, there, "--probabilities", "--ray", "auto", "--ray-workers", "3")
    assert ended.status == 0, ended
    assert fake.calls == [("auto", 3, False)]
    assert there.read_bytes() == here.read_bytes()


def test_a_path_is_that_of_the_same_file_in_another_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert copied(LocalPlace(Path("rows.csv"))).path == tmp_path / "rows.csv"


def test_a_run_on_a_cluster_can_be_resumed(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    given = score.write("rows.csv", CSV)
    here, there = score.folder / "here.csv", score.folder / "there.csv"
    score("small", given, here)
    use(monkeypatch, FakeCluster())
    assert score("small", given, there, "--resume", "--ray", "local").status == 0
    assert there.read_bytes() == here.read_bytes()


def test_a_bad_row_ends_the_run(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCluster())
    given = score.write("rows.csv", CSV + "1,2,x,4\n")
    assert "row 100" in score.fails("small", given, score.folder / "scored.csv", "--ray", "local")


def test_errors_of_the_package_explain_themselves(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCluster(OptionError("--ray-workers is 0, expected 1")))
    given = score.write("rows.csv", CSV)
    assert (
        score.fails("small", given, score.folder / "scored.csv", "--ray", "local") == "--ray-workers is 0, expected 1"
    )


def test_an_error_of_the_cluster_while_it_works_is_one_sentence(
    score: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Generator[Scored, None, None]:
        raise ClusterError("no Ray cluster can be used")
        yield

    fake = use(monkeypatch, FakeCluster())
    monkeypatch.setattr(fake, "run", fails)
    given = score.write("rows.csv", CSV)
    assert score.fails("small", given, score.folder / "scored.csv", "--ray", "local") == "no Ray cluster can be used"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCluster(ModuleNotFoundError("no torch", name="torch")))
    with pytest.raises(CommandError, match="--ray needs torch; install it with: pip install 'mlp-serving\\[ray\\]'"):
        cluster.chosen("local", 2, logs=False)
    monkeypatch.setattr(cluster, "entry_points", lambda **_: [])
    with pytest.raises(CommandError, match="--ray needs mlp-serving as an installed package; "):
        cluster.chosen("local", 2, logs=False)


@pytest.mark.ray
def test_ray_scores_bit_for_bit_as_one_process(models: Path, tmp_path: Path) -> None:
    rows = "".join(f"{number / 7},{number / 3},{-number},{number % 7}\n" for number in range(20_000))
    given = tmp_path / "rows.csv"
    given.write_text("f0,f1,f2,f3\n" + rows)
    arguments = ["-m", "service.scoring", "small", given, "--models", models, "--probabilities", "--quiet"]
    for python, output, options in (
        (sys.executable, "here.csv", []),
        (ray_environment.python(), "there.csv", ["--ray", "local"]),
    ):
        command = [python, *arguments[:4], tmp_path / output, *arguments[4:], *options]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=200, check=False, cwd=ray_environment.ROOT
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
