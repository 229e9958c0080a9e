"""Deals from outside in virtual time: made and stopped by operators, refused with a reason (specification 4.5)."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.compose.steer import create_deal, set_mode, stop_deal
from apis_rules.compose.verbs import deals
from apis_rules.documents.deal_order import DealOrder
from apis_rules.errors import Refused
from apis_rules.ports.types import OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, operator, world

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.verbs.deals import Work

H, S, M = OperationMode.HETERONOMOUS, OperationMode.STOP, OperationMode.MANUAL


def three_at_rest() -> AbstractAsyncContextManager[World]:
    """Units whose scenario wants nothing: whatever is agreed comes from outside."""
    return world(3, acceleration=20.0, seed=2, policy=SMALL_DEALS, rsoc=[60.0, 60.0, 60.0])


def order(**changes: Any) -> DealOrder:
    deal = {"chargeUnitId": "E002", "dischargeUnitId": "E001", "dealGridCurrentA": 2.0, "dealAmountWh": 30}
    return DealOrder.model_validate(deal | changes)


async def why_not(op: Onlooker, **changes: Any) -> str:
    with pytest.raises(Refused) as error:
        await create_deal(op, order(**changes))
    return str(error.value)


async def made_and_stopped() -> None:
    async with three_at_rest() as w, operator(w) as op:
        await w.until(lambda: w.master, 20, "a master")
        await set_mode(op, H, None)
        await w.until(lambda: {h.node.state for h in w.houses.values() if h.node} == {"heteronomous"}, 5, "the mode")
        first = await create_deal(op, order(pointPerWh=7.0, chargeUnitEfficientGridVoltageV=333.0))
        record = w.records.deals()[first][0].record
        assert (record.request_unit_id, record.deal_amount_wh, record.point_per_wh) == ("E002", 30, 7.0)
        assert record.charge_unit_efficient_grid_voltage_v == 333.0
        assert "E001: 1 of 1 deals are taken" in await why_not(op, chargeUnitId="E003")
        await w.until(lambda: not w.records.deals(), 60, "it runs to its end")
        second = await create_deal(op, order(type="discharge", dischargeUnitId="E003", chargeUnitId="E001"))
        await w.until(lambda: w.deals_in("started"), 30, "it runs")
        await stop_deal(op, second, "the cable is moved")
        await stop_deal(op, second, "asked twice")
        await w.at_rest(20)
        done, stopped = w.final_records
        assert (done.deal_id, done.abort_reason) == (first, None)
        assert done.cumulate_amount_wh == pytest.approx(30, rel=0.05)
        assert (stopped.deal_id, stopped.request_unit_id) == (second, "E003")
        assert stopped.abort_reason == "operator: the cable is moved"
        w.check_grid()


def test_operators_make_and_stop_deals() -> None:
    """Also in the mode heteronomous, with both units' gates; each leaves its record, with the operator's reason."""
    run_virtual(made_and_stopped())


@pytest.mark.parametrize(
    ("mode", "text"),
    [(S, "E002: the operation mode is stop"), (M, "E002: the operation mode is manual")],
)
def test_no_deal_from_outside_in_other_modes(mode: OperationMode, text: str) -> None:
    """It is refused, and told why; nothing is written."""

    async def main() -> None:
        async with three_at_rest() as w, operator(w) as op:
            await w.until(lambda: w.master, 20, "a master")
            await set_mode(op, mode, None)
            assert await why_not(op) == text
            assert "E009" in await why_not(op, dischargeUnitId="E009")
            assert not w.records.deals()
            assert not [e for lock, _ in w.records.locks().values() for e in lock.entries]

    run_virtual(main())


def test_nothing_fails_on_purpose_outside_of_tests() -> None:
    """A deal that asks to fail is an ordinary deal to a real Grid Master; the wish stands in its record."""

    async def main() -> None:
        async with three_at_rest() as w, operator(w) as op:
            await w.until(lambda: w.master, 20, "a master")
            await create_deal(op, order(testFeature={"dcdc": {"failAfterActivate": True}}))
            await w.until(lambda: w.final_records, 60, "it ends")
            (record,) = w.final_records
            assert record.abort_reason is None
            assert record.test_feature == {"dcdc": {"failAfterActivate": True}}

    run_virtual(main())


def test_the_verb_makes_and_stops_a_deal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``deals create`` prints the id, ``deals stop`` takes the beginning of one; doubts about the file go to stderr."""
    file = tmp_path / "deal.json"
    file.write_text(json.dumps(order(dealAmountWh=50).to_document() | {"dealId": "old"}))

    async def main() -> None:
        async with three_at_rest() as w, operator(w) as op:
            await w.until(lambda: w.master, 20, "a master")
            assert await deals_verb("create", str(file))(op) == 0
            said = capsys.readouterr()
            (deal_id,) = w.records.deals()
            assert said.out.strip() == deal_id
            assert "AR246" in said.err
            await w.until(op.records.deals, 5, "the view shows it")
            assert await deals_verb("stop", deal_id[:8])(op) == 0
            await w.until(lambda: not w.records.deals(), 30, "it has ended")

    run_virtual(main())


def deals_verb(action: str, what: str) -> Work:
    parser = argparse.ArgumentParser()
    deals.configure(parser)
    return deals._work(parser.parse_args([action, what]))
