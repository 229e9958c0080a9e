"""One battery with its converter, behind a driver (specification 5).

The contract
------------
- ``read`` is everything the driver knows; ``read_status`` is the converter only and is *merged* into the last full
  reading by the caller. An answer that is empty or lacks what the driver's file demands is a failed read: ``Refused``.
- Reads and sets of one unit never overlap: the port puts them in a row. ``stop`` may overtake everything and overlap.
- A set that was sent and not answered is ``Unknown`` at once; the port does not send it again: a second copy of an old
  set-point could land after what the unit decides next. Questions and ``stop`` are tried again.
- A set returns what the driver answered. That the converter does it is not proved by that: read and compare.
- ``guard``, where given, is called directly before *each* request that switches leaves this process, retries included;
  what it raises stops the set there. (The unit checks its epoch, its abort mark and its hard limits in it.)
- Numbers are as the driver gave them: quantised, mixed int and float, ``-0.0``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.ports.types import ConverterMode

Guard: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of a driver.

    Attributes:
        document: the parts ``dcdc``, ``battery`` and what else the driver delivered, in the keys of specification 8.
        time: the device's clock where the driver has one, ``yyyy/MM/dd-HH:mm:ss``.
        sent_at_s, received_at_s: runtime clock around the request; the values were true somewhere between.
    """

    document: Mapping[str, Any]
    time: str | None
    sent_at_s: float
    received_at_s: float


class Device(Protocol):
    """The driver of one unit. The module's docstring is the contract.

    Errors of every call: ``Outage`` when no attempt reached the driver; ``Refused`` when it answered with an error or
    with something unusable; ``Unknown`` when a set was sent and no answer came in time.
    """

    async def check(self) -> None:
        """Find out once, at the start, whether this driver can be used. Raises ``Refused`` for a version too new."""

    async def read(self) -> Reading:
        """Read battery and converter."""

    async def read_status(self) -> Reading:
        """Read the converter only."""

    async def set_mode(
        self,
        mode: ConverterMode,
        grid_voltage_v: float,
        grid_current_a: float,
        droop_ratio: float,
        *,
        guard: Guard | None = None,
    ) -> Reading:
        """Set mode and all set-points at once. *grid_current_a* is an absolute value."""

    async def set_voltage(self, grid_voltage_v: float, droop_ratio: float, *, guard: Guard | None = None) -> Reading:
        """Move the voltage reference's set-point and droop."""

    async def set_current(self, grid_current_a: float, *, guard: Guard | None = None) -> Reading:
        """Move the current set-point, an absolute value."""

    async def stop(self, grid_voltage_v: float) -> Reading:
        """Set WAIT, current 0, droop 0, at once: overtakes and may overlap every other call."""

    async def close(self) -> None:
        """Give up connections. The converter is left as it is."""
