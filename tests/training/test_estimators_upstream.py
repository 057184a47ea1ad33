"""scikit-learn's own tests of its MLP, from the installed wheel, run against ours: they only import other classes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from sklearn import neural_network
from sklearn.neural_network.tests import test_mlp

from training import MLPClassifier, MLPRegressor

# They test how scikit-learn's class is made inside and not what it does; ours is made otherwise. A test that is new
# upstream is run, until someone writes here why it cannot be.
NOT_PUBLIC: Final = {
    "test_fit": "puts arrays of its own, public and private, in the place of a fitted network",
    "test_gradient": "calls the private _loss_grad_lbfgs; test_gradient.py here holds ours against autograd",
}

# Upstream warnings are no errors there: networks are cut short on purpose, and batches are larger than the data.
pytestmark = pytest.mark.filterwarnings("default")


def _swapped() -> ModuleType:
    """Upstream's test module, importing our estimators under scikit-learn's names."""
    path = Path(test_mlp.__file__)
    spec = importlib.util.spec_from_file_location("upstream_test_mlp", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural_network, "MLPClassifier", MLPClassifier)
        patch.setattr(neural_network, "MLPRegressor", MLPRegressor)
        spec.loader.exec_module(module)
    return module


_upstream = _swapped()
_tests: dict[str, Any] = {name: value for name, value in vars(_upstream).items() if name.startswith("test_")}
globals().update({name: value for name, value in _tests.items() if name not in NOT_PUBLIC})


@pytest.fixture
def global_random_seed() -> int:
    """Upstream's conftest gives it one of a hundred."""
    return 42


def test_upstream_is_tested_against_ours() -> None:
    assert _upstream.MLPClassifier is MLPClassifier
    assert _upstream.MLPRegressor is MLPRegressor
    assert len(_tests) - len(NOT_PUBLIC) >= 38


def test_what_is_left_out_is_there_upstream() -> None:
    assert set(NOT_PUBLIC) <= set(_tests)
