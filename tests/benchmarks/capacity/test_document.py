"""docs/capacity.md has the stored results, and the stored results follow from the stored costs and the manifests."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from benchmarks.capacity import __main__ as command
from benchmarks.capacity import assumptions, document
from benchmarks.capacity.assumptions import Assumptions
from benchmarks.capacity.scenarios import BODY, LOAD_S, outcome, stepped
from benchmarks.report import RESULTS

AGAIN = "run python -m benchmarks.capacity"


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document.STORED.read_text())
    return found


def test_every_section_equals_the_results() -> None:
    text = document.DOCUMENT.read_text()
    assert document.filled(text, stored()) == text
    assert text.count("<!-- begin ") == len(document.SECTIONS)


def test_the_results_follow_from_the_costs_and_the_manifests() -> None:
    results = stored()
    found = json.loads(json.dumps(command.quick(RESULTS, command.planned(RESULTS, Assumptions()))))
    assert {name: results[name] for name in found} == found, AGAIN


def test_the_step_of_the_results_is_simulated_again() -> None:
    plan = command.planned(RESULTS, Assumptions())
    found = outcome(stepped(plan.cluster(*BODY, cpus=plan.deployed.request_cpus), LOAD_S))
    assert stored()["steps"][0] == {"settings": "deploy/base, nodes full"} | found, AGAIN


def test_each_assumption_is_an_option_with_its_source() -> None:
    parser = argparse.ArgumentParser()
    assumptions.add_options(parser)
    assumed = assumptions.given(parser.parse_args(["--vcpu-hour", "0.05"]))
    assert assumed == Assumptions(vcpu_hour=0.05)
    assert assumptions.listed(assumed)[0].startswith("`--vcpu-hour` 0.05 USD (half an m7g.large (ARM); AWS on demand")
    assert parser.format_help()


def test_all_wrong_assumptions_are_named() -> None:
    parser = argparse.ArgumentParser()
    assumptions.add_options(parser)
    with pytest.raises(ValueError, match="vcpu_hour is 0, window_s is -1; expected more than 0"):
        assumptions.given(parser.parse_args(["--vcpu-hour", "0", "--window-s", "-1"]))
