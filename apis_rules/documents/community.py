"""The files of one node together, and the nodes of one folder together: what does not fit between them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.reading import Loaded, load_config, load_hw_config, load_policy, load_scenario
from apis_rules.documents.source import refusal
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from apis_rules.documents.config import Config
    from apis_rules.documents.hw_config import HwConfig
    from apis_rules.documents.policy import Policy
    from apis_rules.documents.scenario import Offer, Scenario

_DRIVERS: Final = ("emulator", "dcdc_controller", "emu_driver")


@dataclass(frozen=True, slots=True)
class Site:
    """The files that belong together for one node, as far as they are there and may be used."""

    config: Loaded[Config] | None = None
    hw_config: Loaded[HwConfig] | None = None
    policy: Loaded[Policy] | None = None
    scenario: Loaded[Scenario] | None = None


def resolve(name: str, base: Path) -> Path:
    """Return the path that *name* means in the file at *base*: from its folder, else from the working directory.

    Where nothing lies at either, the first is returned.
    """
    path = Path(name).expanduser()
    beside = path if path.is_absolute() else base.parent / path
    return path if not beside.exists() and path.exists() else beside


def load_site(path: Path) -> Site:
    """Read the config at *path* and the three files that it names, as a node does at its start.

    Raises:
        InputError: with everything that is wrong with any of them, or between them.
    """
    config = load_config(path)
    findings = Findings()

    def load(reader: Callable[[Path], Loaded[Any]], key: str, name: str) -> Loaded[Any] | None:
        target = resolve(name, path)
        if not target.exists():
            place = config.document.location((key,))
            findings.extend(refusal(place, "AR102", f"there is no file {target}", f"{key} names it").diagnostics)
            return None
        try:
            return reader(target)
        except InputError as error:
            findings.extend(error.diagnostics)
            return None

    site = Site(
        config,
        load(load_hw_config, "hwConfigFile", config.model.hw_config_file),
        load(load_policy, "policyFile", config.model.policy_file),
        load(load_scenario, "scenarioFile", config.model.scenario_file),
    )
    check_site(site, findings)
    if findings.failed:
        raise InputError(findings.sorted())
    return site


def check_site(site: Site, findings: Findings) -> None:
    """Look for what does not fit between the files of one node."""
    if site.config and site.policy:
        _member(site.config, site.policy, findings)
    if site.hw_config and site.policy:
        _currents(site.hw_config, site.policy, findings)
    if site.scenario:
        for path, offer in offers_of(site.scenario.model):
            _partner(site, path, offer, findings)
            _limit(site, path, offer, findings)


def offers_of(scenario: Scenario) -> Iterable[tuple[tuple[str, ...], Offer]]:
    """Yield every request and accept of *scenario*, each with its path in the document."""
    for window, section in scenario.sections.items():
        for question, by_status in (("request", section.request), ("accept", section.accept)):
            for status, offers in by_status.items():
                for direction, offer in (("charge", offers.charge), ("discharge", offers.discharge)):
                    if offer is not None:
                        yield (window, question, status, direction), offer


def _member(config: Loaded[Config], policy: Loaded[Policy], findings: Findings) -> None:
    unit = config.model.unit_id
    if unit not in policy.model.member_unit_ids:
        findings.error(
            config.document.location(("unitId",)),
            "AR230",
            f"the unit {unit} is no member of its community",
            f"{policy.document.location(('memberUnitIds',))} names the members",
        )


def _currents(hw_config: Loaded[HwConfig], policy: Loaded[Policy], findings: Findings) -> None:
    capacity, deal = hw_config.model.grid_current_capacity_a, policy.model.mediator.deal.grid_current_a
    if deal > capacity:
        findings.warning(
            hw_config.document.location(("gridCurrentCapacityA",)),
            "AR226",
            f"the unit's capacity of {capacity:g} A is below the {deal:g} A of one deal, so it never takes part in one",
            f"{policy.document.location(('mediator', 'deal', 'gridCurrentA'))} sets the current of a deal",
        )


def _partner(site: Site, path: tuple[str, ...], offer: Offer, findings: Findings) -> None:
    if site.scenario is None or offer.pair_unit_id is None:
        return
    place = site.scenario.document.location((*path, "pairUnitId"))
    if site.config and offer.pair_unit_id == site.config.model.unit_id:
        findings.warning(place, "AR231", f"{offer.pair_unit_id} is the unit itself, so nobody will do", "name another")
    elif site.policy and offer.pair_unit_id not in site.policy.model.member_unit_ids:
        findings.warning(
            place, "AR231", f"{offer.pair_unit_id} is no member of the community, so nobody will do", "name a member"
        )


def _limit(site: Site, path: tuple[str, ...], offer: Offer, findings: Findings) -> None:
    if site.scenario is None or site.hw_config is None:
        return
    capacity_wh = site.hw_config.model.battery_nominal_capacity_wh
    if offer.limit_wh > capacity_wh:
        findings.warning(
            site.scenario.document.location((*path, "limitWh")),
            "AR232",
            f"limitWh is {offer.limit_wh}, above the {capacity_wh:g} Wh of the battery",
            f"{site.hw_config.document.location(('batteryNominalCapacityWh',))} says what it holds",
        )


def check_neighbours(configs: Sequence[Loaded[Config]], findings: Findings) -> None:
    """Look for nodes of one cluster that share what each needs for itself."""
    seen: dict[tuple[str, str, str, str], Loaded[Config]] = {}
    for loaded in configs:
        config = loaded.model
        cluster = (config.community_id, config.cluster_id)
        for key, value in (
            ("unitId", config.unit_id),
            ("stateFileFormat", config.state_file_format),
            ("dealLogDirFormat", config.deal_log_dir_format),
        ):
            first = seen.setdefault((*cluster, key, value), loaded)
            if first is loaded:
                continue
            place = loaded.document.location((key,))
            other = first.document.location((key,))
            if key == "unitId":
                findings.error(place, "AR233", f"the unit {value} stands in two configs", f"the other is {other}")
            elif first.model.unit_id != config.unit_id:
                findings.warning(
                    place, "AR233", f"two nodes share {key}", f"fine on two machines, not on one; the other is {other}"
                )


def stays_local(config: Config) -> bool:
    """Whether a node keeps to its own machine: what is to protect it or to steer it does not take effect yet."""
    return config.security.enabled or (config.control_center is not None and config.control_center.enabled)


def check_endpoints(loaded: Loaded[Config], urls: Sequence[str], findings: Findings) -> None:
    """Look for drivers and stores (*urls*) on other machines, where the node keeps to its own (AR721)."""
    if not stays_local(loaded.model):
        return
    key = "security" if loaded.model.security.enabled else "controlCenter"
    why = f"{key}.enabled is true but does not take effect yet: such a node uses its own machine only"
    hint = f"set {key}.enabled to false, or use 127.0.0.1"
    for driver in _DRIVERS:
        endpoint = getattr(loaded.model.connection, driver)
        if endpoint is not None and not _is_local(endpoint.host):
            place = loaded.document.location(("connection", driver, "host"))
            findings.error(place, "AR721", f"{driver} is at {endpoint.host}, but {why}", hint)
    for url in urls:
        host = urlsplit(url).hostname or ""
        if not _is_local(host):
            place = loaded.document.location((key, "enabled"))
            findings.error(place, "AR721", f"the shared state is at {host}, but {why}", hint)


def _is_local(host: str) -> bool:
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
