"""Deals from outside: the existing system's form, and what is wrong with a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.documents.deal_order import load_deal_order
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

TESTERS: dict[str, Any] = {
    "createDateTime": "2026/11/23-16:24:54", "type": "discharge", "unitId": "E003", "requestUnitId": "E003",
    "acceptUnitId": "E004", "dischargeUnitId": "E003", "chargeUnitId": "E004", "dealGridCurrentA": 2.0,
    "dealAmountWh": 100.0, "pointPerWh": 10.0, "dischargeUnitEfficientGridVoltageV": 330.0,
    "chargeUnitEfficientGridVoltageV": 330.0, "testFeature": {"dcdc": {"failAfterActivate": True}},
}  # fmt: skip
"""As the existing system's tester posts it."""


def write(folder: Path, document: Any) -> Path:
    file = folder / "deal.json"
    file.write_text(json.dumps(document))
    return file


def test_the_existing_testers_deal_is_read(tmp_path: Path) -> None:
    """Amounts that are whole numbers with a point, prices, voltages and test flags are taken as they are."""
    order, warnings = load_deal_order(write(tmp_path, TESTERS))
    assert warnings == ()
    assert (order.requester, order.acceptor) == ("E003", "E004")
    assert (order.deal_amount_wh, order.deal_grid_current_a, order.point_per_wh) == (100, 2.0, 10.0)
    assert order.test_feature is not None
    assert order.test_feature.dcdc.fail_after_activate
    assert not order.test_feature.dcdc.fail_before_stop


def test_a_final_record_can_be_given_again(tmp_path: Path) -> None:
    """What a deal gets while it runs is left out, with a warning each; the rest counts."""
    again = TESTERS | {"dealId": "x", "cumulateAmountWh": 99.5, "activateDateTimeUtc": "2026-11-23T16:24:54.000Z"}
    order, warnings = load_deal_order(write(tmp_path, again))
    assert order.deal_amount_wh == 100
    assert [w.code for w in warnings] == ["AR246"] * 3


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"requestUnitId": "E004"}, "AR245", "requestUnitId is E004, but by type discharge it is E003"),
        ({"chargeUnitId": "E003"}, "AR245", "E003 cannot deal with itself"),
        ({"dealAmountWh": 50.5}, "AR202", "dealAmountWh is 50.5, but must be a whole number"),
        ({"dealGridCurrentA": 0}, "AR203", "dealGridCurrentA is 0, but must be above 0"),
        ({"type": "charging"}, "AR204", "type is 'charging'"),
        ({"chargeUnitID": "E004"}, "AR200", "chargeUnitID"),
        ({"testFeature": {"dcdc": {"failAfterLunch": True}}}, "AR200", "failAfterLunch"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, change: dict[str, Any], code: str, text: str) -> None:
    """Each mistake has its code, its sentence and its place in the file."""
    with pytest.raises(InputError) as error:
        load_deal_order(write(tmp_path, TESTERS | change))
    found = [d for d in error.value.diagnostics if d.code == code]
    assert any(text in str(d) for d in found), [str(d) for d in error.value.diagnostics]
    assert all(d.location.line for d in found)
