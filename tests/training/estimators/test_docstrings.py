"""help() of each estimator documents every parameter and attribute in numpydoc's format."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import make_classification

from training import MLPClassifier, MLPRegressor, TableClassifier, TableRegressor
from training.estimators import mlp
from training.estimators.docstrings import entries, inherit_sections

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PERCEPTRONS = [MLPClassifier, MLPRegressor]
ESTIMATORS = [*PERCEPTRONS, TableClassifier, TableRegressor]
SECTIONS = ["Parameters", "Attributes", "See Also", "Notes", "References", "Examples"]


def public_methods(estimator: type) -> list[str]:
    """Those defined in this package; scikit-learn documents what it defines itself."""
    sources = [each for each in estimator.__mro__ if each.__module__.startswith("training.")]
    return sorted({name for each in sources for name in vars(each) if not name.startswith("_") and method(each, name)})


def method(estimator: type, name: str) -> Any:
    found = inspect.getattr_static(estimator, name)
    return found if inspect.isfunction(found) else getattr(found, "fn", None)  # `available_if` wraps partial_fit


@pytest.mark.parametrize("estimator", ESTIMATORS)
class TestClass:
    def test_has_the_sections_of_numpydoc_in_order(self, estimator: type) -> None:
        headings = re.findall(r"^(\w[\w ]*)\n-+$", estimator.__doc__ or "", re.MULTILINE)
        assert headings == SECTIONS
        underlines = re.findall(r"^\w[\w ]*\n-+$", estimator.__doc__ or "", re.MULTILINE)
        assert all(len(set(map(len, each.split("\n")))) == 1 for each in underlines)

    def test_starts_with_a_summary_of_one_sentence(self, estimator: type) -> None:
        assert re.match(r"[A-Z][^\n]*\.\n\n", estimator.__doc__ or "")

    def test_documents_the_parameters_of_the_signature_in_order(self, estimator: type) -> None:
        documented = entries(estimator.__doc__ or "", "Parameters")
        assert list(documented) == list(inspect.signature(estimator).parameters)

    def test_documents_type_default_and_meaning_of_each_parameter(self, estimator: type) -> None:
        documented = entries(estimator.__doc__ or "", "Parameters")
        for name, parameter in inspect.signature(estimator).parameters.items():
            found = re.fullmatch(rf"{name} : \S.*, default=(\S.*)\n {{4}}[A-Z].*\.", documented[name], re.DOTALL)
            assert found, documented[name]
            assert ast.literal_eval(found[1].split("\n")[0]) == parameter.default
            assert max(map(len, documented[name].split("\n"))) <= 100

    def test_documents_every_choice_of_a_parameter(self, estimator: type) -> None:
        documented = entries(estimator.__doc__ or "", "Parameters")
        for name, each in estimator.__dataclass_fields__.items():
            choices = [value for part in each.metadata["constraints"] for value in getattr(part, "values", ())]
            heading = documented[name].split("\n")[0]
            assert all((repr(value) if isinstance(value, str) else str(value)) in heading for value in choices), name

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_documents_the_attributes_that_fit_sets(self, estimator: type, solver: str) -> None:
        inputs, targets = make_classification(20, 4, random_state=0)
        options = {"solver": solver, "max_iter": 2} if estimator in PERCEPTRONS else {"epochs": 2}
        fitted = estimator(**options).fit(pd.DataFrame(inputs).add_prefix("x"), targets)
        properties = {name for name in dir(estimator) if isinstance(inspect.getattr_static(estimator, name), property)}
        public = {name for name in {*vars(fitted), *properties} if name.endswith("_") and not name.startswith("_")}
        documented = entries(estimator.__doc__ or "", "Attributes")
        assert public <= set(documented)
        missing = set(documented) - public
        assert all(solver == "lbfgs" and "Only set by" in " ".join(documented[name].split()) for name in missing), (
            missing
        )

    def test_documents_type_and_meaning_of_each_attribute(self, estimator: type) -> None:
        for name, entry in entries(estimator.__doc__ or "", "Attributes").items():
            assert re.fullmatch(rf"{name} : \S[^\n]*\n {{4}}[A-Z`].*\.", entry, re.DOTALL), entry

    def test_numbers_and_uses_each_reference(self, estimator: type) -> None:
        text = estimator.__doc__ or ""
        listed = re.findall(r"^\.\. (\[\d\]) ", text, re.MULTILINE)
        assert listed == [f"[{number}]" for number in range(1, len(listed) + 1)]
        assert set(listed) == set(re.findall(r"(\[\d\])_", text))

    def test_public_methods_document_their_parameters_and_what_they_return(self, estimator: type) -> None:
        methods = public_methods(estimator)
        assert {"fit", "predict", "publish", "summary", "check"} <= set(methods)
        assert ({"partial_fit", "export_onnx"} <= set(methods)) == (estimator in PERCEPTRONS)
        for name in methods:
            function = method(estimator, name)
            text = inspect.getdoc(function) or ""
            assert re.match(r"[A-Z][^\n]*\.\n\n", text), name
            parameters = list(inspect.signature(function).parameters.values())[1:]
            documented = entries(text, "Parameters")
            assert list(documented) == [each.name for each in parameters], name
            for each in parameters:
                optional = each.default is not inspect.Parameter.empty
                assert documented[each.name].split("\n")[0].endswith(f", default={each.default}") == optional, name
            assert bool(entries(text, "Returns")) == (inspect.signature(function).return_annotation != "None"), name


def test_examples_run() -> None:
    assert doctest.testmod(mlp) == doctest.TestResults(failed=0, attempted=19)


class TestInheritSections:
    def test_parameters_follow_the_signature_and_attributes_the_alphabet(self) -> None:
        class Base:
            """Base.

            Parameters
            ----------
            second : int
                From the base.

                - With a list.

            Attributes
            ----------
            alpha_ : float
                Also.
            """

        @inherit_sections
        class Derived(Base):
            """Derived.

            Parameters
            ----------
            first : str
                Its own.

            Attributes
            ----------
            beta_ : float
                Its own, too.

            Notes
            -----
            None.
            """

            def __init__(self, first: str, second: int) -> None: ...

        assert (
            Derived.__doc__
            == inspect.cleandoc("""
            Derived.

            Parameters
            ----------
            first : str
                Its own.
            second : int
                From the base.

                - With a list.

            Attributes
            ----------
            alpha_ : float
                Also.
            beta_ : float
                Its own, too.

            Notes
            -----
            None.""")
            + "\n"
        )

    def test_a_section_that_is_not_there_has_no_entries(self) -> None:
        assert entries("Only a summary.", "Parameters") == {}
