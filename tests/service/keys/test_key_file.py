"""The file of keys: what it may say, what is refused, and that a refusal shows no key."""

from __future__ import annotations

import errno
import io
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keys import __main__ as command
from service.keys import api_key, key_file
from service.keys.key_file import Key, KeyFileError
from tests.service.keys.made import make, write

FILE = Path("keys")
DIGEST = "0f" * 32


def fault(content: str | bytes) -> str:
    with pytest.raises(KeyFileError) as caught:
        key_file.parse(content if isinstance(content, bytes) else content.encode(), FILE)
    return str(caught.value)


def test_a_file_has_names_digests_and_limits() -> None:
    content = (
        f"\ufeff# of the shop\r\n\r\nweb\t{DIGEST.upper()}\r\n  b-2.x_ {'ab' * 32}  rows_per_s=2e3 requests_per_s=0.5"
    )
    assert key_file.parse(content.encode(), FILE) == (
        Key("web", bytes.fromhex(DIGEST)),
        Key("b-2.x_", b"\xab" * 32, 0.5, 2000.0),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("web", "the second word is no SHA-256 digest of 64 hexadecimal digits"),
        (f"web {DIGEST[:-1]}", "the second word is no SHA-256 digest of 64 hexadecimal digits"),
        (f"web {DIGEST[:-1]}g", "the second word is no SHA-256 digest of 64 hexadecimal digits"),
        (f"-web {DIGEST}", "the first word is no name of up to 64 letters, digits, '.', '_' and '-'"),
        (f"{'a' * 65} {DIGEST}", "the first word is no name of up to 64 letters, digits, '.', '_' and '-'"),
        (f"wéb {DIGEST}", "the first word is no name of up to 64 letters, digits, '.', '_' and '-'"),
        (f"web {DIGEST} rows_per_s=0", "rows_per_s is no number from 1e-06 up"),
        (f"web {DIGEST} rows_per_s=1e-310", "rows_per_s is no number from 1e-06 up"),
        (f"web {DIGEST} rows_per_s=nan", "rows_per_s is no number from 1e-06 up"),
        (f"web {DIGEST} requests_per_s=inf", "requests_per_s is no number from 1e-06 up"),
        (
            f"web {DIGEST} rows=1",
            "after the digest there may be requests_per_s=NUMBER and rows_per_s=NUMBER, each once",
        ),
        (
            f"web {DIGEST} rows_per_s=1 rows_per_s=2",
            "after the digest there may be requests_per_s=NUMBER and rows_per_s=NUMBER, each once",
        ),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, reason: str) -> None:
    assert fault(f"# first\n{line}\n") == f"keys: line 2: {reason}"


def test_all_faults_are_reported_at_once() -> None:
    assert fault(f"a\nb {DIGEST}\nb {DIGEST}\n" + "c\n" * 5) == (
        "keys: "
        + "; ".join(
            f"line {number}: the second word is no SHA-256 digest of 64 hexadecimal digits"
            for number in (1, 4, 5, 6, 7)
        )
        + "; and 3 more"
    )
    assert fault(f"b {DIGEST}\nb {DIGEST}\n") == "keys: the name b is there twice; the key of b is there twice"


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n"])
def test_a_file_without_a_key_is_refused(content: str) -> None:
    assert fault(content) == "keys: there is no key; make one with python -m service.keys new NAME"


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert fault(b"web \xff") == "keys is not UTF-8 at byte 4; save it as plain text"
    assert fault("".join(f"n{index} {index:064x}\n" for index in range(1001))) == (
        "keys: there are 1001 keys, expected at most 1000"
    )
    with pytest.raises(KeyFileError, match="No such file or directory; see --api-keys-file"):
        key_file.read(tmp_path / "none")
    with pytest.raises(KeyFileError, match="Is a directory"):
        key_file.read(tmp_path)
    (tmp_path / "large").write_bytes(b"#" * (key_file.MAX_BYTES + 1))
    with pytest.raises(KeyFileError, match="has more than 1048576 bytes"):
        key_file.read(tmp_path / "large")


@given(st.lists(st.sampled_from(["web", DIGEST, "KEY", "rows_per_s=KEY", "=", "#"]), max_size=4))
def test_a_refusal_never_shows_a_key(words: list[str]) -> None:
    secret = make().secret
    with suppress(KeyFileError):
        key_file.parse(" ".join(words).encode(), FILE)
        return
    assert secret not in fault(" ".join(words).replace("KEY", secret))


def test_a_key_in_the_place_of_its_digest_is_told() -> None:
    assert fault(f"web {make().secret}") == (
        "keys: line 1: it has a key instead of its digest; whoever reads the file can use that key: make a new one"
    )


def test_the_command_makes_a_key_and_its_line() -> None:
    made = []
    for _ in range(2):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert command.main(["new", "web", "--rows-per-s", "20"]) == 0
        secret = err.getvalue().splitlines()[-1]
        assert key_file.parse(out.getvalue().encode(), FILE) == (
            Key("web", api_key.digest(secret.encode()), rows_per_s=20.0),
        )
        assert secret not in out.getvalue()
        assert len(secret) == api_key.KEY_BYTES
        made.append(secret)
    assert made[0] != made[1]


class Full(io.StringIO):
    """A file on a full disk."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_no_key_is_shown_if_its_line_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with redirect_stdout(Full()):
        assert command.main(["new", "web"]) == 1
    assert capsys.readouterr().err == (
        "the line of key web cannot be written: No space left on device; no key was made\n"
    )


@pytest.mark.parametrize("arguments", [[], ["new"], ["new", "a b"], ["new", "web", "--rows-per-s", "0"], ["old", "x"]])
def test_the_command_refuses_other_words(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert "mlp_" not in capsys.readouterr().out


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = [make("a"), make("b", requests_per_s=0.25), make("c", rows_per_s=1e6, requests_per_s=3)]
    path = write(tmp_path / "keys", *made)
    assert key_file.parse(key_file.read(path), path) == tuple(each.key for each in made)
