"""Pins and candidates as data, and the errors for what is no version."""

from __future__ import annotations

import pytest

from service.errors import StartError
from service.inference.selection import Selection, parse


def test_without_pins_the_newest_version_is_tried_first() -> None:
    selection = Selection.of(None, None)
    assert selection.order("small", [1, 2, 10]) == [10, 2, 1]
    assert selection.default is None
    assert all(selection.may_serve("small", version) for version in (1, 2, 10))


def test_a_pinned_version_is_tried_first_and_no_other_may_serve() -> None:
    selection = Selection.of("small@2", "large@7, tall@1")
    assert selection.default == "small"
    assert selection.pins == {"small": 2, "large": 7, "tall": 1}
    assert selection.order("small", [1, 2, 10]) == [2, 10, 1]
    assert [selection.may_serve("small", version) for version in (1, 2, 10)] == [False, True, False]
    assert selection.may_serve("other", 10)


def test_a_default_without_a_version_is_not_pinned() -> None:
    assert Selection.of("small", None) == Selection("small", {}, {})


def test_a_candidate_never_serves() -> None:
    selection = Selection.of(None, None, {"small": 3})
    assert selection.is_candidate("small", 3)
    assert [selection.may_serve("small", version) for version in (2, 3)] == [True, False]


@pytest.mark.parametrize(
    ("model", "model_versions", "message"),
    [
        (
            "small@",
            None,
            "--model (MLP_MODEL) is 'small@': 'small@' is no version of a model, expected <name>@<version>, such as "
            "small@3",
        ),
        ("small@x", None, "--model (MLP_MODEL) is 'small@x': 'small@x' is no version of a model"),
        ("small@03", None, "'small@03' is no version of a model"),
        ("@3", None, "'@3' is no version of a model"),
        ("a/b@3", None, "'a/b@3' is no version of a model"),
        ("small@2@3", None, "'small@2@3' is no version of a model"),
        (None, "", "--model-versions (MLP_MODEL_VERSIONS) is '': '' is no version of a model"),
        (None, "small", "'small' is no version of a model"),
        (None, "small@1,", "--model-versions (MLP_MODEL_VERSIONS) is 'small@1,': '' is no version of a model"),
        (None, "small@1;large@2", "'small@1;large@2' is no version of a model"),
        (None, "small@-1", "'small@-1' is no version of a model"),
        (None, "small@0", "'small@0' is no version of a model"),
        (
            None,
            "small@1,small@2",
            "--model-versions (MLP_MODEL_VERSIONS) is 'small@1,small@2': model 'small' occurs twice; name one version",
        ),
        (
            "small@1",
            "small@2",
            "--model (MLP_MODEL) and --model-versions (MLP_MODEL_VERSIONS) both pin model 'small'; name one version",
        ),
    ],
)
def test_bad_pins_are_explained(model: str | None, model_versions: str | None, message: str) -> None:
    with pytest.raises(StartError) as refused:
        Selection.of(model, model_versions)
    assert message in str(refused.value)


def test_a_candidate_cannot_be_pinned() -> None:
    with pytest.raises(StartError, match="version 3 of model 'small' is pinned and a candidate; choose one of both"):
        Selection.of("small@3", None, {"small": 3})


def test_a_long_value_is_cut() -> None:
    with pytest.raises(StartError) as refused:
        parse("--shadow", "x" * 10_000)
    assert len(str(refused.value)) < 600
