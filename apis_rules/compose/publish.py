"""Changes what a running community goes by, for all its nodes at once: one conditional write of the reference."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.charts.values import broken_times, place_of
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.node.reference import KEY, Reference, read_reference
from apis_rules.ports.state import Write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.documents.policy import Policy
    from apis_rules.documents.reading import Loaded
    from apis_rules.ports.state import Entry

LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Publication:
    """What would change, and for which reference that was found.

    Attributes:
        keys: those that differ; none: there is nothing to publish.
        leaving: units that are members no longer.
    """

    reference: Reference
    at: Entry
    keys: tuple[str, ...]
    leaving: tuple[str, ...]


async def find_reference(onlooker: Onlooker) -> tuple[Reference, Entry]:
    """Return what the community goes by.

    Raises:
        InputError: AR705 it has none yet, AR704 it is of another format.
        PortError: it could not be read.
    """
    entry = await onlooker.ports.policy.get(KEY)
    reference = read_reference(entry)
    if reference is None:
        raise refusal(
            Location("the community's store"), "AR705", "it holds no policy yet", "the first node that starts writes it"
        )
    return reference, entry


async def plan_publication(
    onlooker: Onlooker, policy: Loaded[Policy], rules: Mapping[str, str] | None = None
) -> Publication:
    """Return what publishing *policy* changes, and with it the *rules* of community extent (None: they stay).

    Raises:
        InputError: the community cannot go by it: AR504; or what ``find_reference`` says.
        PortError: the reference could not be read.
    """
    if broken := broken_times(policy.model, onlooker.times):
        raise refusal(policy.document.location(place_of(broken[0][0])), "AR504", broken[0][1])
    before, entry = await find_reference(onlooker)
    changed = {"policy": policy.model.canonical_document(), "text": policy.text, "rules": rules or before.rules}
    after = before.model_copy(update=changed)
    gone = {*before.policy["memberUnitIds"]} - {*policy.model.member_unit_ids}
    return Publication(after, entry, before.differing(after), tuple(sorted(gone)))


async def publish(onlooker: Onlooker, publication: Publication) -> None:
    """Let it be what the community goes by.

    Raises:
        Conflict: somebody else has changed the reference meanwhile; nothing is changed.
        PortError: it is not known to be changed.
    """
    await onlooker.ports.policy.write(Write(KEY, publication.reference.to_json(), publication.at.at))


async def until_in_force(onlooker: Onlooker, reference: Reference, within_s: float) -> dict[str, bool]:
    """Wait until every unit that runs goes by *reference*, or time is out; return for each whether it does."""
    members = reference.policy["memberUnitIds"]
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while True:
        said = {unit_id: hash_ == reference.hash for unit_id, hash_ in onlooker.goes_by().items() if unit_id in members}
        if all(said.values()) or loop.time() >= end_s:
            return said
        await asyncio.sleep(LOOK_S)
