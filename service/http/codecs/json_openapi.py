"""What OpenAPI says of JSON bodies: the rows each model takes, with its example, and the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from service import dates
from service.inference.columns import FLOAT32_MAX, Pixel
from service.inference.model import Model
from service.manifest import CLASSIFICATION, REGRESSION, Feature, Label, Manifest

_ERRORS: Final = "with on_error=row, one entry for each row that does not fit the model: its answers are null"
Probability = Annotated[float, Field(ge=0, le=1)]


class TopK(BaseModel):
    """The best labels of each row and their probabilities, best first."""

    predictions: list[list[Label] | None]
    probabilities: list[list[Probability] | None]


class RowError(BaseModel):
    """What is wrong with a row that does not fit the model."""

    row: int = Field(ge=0, description="counted from 0")
    feature: str | None = None
    detail: str


class Answer(BaseModel):
    """Classes in columns, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[Label | None] = Field(description="the most probable label, in the target's own type")
    classes: list[Annotated[int, Field(ge=0)] | None] = Field(description="its index in the model's labels")
    probabilities: list[list[Probability] | None] | None = Field(
        default=None, description="of every label, in the order of GET /models/{name}; absent with probabilities=false"
    )
    top_k: TopK | None = Field(default=None, description="present with top_k=")
    errors: list[RowError] | None = Field(default=None, description=_ERRORS)


class Numbers(BaseModel):
    """A regression's predictions, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[float | None] | list[list[float] | None] = Field(
        description="the target's value; of a model with several targets one of each, as GET /models/{name} orders them"
    )
    errors: list[RowError] | None = Field(default=None, description=_ERRORS)


_RANGE: Final = {"minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX}
_ANSWERS: Final[dict[str, type[BaseModel]]] = {CLASSIFICATION: Answer, REGRESSION: Numbers}
_JSON_TYPES: Final = {
    "numeric": ["number"],
    "boolean": ["boolean", "number"],
    "categorical": ["string"],
    "datetime": ["string"],
}
_MOST_IGNORED: Final = 100
_SCHEMAS: Final = "#/components/schemas/"


def request(models: Sequence[Model], other_rows: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The media type object of a request: the rows that each model takes, ``other_rows``, and its example."""
    manifests = [_as_served(model) for model in models]
    rows = [row for manifest in manifests for row in (*_listed_rows(manifest), _named_row(manifest))]
    rows += other_rows
    bounds = {"type": "array", "minItems": 1, "maxItems": max(model.schema.max_rows for model in models)}
    split = _split_table(bounds)
    by_column = [_by_column(manifest, bounds) for manifest in manifests if len(manifest.input_shape) == 1]
    forms = [bounds | {"items": {"anyOf": rows}}, split, *by_column]
    keyed = {
        "type": "object",
        "properties": {
            "inputs": {"anyOf": forms},
            "instances": {"type": ["array", "object"], "description": "inputs by another name"},
            "dataframe_records": bounds | {"description": "inputs by another name"},
            "dataframe_split": split,
        },
        "oneOf": [{"required": [key]} for key in ("inputs", "instances", "dataframe_records", "dataframe_split")],
    }
    return {
        "schema": {"anyOf": [keyed, *forms]},
        "examples": {model.manifest.name: {"value": json.loads(model.example)} for model in models},
    }


def answer(models: Sequence[Model]) -> dict[str, Any]:
    """The media type object of an answer."""
    references = [{"$ref": _SCHEMAS + each.__name__} for each in _answers(models)]
    return {"schema": references[0] if len(references) == 1 else {"anyOf": references}}


def schemas(models: Sequence[Model]) -> dict[str, Any]:
    """The component schemas that `answer` refers to."""
    _, found = models_json_schema(
        [(each, "serialization") for each in _answers(models)], ref_template=_SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _answers(models: Sequence[Model]) -> list[type[BaseModel]]:
    return [_ANSWERS[task] for task in sorted({model.manifest.task for model in models})]


def _as_served(model: Model) -> Manifest:
    """The model's manifest, with features that may be missing or unknown if the server imputes them."""
    if model.schema.defaults is None:
        return model.manifest
    features = (
        replace(feature, missing=True, other=True) if column.missing else feature
        for feature, column in zip(model.manifest.features, model.schema.columns, strict=True)
    )
    return replace(model.manifest, features=tuple(features))


def _listed_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """A row as a list: flat and, where the model's rows have a shape, nested to it."""
    width, shape = len(manifest.features), manifest.input_shape
    described = {"description": f"{manifest.name}: {width} values in the order of its features"}
    if len(shape) == 1:
        return [_list_of_each([_value(feature) for feature in manifest.features]) | described]
    nested: dict[str, Any] = _pixel(manifest)
    flat = _list_of(nested, width) | described
    for length in reversed(shape):
        nested = _list_of(nested, length)
    return [flat, nested | {"description": f"{manifest.name}: {' x '.join(map(str, shape))} values"}]


def _split_table(bounds: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": 'a table as pandas writes it with orient="split"',
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "data": bounds | {"items": {"type": "array"}},
        },
    }


def _by_column(manifest: Manifest, bounds: dict[str, Any]) -> dict[str, Any]:
    """A table with a list of values, or an object by row label, for each feature."""
    properties = {}
    for feature in manifest.features:
        value = _value(feature)
        by_label = {"type": "object", "minProperties": 1, "additionalProperties": value}
        properties[feature.name] = {"anyOf": [bounds | {"items": value}, by_label]}
    described = f"{manifest.name}: values by feature, or by feature and row label"
    return _required(manifest) | {"description": described, "properties": properties | _ignored(manifest)}


def _required(manifest: Manifest) -> dict[str, Any]:
    """An object by feature name: those that may be missing may be absent."""
    required = [feature.name for feature in manifest.features if not feature.missing]
    return {"type": "object", "required": required, "minProperties": 1, "additionalProperties": False}


def _ignored(manifest: Manifest) -> dict[str, Any]:
    """Columns that may be sent beside the features; not documented if they could be all that is sent."""
    if all(feature.missing for feature in manifest.features):
        return {}
    return {name: {"description": "ignored"} for name in sorted(manifest.ignored_columns)[:_MOST_IGNORED]}


def _list_of(item: dict[str, Any], length: int) -> dict[str, Any]:
    return {"type": "array", "minItems": length, "maxItems": length, "items": item}


def _list_of_each(items: list[dict[str, Any]]) -> dict[str, Any]:
    if all(item == items[0] for item in items):
        return _list_of(items[0], len(items))
    return {"type": "array", "minItems": len(items), "maxItems": len(items), "prefixItems": items}


def _pixel(manifest: Manifest) -> dict[str, Any]:
    bounds = {"minimum": Pixel.lowest, "maximum": Pixel.highest} if manifest.input_dtype == "uint8" else _RANGE
    return {"type": "number"} | bounds


def _named_row(manifest: Manifest) -> dict[str, Any]:
    described = {"type": "object", "description": f"{manifest.name}: values by feature name"}
    if len(manifest.input_shape) > 1:  # pixels: nobody wants to read the name of each
        count = len(manifest.features)
        return described | {"additionalProperties": _pixel(manifest), "minProperties": count, "maxProperties": count}
    properties = {feature.name: _value(feature) for feature in manifest.features}
    return described | _required(manifest) | {"properties": properties | _ignored(manifest)}


def _value(feature: Feature) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _json_types(feature)}
    if feature.kind == "numeric":
        schema |= _RANGE
    if feature.kind == "boolean":
        schema |= {"minimum": 0, "maximum": 1, "multipleOf": 1}
    if feature.format is not None:
        schema |= _date(feature, feature.format)
    if feature.categories and not feature.other:
        schema["enum"] = [*feature.categories, *([None] if feature.missing else [])]
    return schema


def _date(feature: Feature, form: dates.DateFormat) -> dict[str, Any]:
    if form == "time":
        return {"format": "time", "description": f"a time of day such as {dates.EXAMPLES[form]}"}
    shown = " or ".join(dict.fromkeys((dates.EXAMPLES["year-month-day"], dates.EXAMPLES[form])))
    described = {"description": f"a date such as {shown}{', and a time' if feature.has_time else ''}"}
    return {"format": "date-time" if feature.has_time else "date"} | described


def _json_types(feature: Feature) -> list[str]:
    return [*_JSON_TYPES[feature.kind], *(["null"] if feature.missing else [])]
