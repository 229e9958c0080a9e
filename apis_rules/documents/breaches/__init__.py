"""Rules between the keys of one document.

Each looks at the values as they stand, so that one wrong key hides no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.documents.breaches.config import check_config
from apis_rules.documents.breaches.hw_config import check_hw_config
from apis_rules.documents.breaches.policy import check_policy
from apis_rules.documents.breaches.scenario import check_scenario
from apis_rules.documents.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document

CHECKS: Final[Mapping[Kind, Callable[[Document, Findings], None]]] = {
    Kind.CONFIG: check_config,
    Kind.HW_CONFIG: check_hw_config,
    Kind.SCENARIO: check_scenario,
    Kind.POLICY: check_policy,
}
