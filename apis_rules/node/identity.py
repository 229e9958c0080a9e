"""Who this node is and by what it goes: one frozen value, and the documents that may be exchanged while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from apis_rules.decide.rule_files import DeclaredRules, bundled_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from apis_rules.documents.config import Config
    from apis_rules.documents.hw_config import HwConfig
    from apis_rules.documents.policy import Policy
    from apis_rules.documents.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Identity:
    """One running node.

    Attributes:
        boot: identity of this run of the node; commands name it.
        clock_id: identity of the runtime clock; another one after the machine was started anew.
        zone: of the unit clock where the driver delivers no time; None: the machine's own.
    """

    unit_id: str
    community_id: str
    cluster_id: str
    display: str
    serial_number: str
    version: str
    boot: str
    clock_id: str
    zone: tzinfo | None = None


@dataclass(slots=True)
class Documents:
    """What the node goes by now. A reload puts new values here, all checked, never a part.

    Attributes:
        times: the wiring's times in effect, in seconds, ``holder_dead_man_s`` included.
    """

    config: Config
    hw_config: HwConfig
    policy: Policy
    scenario: Scenario
    times: Mapping[str, float]
    rules: DeclaredRules = field(default_factory=bundled_rules)

    def exchange(self, documents: Documents) -> None:
        """Go by other documents from now on, for everybody who holds this value."""
        for each in fields(self):
            setattr(self, each.name, getattr(documents, each.name))

    def values(self) -> dict[str, Any]:
        """Return what charts name their values by: ``policy.…``, ``hwConfig.…``, ``wiring.times.…``."""
        return {
            "policy": self.policy.to_document(),
            "hwConfig": self.hw_config.to_document(),
            "wiring": {"times": dict(self.times)},
        }
