"""Whole runs of the command: from a data set to a served model, and every way a run ends early."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from service import artifact
from service.manifest import REGRESSION
from tests.predictions import assert_metrics_match, predict
from tests.service.running import Running, post
from tests.training.trained import Trained, golden_of, run, train

BUSY_S = 600.0  # for a process that imports torch, on a busy machine
QUICK = ("--hidden", "8", "--epochs", "2")
SETS = "fashion-mnist, digits, iris, wine, breast_cancer, diabetes"


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []


def command(models: Path, *arguments: str, before: str = "pass") -> list[str]:
    """The command as a new process that runs ``before`` first, and handles SIGINT even if this process ignores it."""
    handle = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{handle}; from training.__main__ import main; {before}; main()"
    return [sys.executable, "-c", code, *arguments, "--models", str(models)]


def test_a_run_logs_its_rows_epochs_scores_and_version(digits: Trained) -> None:
    test_rows, validation_rows = len(digits.parts.test), len(digits.parts.validation)
    folder, figure = re.escape(str(digits.folder)), r"\d\.\d{4}"
    scores = f"accuracy {figure}, balanced_accuracy {figure}, log_loss {figure}, ece {figure}, roc_auc {figure}, "
    scores += f"average_precision {figure}\n"
    pattern = (
        "reading digits\n"
        f"digits: {len(digits.parts.train):,} training rows, {validation_rows} validation rows, {test_rows} test rows; "
        "training on .+\n"
        rf"trained 20 epochs in \d+\.\d s \(0\.\d+ s each\) and \d+\.\d s of preparing; kept the weights of epoch \d+ "
        rf"\(validation loss {figure}\)\n"
        f"test scores, fp32: {scores}"
        f"baseline, always '\\d': {scores}published {folder}; its card is {folder}/README.md\n"
    )
    assert re.fullmatch(pattern, digits.log)


def test_golden_outputs_are_those_of_torch(digits: Trained) -> None:
    golden = golden_of(digits.published)
    inputs, probabilities, prediction = (golden[name] for name in ("inputs", "probabilities", "prediction"))
    rows = [int(np.flatnonzero((digits.test_inputs == row).all(axis=1))[0]) for row in inputs]
    assert np.array_equal(probabilities, digits.outputs[0][rows])
    assert np.array_equal(prediction, digits.outputs[1][rows])


def test_the_service_responds_with_the_outputs_of_torch_in_batches_of_any_size(digits: Trained) -> None:
    rows = np.concatenate([digits.test_inputs] * 3)
    images = rows.reshape(-1, 8, 8)
    probabilities, classes = (np.concatenate([output] * 3) for output in digits.outputs)
    with Running(digits.folder.parents[1], "--precision", "fp32") as server:
        results = [predict(server, images, 1000)] + [
            predict(server, images[:359], batch_rows) for batch_rows in (1, 7, 32)
        ]
        assert_metrics_match(server, results)
        with server.connect() as connection:
            connection.send(post(digits.published.example))
            example = json.loads(connection.answer().body)
    for result in results:
        count = len(result.classes)
        assert result.models == {("digits", 1)}
        assert np.array_equal(result.classes, classes[:count])
        assert result.labels == classes[:count].tolist()
        assert np.abs(result.probabilities - probabilities[:count]).max() < 1e-5
        # the same bits for any batch size
        assert np.array_equal(result.probabilities, results[0].probabilities[:count])
    accuracy = (results[1].classes == digits.test_targets).mean()
    assert accuracy == digits.published.manifest.scores["fp32"]["accuracy"] > 0.9
    first_correct = int((digits.outputs[1] == digits.test_targets).argmax())
    assert example["predictions"] == [digits.dataset.labels[digits.test_targets[first_correct]]]


def test_the_same_command_publishes_the_same_model_as_the_next_version(models: Path) -> None:
    for version in (1, 2):
        status, log = run(models, "iris", *QUICK)
        assert status == 0
        assert log.endswith(f"published {models}/iris/{version}; its card is {models}/iris/{version}/README.md\n")
    first, second = (artifact.read(models / "iris" / version) for version in ("1", "2"))
    assert first.model == second.model
    assert first.golden == second.golden
    assert (first.manifest.version, second.manifest.version) == (1, 2)
    other = train(models / "other seed", "iris", *QUICK, "--seed", "1")
    assert other.published.model != first.model


def test_a_regression_predicts_the_values_of_torch(models: Path) -> None:
    diabetes = train(models, "diabetes", *QUICK)
    graph = onnx.load_model_from_string(diabetes.published.model).graph
    assert [output.name for output in graph.output] == ["prediction"]
    assert diabetes.published.manifest.task == REGRESSION
    with Running(models) as server, server.connect() as connection:
        connection.send(post(json.dumps({"inputs": diabetes.test_inputs.tolist()}).encode()))
        values = np.array(json.loads(connection.answer().body)["predictions"])
    expected = diabetes.outputs[0]
    assert np.abs(values.reshape(expected.shape) - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_folder_of_pictures_becomes_a_served_model(models: Path, tmp_path: Path) -> None:
    """Digits as image files; requests have the pixels of such files."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:500], digits.target, strict=False)):
        folder = tmp_path / "numbers" / f"a {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / f"{number:04}.png")
    status, log = run(models, str(tmp_path / "numbers"), "--epochs", "40", "--batch-size", "64")
    assert status == 0
    assert log.partition("\n")[2].startswith(
        "500 images of 8 x 8 pixels, 10 classes (a 0, a 1, a 2, a 3, a 4, a 5, a 6, a 7, a 8, a 9)\n"
    )
    with Running(models) as server:
        files = sorted((tmp_path / "numbers").glob("*/*.png"))[::7]
        body = b"".join(np.asarray(Image.open(file)).tobytes() for file in files)
        response = httpx.post(
            f"{server.address}/predict?dtype=uint8", content=body, headers={"content-type": "application/octet-stream"}
        )
    correct = [file.parent.name == label for file, label in zip(files, response.json()["predictions"], strict=True)]
    assert sum(correct) > 0.9 * len(correct)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("iriss",), "unknown data set 'iriss'; did you mean iris?"),
        (
            ("iris", "--lr", "11"),
            "--lr is 11.0, expected a number from 0 to 10",
        ),
        (
            ("iris", "--name", "../iris"),
            "model name '../iris': a name has 1 to 128 letters, digits, '.', '_' and '-', "
            "and begins with a letter or a digit",
        ),
        (
            ("iris", "--image-size", "28", "0"),
            "--image-size is 28 0, expected 1 to 1,024 each",
        ),
        (
            ("iris", "--flip"),
            "--flip is for images, and iris has none",
        ),
    ],
)
def test_an_error_is_one_sentence_and_publishes_nothing(models: Path, arguments: tuple[str, ...], message: str) -> None:
    status, log = run(models, *arguments)
    assert status == 1
    assert log.splitlines()[-1] == f"mlp-train: {message}"
    assert [path for path in everything_in(models) if path != models] == []


def test_the_first_line_comes_before_the_data_and_torch(models: Path) -> None:
    before = "import sys, training.data.source as s; s.load = lambda *_: sys.exit(5 if 'torch' in sys.modules else 4)"
    found = subprocess.run(command(models, "iris", before=before), capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (4, "reading iris\n")


def test_an_unknown_data_set_lists_the_known_ones(models: Path) -> None:
    status, log = run(models, "qqqq")
    assert status == 1
    assert log.startswith("mlp-train: unknown data set 'qqqq'; ")
    assert SETS in log
    assert log.count("\n") == 1


def test_a_non_finite_loss_ends_the_run(models: Path) -> None:
    status, log = run(models, "wine", "--optimizer", "sgd", "--lr", "10", "--activation", "identity", "--epochs", "9")
    assert status == 1
    assert re.fullmatch(
        r"mlp-train: the (validation )?loss is (nan|inf) in epoch \d; try a smaller --lr \(it is 10\), and check the "
        "data for values of very different size",
        log.splitlines()[-1],
    )
    assert everything_in(models) == []


@pytest.mark.parametrize(
    ("models", "reason"), [("file", "File exists"), ("file/models", "Not a directory"), ("readable", "No such file")]
)
def test_a_models_folder_that_cannot_be_written_fails_before_training(tmp_path: Path, models: str, reason: str) -> None:
    """Not even root can write to /proc/self/fdinfo."""
    (tmp_path / "file").touch()
    (tmp_path / "readable").mkdir()
    (tmp_path / "readable" / "iris").symlink_to("/proc/self/fdinfo")
    status, log = run(tmp_path / models, "iris", *QUICK)
    assert status == 1
    assert log.count("\n") == 2
    assert log.startswith(
        f"reading iris\nmlp-train: no version of 'iris' can be written to '{tmp_path}/{models}': {reason}"
    )
    assert log.endswith("; choose another folder with --models\n")


@pytest.mark.timeout(BUSY_S)
def test_ctrl_c_during_training_ends_in_one_sentence(models: Path) -> None:
    """1. The progress bar shows the first epoch. 2. SIGINT. 3. Nothing was published; exit status 130."""
    ours, theirs = os.openpty()
    started = subprocess.Popen(
        command(models, "digits", "--epochs", "100000", "--patience", "0"), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError), open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        while piece := terminal.read(1024):  # it ends with an error when the last writer is gone
            if b"validation loss" not in written and b"validation loss" in written + piece:
                started.send_signal(signal.SIGINT)
            written += piece
    assert started.wait(BUSY_S) == 130
    assert written.endswith(b"mlp-train: interrupted; nothing was published\r\n")
    assert b"Traceback" not in written
    assert everything_in(models) == []


@pytest.mark.timeout(BUSY_S)
def test_an_early_error_is_one_sentence_and_skips_python_s_shutdown(models: Path, tmp_path: Path) -> None:
    """Threads that Arrow was still starting made the process abort there, with status 134."""
    (tmp_path / "header.csv").write_text("a,b\n")
    before = "import atexit; atexit.register(print, 'on the way out')"
    arguments = command(models, str(tmp_path / "header.csv"), "--target", "b", before=before)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=BUSY_S, check=False)
    log = f"reading {tmp_path}/header.csv\nmlp-train: {tmp_path}/header.csv has a header but no rows; add rows\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", log)


@pytest.mark.timeout(BUSY_S)
def test_an_unknown_option_ends_with_status_2(models: Path) -> None:
    done = subprocess.run(command(models, "--no-such"), capture_output=True, text=True, timeout=BUSY_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "mlp-train: error: the following arguments are required: DATA"


def test_sigkill_at_the_rename_leaves_no_version(models: Path) -> None:
    """1. All files are written. 2. SIGKILL at the rename. 3. There is no version. 4. The next run makes version 1."""
    kill = (
        "import os; from service import artifact_writer; artifact_writer._rename = lambda *_: os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run(command(models, "iris", *QUICK, before=kill), stderr=subprocess.PIPE, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert b"\npublished " not in killed.stderr
    (left,) = models.iterdir()
    assert left.name.startswith(".publishing-")
    assert (left / "1" / artifact.MANIFEST).exists()
    assert artifact.model_names(models) == []
    assert artifact.versions(models / "iris") == []
    assert run(models, "iris", *QUICK)[0] == 0
    assert artifact.read(models / "iris" / "1").manifest.version == 1
