"""tritonclient.grpc. Arguments: the server's gRPC address, a file of expectations, open_inference.pb."""
# /// script
# dependencies = ["tritonclient[grpc]==2.73.0"]
# ///

from __future__ import annotations

import json
import queue
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

address = sys.argv[1]
expected = json.loads(Path(sys.argv[2]).read_text())
ROWS = np.array(expected["rows"])
PROBABILITIES = np.array(expected["probabilities"], np.float32)


def the_description_has_the_numbers_of_triton() -> None:
    pool = DescriptorPool()
    (file,) = FileDescriptorSet.FromString(Path(sys.argv[3]).read_bytes()).file
    found = pool.AddSerializedFile(file.SerializeToString()) or pool.FindFileByName(file.name)
    compared = 0
    for name, ours in found.message_types_by_name.items():
        theirs = service_pb2.DESCRIPTOR.message_types_by_name.get(name)
        compared += compare(ours, theirs or model_config_pb2.DESCRIPTOR.message_types_by_name[name])
    assert compared > 80, compared
    for name, ours in found.enum_types_by_name.items():
        theirs = model_config_pb2.DESCRIPTOR.enum_types_by_name[name]
        assert {each.name: each.number for each in ours.values} == {each.name: each.number for each in theirs.values}
    service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    for method in found.services_by_name["GRPCInferenceService"].methods:
        theirs = service.methods_by_name[method.name]
        assert (method.input_type.name, method.output_type.name) == (theirs.input_type.name, theirs.output_type.name)


def compare(ours, theirs) -> int:
    assert ours.full_name == theirs.full_name
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        oneofs = [each.containing_oneof and each.containing_oneof.name for each in (field, other)]
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated), field
        assert oneofs[0] == oneofs[1], field
    nested = sum(compare(each, theirs.nested_types_by_name[each.name]) for each in ours.nested_types)
    return len(ours.fields) + nested


def infers(client: triton.InferenceServerClient) -> None:
    pixels = triton.InferInput("inputs", list(ROWS.shape), "FP32")
    pixels.set_data_from_numpy(ROWS.astype(np.float32))
    for compression in (None, "gzip", "deflate"):
        answer = client.infer("fashion-mnist", [pixels], request_id="mine", compression_algorithm=compression)
        assert np.array_equal(answer.as_numpy("probabilities"), PROBABILITIES)
        assert answer.as_numpy("prediction").tolist() == expected["classes"]
        assert [each.decode() for each in answer.as_numpy("label")] == expected["labels"]
        assert answer.get_response().id == "mine"
    wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
    ranked = client.infer("fashion-mnist", [pixels], outputs=wanted, model_version="1").as_numpy("probabilities")
    assert ranked.shape == (len(ROWS), 2)
    assert [each.decode().split(":")[2] for each in ranked[:, 0]] == expected["labels"]
    answers: queue.Queue = queue.Queue()
    client.async_infer("fashion-mnist", [pixels], lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=60)
    assert error is None, error
    assert np.array_equal(result.as_numpy("probabilities"), PROBABILITIES)


def tells(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fashion-mnist")
    assert client.is_model_ready("fashion-mnist", "1")
    assert client.get_server_metadata().name == "mlp-serving"
    metadata = client.get_model_metadata("fashion-mnist")
    assert [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs] == [
        ("inputs", "UINT8", [-1, 28, 28])
    ]
    config = client.get_model_config("fashion-mnist").config
    assert config.max_batch_size > 0
    assert config.input[0].data_type == model_config_pb2.TYPE_UINT8
    assert config.output[-1].data_type == model_config_pb2.TYPE_STRING
    statistics = client.get_inference_statistics("fashion-mnist").model_stats[0]
    assert statistics.inference_count >= len(ROWS)
    assert len(client.get_inference_statistics().model_stats) == 1
    assert client.get_model_repository_index().models[0].state == "READY"


def fails(client: triton.InferenceServerClient) -> None:
    pixels = triton.InferInput("inputs", [1, 3], "FP32")
    pixels.set_data_from_numpy(np.zeros((1, 3), np.float32))
    for status, call in (
        ("INVALID_ARGUMENT", lambda: client.infer("fashion-mnist", [pixels])),
        ("NOT_FOUND", lambda: client.infer("other", [pixels])),
        ("NOT_FOUND", lambda: client.infer("fashion-mnist", [pixels], model_version="7")),
        ("NOT_FOUND", lambda: client.get_model_metadata("other")),
        ("INVALID_ARGUMENT", lambda: client.load_model("fashion-mnist")),
        ("INVALID_ARGUMENT", lambda: client.unload_model("fashion-mnist")),
        ("UNIMPLEMENTED", client.get_trace_settings),
    ):
        try:
            call()
        except InferenceServerException as error:
            assert error.status() == f"StatusCode.{status}", error
        else:
            raise AssertionError(status)


the_description_has_the_numbers_of_triton()
with triton.InferenceServerClient(address) as client:
    infers(client)
    tells(client)
    fails(client)
