"""Run scikit-learn's own tests of its MLP, from the installed wheel, against ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from sklearn import neural_network
from sklearn.neural_network.tests import test_mlp

from training import MLPClassifier, MLPRegressor

# Tests of scikit-learn's private code, with the reason. All others are run, new ones included.
PRIVATE: Final = {
    "test_fit": "builds a fitted network from public and private arrays",
    "test_gradient": "calls _loss_grad_lbfgs; our test_gradient.py compares ours with autograd",
}

# Upstream does not turn warnings into errors: some networks do not converge, and some batches exceed the data.
pytestmark = pytest.mark.filterwarnings("default")


def _swapped() -> ModuleType:
    """Import upstream's test module with our estimators under scikit-learn's names."""
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
globals().update({name: value for name, value in _tests.items() if name not in PRIVATE})


@pytest.fixture
def global_random_seed() -> int:
    """Replace the fixture of upstream's conftest."""
    return 42


def test_upstream_imports_our_estimators() -> None:
    assert _upstream.MLPClassifier is MLPClassifier
    assert _upstream.MLPRegressor is MLPRegressor
    assert len(_tests) - len(PRIVATE) >= 38


def test_skipped_tests_exist_upstream() -> None:
    assert set(PRIVATE) <= set(_tests)
