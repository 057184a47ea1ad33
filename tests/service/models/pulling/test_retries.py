"""What fails for a moment is tried again after growing pauses; what stays is not."""

from __future__ import annotations

import pytest

from service.manifest import ArtifactError
from service.models.pulling.retries import PAUSES_S, NotThere, Retries, SourceAway, WriteFault


class Calls:
    """A call that raises ``faults`` one after another, then returns 7. Its pauses are recorded."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = [*faults]
        self.pauses_s: list[float] = []
        self.retries = Retries(self.pauses_s.append)

    def __call__(self) -> int:
        if self.faults:
            raise self.faults.pop(0)
        return 7


def test_it_goes_on_after_some_errors() -> None:
    calls = Calls(ConnectionResetError(), TimeoutError(), ValueError("a library's own"))
    assert calls.retries(calls, "s3://bucket") == 7
    assert all(0.5 <= pause / expected <= 1.5 for pause, expected in zip(calls.pauses_s, PAUSES_S, strict=False))
    assert len(calls.pauses_s) == 3


def test_it_gives_up_without_showing_credentials() -> None:
    calls = Calls(*[OSError("https://key:secret@store/x?X-Signature=secret is slow\nmore")] * 9)
    with pytest.raises(SourceAway) as raised:
        calls.retries(calls, "s3://bucket/models")
    assert str(raised.value) == (
        "s3://bucket/models cannot be read (OSError: https://store/x is slow); check the name, the network and the "
        "credentials"
    )
    assert raised.value.__cause__ is None
    assert len(calls.pauses_s) == len(PAUSES_S)


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (FileNotFoundError(), NotThere),
        (PermissionError("denied"), SourceAway),
        (ArtifactError("spoiled"), ArtifactError),
        (WriteFault(), WriteFault),
    ],
)
def test_some_errors_are_final(fault: Exception, raised: type[Exception]) -> None:
    calls = Calls(fault)
    with pytest.raises(raised):
        calls.retries(calls, "x")
    assert calls.pauses_s == []
