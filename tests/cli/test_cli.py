"""The command line's frame: verbs, exit codes, diagnostics."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.cli import VERBS, main
from apis_rules.documents.codes import sections


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``apis-rules VERB --help`` answers and shows how the verb is called."""
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert re.search(rf"example.*apis-rules {verb}", capsys.readouterr().out, re.DOTALL)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """The overview names each verb with one line."""
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(re.search(rf"^\s+{verb}\s+\S", out, re.MULTILINE) for verb in VERBS)


def test_an_unknown_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that does not exist ends with 2 and says what there is."""
    with pytest.raises(SystemExit) as ended:
        main(["flyy"])
    assert ended.value.code == 2
    assert "flyy" in capsys.readouterr().err


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """``doc`` prints the section of a code, in either case of letters, and all of them with ``all``."""
    assert main(["doc", "ar101"]) == 0
    assert capsys.readouterr().out.startswith("## AR101")
    assert main(["doc", "all"]) == 0
    assert capsys.readouterr().out.count("\n") == len(sections())


def test_an_unknown_code_gets_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong code is one diagnostic with a hint and exit 2."""
    assert main(["doc", "AR101x"]) == 2
    assert "did you mean AR101?" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``apis-rules doc all | head -1`` ends quietly."""
    run = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m apis_rules doc all | head -1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stderr == ""
    assert run.stdout.startswith("AR")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is not everywhere")
@pytest.mark.parametrize("verb", ["doc all", "facts", "dry-run --format csv"])
def test_output_that_finds_no_room_is_one_sentence(verb: str) -> None:
    """A full disk behind ``>`` is told in one sentence and ends with 2: what was written is not whole."""
    run = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m apis_rules {verb} > /dev/full"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    name, *_ = verb.split(" ", maxsplit=1)
    assert run.stderr.splitlines()[-1].startswith(f"apis-rules {name}: the output cannot be written: ")
    assert "Traceback" not in run.stderr


def test_a_table_whose_reader_goes_away_is_no_error() -> None:
    """A verb that prints a table into a pipe that is closed already ends quietly with 0."""
    run = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m apis_rules facts | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
