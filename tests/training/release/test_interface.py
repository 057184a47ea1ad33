"""What breaks a client, checked with the service's own schema: what the old version takes, the new one takes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cells import Cells
from service.dates import DateFormat
from service.errors import InvalidInput
from service.http.codecs.json_rows import rows_from_json
from service.inference import columns
from service.inference.schema import Schema
from service.manifest import Feature
from training.data.dataset import Column, Dataset
from training.release import interface
from training.release.interface import Interface, features_of

AGE = Feature("age", "numeric", True, (), False, 40.0, 12.0, 0.0, 99.0)
MEMBER = Feature("member", "boolean", False, (), False, 0.5, 0.5, 0.0, 1.0)
JOB = Feature("job", "categorical", False, ("cook", "nurse"), True, 0.0, 0.0, 0.0, 0.0)
OLD = Interface("classification", ("no", "yes"), ("answer",), (AGE, MEMBER, JOB), (3,), "float32", "float32", Cells())
REGRESSION = replace(OLD, task="regression", classes=(), targets=("price",))
IMAGES = replace(
    OLD,
    features=tuple(replace(MEMBER, name=f"p{index}", kind="numeric") for index in range(4)),
    input_shape=(2, 2),
    input_dtype="uint8",
    cells=None,
)


def test_the_same_interface_has_no_changes() -> None:
    for each in (OLD, REGRESSION, IMAGES):
        assert interface.changes(each, each) == interface.Changes([], [])


@pytest.mark.parametrize(
    ("old", "change", "breaking"),
    [
        (OLD, {"task": "regression", "classes": ()}, ["it is a regression, and was a classification"]),
        (
            OLD,
            {"classes": ("no", "maybe")},
            ["it lacks the label 'yes'", "it has the new label 'maybe', which clients do not know"],
        ),
        (OLD, {"classes": ("no", "yes", "x")}, ["it has the new label 'x', which clients do not know"]),
        (
            OLD,
            {"classes": ("yes", "no")},
            ["its labels are in another order, which changes 'classes' and 'probabilities'"],
        ),
        (OLD, {"classes": (0, 1)}, ["its labels are integers, and were strings"]),
        (OLD, {"targets": ("choice",)}, ["it predicts 'choice', and predicted 'answer'"]),
        (REGRESSION, {"targets": ("price", "rent")}, ["it predicts 'price', 'rent', and predicted 'price'"]),
        (
            OLD,
            {"features": (AGE, JOB), "input_shape": (2,)},
            ["a row has 2 features, and had 3", "it does not take the feature 'member', which clients send"],
        ),
        (
            OLD,
            {"features": (AGE, MEMBER, JOB, replace(AGE, name="x")), "input_shape": (4,)},
            ["a row has 4 features, and had 3", "it needs the new feature 'x', which clients do not send"],
        ),
        (
            OLD,
            {"features": (replace(AGE, name="years"), MEMBER, JOB)},
            [
                "it does not take the feature 'age', which clients send",
                "it needs the new feature 'years', which clients do not send",
            ],
        ),
        (
            OLD,
            {"features": (MEMBER, AGE, JOB)},
            ["its features are in another order, which changes the meaning of rows sent as lists"],
        ),
        (OLD, {"features": (AGE, replace(MEMBER, kind="numeric"), JOB)}, ["'member' is numeric, and was boolean"]),
        (OLD, {"features": (replace(AGE, missing=False), MEMBER, JOB)}, ["'age' may not be missing any more"]),
        (
            OLD,
            {"features": (AGE, MEMBER, replace(JOB, other=False))},
            ["'job' does not take unknown categories any more"],
        ),
        (
            OLD,
            {"features": (AGE, MEMBER, replace(JOB, categories=("cook",), other=False))},
            ["'job' does not know 'nurse' any more", "'job' does not take unknown categories any more"],
        ),
        (
            OLD,
            {
                "features": (AGE, MEMBER, replace(JOB, categories=("cook",))),
                "cells": Cells(missing_texts=("nurse",)),
            },
            ["'job' does not take 'nurse' any more, the mark of a missing value"],
        ),
        (OLD, {"input_dtype": "float64"}, ["its inputs are float64, and were float32"]),
        (IMAGES, {"input_dtype": "float32"}, ["its inputs are float32, and were uint8, pixels from 0 to 255"]),
        (IMAGES, {"input_shape": (4,)}, ["a row may be nested to (4,), and to (2, 2) before"]),
        (IMAGES, {"input_shape": (1, 4)}, ["a row may be nested to (1, 4), and to (2, 2) before"]),
        (
            replace(OLD, cells=None),
            {"cells": Cells()},
            ["'job' does not take '' any more, the mark of a missing value"],
        ),
        (OLD, {"cells": None}, ["numbers sent as strings are not read any more, as the data is not a table"]),
        (
            OLD,
            {"cells": Cells(decimal=",", thousands=".")},
            [
                "numbers sent as strings are read with --decimal ',', and were with '.'",
                "numbers sent as strings are read with --thousands '.', and were with ''",
            ],
        ),
        (
            OLD,
            {"cells": Cells(missing_numbers=(*Cells().missing_numbers, "-999"))},
            ["'-999' now stands for a missing value, not for a number"],
        ),
        (
            OLD,
            {"cells": Cells(missing_numbers=Cells().missing_numbers[1:])},
            ["'NA' does not mean a missing value any more"],
        ),
    ],
)
def test_a_change_that_breaks_clients(old: Interface, change: dict[str, Any], breaking: list[str]) -> None:
    assert interface.changes(old, replace(old, **change)).breaking == breaking


@pytest.mark.parametrize(
    ("old", "change", "compatible"),
    [
        (OLD, {"features": (AGE, replace(MEMBER, missing=True), JOB)}, ["'member' may be missing now"]),
        (
            replace(OLD, features=(AGE, MEMBER, replace(JOB, other=False))),
            {"features": (AGE, MEMBER, JOB)},
            ["'job' takes unknown categories now"],
        ),
        (
            replace(OLD, features=(AGE, MEMBER, replace(JOB, other=False))),
            {"features": (AGE, MEMBER, replace(JOB, categories=("cook", "nurse", "pilot"), other=False))},
            ["'job' also knows 'pilot'"],
        ),
        (
            OLD,
            {"features": (AGE, MEMBER, replace(JOB, categories=("baker", "cook")))},
            [
                "'job' counts 'nurse' among the rare categories now",
                "'job' also knows 'baker'",
                "'job' has other codes, which arrays use for its categories: clients that send arrays must read them "
                "again from GET /models/{name}",
            ],
        ),
        (
            replace(OLD, input_shape=(3,)),
            {"input_shape": (3, 1)},
            ["a row may be nested to (3, 1) now"],
        ),
        (REGRESSION, {"output_dtype": "float64"}, [".npy answers are float64, and were float32"]),
        (OLD, {"cells": Cells(missing_numbers=(*Cells().missing_numbers, "unknown"))}, []),
    ],
)
def test_a_change_that_breaks_no_client(old: Interface, change: dict[str, Any], compatible: list[str]) -> None:
    assert interface.changes(old, replace(old, **change)) == interface.Changes([], compatible)


def test_before_training_the_dtype_of_answers_is_not_compared() -> None:
    assert interface.changes(REGRESSION, replace(REGRESSION, output_dtype=None)) == interface.Changes([], [])


def test_many_names_are_counted() -> None:
    few = replace(IMAGES, features=(AGE,), input_shape=(1,))
    assert interface.changes(IMAGES, few).breaking[:2] == [
        "a row has 1 features, and had 4",
        "it does not take the features 'p0', 'p1', 'p2' and 1 more, which clients send",
    ]


WORDS = ("cook", "nurse", "7", "NA", "true")
FEATURES = st.one_of(
    st.builds(
        lambda missing, other, categories: Feature("x", "categorical", missing, categories, other, 0.0, 0.0, 0.0, 0.0),
        st.booleans(),
        st.booleans(),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True).map(tuple),
    ),
    st.builds(
        lambda kind, missing: Feature("x", kind, missing, (), False, 0.0, 1.0, 0.0, 1.0),
        st.sampled_from(("numeric", "boolean")),
        st.booleans(),
    ),
)
CELLS = st.one_of(
    st.none(),
    st.builds(
        Cells,
        missing_numbers=st.lists(st.sampled_from(("NA", "-999", "?")), unique=True).map(tuple),
        missing_texts=st.lists(st.sampled_from(("NA", "nurse")), unique=True).map(tuple),
        decimal=st.sampled_from((".", ",")),
    ),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((*WORDS, "7.0", " 1.5 ", "1,5", "-999", "?", "", "pilot")),
    st.sampled_from((-999, -999.0, 0, 1, 7, 7.0, 2.5)),
)


def meaning(feature: Feature, cells: Cells | None, value: Any) -> Any:
    """What the service makes of a JSON value: a number, a category, None if missing. Raises `InvalidInput`."""
    number = columns.of(feature, cells).number(0, value)
    if math.isnan(number):
        return None
    if feature.kind != "categorical":
        return number
    return dict(enumerate(feature.categories)).get(int(number), ...)


@given(old=FEATURES, new=FEATURES, old_cells=CELLS, new_cells=CELLS, value=VALUES)
def test_without_a_breaking_change_each_value_is_taken_and_means_the_same(
    old: Feature, new: Feature, old_cells: Cells | None, new_cells: Cells | None, value: Any
) -> None:
    """Only a category that became rare or common, or a marker of missing ones, may mean another thing."""
    before, after = (
        replace(OLD, features=(feature,), input_shape=(1,), cells=cells)
        for feature, cells in ((old, old_cells), (new, new_cells))
    )
    if interface.changes(before, after).breaking:
        return
    try:
        meant = meaning(old, old_cells, value)
    except InvalidInput:
        return
    found = meaning(new, new_cells, value)
    rare_or_common = old.kind == "categorical" and ... in (meant, found)
    became_missing = old.kind == "categorical" and found is None and new_cells is not None
    assert found == meant or rare_or_common or became_missing


@given(
    features=st.lists(FEATURES, min_size=1, max_size=3),
    dropped=st.integers(0, 3),
    data=st.data(),
)
def test_without_a_breaking_change_the_old_example_is_accepted(
    features: list[Feature], dropped: int, data: st.DataObject
) -> None:
    named = tuple(replace(each, name=f"f{index}") for index, each in enumerate(features))
    others = tuple(replace(data.draw(FEATURES), name=each.name) for each in named if each.name != f"f{dropped}")
    if not others:
        return
    old, new = (replace(OLD, features=each, input_shape=(len(each),)) for each in (named, others))
    row = {each.name: data.draw(VALUES) for each in named}
    body = json.dumps({"inputs": [row]}).encode()
    if not _takes(old, body):
        return
    assert _takes(new, body) or interface.changes(old, new).breaking


def _takes(version: Interface, body: bytes) -> bool:
    schema = Schema(
        version.input_shape, tuple(columns.of(each, version.cells) for each in version.features), max_rows=10
    )
    try:
        return bool(np.shape(rows_from_json(body, schema)))
    except InvalidInput:
        return False


def test_defaults_stand_for_values_that_training_never_saw() -> None:
    columns = (
        Column("size"),
        Column("age", missing=True),
        Column("member", "boolean"),
        Column("city", "categorical", categories=("Köln", "Rome")),
        Column("job", "categorical", categories=("cook", "nurse"), other=True),
        Column("plan", "categorical", missing=True, categories=("a", "b")),
    )
    inputs = np.array([[1, 5, 1, 1, 0, 0], [2, np.nan, 0, 1, 0, np.nan], [6, 7, 0, 0, 2, 1], [99, 0, 1, 0, 0, 0]])
    dataset = Dataset("people", inputs, np.arange(4) % 2, ("no", "yes"), columns, ("left",), (6,))
    found = features_of(dataset, np.array([0, 1, 2]))
    assert [each.default for each in found] == [3.0, None, pytest.approx(1 / 3), 1.0, 2.0, None]


def test_images_have_no_defaults() -> None:
    inputs = np.zeros((2, 4), np.uint8)
    columns = tuple(map(Column, "abcd"))
    dataset = Dataset("digits", inputs, np.arange(2), ("no", "yes"), columns, ("digit",), (2, 2))
    assert {each.default for each in features_of(dataset, np.arange(2))} == {None}


@pytest.mark.parametrize(
    ("before", "after", "breaks"),
    [
        ("month-day-year", "day-month-year", True),
        ("month-day-year", "year-month-day", True),
        ("year-month-day", "time", True),
        ("year-month-day", "month-day-year", False),
        ("year-month", "month-year", False),
    ],
)
def test_dates_in_another_format_break_clients_whose_texts_are_not_read(
    before: DateFormat, after: DateFormat, breaks: bool
) -> None:
    when = Feature("when", "datetime", False, (), False, 0.0, 1.0, 0.0, 1.0, format=before)
    old, new = (replace(OLD, features=(each, MEMBER, JOB)) for each in (when, replace(when, format=after)))
    change = [f"'when' has dates as {after}, and had them as {before}"]
    assert interface.changes(old, new) == interface.Changes(*((change, []) if breaks else ([], change)))


def test_rules_of_a_column_are_compared() -> None:
    money = Cells(decimal=",", thousands=".", symbols=True)
    own = replace(OLD, features=(replace(AGE, cells=money), MEMBER, JOB))
    assert interface.changes(own, own) == interface.Changes([], [])
    assert interface.changes(OLD, own).breaking == [
        "'age' sent as a string is read with decimal mark ',' and thousands mark '.', and was with decimal mark '.' "
        "and thousands mark ''"
    ]
    plain = replace(OLD, features=(replace(AGE, cells=replace(money, symbols=False)), MEMBER, JOB))
    assert interface.changes(own, plain).breaking == ["'age' does not take currency or percent signs any more"]
    euros, dollars = (replace(money, units=(unit,), multiples=True) for unit in "€$")
    own, other = (replace(OLD, features=(replace(AGE, cells=each), MEMBER, JOB)) for each in (euros, dollars))
    assert interface.changes(own, other).breaking == ["'age' has numbers in $, and had them in €"]
    bare = replace(OLD, features=(replace(AGE, cells=replace(money, units=("€", "EUR"))), MEMBER, JOB))
    assert interface.changes(own, bare).breaking == ["'age' does not take numbers such as 1.2k any more"]
    marked = replace(OLD, features=(replace(AGE, cells=replace(money, missing_numbers=("x",))), MEMBER, JOB))
    assert interface.changes(marked, replace(marked, features=(replace(AGE, cells=money), MEMBER, JOB))).breaking == [
        "'x' does not mean a missing 'age' any more"
    ]


def test_numbers_that_float32_tells_apart_may_be_sent_as_such_beside_others() -> None:
    seconds = 1.7e9 + np.arange(20.0)
    inputs = np.stack([seconds, np.arange(20) / 7], axis=1)
    columns = (Column("at"), Column("size"))
    dataset = Dataset("t", inputs, np.arange(20) % 2, ("no", "yes"), columns, ("label",), (2,))
    assert [each.float32 for each in features_of(dataset, np.arange(20))] == [False, True]
    single = replace(dataset, inputs=inputs.astype(np.float32))
    assert not any(each.float32 for each in features_of(single, np.arange(20)))
    old, new = (
        Interface.of_dataset(each, np.arange(20)) for each in (dataset, replace(dataset, inputs=inputs[:, ::-1]))
    )
    assert "'size' may not be sent as float32 any more" in interface.changes(old, new).breaking
