"""The JSON of a V2 inference request without its tensors' data: which inputs it has, and which outputs it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs.json_text import DECODER
from service.inference.columns import type_name
from service.inference.tensors import Tensor

_BYTES_PER_FEATURE: Final = 512
_LARGEST_BYTES: Final = 64 * 1024
_MAX_DIGITS: Final = 18


class Input(NamedTuple):
    """One input: its description, and the bytes of its binary data, or None if its data are in the JSON."""

    tensor: Tensor
    binary_bytes: int | None


class Output(NamedTuple):
    """A requested output. ``classes`` is how many of the best labels its ``classification`` asks for, 0 for none."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says. ``request_id`` is JSON, to be returned as it is; ``outputs`` is None for all of them.

    ``binary`` says that outputs are binary by default, and ``binary_bytes`` how many bytes the inputs have after the
    JSON.
    """

    request_id: bytes | None
    inputs: tuple[Input, ...]
    tensors: tuple[Tensor, ...]
    outputs: tuple[Output, ...] | None
    binary: bool
    binary_bytes: int


# What a body without JSON asks for.
ALL_BINARY: Final = Head(None, (), (), None, binary=True, binary_bytes=0)


def parse(skeleton: bytes, lists: int, features: int) -> Head:
    """The head in ``skeleton``, in which ``lists`` lists of data stand as empty ones, for a model of ``features``.

    Raises `MalformedBody` if it is not JSON, and `InvalidInput` if it is no inference request.
    """
    largest_bytes = max(_LARGEST_BYTES, _BYTES_PER_FEATURE * features)
    if len(skeleton) > largest_bytes:
        detail = f"the JSON has {len(skeleton)} bytes beside the data of its inputs, expected at most {largest_bytes}"
        raise InvalidInput(Fault(f"{detail}; send the inputs alone"))
    document = _loaded(skeleton)
    parameters = _mapping(document, "parameters", "the request")
    binary = _boolean(parameters, "binary_data_output", "the request", default=False)
    listed = document.get("inputs")
    if not isinstance(listed, list):
        found = "missing" if listed is None else type_name(listed)
        raise InvalidInput(Fault(f"'inputs' is {found}, expected a list of tensors"))
    inputs = tuple(_input(index, each) for index, each in enumerate(listed))
    if sum(each.binary_bytes is None for each in inputs) != lists:
        detail = "a list under the key 'data' is not in an input, or its key is written with escapes"
        raise InvalidInput(Fault(f"{detail}; send 'data' in inputs alone"))
    tensors, binary_bytes = tuple(each.tensor for each in inputs), sum(each.binary_bytes or 0 for each in inputs)
    return Head(_id(document), inputs, tensors, _outputs(document, binary), binary, binary_bytes)


def _loaded(skeleton: bytes) -> dict[str, Any]:
    try:
        document = DECODER.decode(skeleton.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise MalformedBody(f"the body is not JSON: {error.msg[0].lower()}{error.msg[1:]}") from error
    except UnicodeDecodeError as error:
        raise MalformedBody("the body is not UTF-8") from error
    except RecursionError as error:
        raise MalformedBody("the body is JSON nested too deeply; send a list of inputs") from error
    except ValueError as error:
        raise MalformedBody("the body has an integer of too many digits") from error
    if not isinstance(document, dict):
        raise InvalidInput(Fault(f'the body is {type_name(document)}, expected an object {{"inputs": [tensor, …]}}'))
    return document


def _id(document: Mapping[str, Any]) -> bytes | None:
    request_id = document.get("id")
    if request_id is None:
        return None
    if not isinstance(request_id, str):
        raise InvalidInput(Fault(f"'id' is {type_name(request_id)}, expected a string"))
    return json.dumps(request_id).encode()  # with escapes: it can have lone surrogates


def _input(index: int, given: object) -> Input:
    where = f"input {index}"
    if not isinstance(given, dict):
        raise InvalidInput(Fault(f"{where} is {type_name(given)}, expected a tensor"))
    name, datatype = (_string(given, key, where) for key in ("name", "datatype"))
    where = f"input {name!r:.60}"
    parameters = _mapping(given, "parameters", where)
    refuse_shared_memory(parameters, where)
    size, data = parameters.get("binary_data_size"), given.get("data")
    if (size is None) == (data is None):
        found = "neither 'data' nor 'binary_data_size'" if size is None else "both 'data' and 'binary_data_size'"
        raise InvalidInput(Fault(f"{where} has {found}, expected one of them"))
    if size is not None and not _is_count(size):
        raise InvalidInput(Fault(f"{where} has binary_data_size {size!r:.40}, expected a number of bytes"))
    if size is None and data != []:  # a list that was found is empty here
        raise InvalidInput(Fault(f"{where} has {type_name(data)} for 'data', expected a list"))
    return Input(Tensor(name, datatype, _shape(given, where)), size)


def _shape(given: Mapping[str, Any], where: str) -> tuple[int, ...]:
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(_is_count(size) for size in shape):
        found = "missing" if shape is None else f"{shape!r:.60}"
        raise InvalidInput(Fault(f"the shape of {where} is {found}, expected a list of sizes, such as [1, 4]"))
    return tuple(shape)


def _outputs(document: Mapping[str, Any], binary: bool) -> tuple[Output, ...] | None:
    listed = document.get("outputs")
    if listed is None or listed == []:
        return None
    if not isinstance(listed, list):
        raise InvalidInput(Fault(f"'outputs' is {type_name(listed)}, expected a list of outputs"))
    outputs = [_output(index, each, binary) for index, each in enumerate(listed)]
    check_distinct([each.name for each in outputs])
    return tuple(outputs)


def _output(index: int, given: object, binary: bool) -> Output:
    where = f"output {index}"
    if not isinstance(given, dict):
        raise InvalidInput(Fault(f"{where} is {type_name(given)}, expected an object with a name"))
    name = _string(given, "name", where)
    where = f"output {name!r:.60}"
    parameters = _mapping(given, "parameters", where)
    refuse_shared_memory(parameters, where)
    classes = parameters.get("classification", 0)
    if not _is_count(classes):
        raise InvalidInput(Fault(f"{where} has classification {classes!r:.40}, expected a number of labels"))
    return Output(name, _boolean(parameters, "binary_data", where, default=binary), classes)


def check_distinct(names: Sequence[str]) -> None:
    """Raise `InvalidInput` if an output is requested twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(Fault(f"output {name!r:.60} is requested twice; request it once"))
        seen.add(name)


def refuse_shared_memory(parameters: Mapping[str, Any], where: str) -> None:
    """Raise `InvalidInput` if the data of ``where`` is in shared memory."""
    if "shared_memory_region" in parameters:
        raise InvalidInput(Fault(f"{where} is in shared memory, which this server does not read; send the data"))


def _mapping(given: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = given.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(Fault(f"{where} has {type_name(value)} for {key!r}, expected an object"))
    return value


def _string(given: Mapping[str, Any], key: str, where: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        found = "no" if value is None else type_name(value) + " for"
        raise InvalidInput(Fault(f"{where} has {found} {key!r}, expected a string"))
    return value


def _boolean(parameters: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise InvalidInput(Fault(f"{where} has {type_name(value)} for {key!r}, expected true or false"))
    return value


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**_MAX_DIGITS
