"""The shipped rule files, compiled with the shipped policy and hwConfig, and something to ask them about."""

from __future__ import annotations

import copy
from functools import cache

from apis_rules.decide.decision import CompiledRules, compile_rules
from apis_rules.decide.rulefile import load_rules
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.resources import data_dir

QUESTIONS = (
    "accept",
    "choose",
    "global-safety",
    "hard-limits",
    "local-safety",
    "operation-mode",
    "reactions",
    "request",
)


@cache
def constants():
    """Return the documents that are folded into rules."""
    rules = data_dir("rules")
    policy = load_policy(rules / "policy.json").model.to_document()
    policy["memberUnitIds"] = ["E001", "E002", "E003"]
    policy["safety"]["gridTopologyBasedEvaluation"] = {
        "enabled": True,
        "branchIds": ["line-1"],
        "branchAssociation": {"line-1": {"forwardUnitIds": ["E001"], "backwardUnitIds": ["E002", "E003"]}},
        "branchCurrentCapacityA": {"line-1": 5.0},
    }
    return {"policy": policy, "hwConfig": load_hw_config(rules / "hwConfig.json").model.to_document()}


@cache
def compiled(question: str) -> CompiledRules:
    """Return one shipped rule file, compiled."""
    findings = Findings()
    rules = compile_rules(load_rules(data_dir("rules") / f"{question}.yaml"), constants(), findings)
    assert findings.sorted() == ()
    return rules


def example(**changes):
    """Return the example of what rules are asked about; ``a__b=value`` changes ``a.b``, None takes it out."""
    document = copy.deepcopy(load_document(data_dir("rules") / "samples" / "facts.yaml", Findings()).value)
    for path, value in changes.items():
        *steps, last = path.split("__")
        at = document
        for step in steps:
            at = at[int(step)] if step.isdigit() else at[step]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return document
