"""The compiled description is that of open_inference.proto."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from service.grpc import messages

PROTO = Path(messages.__file__).with_name("open_inference.proto")


def test_the_description_is_compiled(tmp_path: Path) -> None:
    """`make proto` writes it again."""
    compiled = tmp_path / "compiled.pb"
    options = [f"--proto_path={PROTO.parent}", f"--descriptor_set_out={compiled}", PROTO.name]
    assert protoc.main(["protoc", *options]) == 0
    assert FileDescriptorSet.FromString(compiled.read_bytes()) == messages.described()
