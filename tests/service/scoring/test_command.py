"""The command line: help, wrong arguments, settings, which version is meant."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from service import artifact
from service.scoring import run as running
from service.scoring.output import AnswerOptions
from service.scoring.readers import table as readers
from service.scoring.run import run
from service.scoring.stop import Stop
from service.scoring.writers import table as writers
from tests.service.published import publish
from tests.service.scoring.scoring import Scoring
from tests.service.trapped import replace

CSV = "f0,f1,f2,f3\n1,2,3,4\n"


def test_help_names_all_formats(score: Scoring) -> None:
    with pytest.raises(SystemExit) as ended:
        score("--help")
    assert ended.value.code == 0


def test_formats_in_the_help() -> None:
    from service.scoring.command import parser  # noqa: PLC0415 - the test's subject

    text = parser().format_help()
    for suffix in (*writers._KNOWN, *(suffix for suffixes in readers._READERS for suffix in suffixes)):
        assert suffix in text or suffix in {".pq", ".tab", ".arrows", ".ndjson"}, suffix
    assert all(f"--{each.name.replace('_', '-')}" in text for each in fields(AnswerOptions))
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: MODEL, INPUT, OUTPUT"),
        (["small", "a.csv", "b.csv", "--proba"], "unrecognized arguments: --proba"),
        (["small", "a.csv", "b.csv", "--threads", "0"], "argument --threads: '0', expected a number of threads"),
        (["small", "a.csv", "b.csv", "--on-error", "x"], "argument --on-error: invalid choice: 'x'"),
        (["--keep", "a", "small", "a.csv", "b.csv"], "the following arguments are required: MODEL, INPUT, OUTPUT"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(arguments, Stop()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mlp-score: {message}")
    assert err.endswith("; see: mlp-score --help\n")


def test_wrong_models_and_settings(score: Scoring) -> None:
    given, output = score.write("rows.csv", CSV), score.folder / "x.csv"
    assert (
        score.fails("smal", given, output) == f"there is no model 'smal' in {str(score.models)!r}; did you mean small?"
    )
    assert score.fails("small@7", given, output) == "model 'small' has no version 7; there are: 1"
    assert "--precision" in score.fails("small", given, output, "--precision", "int4")
    assert "it was published without int8" in score.fails("small", given, output, "--precision", "int8")


def test_the_version_that_a_server_would_serve(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    score.models = score.folder / "models"
    for version in (1, 2, 3):
        publish(score.models, "small", version, seed=version)
    replace(score.models / "small" / "3", artifact.MODEL, b"no graph")
    given, output = score.write("rows.csv", CSV), score.folder / "x.csv"

    def model_of(text: str | Path) -> str:
        ended = score(text, given, output, "--overwrite")
        assert ended.status == 0
        return ended.err.splitlines()[-1].split(" with ")[1].split()[0]

    assert model_of("small") == "small@2"
    assert "mlp-score: small@3 would not be served: " in score("small", given, output, "--overwrite").err
    assert model_of("small@1") == "small@1"
    assert model_of(score.models / "small" / "1") == "small@1"
    monkeypatch.setenv("MLP_MODEL_VERSIONS", "small@1")
    assert model_of("small") == "small@1"
    replace(score.models / "small" / "1", artifact.MODEL, b"no graph")
    assert score.fails("small", given, score.folder / "y.csv").endswith(
        "no version of model 'small' would be served; see: mlp-models check small"
    )


def test_without_pyarrow(score: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "find_spec", lambda _name: None)
    message = score.fails("small", score.write("rows.csv", CSV), score.folder / "x.csv")
    assert message == "scoring files needs pyarrow, which is not installed; install mlp-serving[arrow]"


def test_quiet(score: Scoring) -> None:
    assert score("small", score.write("rows.csv", CSV), score.folder / "x.csv", "--quiet") == (0, "", "")
