"""What the verbs that decide about states read: scenario, policy, hardware; and the battery where none is named."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.decide.declared import deal_limits, declared_scenario
from apis_rules.documents.reading import load_hw_config, load_policy, load_scenario
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from apis_rules.decide.amounts import DealLimits
    from apis_rules.decide.scenario import Scenario
    from apis_rules.documents.diagnostics import Diagnostic
    from apis_rules.documents.policy import Policy


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one unit, read.

    Attributes:
        limits: of the policy; None without one.
        nominal_wh: what 100 % of the battery are.
        nominal_assumed: whether that is the bundled value, which has to be said where it matters.
        warnings: what is doubtful about the files.
    """

    scenario: Scenario
    policy: Policy | None
    limits: DealLimits | None
    nominal_wh: float
    nominal_assumed: bool
    warnings: tuple[Diagnostic, ...]

    @property
    def most_wh(self) -> int:
        """The whole Wh of a full battery."""
        return math.floor(self.nominal_wh)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that ``load_inputs`` reads."""
    add_scenario_and_policy(parser)
    parser.add_argument("--hw-config", metavar="FILE", help="hardware of the unit: what 100 %% of its battery are")


def add_scenario_and_policy(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments without those of the hardware."""
    parser.add_argument("--scenario", metavar="FILE", help="scenario of the unit (default: the bundled one)")
    parser.add_argument("--policy", metavar="FILE", help="policy of the community: gates and sizes of deals")
    parser.add_argument("--strict", action="store_true", help="exit 1 when there are warnings")


def load_inputs(args: argparse.Namespace) -> Inputs:
    """Read the files that *args* name.

    Raises:
        InputError: one of them cannot be used; everything that is wrong with it.
    """
    scenario = load_scenario(Path(args.scenario) if args.scenario else data_dir("rules") / "scenario.json")
    policy = load_policy(Path(args.policy)) if args.policy else None
    hw_config = load_hw_config(Path(args.hw_config) if args.hw_config else data_dir("rules") / "hwConfig.json")
    warnings = [*scenario.warnings, *(policy.warnings if policy else ()), *hw_config.warnings]
    return Inputs(
        scenario=declared_scenario(scenario.model, scenario.document),
        policy=policy.model if policy else None,
        limits=deal_limits(policy.model) if policy else None,
        nominal_wh=hw_config.model.battery_nominal_capacity_wh,
        nominal_assumed=not args.hw_config,
        warnings=tuple(warnings),
    )


def finish(warnings: Sequence[Diagnostic], *, strict: bool) -> int:
    """Show warnings beside the result and return the exit code."""
    for warning in warnings:
        tell(str(warning))
    return 1 if strict and warnings else 0


def tell(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(f"{text}\n")
