"""The community's reference policy: the first node writes it, every node compares its own with it at its start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.model import canonical_json
from apis_rules.errors import Conflict
from apis_rules.ports.state import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.documents.policy import Policy
    from apis_rules.ports.state import SharedState

KEY: Final = "current"


async def compare_policy(state: SharedState, policy: Policy) -> tuple[str, ...]:
    """Return the keys in which *policy* differs from the community's; where there is none yet, it becomes that.

    Raises:
        PortError: the reference could not be read or written.
    """
    own = policy.canonical_document()
    entry = await state.get(KEY)
    while entry.value is None:
        reference = canonical_json({"hash": policy.canonical_hash, "policy": own})
        try:
            await state.write(Write(KEY, reference, entry.at))
        except Conflict:
            entry = await state.get(KEY)  # another node was first
        else:
            return ()
    stored = json.loads(entry.value)
    return () if stored["hash"] == policy.canonical_hash else tuple(_differences(stored["policy"], own, ""))


def _differences(theirs: Any, ours: Any, place: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _differences(theirs.get(key), ours.get(key), f"{place}.{key}" if place else key)
    elif theirs != ours:
        yield place
