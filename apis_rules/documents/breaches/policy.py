"""Rules between the keys of a policy.json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from apis_rules.documents.breaches.sight import Sight, at
from apis_rules.documents.document import Path, dotted
from apis_rules.documents.lines import TOPOLOGY, derive_sides, lines_of

if TYPE_CHECKING:
    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document


_TOPOLOGY: Final = TOPOLOGY


def check_policy(document: Document, findings: Findings) -> None:
    """Note what does not fit together."""
    sight = Sight(document, findings)
    members = {text for _, text in sight.texts(("memberUnitIds",))}
    _members(sight, members)
    _voltages(sight)
    _deals(sight)
    _branches(sight, members)
    sight.in_order(
        "gridMaster.deal.forceStopCondition.dischargeUnitLowerLimitRsoc",
        "gridMaster.deal.forceStopCondition.chargeUnitUpperLimitRsoc",
    )
    timeout = sight.number("mediator.negotiationTimeoutMsec", 2000)
    reservation = sight.number("mediator.reservationTimeMsec", 5000)
    if timeout is not None and reservation is not None and reservation <= timeout:
        sight.error(
            ("mediator", "reservationTimeMsec")
            if "reservationTimeMsec" in sight.mapping(("mediator",))
            else ("mediator", "negotiationTimeoutMsec"),
            "AR236",
            f"an offer is kept free for {reservation:g} ms, not longer than a negotiation lasts "
            f"({timeout:g} ms), so it may be gone when it is taken",
            "mediator.reservationTimeMsec must be above mediator.negotiationTimeoutMsec",
        )


def _members(sight: Sight, members: set[str]) -> None:
    for path in (
        ("memberUnitIds",),
        ("largeCapacityUnitIds",),
        ("gridMaster", "gridMasterSelection", "candidateUnitIds"),
    ):
        sight.no_repeats(path)
        for place, unit in sight.texts(path):
            if members and unit not in members:
                sight.error(
                    place, "AR219", f"{dotted(path)} names {unit}, which is no member", "add it to memberUnitIds"
                )
    selection = ("gridMaster", "gridMasterSelection")
    if sight.text("gridMaster.gridMasterSelection.strategy") != "fixed":
        return
    fixed = sight.text("gridMaster.gridMasterSelection.fixedUnitId")
    if not fixed:
        sight.error(
            (*selection, "strategy"), "AR220", "the strategy fixed needs gridMaster.gridMasterSelection.fixedUnitId"
        )
    elif members and fixed not in members:
        sight.error(
            (*selection, "fixedUnitId"),
            "AR220",
            f"the strategy is fixed, but {fixed} is no member",
            "name one of memberUnitIds",
        )


def _voltages(sight: Sight) -> None:
    sight.in_order("operationGridVoltageVRange.min", "operationGridVoltageVRange.max")
    low, high = (sight.number(f"operationGridVoltageVRange.{bound}") for bound in ("min", "max"))
    operation = sight.number("operationGridVoltageV")
    separation = sight.number("gridVoltageSeparationV")
    if low is None or high is None or low >= high:
        return
    if operation is not None and not low <= operation <= high:
        sight.error(
            ("operationGridVoltageV",),
            "AR225",
            f"operationGridVoltageV is {operation:g} V, outside operationGridVoltageVRange ({low:g} to {high:g} V)",
        )
    if separation is None:
        return
    trials = sight.number("controller.dcdc.voltageReference.authorization.numberOfTrials")
    # 7.3: the voltages that may be tried stand a separation apart, from min + 3 separations to max - 1.
    room = max(0, math.floor((high - low) / separation) - 3)
    if trials is not None and room < trials + 1:
        sight.error(
            ("gridVoltageSeparationV",),
            "AR225",
            f"between {low:g} and {high:g} V there is room for {room} voltages {separation:g} V apart, but "
            f"authorization tries {trials:g} beside the present one",
            "widen operationGridVoltageVRange, or lower gridVoltageSeparationV or numberOfTrials",
        )
    allowance = sight.number("gridVoltageAllowanceV")
    if allowance is not None and 2 * allowance >= separation:
        sight.error(
            ("gridVoltageAllowanceV",),
            "AR225",
            f"gridVoltageAllowanceV is {allowance:g} V: two voltages {separation:g} V apart could not be told from "
            "each other",
            "it must be below half of gridVoltageSeparationV",
        )


def _deals(sight: Sight) -> None:
    deal = "mediator.deal"
    sight.in_order(f"{deal}.amountMinWh", f"{deal}.amountMaxWh", equal=True)
    smallest, largest, unit = (sight.number(f"{deal}.{key}") for key in ("amountMinWh", "amountMaxWh", "amountUnitWh"))
    if smallest is None or largest is None or not unit or smallest > largest:
        return
    if largest // unit * unit < max(smallest, unit):
        sight.error(
            at(f"{deal}.amountUnitWh"),
            "AR224",
            f"no multiple of {unit:g} Wh lies between {smallest:g} and {largest:g} Wh, so no deal could be made",
            "lower amountUnitWh, or widen amountMinWh and amountMaxWh",
        )


def _branches(sight: Sight, members: set[str]) -> None:
    enabled = sight.flag("safety.gridTopologyBasedEvaluation.enabled", default=False)
    if not enabled and "sumOfDealGridCurrentMaxA" not in sight.mapping(("safety",)):
        sight.key_error(
            ("safety",),
            "AR201",
            "the key safety.sumOfDealGridCurrentMaxA is missing",
            "it may be left out only where safety.gridTopologyBasedEvaluation.enabled is true",
        )
    listed = (*_TOPOLOGY, "branchIds")
    sight.no_repeats(listed)
    names = {name for _, name in sight.texts(listed)}
    if enabled and not names:
        sight.error((*_TOPOLOGY, "enabled"), "AR221", "the topology is evaluated, but branchIds names no branch")
    # A line whose ends are wrong is told as that, and has its entry all the same.
    lines, drawn_lines = lines_of(sight.document.value), sight.mapping((*_TOPOLOGY, "branchLines"))
    for key, drawn in (("branchAssociation", drawn_lines), ("branchCurrentCapacityA", {})):
        known = {**drawn, **sight.mapping((*_TOPOLOGY, key))}
        for place, name in sight.texts(listed):
            if name not in known:
                sight.error(place, "AR221", f"the branch {name} has no entry in {key}", f"add it to {key}")
    described = {
        name: (*_TOPOLOGY, key, name)
        for key in ("branchCurrentCapacityA", "branchAssociation", "branchLines")
        for name in sight.mapping((*_TOPOLOGY, key))
    }
    for name, path in described.items():
        if name not in names:
            sight.key_error(
                path,
                "AR222",
                f"the branch {name} is described, but branchIds does not name it",
                "so it is never looked at; add it to branchIds",
            )
    for name in sight.mapping((*_TOPOLOGY, "branchAssociation")):
        _branch(sight, (*_TOPOLOGY, "branchAssociation", name), members)
    _lines(sight, lines, members)


def _lines(sight: Sight, lines: dict[str, tuple[str, str]], members: set[str]) -> None:
    """Note the first line that has no two sides, and hand-written sides that the lines do not make."""
    derived = derive_sides(lines, sorted(members))
    for name, ends in lines.items():
        if name not in derived:
            path = (*_TOPOLOGY, "branchLines", name)
            what = "joins a place with itself" if ends[0] == ends[1] else "is part of a loop"
            sight.error(path, "AR237", f"the line {name} {what}, so it has no two sides", "a grid is a tree of lines")
            return
    for name, sides in derived.items():
        absent = sorted(members - {*sides.forward, *sides.backward})
        if absent:
            path = (*_TOPOLOGY, "branchLines", name)
            sight.error(path, "AR237", f"no line leads from {name} to {absent[0]}", "add the line that does")
            return
        written = (*_TOPOLOGY, "branchAssociation", name)
        one, other = ({u for _, u in sight.texts((*written, f"{side}UnitIds"))} for side in ("forward", "backward"))
        drawn = {frozenset(sides.forward), frozenset(sides.backward)}
        if sight.mapping(written) and {frozenset(one), frozenset(other)} != drawn:
            hint = f"as drawn: {', '.join(sides.forward)} | {', '.join(sides.backward)}; or take the entry out"
            message = f"the sides of {name} are not those that the lines make"
            sight.key_error(written, "AR238", message, hint)


def _branch(sight: Sight, path: Path, members: set[str]) -> None:
    sides = [sight.texts((*path, side)) for side in ("forwardUnitIds", "backwardUnitIds")]
    for side in ("forwardUnitIds", "backwardUnitIds"):
        sight.no_repeats((*path, side))
    forward = {unit for _, unit in sides[0]}
    for place, unit in (*sides[0], *sides[1]):
        if members and unit not in members:
            sight.error(
                place, "AR219", f"the branch {path[-1]} names {unit}, which is no member", "add it to memberUnitIds"
            )
    for place, unit in sides[1]:
        if unit in forward:
            sight.error(place, "AR223", f"{unit} stands on both sides of the branch {path[-1]}", "keep one of them")
    absent = sorted(members - forward - {unit for _, unit in sides[1]})
    if absent and all(sides):
        sight.key_error(
            path,
            "AR223",
            f"{absent[0]} stands on neither side of the branch {path[-1]}",
            "a member that is not named is not counted on that line",
        )
