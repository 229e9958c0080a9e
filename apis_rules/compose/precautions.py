"""What is said, and what is refused, before the nodes of a run start."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from apis_rules.documents.diagnostics import Findings
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apis_rules.documents.community import Site
    from apis_rules.documents.config import Config
    from apis_rules.documents.diagnostics import Diagnostic

_DRIVERS: Final = ("emulator", "dcdc_controller", "emu_driver")


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


def stays_local(config: Config) -> bool:
    """Whether a node keeps to its own machine: what is to protect it or to steer it does not take effect yet."""
    return config.security.enabled or (config.control_center is not None and config.control_center.enabled)


def check_local(sites: Sequence[Site], urls: Sequence[str]) -> None:
    """Refuse other machines to nodes that keep to their own.

    Raises:
        InputError: a driver or the shared state of such a node is elsewhere.
    """
    findings = Findings()
    for site in sites:
        if site.config is None or not stays_local(site.config.model):
            continue
        document, connection = site.config.document, site.config.model.connection
        key = "security" if site.config.model.security.enabled else "controlCenter"
        why = f"{key}.enabled is true but does not take effect yet: such a node uses its own machine only"
        hint = f"set {key}.enabled to false, or use 127.0.0.1"
        for driver in _DRIVERS:
            endpoint = getattr(connection, driver)
            if endpoint is not None and not _is_local(endpoint.host):
                place = document.location(("connection", driver, "host"))
                findings.error(place, "AR721", f"{driver} is at {endpoint.host}, but {why}", hint)
        for url in urls:
            host = urlsplit(url).hostname or ""
            if not _is_local(host):
                place = document.location((key, "enabled"))
                findings.error(place, "AR721", f"the shared state is at {host}, but {why}", hint)
    if findings.failed:
        raise InputError(findings.sorted())


def _is_local(host: str) -> bool:
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
