"""How many pods, how much money and how much lag for given loads; see docs/capacity.md.

    python -m benchmarks.capacity

Costs come from the stored results of bench, breakdown, stages and capacity_reality, pods and their autoscaler from
deploy/. What neither has is an assumption, which an option can change. The figures go to results/capacity.json, the
tables to docs/capacity.md, and its pictures are drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import provenance, report
from benchmarks.capacity import assumptions, costs, document, limits, manifests, plots, scenarios, steady
from benchmarks.capacity.assumptions import Assumptions

READ = ("bench", "breakdown", "stages", costs.REALITY)


def quick(folder: Path, plan: scenarios.Plan) -> dict[str, Any]:
    """The parts that take no simulation."""
    deployed, assumed = plan.deployed, plan.assumptions
    row = steady.pod(deployed, costs.turn_cost(costs.read(folder, "bench"), "json", 1), deployed.limit_cpus)
    pods = [steady.replicas(row, deployed.autoscaler, rate_s) for rate_s in steady.RATES_S]
    series = costs.read(folder, costs.REALITY)["scrape"]["series"]
    rate_s = steady.rate_at(row, deployed.autoscaler.target)
    return {
        "assumptions": assumptions.listed(assumed),
        "costs": costs.table(folder),
        "at target": steady.at_target(folder, deployed),
        "money": steady.money(folder, deployed, assumed),
        "gpus": steady.gpus(folder, deployed, assumed),
        "needs": limits.needs(pods, deployed, assumed, series),
        "most": limits.most(rate_s, deployed, assumed, series),
    }


def simulated(plan: scenarios.Plan) -> dict[str, Any]:
    """The loads that change."""
    return {
        "steps": scenarios.steps(plan),
        "rates": scenarios.rates(plan),
        "targets": scenarios.targets(plan),
        "days": scenarios.days(plan),
    }


def planned(folder: Path, assumed: Assumptions) -> scenarios.Plan:
    """The plan with the results in ``folder``."""
    return scenarios.Plan(folder, manifests.base(assumed.tolerance), assumed, costs.refusals(folder))


def about(folder: Path) -> dict[str, str]:
    """The provenance: of the costs, too."""
    measured = {tool: costs.read(folder, tool)["provenance"] for tool in READ}
    return {
        "command": "python -m benchmarks.capacity",
        "time": provenance.now(),
        "commit": provenance.commit(),
        "costs": "; ".join(f"{tool} of {each['time']} on {each['machine']}" for tool, each in measured.items()),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--costs", type=Path, default=report.RESULTS, help="folder the measured costs are read from")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    assumptions.add_options(parser)
    given = parser.parse_args()
    try:
        plan = planned(given.costs, assumptions.given(given))
    except ValueError as error:
        parser.error(str(error))
    found = {"provenance": about(given.costs)} | quick(given.costs, plan) | simulated(plan)
    document.save(given.results / document.STORED.name, found)
    pictures = document.DOCUMENT.parent / "pictures" if given.results == report.RESULTS else given.results
    plots.step(plan, pictures / "capacity-step.png")
    plots.cpu(given.costs, plan.deployed, pictures / "capacity-cpu.png")


if __name__ == "__main__":
    main()
