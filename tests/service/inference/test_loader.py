"""Valid and invalid versions on disk, loaded in the requested precision."""

from __future__ import annotations

import io
import logging
from dataclasses import asdict
from dataclasses import replace as replace_figures
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from service.errors import ModelRefused
from service.inference.model import Model
from service.int8 import Int8
from tests.service.inference.loading import load_newest, loader
from tests.service.published import publish, rewrite
from tests.service.quantized import EVIDENCE, publish_int8
from tests.service.trapped import publish_trapped, replace, slow


def load(models: Path, name: str = "small", precision: str = "auto") -> Model:
    return load_newest(models, name, precision)


def refusal_of(models: Path, name: str = "small", precision: str = "auto") -> str:
    with pytest.raises(ModelRefused) as refused:
        load(models, name, precision)
    return str(refused.value)


def spoil_int8(models: Path) -> None:
    """Write golden answers that the int8 graph does not give, as on a processor that saturates."""
    version_dir = models / "small" / "1"
    with np.load(version_dir / artifact.GOLDEN) as golden:
        arrays = dict(golden)
    file = io.BytesIO()
    np.savez(file, **(arrays | {"int8_probabilities": np.roll(arrays["int8_probabilities"], 1, axis=1)}))
    replace(version_dir, artifact.GOLDEN, file.getvalue())


def test_a_version_is_loaded(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        publish(tmp_path, version=version)
    model = loader(tmp_path).load("small", 10)
    assert (model.manifest.version, model.provider, model.precision) == (10, "cpu", "fp32")
    assert model.load_s > 0
    assert b'"inputs"' in model.example


def test_a_running_version_is_kept_while_its_files_say_the_same(tmp_path: Path) -> None:
    publish(tmp_path)
    running = loader(tmp_path).load("small", 1)
    (tmp_path / "small" / "1" / "metadata.json").touch()
    assert loader(tmp_path).load("small", 1, running) is running
    rewrite(tmp_path / "small" / "1", lambda document: document.update(seed=7))
    assert loader(tmp_path).load("small", 1, running) is not running


def test_a_model_whose_golden_rows_do_not_match_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, "small", seed=1)
    publish(tmp_path, "other", seed=2)
    replace(tmp_path / "small" / "1", artifact.MODEL, (tmp_path / "other" / "1" / artifact.MODEL).read_bytes())
    message = refusal_of(tmp_path)
    assert message.startswith(f"{tmp_path}/small/1 is refused: a golden row is answered with ")
    assert message.endswith("; at most 0.0001 is allowed; publish the model again")


def test_a_graph_that_does_not_end_is_refused(tmp_path: Path) -> None:
    """Its loop has a turn for each unit of the fourth feature, which is large in a golden row."""
    publish_trapped(tmp_path)
    version_dir = tmp_path / "small" / "1"
    with np.load(version_dir / artifact.GOLDEN) as golden:
        arrays = {name: array[:1] for name, array in golden.items()}
    file = io.BytesIO()
    np.savez(file, **(arrays | {"inputs": np.array([slow(1e15)], np.float32)}))
    replace(version_dir, artifact.GOLDEN, file.getvalue())
    with pytest.raises(ModelRefused, match=r"does not run on 1 rows: its checks took 0\.05 s and had not ended; "):
        loader(tmp_path, check_limit_s=0.05).load("small", 1)


@pytest.mark.parametrize(("precision", "runs"), [("auto", "int8"), ("int8", "int8"), ("fp32", "fp32")])
def test_a_model_with_int8_runs_in_the_requested_precision(tmp_path: Path, precision: str, runs: str) -> None:
    publish_int8(tmp_path)
    assert load(tmp_path, precision=precision).precision == runs


def test_int8_that_was_not_published_is_refused_on_request(tmp_path: Path) -> None:
    publish(tmp_path)
    assert refusal_of(tmp_path, precision="int8") == (
        f"{tmp_path}/small/1 is refused: it was published without int8; start with --precision fp32, "
        "or publish one that has it"
    )


def test_int8_that_fails_its_self_check_is_refused_on_request_and_left_out_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_int8(tmp_path)
    spoil_int8(tmp_path)
    message = refusal_of(tmp_path, precision="int8")
    assert message.startswith(
        f"{tmp_path}/small/1 is refused: its int8 graph fails the self-check on this processor: a golden row is "
        "answered with "
    )
    assert message.endswith("; at most 0.02 is allowed; start with --precision auto, which then runs it in fp32")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).precision == "fp32"
    (warning,) = caplog.records
    assert warning.getMessage().startswith(
        "small runs in fp32: its int8 graph fails the self-check on this processor: a golden row is answered with "
    )
    assert warning.getMessage().endswith("; at most 0.02 is allowed")


@pytest.mark.parametrize(
    ("evidence", "doubt"),
    [
        (None, "its manifest has no figures of both side by side"),
        (
            replace_figures(EVIDENCE, class_rows=(600, 600, 600), rows=1800),
            "it was compared with fp32 on 1,800 rows, and 2,000 are needed",
        ),
        (
            replace_figures(EVIDENCE, log_loss_int8=0.3),
            "its log-loss is 0.3 beside 0.2 in fp32, and may rise by 1% at most",
        ),
    ],
)
def test_int8_that_is_not_shown_to_be_as_good_runs_only_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, evidence: Int8 | None, doubt: str
) -> None:
    publish_int8(tmp_path)
    caplog.clear()
    rewrite(tmp_path / "small" / "1", lambda document: document.update(int8=evidence and asdict(evidence)))
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).precision == "fp32"
        assert load(tmp_path, precision="fp32").precision == "fp32"
        assert load(tmp_path, precision="int8").precision == "int8"
    assert [record.getMessage() for record in caplog.records] == [
        f"small runs in fp32: its int8 graph is not shown to be as good, as {doubt}",
        f"small runs in int8, as --precision asks, though {doubt}",
    ]
