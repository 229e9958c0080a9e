"""The README says what is so."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.cli import VERBS, build_parser
from apis_rules.compose.run import LEAVE_S
from apis_rules.compose.steer import DIRECT_S, LET_GO_S
from apis_rules.documents.logs import ConsoleLog, Logging, UdpLog
from apis_rules.node.runtime import LAST_STOP_S

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.+?)```", README, re.DOTALL))
def test_the_examples_run(block: str) -> None:
    """Every Python example of the README runs as it stands."""
    run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["run", "tests"])
def test_each_of_the_two_commands_is_one_line(name: str) -> None:
    """A reader copies one line; it makes its own environment, works when repeated, and sets the engine's flag."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.+)\n```", README)
    assert found
    assert found[1].startswith("python3 -m venv .venv && ")
    assert "CPPFLAGS=-DPyEval_CallObject=PyObject_CallObject" in found[1]


def test_the_section_for_the_action_log_is_one() -> None:
    """What the README shows of the section logging can be copied into a config as it stands."""
    found = re.search(r'"logging": (\{.+?\n\})', README, re.DOTALL)
    assert found
    section = Logging.model_validate(json.loads(found[1]))
    assert (section.console, section.udp) == (ConsoleLog(level="WARNING"), UdpLog())


def test_the_systemd_unit_starts_the_supervisor_and_lets_it_end_in_order() -> None:
    """Its command is one of ours, with the process above; SIGTERM goes to that alone, with time for an orderly end."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    found = re.search(r"```ini\n(.+?)```", README, re.DOTALL)
    assert found
    unit.read_string(found[1])
    service = unit["Service"]
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/bin/apis-rules")
    assert build_parser("run").parse_args(arguments).no_supervisor is False
    assert service["KillMode"] == "mixed"
    # All nodes but the Grid Master, then the Grid Master, each with what is left of its converter's time.
    assert int(service["TimeoutStopSec"]) > LET_GO_S + DIRECT_S + 2 * LEAVE_S + LAST_STOP_S
    assert service["Restart"] == "on-failure"


def test_what_to_open_is_there() -> None:
    """Every path in the table of what to change exists."""
    table = README.split("## I want to change X")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:apis_rules|rules|statecharts|transport|tests|benchmarks)/[^`]*)`", table)
    assert len(paths) > 15
    missing = [p for p in paths if "NAME" not in p and not list(ROOT.glob(p.rstrip("/")))]
    assert missing == []


def test_the_verbs_that_are_named_exist() -> None:
    """Every ``apis-rules VERB`` of the README and CONTRIBUTING is a verb."""
    named = set(re.findall(r"apis-rules ([a-z][a-z-]+)", README + CONTRIBUTING))
    assert named <= set(VERBS), named - set(VERBS)


def test_the_benchmarks_and_campaigns_that_are_named_exist() -> None:
    """Every command of the tables in CONTRIBUTING starts something that is there."""
    for script in re.findall(r"`python (benchmarks/\S+?\.py)", CONTRIBUTING):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"-m (tests\.[a-z_.]+)", CONTRIBUTING):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
