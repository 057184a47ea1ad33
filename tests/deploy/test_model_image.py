"""The image of a model: it holds the model's visible files alone, and is served when it is mounted as in the pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.engine import as_the_pod, check_predictions, engine, free_port, image, inspected, wait_for
from tests.deploy.rendered import ROOT, image_models, image_port, server

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]

NAME = "fashion-mnist"
TAG = "mlp-serving-models:tested"


@pytest.fixture
def model_image() -> Iterator[str]:
    """An image of the bundled model."""
    engine(
        *("build", "--file", ROOT / "deploy" / "models" / "Containerfile", "--tag", TAG),
        *("--build-arg", f"NAME={NAME}", ROOT),
    )
    yield TAG
    engine("rmi", TAG)


def test_it_holds_one_layer_about_as_large_as_the_model(model_image: str) -> None:
    files = [path for path in (ROOT / "models" / NAME).rglob("*") if path.is_file()]
    built = inspected(model_image)
    assert len(built["RootFS"]["Layers"]) == 1
    assert 0 <= built["Size"] - sum(path.stat().st_size for path in files) < 100_000
    assert built["Config"]["Labels"]["org.opencontainers.image.title"] == NAME


def test_it_is_served_from_where_it_is_mounted(model_image: str) -> None:
    port = free_port()
    identity = engine(
        *("run", "--detach", *as_the_pod("cpu"), "--env", "MLP_RELOAD_INTERVAL_S=0"),
        *("--mount", f"type=image,source={model_image},destination={image_models()}"),
        *("--publish", f"127.0.0.1:{port}:{image_port()}", image()),
    )
    try:
        wait_for(port, server("cpu")["startupProbe"])
        check_predictions(port)
        assert engine("exec", identity, "ls", image_models()) == NAME
    finally:
        engine("rm", "--force", identity)
