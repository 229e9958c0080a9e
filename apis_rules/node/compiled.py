"""Everything that a node makes of its documents: built as a whole, beside what is in force, and exchanged at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts import bundled_chart, bundled_machine, chart_values
from apis_rules.charts.master import MasterSettings
from apis_rules.charts.master.planner import Planner
from apis_rules.charts.unit import UnitBrain, UnitSettings
from apis_rules.charts.unit.limits import compile_limits
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import compile_scenario
from apis_rules.decide.rule_files import HARD_LIMITS
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.errors import InputError
from apis_rules.node.questions import rule_sources

if TYPE_CHECKING:
    from apis_rules.charts import Machine
    from apis_rules.charts.grid_master import Mastership
    from apis_rules.charts.node import NodeLife
    from apis_rules.decide.decision import CompiledRules
    from apis_rules.decide.intent import CompiledScenario
    from apis_rules.decide.reload import RulesInForce, TriedOut
    from apis_rules.node.identity import Documents

SCENARIO: Final = "the scenario"

_ONE_AT_A_TIME: Final = threading.Lock()
"""The nodes of one process try the same rules: the first one tries them, the others find that they have passed."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What goes by a node's documents, ready to take over."""

    documents: Documents
    tried: TriedOut
    scenario: CompiledScenario
    brain: UnitBrain
    planner: Planner
    mastership: Machine[Mastership]
    life: Machine[NodeLife]


def compile_documents(documents: Documents, rules: RulesInForce) -> Compiled:
    """Build everything that goes by *documents*, and try in child processes what the engine gets. Blocks for seconds.

    Raises:
        InputError: they cannot be put in force.
    """
    scenario = compile_scenario(declared_scenario(documents.scenario))
    findings = Findings()
    with _ONE_AT_A_TIME:
        tried = rules.try_out(rule_sources(documents))
        problem = scenario.ruleset.trial()
    findings.extend(tried.findings)
    if problem is not None:
        findings.error(Location(SCENARIO), "AR266", problem, "the scenario before stays in force")
    if findings.failed:
        raise InputError(findings.sorted())
    limits = tried.compiled.get(HARD_LIMITS) or rules.compiled(HARD_LIMITS)
    return Compiled(
        documents,
        tried,
        scenario,
        compile_brain(documents, limits),
        compile_planner(documents),
        compile_mastership(documents),
        compile_life(documents),
    )


def compile_brain(documents: Documents, limits: CompiledRules) -> UnitBrain:
    """Return the brain of the unit; *limits* are asked before every write to the converter."""
    policy, hw_config = documents.policy.to_document(), documents.hw_config.to_document()
    settings = UnitSettings.from_documents(policy, hw_config, documents.times)
    return UnitBrain(settings, compile_limits(limits))


def compile_planner(documents: Documents) -> Planner:
    """Return the planner of the Grid Master."""
    return Planner(MasterSettings.from_documents(documents.policy.to_document(), documents.times))


def compile_mastership(documents: Documents) -> Machine[Mastership]:
    """Return the chart of the mastership."""
    return _machine("grid_master", documents)


def compile_life(documents: Documents) -> Machine[NodeLife]:
    """Return the chart of the node's life."""
    return _machine("node", documents)


def _machine(chart: str, documents: Documents) -> Machine[Any]:
    return bundled_machine(chart, chart_values(bundled_chart(chart), documents.values()))
