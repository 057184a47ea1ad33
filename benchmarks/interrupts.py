"""Send SIGINT and SIGTERM at random moments of whole training runs; fail if a run ends with a wrong status or message.

    python -m benchmarks.interrupts --moments 300

Runs on digits, a table and a folder of pictures, at a terminal and into a pipe, with one signal or two. The moments are
uniform over a run, from when the handlers are installed; before that, Python is still starting.
"""

from __future__ import annotations

import argparse
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from service import artifact

MESSAGE: Final = "mlp-train: interrupted; nothing was published"
ENDS_WITHIN_S: Final = 60.0  # after the signal, on a busy machine
_WHOLE_RUN_S: Final = 600.0
_STATUS: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}
_SHOW_CURSOR, _HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (None if it had to be killed), its output, its models folder."""

    status: int | None
    output: str
    models: Path


def faults(ended: Ended, sent: Sequence[int]) -> list[str]:
    """What is wrong with how a run ended after the signals ``sent``, in order."""
    found = []
    versions = sorted(ended.models.glob("*/[0-9]*"))
    # Only a run that has published leaves a mark of its version's number.
    left = [path.name for path in ended.models.rglob(".*") if ended.status != 0 or path.name != ".last-version-1"]
    if ended.status == 0:
        if "published " not in ended.output or len(versions) != 1:
            found.append(f"status 0, and the versions are {versions}")
        else:
            artifact.read(versions[0])
    elif ended.status in {_STATUS[signal.Signals(number)] for number in sent}:
        if versions or "published /" in ended.output:
            found.append(f"status {ended.status}, and the versions are {versions}")
        if ended.output.count(MESSAGE) != 1 or not ended.output.rstrip().endswith(MESSAGE):
            found.append("the last line does not say that it was interrupted")
    else:
        found.append(f"status {ended.status}")
    if left:
        found.append(f"left behind: {left}")
    found += [
        f"the output has {word!r}"
        for word in ("Traceback", "terminate called", "Exception ignored")
        if word in ended.output
    ]
    if ended.output.rfind(_HIDE_CURSOR) > ended.output.rfind(_SHOW_CURSOR):
        found.append("the terminal's cursor is hidden")
    return found


def run(arguments: Sequence[str], models: Path, plan: Sequence[tuple[float, int]], *, terminal: bool) -> Ended:
    """Train into ``models``; ``plan`` has the signals, each with the seconds to wait before it."""
    command = [sys.executable, "-m", "training", *arguments, "--models", str(models)]
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with tempfile.TemporaryFile() as log:
        reader = subprocess.Popen(["cat"], stdin=ours, stdout=log, stderr=subprocess.DEVNULL)
        os.close(ours)
        try:
            _await_handlers(process)
            for wait_s, number in plan:
                try:
                    process.wait(wait_s)
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
            status: int | None = process.wait(ENDS_WITHIN_S if plan else _WHOLE_RUN_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            process.kill()
            process.wait()
            reader.wait()
        log.seek(0)
        return Ended(status, log.read().decode(errors="replace"), models)


def _await_handlers(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process catches SIGTERM or has ended."""
    sigterm = 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        if int(fields.get("SigCgt", "0"), 16) & sigterm:
            return
        time.sleep(0.001)


def data_sets(folder: Path) -> dict[str, list[str]]:
    """The arguments of a short run by data set."""
    digits = load_digits()
    table = folder / "table.csv"
    rows = np.random.default_rng(0).normal(size=(400, 4)).round(3)
    lines = [",".join(map(str, row)) + f",{'yes' if sum(row) > 0 else 'no'}" for row in rows.tolist()]
    table.write_text("\n".join(["a,b,c,d,answer", *lines]) + "\n")
    for number, (image, label) in enumerate(zip(digits.images[:400], digits.target, strict=False)):
        class_folder = folder / "pictures" / f"a{label}"
        class_folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(class_folder / f"{number}.png")
    return {
        "digits": ["digits", "--epochs", "8"],
        "table": [str(table), "--target", "answer", "--epochs", "20"],
        "pictures": [str(folder / "pictures"), "--epochs", "8", "--batch-size", "64"],
    }


def main() -> int:
    """Return 1 if a run ended with a fault, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children would inherit an ignored SIGINT
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    endings: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = data_sets(folder)
        whole_s = {}
        for title, arguments in sets.items():
            began_s = time.perf_counter()
            assert run(arguments, folder / f"whole {title}", [], terminal=False).status == 0
            whole_s[title] = time.perf_counter() - began_s
            print(f"a whole run on {title}: {whole_s[title]:.1f} s", flush=True)
        for number in range(options.moments):
            title = rng.choice(list(sets))
            sent = [rng.choice([signal.SIGINT, signal.SIGTERM]) for _ in range(rng.choice([1, 1, 2]))]
            plan = [
                (rng.uniform(0, whole_s[title]) if not index else rng.uniform(0, 0.3), each)
                for index, each in enumerate(sent)
            ]
            terminal = rng.random() < 0.5
            ended = run(sets[title], folder / str(number), plan, terminal=terminal)
            found = faults(ended, sent)
            endings[f"status {ended.status}"] += 1
            if found:
                wrong += 1
                print(f"{title}, {plan}, terminal={terminal}: {found}\n{ended.output}", flush=True)
            if (number + 1) % 10 == 0:
                print(f"{number + 1} moments, {wrong} of them wrong: {dict(endings)}", flush=True)
    print(f"{options.moments} moments, {wrong} of them wrong: {dict(sorted(endings.items()))}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
