"""Compare this Python with others, serving:  python -m benchmarks.interpreters PYTHON …

Each PYTHON is a program that runs another version of Python, with this commit of the project installed and its folder
`models` where the program starts. Both servers have the bundled model and one processor, and wrk another; their order
alternates by round. Prints the median ratio of the other Python to this one over the rounds, with a 95 % bootstrap
interval. Nothing is written.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks import provenance
from benchmarks.change import serving, shown
from benchmarks.markdown import listed
from benchmarks.servers import ours


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.interpreters", description=__doc__)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="a program that runs another Python")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement (default: 1)")
    given = parser.parse_args()
    print(listed(provenance.of(provenance.MODEL, "python -m benchmarks.interpreters")))
    for python in given.pythons:
        code = "import platform; print(platform.python_version())"
        other = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        servers = [
            ours("ours", Path("models"), "--log-level", "warning", python=each) for each in (sys.executable, python)
        ]
        pairs = serving(servers, [provenance.ROOT] * 2, given.rounds, given.seconds)
        print(f"\nPython {platform.python_version()} before, {other} now:\n\n{shown(pairs)}")


if __name__ == "__main__":
    main()
