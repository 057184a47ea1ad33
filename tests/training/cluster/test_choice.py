"""The options of a cluster, without Ray."""

from __future__ import annotations

import importlib.util

import pytest

from training.cli import cluster_options, parser
from training.cluster.choice import Cluster
from training.config import Config
from training.errors import OptionError


@pytest.fixture(autouse=True)
def _ray_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def fault(*arguments: str) -> str:
    with pytest.raises(OptionError) as raised:
        parser.parse(["iris", *arguments])
    return str(raised.value)


def test_there_is_no_cluster_without_the_option() -> None:
    assert parser.parse(["iris"]).cluster is None
    assert cluster_options.taken({}) is None


def test_the_options_make_a_cluster() -> None:
    command = parser.parse(
        ["iris", "--ray", "head:6379", "--ray-workers", "8", "--ray-storage", "s3://bucket/runs", "--ray-logs"]
    )
    assert command.cluster == Cluster("head:6379", 8, "s3://bucket/runs", logs=True)
    assert command.options == {}
    assert command.cluster.described == "8 Ray workers on a cluster"
    assert Cluster(workers=1).described == "1 Ray worker on this machine"


def test_options_that_need_a_cluster_say_so() -> None:
    assert fault("--ray-workers", "3", "--ray-logs") == (
        "--ray-workers, --ray-logs can only be used with --ray; add --ray local, or the address of a cluster"
    )


def test_the_number_of_workers_has_bounds() -> None:
    assert fault("--ray", "local", "--ray-workers", "0") == "--ray-workers is 0, expected an integer from 1 to 4,096"


@pytest.mark.parametrize("address", ["", "ray://head:10001", "head", "head:port", "Local"])
def test_other_addresses_are_refused(address: str) -> None:
    assert fault("--ray", address).startswith(f"--ray is {address!r}, expected 'local', 'auto' or HOST:PORT; ")


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379"])
def test_a_cluster_needs_a_place_for_checkpoints(address: str) -> None:
    assert fault("--ray", address) == (
        f"--ray is {address!r}, which needs --ray-storage; give a folder that all its machines share, or a URI such as "
        "s3://bucket/checkpoints"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(teacher_epochs=3), "--teacher-epochs is 3, expected 0 with --ray: "),
        (Config(device="mps"), "--device is 'mps', expected auto, cuda or cpu with --ray"),
    ],
)
def test_what_workers_cannot_train_is_refused(config: Config, message: str) -> None:
    Cluster().check(Config())
    with pytest.raises(OptionError, match=message):
        Cluster().check(config)


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert fault("--ray", "local") == "--ray needs ray; install it with: pip install 'mlp-serving[ray]'"
