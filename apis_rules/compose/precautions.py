"""What is said, and what is refused, before the nodes of a run start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.documents.community import check_endpoints
from apis_rules.documents.diagnostics import Findings
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apis_rules.documents.community import Site
    from apis_rules.documents.diagnostics import Diagnostic


def doubts(sites: Sequence[Site], more: Iterable[Diagnostic] = ()) -> list[str]:
    """Return what is doubtful about the files of a run: each sentence once, with the other files that it is true of."""
    told: dict[tuple[str, str], list[Diagnostic]] = {}
    documents = (loaded for s in sites for loaded in (s.config, s.hw_config, s.policy, s.scenario) if loaded)
    for diagnostic in (*(d for loaded in documents for d in loaded.warnings), *more):
        told.setdefault((diagnostic.code, diagnostic.message), []).append(diagnostic)
    sentences = []
    for found in told.values():
        others = {Path(d.location.file).name for d in found[1:]} - {Path(found[0].location.file).name}
        also = f"\n    so it is in {', '.join(sorted(others))}" if others else ""
        sentences.append(f"{found[0]}{also}")
    return sentences


def check_local(sites: Sequence[Site], urls: Sequence[str]) -> None:
    """Refuse other machines to nodes that keep to their own.

    Raises:
        InputError: a driver or the shared state of such a node is elsewhere.
    """
    findings = Findings()
    for site in sites:
        if site.config is not None:
            check_endpoints(site.config, urls, findings)
    if findings.failed:
        raise InputError(findings.sorted())
