"""The effective operation mode of a unit, from the community's mode and the unit's own (specification 4.3).

A unit's own mode can only take away: ``heteronomous`` makes nothing new, ``stop`` ends what is under way. ``manual`` is
a mode of the community alone; while it lasts, own modes do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUTONOMOUS, _HETERONOMOUS, _STOP, _MANUAL = (
    OperationMode.AUTONOMOUS,
    OperationMode.HETERONOMOUS,
    OperationMode.STOP,
    OperationMode.MANUAL,
)

COMMUNITY_MODES: Final = (_AUTONOMOUS, _HETERONOMOUS, _STOP, _MANUAL)
"""What a community can be set to."""

LOCAL_MODES: Final[tuple[OperationMode | None, ...]] = (None, _HETERONOMOUS, _STOP)
"""What a unit can be set to; None follows the community."""

TABLE: Final[Mapping[OperationMode | None, tuple[OperationMode, ...]]] = {
    None: (_AUTONOMOUS, _HETERONOMOUS, _STOP, _MANUAL),
    _HETERONOMOUS: (_HETERONOMOUS, _HETERONOMOUS, _STOP, _MANUAL),
    _STOP: (_STOP, _STOP, _STOP, _MANUAL),
}
"""The unit's own mode → the effective one under each of ``COMMUNITY_MODES``."""


def effective_mode(
    community: OperationMode | None, default: OperationMode, local: OperationMode | None
) -> OperationMode:
    """Return the mode that counts.

    Args:
        community: as set by an operator or an error's reaction, None where nothing is set.
        default: the policy's ``operationMode``.
        local: the unit's own.

    Raises:
        ValueError: a unit cannot have this mode of its own.
    """
    if local not in TABLE:
        raise ValueError(f"a unit's own mode is heteronomous or stop, not {local}")
    return TABLE[local][COMMUNITY_MODES.index(community or default)]
