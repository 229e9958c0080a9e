"""The sides of lines, found from what each line joins."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from apis_rules.documents.lines import derive_sides, with_sides
from apis_rules.documents.reading import parse_policy
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

ARMS = (
    "F012 F005 F006 F007 F008 F009 F010 F011",
    "F012 F026 F018 F019 F020 F021 F022",
    "F012 F013 F014 F015 F004",
    "F015 F017",
)
"""The tree of Fig. 11-2."""
LINES = {f"{a}-{b}": (a, b) for arm in map(str.split, ARMS) for a, b in pairwise(arm)}
UNITS = sorted({unit for ends in LINES.values() for unit in ends})

PRINTED = {
    "A-1": """
(F021 F022) = F022
(F020 F021) = F022 + F021
(F019 F020) = F022 + F021 + F020
(F019 F018) = F022 + F021 + F020 + F019
(F026 F018) = F022 + F021 + F020 + F019 + F018
(F012 F026) = F022 + F021 + F020 + F019 + F018 + F026
""",
    "A-2": """
(F022 F021) = (F012 F013) + (F012 F005) + F012 + F026 + F018 + F019 + F020 + F021
(F021 F020) = (F012 F013) + (F012 F005) + F012 + F026 + F018 + F019 + F020
(F020 F019) = (F012 F013) + (F012 F005) + F012 + F026 + F018 + F019
(F019 F018) = (F012 F013) + (F012 F005) + F012 + F026 + F018
(F018 F026) = (F012 F013) + (F012 F005) + F012 + F026
(F026 F012) = (F012 F013) + (F012 F005) + F012
(F012 F013) = F004 + F017 + F015 + F014 + F013
(F012 F005) = F011 + F010 + F009 + F008 + F007 + F006 + F005
""",
    "B-1": """
(F010 F011) = F011
(F009 F010) = F011 + F010
(F008 F009) = F011 + F010 + F009
(F007 F008) = F011 + F010 + F009 + F008
(F006 F007) = F011 + F010 + F009 + F008 + F007
(F005 F006) = F011 + F010 + F009 + F008 + F007 + F006
(F012 F005) = F011 + F010 + F009 + F008 + F007 + F006 + F005
""",
    "B-2": """
(F011 F010) = (F012 F013) + (F012 F026) + F012 + F005 + F006 + F007 + F008 + F009 + F010
(F010 F009) = (F012 F013) + (F012 F026) + F012 + F005 + F006 + F007 + F008 + F009
(F009 F008) = (F012 F013) + (F012 F026) + F012 + F005 + F006 + F007 + F008
(F008 F007) = (F012 F013) + (F012 F026) + F012 + F005 + F006 + F007
(F007 F006) = (F012 F013) + (F012 F026) + F012 + F005 + F006
(F006 F005) = (F012 F013) + (F012 F026) + F012 + F005
(F005 F012) = (F012 F013) + (F012 F026) + F012
(F012 F013) = F013 + F014 + F015 + F004 + F017
(F012 F026) = F022 + F021 + F020 + F019 + F018 + F026
""",
    "C-1": """
(F015 F004) = F004
(F015 F017) = F017
(F014 F015) = F004 + F017 + F015
(F013 F014) = F004 + F017 + F015 + F014
(F012 F013) = F004 + F017 + F015 + F014 + F013
""",
    "C-2": """
(F004 F015) = (F012 F005) + (F012 F026) + F012 + F013 + F014 + F015 + F017
(F017 F015) = (F012 F005) + (F012 F026) + F012 + F013 + F014 + F015 + F004
(F015 F014) = (F012 F005) + (F012 F026) + F012 + F013 + F014
(F014 F013) = (F012 F005) + (F012 F026) + F012 + F013
(F013 F012) = (F012 F005) + (F012 F026) + F012
(F012 F005) = F011 + F010 + F009 + F008 + F007 + F006 + F005
(F012 F026) = F022 + F021 + F020 + F019 + F018 + F026
""",
}
"""The formulas of 11.1, from each arm's list; in A-1 two lines are written from their far end."""
FORMULAS = [(arm, line) for arm, lines in PRINTED.items() for line in lines.strip().splitlines()]
WRITTEN_BACKWARDS = {("A-1", "F019 F018"): "F018 F019", ("A-1", "F026 F018"): "F026 F018"}


def beyond(pair: str) -> tuple[str, ...]:
    """Return the units that a current from the first of *pair* to the second goes to."""
    first, second = pair.split()
    sides = derive_sides(LINES, UNITS)
    return (
        sides[f"{first}-{second}"].forward if (first, second) in LINES.values() else sides[f"{second}-{first}"].backward
    )


def test_the_specification_prints_42_formulas() -> None:
    """All of them are looked at."""
    assert len(FORMULAS) == 42


@pytest.mark.parametrize(("arm", "formula"), FORMULAS)
def test_the_printed_formulas_follow_from_the_tree(arm: str, formula: str) -> None:
    """Each formula of 11.1 adds up exactly the units that the tree has beyond that line, each once."""
    left, right = formula.split(" = ")
    terms = [term.strip("()") for term in right.split(" + ")]
    units = [unit for term in terms for unit in (beyond(term) if " " in term else [term])]
    pair = WRITTEN_BACKWARDS.get((arm, left.strip("()")), left.strip("()"))
    assert sorted(units) == sorted(beyond(pair))


def test_a_line_of_a_loop_has_no_sides() -> None:
    """Taking a line of a loop away leaves one part; lines outside of it have their sides; a junction is no unit."""
    ends = {"a": ("1", "x"), "b": ("x", "2"), "c": ("2", "x"), "d": ("2", "3"), "e": ("3", "4"), "f": ("4", "2")}
    sides = derive_sides(ends, ["1", "2", "3", "4"])
    assert {line: (s.forward, s.backward) for line, s in sides.items()} == {"a": (("2", "3", "4"), ("1",))}


def policy(topology: dict[str, Any]) -> str:
    text = re.sub(r'"#": "[^"]*",', "", (data_dir("rules") / "policy.json").read_text())
    document = json.loads(text)
    document["safety"]["gridTopologyBasedEvaluation"] = topology
    return json.dumps(document)


DRAWN = {
    "enabled": True,
    "branchIds": ["left", "right"],
    "branchLines": {"left": ["bus", "E001"], "right": ["bus", "E004"]},
    "branchCurrentCapacityA": {"left": 5, "right": 5},
}
REST = {"middle": ["bus", "E002"], "long": ["E002", "E003"]}


def test_a_policy_with_lines_needs_no_lists() -> None:
    """What the lines make stands in the policy as if it were written, and has its hash; what is written stays."""
    ids, capacities = ["left", "right", "middle", "long"], dict.fromkeys(["left", "right", "middle", "long"], 5)
    drawn = {
        **DRAWN,
        "branchIds": ids,
        "branchLines": DRAWN["branchLines"] | REST,
        "branchCurrentCapacityA": capacities,
    }
    read = parse_policy(policy(drawn), "policy.json").model
    described = read.safety.grid_topology_based_evaluation.branch_association
    assert described["long"].forward_unit_ids == ("E003",)
    assert described["long"].backward_unit_ids == ("E001", "E002", "E004")
    written = {name: side.to_document() for name, side in described.items()}
    other = parse_policy(policy({**drawn, "branchAssociation": written}), "policy.json").model
    assert other.canonical_hash == read.canonical_hash


def test_lines_that_do_not_reach_every_member_are_refused() -> None:
    """A member that no line leads to is named."""
    with pytest.raises(InputError) as caught:
        parse_policy(policy(DRAWN), "policy.json")
    assert [d.message for d in caught.value.diagnostics][:1] == ["no line leads from left to E002"]


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {"safety": None},
        {"safety": {"gridTopologyBasedEvaluation": {"branchLines": []}}},
        {"safety": {"gridTopologyBasedEvaluation": {"branchLines": {"a": "b", "c": ["d"], "e": [1, 2]}}}},
        {"safety": {"gridTopologyBasedEvaluation": {"branchLines": {"a": ["b", "c"]}, "branchAssociation": 3}}},
    ],
)
def test_what_is_wrong_in_itself_is_left_as_it_is(given: object) -> None:
    """A document of another form is somebody else's finding."""
    assert with_sides(given) == given
