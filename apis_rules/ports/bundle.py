"""Everything a node gets from outside, in one value: the composition makes it, the node uses nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apis_rules.ports.bus import Bus
    from apis_rules.ports.clock import Clock, Link
    from apis_rules.ports.commands import Commands
    from apis_rules.ports.decisions import DecisionLog
    from apis_rules.ports.device import Device
    from apis_rules.ports.lease import Lease
    from apis_rules.ports.state import SharedState
    from apis_rules.ports.streams import Streams


@dataclass(frozen=True, slots=True)
class CommunityPorts:
    """What the nodes of one community share. ``ctl``, ``unit`` and ``policy`` are the three buckets."""

    ctl: SharedState
    unit: SharedState
    policy: SharedState
    lease: Lease
    commands: Commands
    bus: Bus
    streams: Streams
    decisions: DecisionLog
    link: Link
    clock: Clock


@dataclass(frozen=True, slots=True)
class NodePorts:
    """One node: its community and its own converter."""

    community: CommunityPorts
    device: Device
