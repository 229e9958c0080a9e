"""Rules between the keys of one document. Each looks at the values as they stand, so that one wrong key hides no other.

Whether bands and windows leave gaps or overlap, and what follows from a scenario, is the analysis of ``author``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.document import Document, Path, dotted
from apis_rules.documents.kinds import Kind
from apis_rules.documents.scenario import Band

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.documents.diagnostics import Findings


@dataclass(frozen=True, slots=True)
class _Sight:
    """A document under examination; what is missing or of the wrong type is someone else's finding, here it is None."""

    document: Document
    findings: Findings

    def number(self, key: str, default: float | None = None) -> float | None:
        value = self.document.get(_path(key))
        if value is None:
            return default
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.document.get(_path(key))
        return value if isinstance(value, bool) else default

    def text(self, key: str, default: str = "") -> str:
        value = self.document.get(_path(key))
        return value if isinstance(value, str) else default

    def mapping(self, path: Path) -> dict[str, Any]:
        value = self.document.get(path)
        return value if isinstance(value, dict) else {}

    def texts(self, path: Path) -> list[tuple[Path, str]]:
        """The texts of a list, each with its path."""
        value = self.document.get(path)
        items = enumerate(value) if isinstance(value, list) else ()
        return [((*path, index), item) for index, item in items if isinstance(item, str)]

    def error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        self.findings.error(self.document.location(path), code, message, hint)

    def key_error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        self.findings.error(self.document.key_location(path), code, message, hint)

    def warning(self, path: Path, code: str, message: str, hint: str = "") -> None:
        self.findings.warning(self.document.location(path), code, message, hint)

    def key_warning(self, path: Path, code: str, message: str, hint: str = "") -> None:
        self.findings.warning(self.document.key_location(path), code, message, hint)

    def in_order(self, low: str, high: str, *, code: str = "AR205", equal: bool = False) -> None:
        """Note where the value of *high* is below that of *low*, or unless *equal* not above it."""
        below, above = self.number(low), self.number(high)
        if below is None or above is None or below < above or (equal and below == above):
            return
        wanted = "must not be below" if equal else "must be above"
        self.error(_path(high), code, f"{high} is {above:g}, but {wanted} {low}, which is {below:g}")

    def no_repeats(self, path: Path) -> None:
        """Note what a list names twice."""
        seen: set[str] = set()
        for at, text in self.texts(path):
            if text in seen:
                self.error(at, "AR218", f"{text} stands twice in {dotted(path)}", "keep one of them")
            seen.add(text)


def _path(key: str) -> Path:
    return tuple(key.split("."))


# --- config.json ------------------------------------------------------------------------------------------------------

_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "dcdc_emulator": ("emulator",),
    "dcdc_v1": ("dcdc_controller", "emu_driver"),
    "dcdc_v2": ("dcdc_controller",),
}


def _config(document: Document, findings: Findings) -> None:
    sight = _Sight(document, findings)
    _drivers(sight)
    _watchdog(sight)
    _later(sight)
    for key in ("stateFileFormat", "fileSystemExclusiveLockFileFormat"):
        text = sight.text(key, "%s")
        if text.count("%s") != 1 or text.count("%") != 1:
            sight.error((key,), "AR234", f"{key} must hold %s once: what the file is for stands there")
    _date_pattern(sight, "dealLogDirFormat")
    management = sight.mapping(("batteryCapacityManagement",))
    if "currentBudgetA" in management and not management.get("enabled", False):
        sight.key_warning(
            ("batteryCapacityManagement", "currentBudgetA"),
            "AR208",
            "the current budget has no effect: batteryCapacityManagement.enabled is not true",
        )


def _drivers(sight: _Sight) -> None:
    system = sight.text("systemType")
    connection = sight.mapping(("connection",))
    for driver in _DRIVERS.get(system, ()):
        if driver not in connection:
            sight.key_error(
                ("connection",) if connection else ("systemType",),
                "AR227",
                f"systemType {system} needs connection.{driver}, which is missing",
                f'"connection": {{"{driver}": {{"host": "localhost", "port": {_PORTS[driver]}}}}}',
            )


def _watchdog(sight: _Sight) -> None:
    if not sight.flag("watchdog.enabled", default=False):
        return
    for key in ("host", "port", "uri"):
        if key not in sight.mapping(("watchdog",)):
            sight.error(
                ("watchdog", "enabled"),
                "AR228",
                f"the watchdog is enabled, but watchdog.{key} is missing",
                "say what it asks for, or set watchdog.enabled to false",
            )


def _later(sight: _Sight) -> None:
    """What is read and checked, but takes effect with a later capability."""
    if sight.flag("security.enabled", default=False):
        for key in ("pemKeyFile", "pemCertFile"):
            if key not in sight.mapping(("security",)):
                sight.error(("security", "enabled"), "AR229", f"security is enabled, but security.{key} is missing")
        sight.warning(
            ("security", "enabled"),
            "AR209",
            "encryption between nodes does not take effect yet",
            "until it does, such a node uses addresses of its own machine only",
        )
    if sight.mapping(("controlCenter",)) and sight.flag("controlCenter.enabled", default=True):
        sight.key_warning(
            ("controlCenter",),
            "AR209",
            "the Service Center does not take effect yet",
            "scenario and policy are read from the files; set controlCenter.enabled to false to say so",
        )


_PORTS: Final = {"emulator": 4390, "dcdc_controller": 4380, "emu_driver": 8080}


def _date_pattern(sight: _Sight, key: str) -> None:
    """A date pattern in Java's way: letters between quotes are literal, others are parts of the date."""
    pattern = sight.text(key)
    if pattern.count("'") % 2:
        sight.error((key,), "AR234", f"{key} opens a quote that it does not close", "literal text stands in '…'")
        return
    letters = {c for part in pattern.split("'")[::2] for c in part if c.isalpha()}
    unknown = sorted(letters - set("uyMdHmsS"))
    if unknown:
        sight.error(
            (key,), "AR234", f"{key} holds the letter {unknown[0]!r}, which is no part of a date",
            "literal text stands in '…'; outside, u or y, M, d, H, m and s are parts of the date",
        )  # fmt: skip


# --- hwConfig.json ----------------------------------------------------------------------------------------------------


def _hw_config(document: Document, findings: Findings) -> None:
    sight = _Sight(document, findings)
    for meter in ("tmp", "vg", "vb", "ig", "ib"):
        sight.in_order(f"safety.range.dcdc.meter.{meter}.min", f"safety.range.dcdc.meter.{meter}.max")
    capacity = sight.number("gridCurrentCapacityA")
    for bound, sign in (("min", -1), ("max", 1)):
        key = f"safety.range.dcdc.meter.ig.{bound}"
        limit = sight.number(key)
        if capacity is not None and limit is not None and sign * limit < capacity:
            sight.error(
                _path(key), "AR226",
                f"{key} is {limit:g}, so the capacity of gridCurrentCapacityA, {capacity:g} A, would count as unsafe",
                f"{'at most -' if sign < 0 else 'at least '}{capacity:g} is needed",
            )  # fmt: skip


# --- scenario.json ----------------------------------------------------------------------------------------------------


def _scenario(document: Document, findings: Findings) -> None:
    sight = _Sight(document, findings)
    windows = [key for key, value in sight.mapping(()).items() if isinstance(value, dict) and ":" in key]
    if not windows:
        sight.error(
            (), "AR217", "the scenario holds no section, so it never asks for or offers anything",
            'add one for a time of day: "00:00:00-24:00:00": { … }',
        )  # fmt: skip
    for window in windows:
        _section(sight, window)


def _section(sight: _Sight, window: str) -> None:
    statuses: set[str] = set()
    for text, status in sight.mapping((window, "batteryStatus")).items():
        if not isinstance(status, str):
            continue
        statuses.add(status)
        try:
            Band.parse(text, status)
        except ValueError as error:
            sight.key_error((window, "batteryStatus", text), "AR212", str(error))
    strategy = sight.document.get((window, "acceptSelection", "strategy")) or sight.text("acceptSelection.strategy")
    for question in ("request", "accept"):
        for status, offers in sight.mapping((window, question)).items():
            at = (window, question, status)
            if statuses and status not in statuses:
                sight.key_error(
                    at, "AR211", f"{question} names the status {status!r}, which no band of batteryStatus has",
                    f"known here: {', '.join(sorted(statuses))}",
                )  # fmt: skip
            if isinstance(offers, dict) and question == "request":
                _request(sight, at, offers, strategy)


def _request(sight: _Sight, at: Path, offers: dict[str, Any], strategy: Any) -> None:
    if {"charge", "discharge"} <= offers.keys():
        sight.key_warning(
            (*at, "discharge"), "AR215", "a request in both directions: charge is asked for, discharge never",
            "keep one of them",
        )  # fmt: skip
    for direction, offer in offers.items():
        if strategy == "pointAndAmount" and isinstance(offer, dict) and offer.get("pointPerWh") is None:
            sight.key_warning(
                (*at, direction), "AR216", f"a {direction} request without pointPerWh takes no accept: "
                "the strategy pointAndAmount compares prices", "give it a price, or use the strategy amount",
            )  # fmt: skip


# --- policy.json ------------------------------------------------------------------------------------------------------

_TOPOLOGY: Final = ("safety", "gridTopologyBasedEvaluation")


def _policy(document: Document, findings: Findings) -> None:
    sight = _Sight(document, findings)
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
            ("mediator", "reservationTimeMsec") if "reservationTimeMsec" in sight.mapping(("mediator",))
            else ("mediator", "negotiationTimeoutMsec"),
            "AR236", f"an offer is kept free for {reservation:g} ms, not longer than a negotiation lasts "
            f"({timeout:g} ms), so it may be gone when it is taken",
            "mediator.reservationTimeMsec must be above mediator.negotiationTimeoutMsec",
        )  # fmt: skip


def _members(sight: _Sight, members: set[str]) -> None:
    for path in (
        ("memberUnitIds",),
        ("largeCapacityUnitIds",),
        ("gridMaster", "gridMasterSelection", "candidateUnitIds"),
    ):
        sight.no_repeats(path)
        for at, unit in sight.texts(path):
            if unit not in members:
                sight.error(at, "AR219", f"{dotted(path)} names {unit}, which is no member", "add it to memberUnitIds")
    selection = ("gridMaster", "gridMasterSelection")
    if sight.text("gridMaster.gridMasterSelection.strategy") != "fixed":
        return
    fixed = sight.text("gridMaster.gridMasterSelection.fixedUnitId")
    if not fixed:
        sight.error(
            (*selection, "strategy"), "AR220", "the strategy fixed needs gridMaster.gridMasterSelection.fixedUnitId"
        )
    elif fixed not in members:
        sight.error(
            (*selection, "fixedUnitId"), "AR220", f"the strategy is fixed, but {fixed} is no member",
            "name one of memberUnitIds",
        )  # fmt: skip


def _voltages(sight: _Sight) -> None:
    sight.in_order("operationGridVoltageVRange.min", "operationGridVoltageVRange.max")
    low, high = (sight.number(f"operationGridVoltageVRange.{bound}") for bound in ("min", "max"))
    operation = sight.number("operationGridVoltageV")
    separation = sight.number("gridVoltageSeparationV")
    if low is None or high is None or low >= high:
        return
    if operation is not None and not low <= operation <= high:
        sight.error(
            ("operationGridVoltageV",), "AR225",
            f"operationGridVoltageV is {operation:g} V, outside operationGridVoltageVRange ({low:g} to {high:g} V)",
        )  # fmt: skip
    if separation is None:
        return
    trials = sight.number("controller.dcdc.voltageReference.authorization.numberOfTrials")
    # 7.3: the voltages that may be tried stand a separation apart, from min + 3 separations to max - 1.
    room = max(0, int((high - low - 4 * separation) / separation) + 1)
    if trials is not None and room < trials + 1:
        sight.error(
            ("gridVoltageSeparationV",), "AR225",
            f"between {low:g} and {high:g} V there is room for {room} voltages {separation:g} V apart, but "
            f"authorization tries {trials:g} beside the present one",
            "widen operationGridVoltageVRange, or lower gridVoltageSeparationV or numberOfTrials",
        )  # fmt: skip
    allowance = sight.number("gridVoltageAllowanceV")
    if allowance is not None and 2 * allowance >= separation:
        sight.error(
            ("gridVoltageAllowanceV",), "AR225",
            f"gridVoltageAllowanceV is {allowance:g} V: two voltages {separation:g} V apart could not be told from "
            "each other", "it must be below half of gridVoltageSeparationV",
        )  # fmt: skip


def _deals(sight: _Sight) -> None:
    deal = "mediator.deal"
    sight.in_order(f"{deal}.amountMinWh", f"{deal}.amountMaxWh", equal=True)
    smallest, largest, unit = (sight.number(f"{deal}.{key}") for key in ("amountMinWh", "amountMaxWh", "amountUnitWh"))
    if smallest is None or largest is None or not unit or smallest > largest:
        return
    if largest // unit * unit < max(smallest, unit):
        sight.error(
            _path(f"{deal}.amountUnitWh"), "AR224",
            f"no multiple of {unit:g} Wh lies between {smallest:g} and {largest:g} Wh, so no deal could be made",
            "lower amountUnitWh, or widen amountMinWh and amountMaxWh",
        )  # fmt: skip


def _branches(sight: _Sight, members: set[str]) -> None:
    enabled = sight.flag("safety.gridTopologyBasedEvaluation.enabled", default=False)
    if not enabled and "sumOfDealGridCurrentMaxA" not in sight.mapping(("safety",)):
        sight.key_error(
            ("safety",), "AR201", "the key safety.sumOfDealGridCurrentMaxA is missing",
            "it may be left out only where safety.gridTopologyBasedEvaluation.enabled is true",
        )  # fmt: skip
    listed = (*_TOPOLOGY, "branchIds")
    sight.no_repeats(listed)
    names = {name for _, name in sight.texts(listed)}
    if enabled and not names:
        sight.error((*_TOPOLOGY, "enabled"), "AR221", "the topology is evaluated, but branchIds names no branch")
    for key in ("branchAssociation", "branchCurrentCapacityA"):
        known = sight.mapping((*_TOPOLOGY, key))
        for at, name in sight.texts(listed):
            if name not in known:
                sight.error(at, "AR221", f"the branch {name} has no entry in {key}", f"add it to {key}")
        for name in known:
            if name and name not in names:
                sight.key_error(
                    (*_TOPOLOGY, key, name), "AR222", f"{key} describes {name}, which branchIds does not name",
                    "so it is never looked at; add it to branchIds",
                )  # fmt: skip
    for name in sight.mapping((*_TOPOLOGY, "branchAssociation")):
        _branch(sight, (*_TOPOLOGY, "branchAssociation", name), members)


def _branch(sight: _Sight, path: Path, members: set[str]) -> None:
    sides = [sight.texts((*path, side)) for side in ("forwardUnitIds", "backwardUnitIds")]
    for side in ("forwardUnitIds", "backwardUnitIds"):
        sight.no_repeats((*path, side))
    forward = {unit for _, unit in sides[0]}
    for at, unit in (*sides[0], *sides[1]):
        if unit not in members:
            sight.error(
                at, "AR219", f"the branch {path[-1]} names {unit}, which is no member", "add it to memberUnitIds"
            )
    for at, unit in sides[1]:
        if unit in forward:
            sight.error(at, "AR223", f"{unit} stands on both sides of the branch {path[-1]}", "keep one of them")
    absent = sorted(members - forward - {unit for _, unit in sides[1]})
    if absent and all(sides):
        sight.key_error(
            path, "AR223", f"{absent[0]} stands on neither side of the branch {path[-1]}",
            "a member that is not named is not counted on that line",
        )  # fmt: skip


CHECKS: Final[Mapping[Kind, Callable[[Document, Findings], None]]] = {
    Kind.CONFIG: _config,
    Kind.HW_CONFIG: _hw_config,
    Kind.SCENARIO: _scenario,
    Kind.POLICY: _policy,
}
