"""The same as the live view in plain lines, each with its time, where the output is no terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apis_rules.compose.overview import Overview
    from apis_rules.ports.types import DealRecord, ErrorEvent


LASTS_S: Final = 3.0
"""What keeps a community from trading is said when it has stood for so long: between two deals nobody need know."""


@dataclass(slots=True)
class Patience:
    """Lets sentences pass that have been said again and again for a while."""

    _since_s: dict[str, float] = field(default_factory=dict)

    def lasting(self, sentences: Iterable[str], now_s: float) -> tuple[str, ...]:
        """Return those of *sentences* that were there at every call of the last ``LASTS_S``."""
        self._since_s = {text: self._since_s.get(text, now_s) for text in sentences}
        return tuple(text for text, since_s in self._since_s.items() if now_s - since_s >= LASTS_S)


@dataclass(slots=True)
class Narrator:
    """Tells what has changed since it was last asked."""

    _told: dict[str, str] = field(default_factory=dict)
    _errors: set[str] = field(default_factory=set)

    def news(
        self,
        overview: Overview,
        errors: Iterable[ErrorEvent],
        finished: Iterable[DealRecord],
        quiet: Iterable[str],
    ) -> Iterator[str]:
        """Yield one sentence per change.

        *errors*: the last ones, told already or not. *finished*: since the last call. *quiet*: what keeps the community
        from trading.
        """
        yield from self._changed("mode", f"mode {overview.mode}")
        if overview.master:
            yield from self._changed("master", f"Grid Master {overview.master} (epoch {overview.epoch})")
        bus = f"bus {overview.bus}" + (f" ({overview.holder})" if overview.holder else "")
        yield from self._changed("bus", bus)
        for unit in overview.units:
            what = f"unit {unit.unit_id}"
            if unit.present:
                text = f"{unit.unit_id} {unit.mode or 'unknown'}"
                known = "" if unit.remaining_wh is None else f", {unit.remaining_wh} Wh"
                yield from self._changed(what, text, text + known)
            elif what in self._told:
                yield from self._changed(what, f"{unit.unit_id} is not there any more")
        for deal in overview.deals:
            yield from self._changed(
                f"deal {deal.deal_id}",
                f"deal {deal.deal_id[:8]} {deal.discharge_unit_id} -> {deal.charge_unit_id} "
                f"{deal.deal_amount_wh} Wh: {deal.state}",
            )
        living = {f"deal {deal.deal_id}" for deal in overview.deals}
        self._told = {what: text for what, text in self._told.items() if not what.startswith("deal ") or what in living}
        yield from self._changed("quiet", "; ".join(quiet))
        last = list(errors)
        for event in last:
            if event.event_id not in self._errors:
                self._errors.add(event.event_id)
                yield f"{event.kind} {event.unit_id}: {event.message}"
        self._errors = {event.event_id for event in last}
        for record in finished:
            yield f"deal {record.deal_id[:8]} done: {tell_deal(record)}"

    def _changed(self, what: str, text: str, shown: str | None = None) -> Iterator[str]:
        if self._told.get(what, "") != text:
            self._told[what] = text
            if text:
                yield shown or text


def tell_deal(record: DealRecord) -> str:
    """Return one line on a deal that is over."""
    amount_wh = record.cumulate_amount_wh or 0.0
    text = f"{record.discharge_unit_id} -> {record.charge_unit_id} {amount_wh:.1f} of {record.deal_amount_wh} Wh"
    if record.point_per_wh is not None:
        text += f", {record.point_per_wh * amount_wh:.0f} points"
    reason = record.abort_reason or record.scram_reason
    return f"{text} ({reason})" if reason else text
