"""What a simulation begins with: the files of its nodes, its grid and what will go wrong."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.values import times_in_force
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.document import Document, Place
from apis_rules.documents.kinds import Kind
from apis_rules.documents.policy import Policy
from apis_rules.documents.reading import read_model
from apis_rules.documents.source import refusal
from apis_rules.documents.wiring import Times, load_wiring
from apis_rules.grid.fault_script import draw_faults, load_fault_script
from apis_rules.grid.settings import BatterySettings, community
from apis_rules.node.identity import Documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from apis_rules.documents.community import Site
    from apis_rules.grid.fault_script import CommunityFault
    from apis_rules.grid.faults import Fault
    from apis_rules.grid.houses import HouseSource
    from apis_rules.grid.settings import GridSettings
    from apis_rules.grid.topology import Topology

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A simulation that can begin.

    Attributes:
        until_s: seconds of the units' clock.
        acceleration: seconds of the units' clock per second of the nodes' time.
        sample_s: seconds of the units' clock from one row of ``units.csv`` to the next.
        ideal_sensors: whether meters show the truth.
    """

    settings: GridSettings
    documents: Mapping[str, Documents]
    times: Times
    faults: tuple[CommunityFault | Fault, ...]
    until_s: float
    acceleration: float
    seed: int
    sample_s: float
    ideal_sensors: bool = False

    @property
    def days(self) -> float:
        """How long, in days of the units' clock."""
        return self.until_s / DAY_S


def prepare(
    sites: Sequence[Site],
    *,
    units: int,
    until_s: float,
    acceleration: float,
    seed: int,
    faults: Path | None = None,
    topology: Topology | None = None,
    houses: HouseSource | None = None,
    rsoc_percent: Sequence[float] | None = None,
    start: datetime | None = None,
    ideal_sensors: bool = False,
    sample_s: float = 300.0,
) -> Setup:
    """Make a simulation of *units* houses, which go by the files of *sites* in turn.

    Where there are as many sites as units, they keep their ids; else units are called ``E001`` and so on, and are the
    members of the policy.

    Raises:
        InputError: the files do not fit, or the script of faults is wrong.
    """
    settings = community(
        units,
        seed=seed,
        rsoc_percent=rsoc_percent,
        topology=topology,
        ideal_sensors=ideal_sensors,
        houses=houses,
        start=start,
    )
    given = {site.config.model.unit_id: site for site in sites if site.config is not None}
    if len(given) == units:
        ids = list(given)
        named = [dataclasses.replace(u, unit_id=i) for u, i in zip(settings.units, ids, strict=True)]
        settings = dataclasses.replace(settings, units=tuple(named))
    ids = [u.unit_id for u in settings.units]
    times = load_wiring().times_of("embedded")
    documents = {
        unit_id: _documents(unit_id, sites[number % len(sites)], sites[0], ids, times)
        for number, unit_id in enumerate(ids)
    }
    batteries = [BatterySettings(capacity_wh=d.hw_config.battery_nominal_capacity_wh) for d in documents.values()]
    fitted = [dataclasses.replace(u, battery=b) for u, b in zip(settings.units, batteries, strict=True)]
    settings = dataclasses.replace(settings, units=tuple(fitted))
    drawn: tuple[CommunityFault | Fault, ...] = ()
    if faults is not None:
        script = load_fault_script(faults, ids, [line.name for line in settings.topology.lines])
        drawn = draw_faults(script, ids, until_s, random.Random(f"{seed} faults"))  # noqa: S311 - a model's chance
    return Setup(settings, documents, times, drawn, until_s, acceleration, seed, sample_s, ideal_sensors)


def _documents(unit_id: str, site: Site, first: Site, members: Sequence[str], times: Times) -> Documents:
    if site.config is None or site.hw_config is None or site.scenario is None or first.policy is None:
        raise ValueError("a node needs all four of its files")
    config = site.config.model.model_copy(update={"unit_id": unit_id})
    policy = _with_members(first.policy.model, members, first.policy.document.file)
    return Documents(config, site.hw_config.model, policy, site.scenario.model, times_in_force(policy, times))


def _with_members(policy: Policy, members: Sequence[str], file: str) -> Policy:
    if set(policy.member_unit_ids) == set(members):
        return policy
    written: dict[str, Any] = policy.to_document() | {"memberUnitIds": list(members)}
    if not set(policy.large_capacity_unit_ids) <= set(members):
        written["largeCapacityUnitIds"] = []
    findings, place = Findings(), Location(file)
    _, fitting = read_model(Policy, Kind.POLICY, Document(file, written, {(): Place(place)}), findings)
    if fitting is None or findings.failed:
        message = f"does not fit {len(members)} units: {findings.sorted()[0].message}"
        raise refusal(place, "AR752", message, "simulate as many units as the policy has members")
    return fitting
