"""The newcomer's walk: its commands work, and the program that times them runs and stops what the page says."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from benchmarks import walk
from benchmarks.pages import train_flats
from tests.documents.pages import README, ROOT, curl_lines, read
from tests.documents.test_curl import answer
from tests.service.running import Running

COMMANDS = walk.commands(read("walk"))


def test_its_commands_are_those_above_deploy() -> None:
    assert COMMANDS[0] == "make serve"
    assert not [command for command in COMMANDS if "kubectl" in command]
    makefile = (ROOT / "Makefile").read_text()
    targets = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_readme_goes_the_same_way() -> None:
    of_table = [
        line for line in README.read_text().splitlines() if "flats" in line and line.startswith(("make", "curl"))
    ]
    assert len(of_table) == 2
    assert set(of_table) <= set(COMMANDS)


def test_the_table_is_answered_by_name(tmp_path: Path) -> None:
    train_flats(tmp_path)
    single, file = (line for line in curl_lines(read("walk")) if "flats" in line)
    with Running(tmp_path) as server:
        (price,) = answer(single, server)["predictions"]
        assert 100_000 < price < 1_000_000
        assert len(answer(file, server)["predictions"]) == len((ROOT / "examples/flats.csv").read_text().split()) - 1
        refused = answer(single.replace('"area_m2": 72.5, ', ""), server)
    assert refused["status"] == 422
    assert "'area_m2'" in refused["detail"]


def test_a_block_may_have_several_commands_and_long_ones() -> None:
    page = "```sh\nmake a\nmake b \\\n  C=1\n```\ntext\n```json\n{}\n```\n\n## Deploy\n\n```sh\nmake d\n```\n"
    assert walk.commands(page) == ["make a", "make b    C=1"]


def test_each_command_is_run_in_the_folder_and_timed(tmp_path: Path) -> None:
    found = walk.Walk(tmp_path)
    timed = [found.run(command) for command in ("touch made", "test -f made")]
    found.close()
    assert [each.command for each in timed] == ["touch made", "test -f made"]
    assert all(each.took_s > 0 for each in timed)


def test_a_command_that_fails_ends_the_walk(tmp_path: Path) -> None:
    with pytest.raises(walk.WalkError, match=r"^ls nowhere ended with status 2: ls: .*nowhere"):
        walk.Walk(tmp_path).run("ls nowhere")


def test_the_server_is_stopped_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "health").mkdir()
    (tmp_path / "health" / "ready").touch()
    (tmp_path / "Makefile").write_text('serve:\n\t@exec python3 -m http.server "$$PORT" 2>/dev/null\n')
    found = walk.Walk(tmp_path)
    found.run("make serve")
    assert found.run("curl localhost:8000/Makefile").command == "curl localhost:8000/Makefile"
    found.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", found.port))


def test_a_server_that_does_not_start_ends_the_walk(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("serve:\n\t@exit 3\n")
    with pytest.raises(walk.WalkError, match="make serve ended with status 2 before the server was ready"):
        walk.Walk(tmp_path).run("make serve")


def test_the_table_is_replaced_in_the_page() -> None:
    written = walk.section([walk.Timed("make serve", 12.34), walk.Timed("curl x", 0.06)], load=0.5)
    assert written.startswith(
        "| command | s |\n|---|--:|\n| `make serve` | 12.34 |\n| `curl x` | 0.06 |\n| all | 12 |\n\n"
    )
    page = walk.with_section(read("walk"), written)
    assert written in page
    assert walk.commands(page) == COMMANDS
