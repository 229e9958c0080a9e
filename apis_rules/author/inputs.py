"""What the verbs that decide about states read: scenario, policy, hardware; and the battery where none is named."""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apis_rules.author.analysis import analyse
from apis_rules.author.arguments import refuse, rules_argument
from apis_rules.author.gates import Gates
from apis_rules.author.rows import Bounds
from apis_rules.decide.declared import deal_limits, declared_scenario
from apis_rules.documents.community import Site
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.reading import load_hw_config, load_policy, load_scenario
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from apis_rules.decide.amounts import DealLimits
    from apis_rules.decide.choosing import Candidate
    from apis_rules.decide.ruleset import Evaluator
    from apis_rules.decide.scenario import Scenario
    from apis_rules.documents.diagnostics import Diagnostic
    from apis_rules.documents.hw_config import HwConfig
    from apis_rules.documents.policy import Policy


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one unit, read.

    Attributes:
        hw_config: the bundled one where none is named.
        limits: of the policy; None without one.
        rules: folder of own rule files, or None.
        assumed: facts of the gates by name, as written.
        nominal_wh: what 100 % of the battery are.
        nominal_assumed: whether that is the bundled value, which has to be said where it matters.
        warnings: what is doubtful about the files.
    """

    scenario: Scenario
    policy: Policy | None
    hw_config: HwConfig
    limits: DealLimits | None
    rules: Path | None
    assumed: Mapping[str, str]
    nominal_wh: float
    nominal_assumed: bool
    warnings: tuple[Diagnostic, ...]

    @property
    def most_wh(self) -> int:
        """The whole Wh of a full battery."""
        return math.floor(self.nominal_wh)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that ``load_inputs`` reads."""
    add_scenario_and_policy(parser, "scenario of the unit (default: the bundled one)")
    parser.add_argument("--hw-config", metavar="FILE", help="hardware of the unit: what 100 %% of its battery are")
    parser.add_argument("--rules", metavar="DIR", help="own rule files, instead of the bundled ones of the same name")
    parser.add_argument(
        "--assume", metavar="FACT=VALUE", action="append", default=[], help="a fact of the gates: --assume mode=stop"
    )


def add_scenario_and_policy(parser: argparse.ArgumentParser, scenario: str) -> None:
    """Declare the arguments without those of the hardware; *scenario* tells what that one is for."""
    parser.add_argument("--scenario", metavar="FILE", help=scenario)
    parser.add_argument("--policy", metavar="FILE", help="policy of the community: gates and sizes of deals")
    parser.add_argument("--strict", action="store_true", help="exit 1 when there are warnings")


def load_inputs(args: argparse.Namespace) -> Inputs:
    """Read the files that *args* name.

    Raises:
        InputError: one of them cannot be used; everything that is wrong with it.
    """
    rules = rules_argument(args.rules)
    scenario, policy, hw_config = (
        Path(name) if name else None for name in (args.scenario, args.policy, args.hw_config)
    )
    return read_inputs(scenario, policy, hw_config, rules, dict(_assumption(text) for text in args.assume))


def read_inputs(
    scenario_path: Path | None,
    policy_path: Path | None,
    hw_config_path: Path | None,
    rules: Path | None,
    assumed: Mapping[str, str] | None = None,
) -> Inputs:
    """Read the files of one unit; scenario and hardware are the bundled ones where none is named.

    Raises:
        InputError: one of them cannot be used; everything that is wrong with it.
    """
    scenario = load_scenario(scenario_path or data_dir("rules") / "scenario.json")
    policy = load_policy(policy_path) if policy_path else None
    hw_config = load_hw_config(hw_config_path or data_dir("rules") / "hwConfig.json")
    findings = Findings()
    analyse([Site(None, hw_config if hw_config_path else None, policy, scenario)], findings)
    warnings = [*findings.sorted(), *scenario.warnings, *(policy.warnings if policy else ()), *hw_config.warnings]
    return Inputs(
        scenario=declared_scenario(scenario.model, scenario.document),
        policy=policy.model if policy else None,
        hw_config=hw_config.model,
        limits=deal_limits(policy.model) if policy else None,
        rules=rules,
        assumed=assumed or {},
        nominal_wh=hw_config.model.battery_nominal_capacity_wh,
        nominal_assumed=hw_config_path is None,
        warnings=tuple(warnings),
    )


def _assumption(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        refuse("--assume", f"{text!r} is no FACT=VALUE", "--assume mode=stop")
    return name.strip(), value.strip()


@contextlib.contextmanager
def open_bounds(
    inputs: Inputs, evaluator: Evaluator, *, unit_id: str | None, asker: str | None, asked: Candidate | None = None
) -> Iterator[Bounds]:
    """Give what stands between proposals and deals: gates only where policy, rules or facts were named.

    Args:
        inputs: the files.
        evaluator: who evaluates the gates.
        unit_id: who decides.
        asker: who asks; one that is not named counts as a member.
        asked: the request that accepts answer, where there is a certain one.
    """
    asked_wh = asked.amount_wh if asked else None
    if inputs.policy is None and inputs.rules is None and not inputs.assumed:
        yield Bounds(inputs.nominal_wh, None, None, asked_wh)
        return
    constants: dict[str, Any] = {"hwConfig": inputs.hw_config.to_document()}
    requester = asker
    if inputs.policy is not None:
        constants["policy"] = inputs.policy.to_document()
        requester = asker or next((u for u in inputs.policy.member_unit_ids if u != unit_id), None)
    else:
        requester = asker or "a member"
        constants["policy"] = {"memberUnitIds": [requester]}
    message: dict[str, Any] = {"unitId": requester}
    if asked is not None:
        message |= {"amountWh": asked.amount_wh, "pointPerWh": asked.point_per_wh, "pairUnitId": asked.pair_unit_id}
    with Gates(inputs.rules, constants, unit_id, message, inputs.assumed, evaluator) as gates:
        yield Bounds(inputs.nominal_wh, gates, inputs.limits, asked_wh)


def tell_stranger(inputs: Inputs, unit_id: str | None) -> None:
    """Say so where the unit that decides is none of the policy's members: nobody would deal with it."""
    if inputs.policy is not None and unit_id is not None and unit_id not in inputs.policy.member_unit_ids:
        tell(f"{unit_id} is no member: the policy names {', '.join(inputs.policy.member_unit_ids)}")


def finish(warnings: Sequence[Diagnostic], *, strict: bool) -> int:
    """Show warnings beside the result and return the exit code."""
    for warning in warnings:
        tell(str(warning))
    return 1 if strict and warnings else 0


def tell(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(f"{text}\n")
