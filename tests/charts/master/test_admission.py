"""Which deals may be activated, and what the policy's numbers mean."""

from __future__ import annotations

import pytest

from apis_rules.charts.master import MasterSettings
from apis_rules.charts.master.settings import Branch
from apis_rules.ports.types import Deal, Direction
from tests.charts.master.house import POLICY, TIMES
from tests.charts.master.store import make_deal
from tests.charts.master.world import World, shipped_settings

NARROW = Branch("x", 1.5, frozenset({"E001", "E005"}), frozenset({"E003", "E006"}))
LINE = Branch("E002-E003", 2.0, frozenset({"E001", "E002"}), frozenset({"E003", "E004"}))


def refused(world: World, deal: Deal) -> str | None:
    """Whether the deal was removed before anything was switched; None where it was activated."""
    deal_id = deal.record.deal_id
    world.create(deal)
    commands = len(world.commands)
    world.run_until(lambda w: w.state_of(deal_id) in (None, "started"), 40)
    if world.state_of(deal_id) is not None:
        return None
    assert len(world.commands) == commands
    assert deal_id not in world.stream
    return "refused"


SIX = ("E001", "E002", "E003", "E004", "E005", "E006")


def with_first(**changes: object) -> World:
    """E001 → E003 is started, which leaves E003 holding the voltage."""
    world = World(" ".join(SIX), settings=shipped_settings(**{"members": SIX, **changes}))
    world.create(make_deal("d1", "E001", "E003"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    return world


@pytest.mark.parametrize(
    ("changes", "deal", "wanted"),
    [
        ({}, make_deal("d2", "E002", "E004"), None),
        ({}, make_deal("d2", "E003", "E004"), "refused"),  # E003 charges already
        ({}, make_deal("d2", "E002", "E001"), "refused"),  # E001 discharges already
        ({}, make_deal("d2", "E001", "E004", current_a=1.4), "refused"),  # 2.4 A at a unit of 2.3 A
        ({}, make_deal("d2", "E001", "E004", current_a=1.2), None),
        ({"sum_max_a": 2.0}, make_deal("d2", "E002", "E004"), None),
        ({"sum_max_a": 1.9}, make_deal("d2", "E002", "E004"), "refused"),
        ({"branches": (LINE,)}, make_deal("d2", "E002", "E004"), None),  # 2 A through a line of 2 A
        ({"branches": (LINE,)}, make_deal("d2", "E002", "E004", current_a=1.1), "refused"),
        # Opposite flows are not netted: the other deal may end first.
        ({"branches": (Branch("x", 1.5, LINE.forward, LINE.backward),)}, make_deal("d2", "E004", "E002"), None),
        ({"branches": (NARROW,)}, make_deal("d2", "E005", "E006"), "refused"),
        ({"members": ("E001", "E002", "E003", "E004")}, make_deal("d2", "E005", "E006"), "refused"),
    ],
)
def test_what_may_be_activated(changes: dict[str, object], deal: Deal, wanted: str | None) -> None:
    """Directions, each unit's current, the sum or each line in all four views, membership, before any switch."""
    assert refused(with_first(**changes), deal) == wanted


def test_the_reserve_of_the_holder() -> None:
    """With holderReserve a deal is activated only if the holder can carry what is left when any one party drops out."""
    for reserve, wanted in ((False, None), (True, "refused")):
        world = World(settings=shipped_settings(holder_reserve=reserve))
        world.create(make_deal("d1", "E001", "E002", current_a=2.0))
        world.run_until(lambda w: w.state_of("d1") == "started")
        # Should E004 drop out, E002 would charge 2 A from E001 and 1 A from E003.
        assert refused(world, make_deal("d2", "E003", "E004")) == wanted


def test_the_shipped_policy() -> None:
    """The numbers that the specification's formulas make of the shipped policy."""
    settings = MasterSettings.from_documents(POLICY, TIMES)
    assert settings.stop_voltage_v == 310
    assert settings.live_voltage_v == 320
    assert settings.optimum_range_v == (330, 360)
    assert settings.authorization_voltages_v == (330, 340, 360, 370)
    assert settings.reference_side is Direction.CHARGE
    assert settings.branches is None
    assert (settings.scram_delay_s, settings.drain_s, settings.hand_over_s) == (5, 5, 12)


def test_a_policys_own_times_go_before_the_wirings() -> None:
    """HandOverTimeLimitMsec and drainTimeLimitMsec, where they are given."""
    master = POLICY["gridMaster"] | {"handOverTimeLimitMsec": 8000, "drainTimeLimitMsec": 3000}
    settings = MasterSettings.from_documents(POLICY | {"gridMaster": master}, TIMES)
    assert (settings.hand_over_s, settings.drain_s) == (8.0, 3.0)


def test_lines_come_from_the_topology() -> None:
    """Enabled, it takes the place of the sum of all deals."""
    topology = {
        "enabled": True,
        "branchIds": ["a"],
        "branchAssociation": {"a": {"forwardUnitIds": ["E001"], "backwardUnitIds": ["E002", "E003"]}},
        "branchCurrentCapacityA": {"a": 5},
    }
    safety = POLICY["safety"] | {"gridTopologyBasedEvaluation": topology}
    settings = MasterSettings.from_documents(POLICY | {"safety": safety}, TIMES)
    assert settings.branches == (Branch("a", 5, frozenset({"E001"}), frozenset({"E002", "E003"})),)
