"""The gates before the choice among accepts (``rules/choose.yaml``), asked by a running node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from apis_rules.ports.types import Accept, Direction, Request
from apis_rules.ports.virtual_time import run_virtual
from tests.node.test_motion import PERIOD_S, motion

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.node.services import Services
    from tests.node.test_motion import Motion

REQUEST: Final = Request(
    negotiation_id="n1",
    unit_id="E001",
    type=Direction.CHARGE,
    amount_wh=100,
    deal_grid_current_a=1.0,
    date_time="2026/11/25-10:30:00",
    point_per_wh=10.0,
)
NEVER_E003: Final = """\
question: choose
facts:
  acceptor: {path: $.accept.unitId, kind: text, default: "?"}
rules:
  - id: never-e003
    for_each: accept
    when: acceptor == 'E003'
    outcome: {decline: partner}
    message: "{acceptor} is not trusted"
"""


def accept(unit_id: str, amount_wh: int) -> Accept:
    return Accept(
        negotiation_id="n1",
        unit_id=unit_id,
        type=Direction.DISCHARGE,
        amount_wh=amount_wh,
        deal_grid_current_a=1.0,
        grid_current_capacity_a=2.3,
        date_time=REQUEST.date_time,
        reserved_s=5.0,
        point_per_wh=10.0,
    )


ACCEPTS: Final = [accept("E002", 50), accept("E003", 100)]


def services(m: Motion) -> Services:
    node = m.w.houses["E001"].node
    assert node is not None
    assert node.services is not None
    return node.services


def chosen(m: Motion, *accepts: Accept) -> str:
    """Return who is taken, or why nobody is."""
    choice = services(m).user.choose(REQUEST, accepts or ACCEPTS)
    return choice.accept.unit_id if choice.accept else choice.why_none


async def check_own_gate(folder: Path) -> None:
    async with motion(folder, 3) as m:
        assert chosen(m) == "E003"
        file = m.file("E001", "rules/choose.yaml")
        file.write_text(NEVER_E003)
        await m.w.until(lambda: chosen(m) == "E002", PERIOD_S, "in force")
        assert chosen(m, accept("E003", 100)) == "no accept may be taken (E003 is not trusted)"


def test_an_own_gate_refuses_single_accepts(tmp_path: Path) -> None:
    """An own choose.yaml is in force within its period; who it refuses is not taken, though it offers more."""
    run_virtual(check_own_gate(tmp_path))


async def places(folder: Path, others: int) -> str:
    async with motion(folder, 3) as m:
        mediator = services(m).mediator
        mediator.reserve("n1", Direction.CHARGE, 5.0)
        for number in range(others):
            mediator.reserve(f"other{number}", Direction.CHARGE, 5.0)
        return chosen(m)


@pytest.mark.parametrize(
    ("others", "expected"),
    [(0, "E003"), (1, "no accept may be taken (1 of 1 deals are taken, 0 places kept free)")],
)
def test_the_own_place_of_a_request_does_not_close_its_gate(tmp_path: Path, others: int, expected: str) -> None:
    """The place kept free for the request itself is what the accept gets; places of others leave no room."""
    assert run_virtual(places(tmp_path, others)) == expected


async def by_mode(folder: Path) -> str:
    async with motion(folder, 3) as m:
        await m.w.operator_sets("heteronomous")
        await m.w.until(lambda: m.w.houses["E001"].node.state == "heteronomous", 10, "heteronomous")
        return chosen(m)


def test_a_mode_that_came_meanwhile_closes_the_choice(tmp_path: Path) -> None:
    """Accepts that arrive after the community has left autonomous make no deal."""
    assert run_virtual(by_mode(tmp_path)) == "no accept may be taken (the node is not ready for deals)"
