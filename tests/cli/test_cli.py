"""The command line's frame: verbs, exit codes, diagnostics."""

from __future__ import annotations

import re
import subprocess
import sys

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
