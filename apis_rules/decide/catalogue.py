"""Facts that are no value at a place but counted, summed or looked up: the closed list of them.

A rule file takes one with ``{derived: NAME}``. Each is a function of the document that the rules are asked about, in
which ``unit``, ``deal``, ``branch`` or ``accept`` is the element at hand where a rule runs ``for_each``. A derived fact
is missing where what it needs is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from apis_rules.decide.tree import FactKind
from apis_rules.ports.types.unit_data import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from apis_rules.decide.facts import Value

Facts: TypeAlias = "Mapping[str, Any]"
"""The document that rules are asked about: plain JSON values under the names of ``ROOTS``."""

STARTED: Final = "started"
"""The state of ``statecharts/deal.yaml`` in which energy is shared as agreed."""
SIDES: Final = (("charge", "chargeUnitId"), ("discharge", "dischargeUnitId"))
"""A side of a deal under ``detail``, and the key of its unit in the record."""

LIMITED_METERS: Final = ("tmp", "vg", "vb", "ig", "ib")
"""The measurements of a converter that have a safe range (hwConfig ``safety.range``)."""


@dataclass(frozen=True, slots=True)
class DerivedFact:
    """One entry of the catalogue.

    Attributes:
        example: a value, for the list of facts.
        reads: the names at the top of the document that it is made from, ``policy`` aside.
        words: the only texts that it can be; empty where it can be any.
    """

    name: str
    kind: FactKind
    about: str
    example: Value
    compute: Callable[[Facts], Value | None]
    reads: frozenset[str]
    words: tuple[str, ...] = ()


def _at(document: Any, *steps: str) -> Any:
    for step in steps:
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _list(document: Any, *steps: str) -> list[Any]:
    found = _at(document, *steps)
    return found if isinstance(found, list) else []


def _converter_mode(facts: Facts) -> str | None:
    code = _at(facts, "unit", "dcdc", "status", "status")
    try:
        return _MODES.get(int(code, 16), "unknown") if isinstance(code, str) else None
    except ValueError:
        return "unknown"


_MODES: Final = {int(mode.code, 16): mode.name.lower().replace("_", "-") for mode in ConverterMode}


def _unit_id(facts: Facts) -> Any:
    return _at(facts, "unit", "oesunit", "id")


def _deals_of(facts: Facts, unit_id: Any) -> Iterator[Any]:
    for deal in _list(facts, "deals"):
        if unit_id is not None and unit_id in (
            _at(deal, "record", "chargeUnitId"),
            _at(deal, "record", "dischargeUnitId"),
        ):
            yield deal


def _own_deals(facts: Facts) -> float:
    return float(sum(1 for _ in _deals_of(facts, _unit_id(facts))))


def _own_side(deal: Any, unit_id: Any) -> str | None:
    return next((side for side, key in SIDES if unit_id is not None and _at(deal, "record", key) == unit_id), None)


def _is(deal: Any, side: str | None, what: str) -> bool:
    return side is not None and _at(deal, "detail", side, what) is True


def _own_switched_deals(facts: Facts) -> float:
    unit_id = _unit_id(facts)
    return float(sum(_is(d, _own_side(d, unit_id), "on") for d in _deals_of(facts, unit_id)))


def _own_switched_deals_to(side: str) -> Callable[[Facts], float]:
    def count(facts: Facts) -> float:
        unit_id = _unit_id(facts)
        return float(sum(_own_side(d, unit_id) == side and _is(d, side, "on") for d in _deals_of(facts, unit_id)))

    return count


def _own_deals_to(side: str) -> Callable[[Facts], float]:
    def count(facts: Facts) -> float:
        unit_id = _unit_id(facts)
        return float(sum(_at(d, "record", side) == unit_id for d in _deals_of(facts, unit_id)))

    return count


def _own_direction(facts: Facts) -> str | None:
    return _own_side(facts.get("deal"), _unit_id(facts))


def _own_side_is(what: str) -> Callable[[Facts], bool]:
    return lambda facts: _is(facts.get("deal"), _own_direction(facts), what)


def _holds_by_record(facts: Facts) -> bool:
    unit_id = _unit_id(facts)
    return unit_id is not None and unit_id in (_at(facts, "grid", "holder"), _at(facts, "grid", "nextHolder"))


def _missing_meters(facts: Facts) -> str | None:
    meter = _at(facts, "unit", "dcdc", "meter")
    return _listed(key for key in LIMITED_METERS if not _is_number(_at(meter, key)))


def _listed(names: Iterable[str]) -> str | None:
    return ", ".join(names) or None


def _missing_set_points(facts: Facts) -> str | None:
    voltage, current = _at(facts, "unit", "dcdc", "vdis", "dvg"), _at(facts, "unit", "dcdc", "param", "dig")
    return _listed(name for name, value in (("dvg", voltage), ("dig", current)) if not _is_number(value))


def _deal_started(facts: Facts) -> bool | None:
    state = _at(facts, "deal", "state")
    return None if state is None else state == STARTED


def _dealing_units(facts: Facts) -> set[Any]:
    shared: set[Any] | None = facts.get(_DEALING)
    if shared is not None:
        return shared
    switched = {_at(d, "record", key) for d in _list(facts, "deals") for side, key in SIDES if _is(d, side, "on")}
    # The holder of the voltage balances them all, also where its own deals are over.
    holder = _at(facts, "grid", "holder")
    return switched | ({holder} if holder is not None and switched else set())


def with_shared(document: Facts) -> dict[str, Any]:
    """Return *document* with what entries look up again and again in it, so that it is found once for all elements."""
    if "units" not in document:
        return {**document}
    return {**document, _CURRENTS: _currents(document), _DEALING: _dealing_units(document)}


def _currents(facts: Facts) -> dict[Any, Any]:
    shared: dict[Any, Any] | None = facts.get(_CURRENTS)
    if shared is not None:
        return shared
    units = _list(facts, "units")
    return {_at(u, "oesunit", "id"): _at(u, "dcdc", "meter", "ig") for u in units}


_CURRENTS: Final = " currents"
_DEALING: Final = " dealing"
"""Keys that no path of a rule file begins with."""


def _dealing_current_a(facts: Facts) -> float | None:
    currents = _currents(facts)
    values = [currents.get(unit) for unit in _dealing_units(facts)]
    known = [v for v in values if _is_number(v)]
    return float(sum(known)) if len(known) == len(values) else None


def _seen(facts: Facts) -> set[Any]:
    return {_at(unit, "oesunit", "id") for unit in _list(facts, "units")} - {None}


def _missing_members(facts: Facts) -> str | None:
    seen = _seen(facts)
    return _listed(unit for unit in _list(facts, "policy", "memberUnitIds") if unit not in seen)


def _missing_dealing_units(facts: Facts) -> str | None:
    return _listed(sorted(map(str, _dealing_units(facts) - _seen(facts))))


def _dealing_units_without_current(facts: Facts) -> str | None:
    currents = _currents(facts)
    units = _dealing_units(facts) & _seen(facts)
    return _listed(sorted(str(unit) for unit in units if not _is_number(currents.get(unit))))


def _shared_current_a(facts: Facts) -> float:
    currents = _currents(facts)
    known = [a for unit in _dealing_units(facts) if _is_number(a := currents.get(unit))]
    return float(max(sum(a for a in known if a > 0), -sum(a for a in known if a < 0), 0.0))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _branch_current_a(view: str) -> Callable[[Facts], float | None]:
    def total(facts: Facts) -> float | None:
        currents = _currents(facts)
        values = [currents.get(unit) for unit in _list(facts, "branch", view)]
        return float(sum([v for v in values if _is_number(v)]))

    return total


def _branch_dealing_units(view: str) -> Callable[[Facts], float]:
    return lambda facts: float(sum(unit in _dealing_units(facts) for unit in _list(facts, "branch", view)))


def _branch_unknown(facts: Facts) -> float:
    currents = _currents(facts)
    members = {*_list(facts, "branch", "forwardUnitIds"), *_list(facts, "branch", "backwardUnitIds")}
    return float(sum(not _is_number(currents.get(unit)) for unit in members))


def _is_member(root: str) -> Callable[[Facts], bool | None]:
    def known(facts: Facts) -> bool | None:
        unit_id = _at(facts, root, "unitId")
        return None if unit_id is None else unit_id in _list(facts, "policy", "memberUnitIds")

    return known


def _entries() -> Iterator[DerivedFact]:
    yield from _unit_entries()
    yield from _deal_entries()
    yield from _community_entries()
    yield from _branch_entries()


def _of(*roots: str) -> frozenset[str]:
    return frozenset(roots)


def _unit_entries() -> Iterator[DerivedFact]:
    number, text, flag = FactKind.NUMBER, FactKind.TEXT, FactKind.FLAG
    unit, deals = _of("unit"), _of("unit", "deals")
    modes = "mode of the unit's converter by its status code: wait, charge, discharge, voltage-reference, or unknown"
    yield DerivedFact("converter_mode", text, modes, "wait", _converter_mode, unit, (*_MODES.values(), "unknown"))
    yield DerivedFact("own_deals", number, "deals in which the unit takes part", 1.0, _own_deals, deals)
    switched = "deals of the unit for which its converter is switched on"
    yield DerivedFact("own_switched_deals", number, switched, 1.0, _own_switched_deals, deals)
    for side, what in (("charge", "charging"), ("discharge", "discharging")):
        about = f"deals for which the unit's converter is switched on to {side}"
        yield DerivedFact(f"own_switched_{what}_deals", number, about, 0.0, _own_switched_deals_to(side), deals)
    record = "whether the grid record names the unit: it holds the voltage, or is taking it over"
    yield DerivedFact("holds_by_record", flag, record, False, _holds_by_record, _of("unit", "grid"))
    meters = "which of tmp, vg, vb, ig and ib the driver does not report; missing where it reports all"
    yield DerivedFact("missing_meters", text, meters, "tmp, ib", _missing_meters, unit)
    set_points = "which of dvg and dig the driver does not report; missing where it reports both"
    yield DerivedFact("missing_set_points", text, set_points, "dvg", _missing_set_points, unit)
    charging, discharging = _own_deals_to("chargeUnitId"), _own_deals_to("dischargeUnitId")
    yield DerivedFact("own_charging_deals", number, "deals in which the unit charges", 0.0, charging, deals)
    yield DerivedFact("own_discharging_deals", number, "deals in which the unit discharges", 1.0, discharging, deals)


def _deal_entries() -> Iterator[DerivedFact]:
    text, flag = FactKind.TEXT, FactKind.FLAG
    own = _of("unit", "deal")
    direction = "what the deal asks of the unit: charge or discharge; missing where it is no party"
    sides = tuple(side for side, _ in SIDES)
    yield DerivedFact("own_direction", text, direction, "discharge", _own_direction, own, sides)
    yield DerivedFact("deal_started", flag, "whether energy flows in the deal", True, _deal_started, _of("deal"))
    on = "whether the unit's converter is switched on for the deal, or is being so"
    yield DerivedFact("deal_switched", flag, on, True, _own_side_is("on"), own)
    off = "whether the unit's converter is being switched off for the deal"
    yield DerivedFact("deal_leaving", flag, off, False, _own_side_is("leaving"), own)


def _community_entries() -> Iterator[DerivedFact]:
    number, text, flag = FactKind.NUMBER, FactKind.TEXT, FactKind.FLAG
    dealing, both, seen = _of("deals", "grid"), _of("units", "deals", "grid"), _of("units")
    units = "units whose converter is switched on for a deal, and the holder of the voltage"
    yield DerivedFact("dealing_units", number, units, 2.0, lambda facts: float(len(_dealing_units(facts))), dealing)
    total = "sum of the grid currents of these units; missing where one is"
    yield DerivedFact("dealing_current_a", number, total, 0.1, _dealing_current_a, both)
    shared = "what they all charge with, or discharge with where that is more; an unknown current counts 0"
    yield DerivedFact("shared_current_a", number, shared, 2.0, _shared_current_a, both)
    there = "units whose data are there"
    yield DerivedFact("units_seen", number, there, 2.0, lambda facts: float(len(_seen(facts))), seen)
    members = "members whose data are not there; missing where all are"
    yield DerivedFact("missing_members", text, members, "E003, E004", _missing_members, seen)
    silent = "the same of the units whose converter is switched on for a deal, or holds the voltage"
    yield DerivedFact("missing_dealing_units", text, silent, "E002", _missing_dealing_units, both)
    current = "of these, the units whose data are there, but not their grid current"
    yield DerivedFact("dealing_units_without_current", text, current, "E002", _dealing_units_without_current, both)
    member = "whether the unit that sent it is a member of the community"
    for name, root in (("requester", "request"), ("acceptor", "accept")):
        yield DerivedFact(f"{name}_is_member", flag, f"{root}: {member}", True, _is_member(root), _of(root))


def _branch_entries() -> Iterator[DerivedFact]:
    number = FactKind.NUMBER
    measured, switched = _of("branch", "units"), _of("branch", "deals", "grid")
    forward = "sum of the grid currents in front of the branch; an unknown one counts 0"
    yield DerivedFact("branch_forward_a", number, forward, 4.0, _branch_current_a("forwardUnitIds"), measured)
    backward = "the same behind the branch"
    yield DerivedFact("branch_backward_a", number, backward, -4.0, _branch_current_a("backwardUnitIds"), measured)
    on = "units in front of the branch whose converter is switched on for a deal, and the holder of the voltage there"
    yield DerivedFact("branch_forward_units", number, on, 1.0, _branch_dealing_units("forwardUnitIds"), switched)
    on = "the same behind the branch"
    yield DerivedFact("branch_backward_units", number, on, 1.0, _branch_dealing_units("backwardUnitIds"), switched)
    unknown = "units of the branch whose grid current is unknown"
    yield DerivedFact("branch_unknown_units", number, unknown, 0.0, _branch_unknown, measured)


CATALOGUE: Final = {entry.name: entry for entry in _entries()}


def branches(policy: Any) -> list[dict[str, Any]]:
    """Return the branches of the policy's topology as elements: id, capacityA, forwardUnitIds, backwardUnitIds."""
    topology = _at(policy, "safety", "gridTopologyBasedEvaluation")
    return [
        {
            "id": branch,
            "capacityA": _at(topology, "branchCurrentCapacityA", branch),
            "forwardUnitIds": _list(topology, "branchAssociation", branch, "forwardUnitIds"),
            "backwardUnitIds": _list(topology, "branchAssociation", branch, "backwardUnitIds"),
        }
        for branch in _list(topology, "branchIds")
    ]
