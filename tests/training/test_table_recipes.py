"""Tables by the recipes best and fast, from the command line to the published version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from service import artifact
from service.artifact import Artifact
from tests.training import small
from tests.training.model.test_ensemble import separate
from tests.training.trained import golden_of, run
from training.config import RECIPES, Config
from training.data.dataset import Dataset
from training.data.split import split
from training.errors import OptionError
from training.model.network import Network
from training.recipe.train import TrainResult, outputs_of, train_network
from training.release import onnx_runtime

SMALL = {"members": 3, "hidden": (8,), "epochs": 3, "batch_size": 64, "numeric_bins": 4, "dropout": 0.1}


def table(folder: Path, rows: int = 300) -> Path:
    random = np.random.default_rng(0)
    size, town = random.normal(0, 1, rows), random.choice(["York", "Bath", "Hull"], rows)
    price = 3 * size + (town == "Bath") + random.normal(0, 0.1, rows)
    lines = [f"{a:.3f},{b},{c:.3f},{'dear' if c > 0 else 'cheap'}" for a, b, c in zip(size, town, price, strict=True)]
    path = folder / "houses.csv"
    path.write_text("\n".join(["size,town,price,class", *lines]))
    return path


def published(folder: Path, *arguments: str) -> Artifact:
    status, log = run(folder / "models", str(table(folder)), *arguments)
    assert status == 0, log
    return artifact.read(folder / "models" / "houses" / "1")


def trained(dataset: Dataset, **options: Any) -> TrainResult:
    config = Config(**SMALL | options)
    return train_network(dataset, split(dataset, config), config, torch.device("cpu"), lambda _: None)


def weights_of(network: Network) -> NDArray[Any]:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).numpy()


@pytest.mark.parametrize("recipe", ["best", "fast"])
@pytest.mark.parametrize(("target", "drop"), [("class", "price"), ("price", "class")])
def test_a_recipe_trains_a_table_to_one_graph(tmp_path: Path, recipe: str, target: str, drop: str) -> None:
    found = published(tmp_path, "--target", target, "--drop", drop, "--recipe", recipe, "--epochs", "3")
    expected = RECIPES[recipe]["table"]
    assert found.manifest.config["members"] == expected.get("members", 1)
    assert found.manifest.config["hidden"] == list(expected["hidden"])
    golden = golden_of(found)
    for output, values in zip(onnx_runtime.run(found.model, golden["inputs"]), list(golden.values())[1:], strict=False):
        np.testing.assert_allclose(output, values, rtol=1e-5, atol=1e-5)
    assert found.manifest.reference is not None
    assert found.manifest.reference.features[0].name == "size"  # the most important one
    card = (tmp_path / "models" / "houses" / "1" / "README.md").read_text()
    if recipe == "best":
        outputs = 2 if target == "class" else 1
        assert f"An ensemble of 8 multi-layer perceptrons (2 → 64 → 64 → {outputs} each, relu) in one graph" in card
        assert "Training losses are the mean of the members', validation losses the ensemble's." in card
    else:
        assert "A multi-layer perceptron (2 → 64 → 64" in card


def test_the_answer_is_the_mean_of_the_members_calibrated_probabilities() -> None:
    dataset = small.sides(300)
    found = trained(dataset)
    network, temperature = found.network, found.temperature
    assert temperature is not None
    features, *layers = network.body
    rows = features(network.preprocess(torch.from_numpy(dataset.inputs)))
    with torch.no_grad():
        members = [
            torch.softmax(separate(torch.nn.Sequential(*layers), member).eval()(rows) / temperature, dim=1)
            for member in range(3)
        ]
    probabilities = softmax(outputs_of(network, dataset.inputs), axis=1)
    np.testing.assert_allclose(probabilities, torch.stack(members).mean(dim=0), atol=1e-6)
    assert (members[0] - members[1]).abs().max() > 0.01


@pytest.mark.parametrize("classifies", [True, False])
def test_a_seed_gives_the_same_ensemble(classifies: bool) -> None:
    inputs = small.noise(200, 3)
    dataset = small.sides(200) if classifies else small.values(inputs, inputs[:, :2] * 5, ("a", "b"))
    first, again, other = (trained(dataset, seed=seed).network for seed in (0, 0, 1))
    assert np.array_equal(weights_of(first), weights_of(again))
    assert not np.array_equal(weights_of(first), weights_of(other))


def test_an_ensemble_is_better_than_a_network_of_its_size() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(0, 1, (600, 5)).astype(np.float32)
    dataset = small.values(inputs, (np.sin(3 * inputs[:, 0]) + inputs[:, 1] + random.normal(0, 0.5, 600)).astype("f4"))
    losses = [
        min(epoch.validation_loss for epoch in trained(dataset, members=members, epochs=40, lr=0.01).history)
        for members in (1, 8)
    ]
    assert losses[1] < losses[0]


@pytest.mark.parametrize(("members", "bins"), [(1, 0), (3, 4)])
def test_only_an_ensemble_has_bins_of_short_scales(members: int, bins: int) -> None:
    marks = (np.arange(200) % 5)[:, None].astype(np.float32)
    network = trained(small.values(marks, marks), members=members, epochs=1).network
    assert network.body[0].numbers.bins == bins


def test_members_do_not_go_with_batch_norm() -> None:
    with pytest.raises(OptionError, match=r"^--members is 4, expected 1 with --batch-norm; add --no-batch-norm$"):
        Config(members=4, batch_norm=True)
