"""Time of the safety rules: for one reading of a unit, and for a Grid Master's look at a community of 100.

``python benchmarks/safety.py``: facts are read from documents as a node has them, durable-rules is asked, and what it
says is compared with the scalar evaluator, as live. Median and 99th percentile of five rounds, in processor time of
this process, so that others on the machine do not count; beside them the limit that has to be kept.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from apis_rules.decide.decision import Decider, compile_rules
from apis_rules.decide.rulefile import load_rules
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READING_LIMIT_MS = 1.0
COMMUNITY_LIMIT_MS = 20.0
ROUNDS = 5
QUESTIONS = ("hard-limits", "local-safety")
RULES = data_dir("rules")


def constants(policy: dict[str, Any]) -> dict[str, Any]:
    """Return what is folded into rules."""
    return {"policy": policy, "hwConfig": load_hw_config(RULES / "hwConfig.json").model.to_document()}


def shipped_policy() -> dict[str, Any]:
    """Return the policy that comes with the program."""
    return load_policy(RULES / "policy.json").model.to_document()


def reading(deals: int) -> dict[str, Any]:
    """Return what the local rules are asked about, with a unit in *deals* deals."""
    example: dict[str, Any] = load_document(RULES / "samples" / "facts.yaml", Findings()).value
    own = [copy.deepcopy(example["deals"][0]) for _ in range(deals)]
    for number, deal in enumerate(own):
        deal["record"]["dealId"] = f"d-{number}"
    return {"unit": example["unit"], "deals": own, "grid": example["grid"], "node": example["node"]}


def community(units: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a policy with lines between neighbours, and what the global rules are asked with every unit in a deal."""
    example: dict[str, Any] = load_document(RULES / "samples" / "facts.yaml", Findings()).value
    names = [f"E{k:03}" for k in range(units)]
    lines = {f"{a}-{b}": (names[: k + 1], names[k + 1 :]) for k, (a, b) in enumerate(pairwise(names))}
    policy = shipped_policy()
    policy["memberUnitIds"] = names
    policy["safety"]["gridTopologyBasedEvaluation"] = {
        "enabled": True,
        "branchIds": list(lines),
        "branchAssociation": {n: {"forwardUnitIds": b, "backwardUnitIds": a} for n, (a, b) in lines.items()},
        "branchCurrentCapacityA": dict.fromkeys(lines, 10.0),
    }
    data, deals = [], []
    for k, name in enumerate(names):
        unit = copy.deepcopy(example["unit"])
        unit["oesunit"]["id"] = name
        unit["dcdc"]["meter"]["ig"] = 2.0 if k % 2 else -2.0
        data.append(unit)
    for k in range(0, units - 1, 2):
        deal = copy.deepcopy(example["deals"][0])
        deal["record"] |= {"dealId": f"d-{k}", "dischargeUnitId": names[k], "chargeUnitId": names[k + 1]}
        deals.append(deal)
    return policy, {"units": data, "deals": deals, "grid": {"state": "held", "holder": names[0]}, "node": {}}


def times_ms(look: Callable[[], object], count: int) -> Iterator[float]:
    """Yield the processor time of each of *count* looks."""
    for _ in range(count):
        start = time.process_time_ns()
        look()
        yield (time.process_time_ns() - start) / 1e6


def row(what: str, look: Callable[[], object], limit_ms: float, count: int) -> bool:
    """Print one line; return whether the median keeps the limit."""
    for _ in times_ms(look, max(3, count // 10)):
        pass
    taken = sorted(ms for _ in range(ROUNDS) for ms in times_ms(look, count))
    median, late = statistics.median(taken), taken[int(len(taken) * 0.99)]
    print(f"{what:<58} {median:8.3f} ms {late:8.3f} ms   limit {limit_ms:g} ms: {median / limit_ms:.0%}")
    return median <= limit_ms


def main() -> int:
    """Run everything; exit 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="durable", help="who evaluates the rules")
    parser.add_argument("--count", type=int, default=200, help="looks per round")
    args = parser.parse_args()
    evaluator = Evaluator(args.engine)
    kept = True
    print(f"{'':<58} {'median':>11} {'99 %':>11}")
    both = [compile_rules(load_rules(RULES / f"{q}.yaml"), constants(shipped_policy())) for q in QUESTIONS]
    with Decider(both[0], evaluator) as limits, Decider(both[1], evaluator) as local:
        for deals in (0, 1, 4):
            document = reading(deals)

            def look(document: dict[str, Any] = document) -> None:
                limits.decide(document, 0.0)
                local.decide(document, 0.0)

            kept &= row(f"one reading, {deals} deals: hard limits and local rules", look, READING_LIMIT_MS, args.count)
    for units in (10, 100):
        policy, seen = community(units)
        compiled = compile_rules(load_rules(RULES / "global-safety.yaml"), constants(policy))
        with Decider(compiled, evaluator) as decider:
            what = f"{units} units, {units // 2} deals, {units - 1} lines: global rules"
            kept &= row(what, lambda d=decider, s=seen: d.decide(s, 0.0), COMMUNITY_LIMIT_MS, max(10, args.count // 10))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
