"""The message classes of open_inference.proto, from its compiled description.

They are in a pool of their own: a process that also has a client's classes would have two of each name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SERVICE: Final = "inference.GRPCInferenceService"


def described() -> FileDescriptorSet:
    """The compiled description."""
    return FileDescriptorSet.FromString(Path(__file__).with_name("open_inference.pb").read_bytes())


POOL: Final = DescriptorPool()
for _file in described().file:
    POOL.AddSerializedFile(_file.SerializeToString())


def message(name: str) -> Any:
    """The class of the message ``name``."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))
