"""How verbs steer a running community: each is one conditional write, or one question to a unit."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from apis_rules.charts.modes import COMMUNITY_MODES, LOCAL_MODES
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.errors import Conflict, Outage, PortError, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.records import LOCK, MODE, STOP, ModeRecord, StopRequest
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import CommandName, CommandParams, Lock, OperationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.documents.deal_order import DealOrder

ASK_S: Final = 3.0
DIRECT_S: Final = 6.0
OPERATOR: Final = "operator"
"""Stands for the unit where an operator asks for the end of a deal."""

LOOK_S: Final = 0.2
LET_GO_S: Final = 10.0
"""How long the end of nodes waits until what was held by hand is in WAIT."""

TRIES: Final = 3

WORDS: Final = {
    "run": OperationMode.AUTONOMOUS,
    "soft-stop": OperationMode.HETERONOMOUS,
    "force-stop": OperationMode.STOP,
    "clear": None,
    **{str(mode): mode for mode in OperationMode},
}
"""What ``mode set`` takes: the modes, the specification's names for them, and ``clear`` for none."""


def parse_mode(word: str, unit_id: str | None) -> OperationMode | None:
    """Return the mode that *word* names for the community, or for one unit.

    Raises:
        InputError: there is none of that name, or a unit cannot have it.
    """
    where = Location("<argument MODE>")
    if word not in WORDS:
        raise refusal(where, "AR101", f"{word!r} is no operation mode", f"one of {', '.join(WORDS)}")
    mode = WORDS[word]
    if unit_id is None and mode is not None and mode not in COMMUNITY_MODES:
        raise refusal(where, "AR101", f"a community cannot have the mode {word}", "")
    if unit_id is not None and mode not in LOCAL_MODES:
        allowed = ", ".join(str(m) for m in LOCAL_MODES if m)
        raise refusal(where, "AR101", f"a unit cannot have the mode {word} of its own", f"{allowed}, or clear")
    return mode


async def set_mode(onlooker: Onlooker, mode: OperationMode | None, unit_id: str | None) -> None:
    """Set the mode of the community, or of one unit; None takes it away.

    Raises:
        PortError: it is not known to be set.
    """
    if unit_id is not None:
        body = messages.LocalMode(mode=mode).to_json()
        await onlooker.ports.bus.ask(unit_id, messages.SET_MODE, body, ASK_S)
        return
    value = None if mode is None else ModeRecord(mode=mode, reason="set by an operator").to_json()
    await onlooker.ports.ctl.write(Write(MODE, value))


ORDERS: Final = {
    "wait": CommandName.WAIT,
    "charge": CommandName.CHARGE,
    "discharge": CommandName.DISCHARGE,
    "reference": CommandName.VOLTAGE_REFERENCE,
}
"""What ``converter U`` takes."""


_EXAMPLES: Final = {
    "wait": "wait", "charge": "charge 1.5", "discharge": "discharge 1.5", "reference": "reference 350",
}  # fmt: skip


def parse_order(unit_id: str, word: str, value: float | None) -> messages.DirectOrder:
    """Return an operator's direct command: *value* is amperes for charge and discharge, volts for reference.

    Raises:
        InputError: its value is missing, or one is given where none belongs.
    """
    name = ORDERS[word]
    unit = {CommandName.WAIT: None, CommandName.VOLTAGE_REFERENCE: "volts"}.get(name, "amperes")
    if (value is None) != (unit is None):
        message = f"{word} takes no value" if unit is None else f"it is not said how many {unit}"
        raise refusal(Location("<argument VALUE>"), "AR101", message, f"'converter {unit_id} {_EXAMPLES[word]}'")
    if name is CommandName.VOLTAGE_REFERENCE:
        return messages.DirectOrder(unit_id=unit_id, name=name, params=CommandParams(grid_voltage_v=value))
    return messages.DirectOrder(unit_id=unit_id, name=name, params=CommandParams(grid_current_a=value))


async def order_directly(onlooker: Onlooker, order: messages.DirectOrder) -> bool:
    """Give one converter a command through the Grid Master; return whether it is done, False while it is under way.

    Raises:
        Refused: the mode is not manual, the command does not fit the grid, the unit has not carried it out.
        Unknown, Outage: there is no answer; whether it was done is not known.
    """
    master = onlooker.overview().master
    if master is None:
        raise Refused("there is no Grid Master, which commands the converters")
    answer = await onlooker.ports.bus.ask(master, messages.DIRECT, order.to_json(), DIRECT_S)
    return messages.read_message(messages.DirectAnswer, answer).done


async def create_deal(onlooker: Onlooker, order: DealOrder) -> str:
    """Let the deal be made that *order* describes; return its id.

    Raises:
        Refused: one of the two does not take part, and why.
        Unknown, Outage: there is no answer; ``deals`` shows whether it was made.
    """
    fields = order.model_dump(include=set(messages.OutsideDeal.model_fields) - {"test_feature"})
    if order.test_feature is not None:
        fields["test_feature"] = order.test_feature.model_dump(by_alias=True, exclude_defaults=True)
    wanted = messages.OutsideDeal.model_validate(fields)
    answer = await onlooker.ports.bus.ask(order.requester, messages.CREATE_DEAL, wanted.to_json(), DIRECT_S)
    return messages.read_message(messages.DealCreated, answer).deal_id


async def stop_deal(onlooker: Onlooker, deal_id: str, reason: str) -> None:
    """Ask the Grid Master to end a deal in order.

    Raises:
        PortError: it is not known to be asked for.
    """
    key = f"{STOP}{deal_id}.{OPERATOR}"
    try:
        await onlooker.ports.ctl.write(Write(key, StopRequest(reason=reason).to_json(), At(key, 0)))
    except Conflict:
        return  # it was asked for before


async def stop_units(
    onlooker: Onlooker, units: Sequence[str], within_s: float, run_ended: Callable[[], bool]
) -> tuple[str, ...]:
    """End nodes in order, the Grid Master last; return those that are still there after the time.

    *run_ended*: whether the run has ended that was meant; its server may have gone with it, and nobody answers then.
    """
    await let_go(onlooker, units)
    master = onlooker.overview().master
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    left: tuple[str, ...] = ()
    for some in ([u for u in units if u != master], [u for u in units if u == master]):
        await asyncio.gather(*(_terminate(onlooker, unit_id) for unit_id in some))
        left = await _answering(onlooker, some)
        while left and loop.time() < end_s and not run_ended():
            await asyncio.sleep(LOOK_S)
            left = await _answering(onlooker, left)
    return () if run_ended() else left


async def let_go(onlooker: Onlooker, units: Sequence[str]) -> None:
    """Before *units* end: bring to WAIT what they hold or draw by hand, who lives on a voltage before who holds it.

    A unit that nobody brings to WAIT stays as it is: its node does that for itself when it ends, later.
    """
    records = onlooker.records
    grid = records.grid()[0]
    if grid.state != "held_by_hand":
        return
    holder = grid.holder if grid.holder in units else None
    ending = [holder] if holder else [u for u in units if u in records.active()[0].units]
    for unit_id in ending:
        with contextlib.suppress(PortError):
            await order_directly(onlooker, messages.DirectOrder(unit_id=unit_id, name=CommandName.WAIT))
    loop = asyncio.get_running_loop()
    end_s = loop.time() + LET_GO_S
    left = set(units if holder else ending)
    while loop.time() < end_s and left & records.active()[0].units.keys():  # noqa: ASYNC110 - as the other looks
        await asyncio.sleep(LOOK_S)


async def _terminate(onlooker: Onlooker, unit_id: str) -> None:
    try:
        await onlooker.ports.bus.ask(unit_id, messages.TERMINATE, b"", ASK_S)
    except (Refused, Unknown, Outage):
        return  # whether it is still there is looked at next


async def _answering(onlooker: Onlooker, units: Sequence[str]) -> tuple[str, ...]:
    async def answers(unit_id: str) -> bool:
        try:
            await onlooker.ports.bus.ask(unit_id, messages.DATA, messages.DataWanted().to_json(), ASK_S)
        except Refused as error:
            return "does not answer" not in str(error)
        except (Unknown, Outage):
            return True  # it may have ended while it was asked
        return True

    found = await asyncio.gather(*(answers(unit_id) for unit_id in units))
    return tuple(u for u, there in zip(units, found, strict=True) if there)


async def exclude(onlooker: Onlooker, unit_id: str, reason: str | None) -> None:
    """Declare a unit's converter cut off from the bus, or with *reason* None take that back.

    Raises:
        Conflict: the unit's deals changed again and again meanwhile.
    """
    for _ in range(TRIES):
        entry = await onlooker.ports.ctl.get(LOCK + unit_id)
        lock = Lock() if entry.value is None else Lock.from_json(entry.value)
        active = onlooker.records.active()[0].units.get(unit_id)
        changed = lock.model_copy(
            update={
                "exclusion": reason,
                "excluded_current_a": None if reason is None else (active.current_a if active else 0.0),
            }
        )
        try:
            await onlooker.ports.ctl.write(Write(LOCK + unit_id, changed.to_json(), entry.at))
        except Conflict:
            continue
        return
    raise Conflict(f"the deals of {unit_id} keep changing; try again")
