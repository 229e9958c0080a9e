"""The community's reference: the policy, rules and charts that every node must hold alike, under one hash.

It is one record. The first node of a community writes it; a node whose own files differ may not take part; an operator
changes it for all nodes in one conditional write (``policy publish``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from apis_rules.charts import bundled_chart
from apis_rules.charts.bindings import MODULES
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.model import canonical_hash
from apis_rules.documents.source import refusal
from apis_rules.errors import Conflict
from apis_rules.ports.state import Write
from apis_rules.ports.types.model import FORMAT, StoredModel, wrong_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apis_rules.documents.policy import Policy
    from apis_rules.ports.state import Entry, SharedState

KEY: Final = "current"


class Reference(StoredModel):
    """What all nodes of a community hold alike.

    Attributes:
        policy: with every default, in the canonical form.
        text: the policy as its author wrote it.
        rules: rule file of community extent → hash.
        charts: chart → hash.
    """

    policy: dict[str, Any]
    text: str
    rules: dict[str, str]
    charts: dict[str, str]

    @property
    def hash(self) -> str:
        """One hash over the meaning of all of it."""
        return canonical_hash({"policy": self.policy, "rules": self.rules, "charts": self.charts})

    def value(self, key: str) -> Any:
        """Return what stands under one of the keys that ``differing`` names; None where nothing does."""
        file, _, name = key.partition("/")
        value: Any = {"rules": self.rules, "statecharts": self.charts}.get(file, {}) if name else self.policy
        for step in [name] if name else key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def differing(self, other: Reference) -> tuple[str, ...]:
        """Return the keys in which *other* differs: of the policy, ``rules/NAME``, ``statecharts/NAME``."""
        return (
            *_differing(self.policy, other.policy, ""),
            *(f"rules/{name}" for name in _differing(self.rules, other.rules, "")),
            *(f"statecharts/{name}" for name in _differing(self.charts, other.charts, "")),
        )


def reference_of(policy: Policy, text: str, rules: Mapping[str, str]) -> Reference:
    """Return what a node holds that goes by *policy*, written as *text*, and by these rules of community extent."""
    charts = {name: bundled_chart(name).canonical_hash for name in MODULES}
    return Reference(policy=policy.canonical_document(), text=text, rules=dict(rules), charts=charts)


def read_reference(entry: Entry) -> Reference | None:
    """Return the reference that *entry* holds, None where a community has none yet.

    Raises:
        InputError: AR704, it was written by a program of another format.
    """
    if entry.value is None:
        return None
    try:
        return Reference.from_json(entry.value)
    except ValidationError as error:
        found = _format_of(entry.value)
        reason = wrong_format(found) if found != FORMAT else error.errors()[0]["msg"]
        hint = "every node of a community runs a program that reads one format: exchange the older one"
        raise refusal(Location("the community's store"), "AR704", f"cannot be used: {reason}", hint) from error


async def join_community(state: SharedState, own: Reference) -> tuple[str, ...]:
    """Return the keys in which *own* differs from the community's; where there is none yet, it becomes that.

    Raises:
        InputError: AR704.
        PortError: the reference could not be read or written.
    """
    entry = await state.get(KEY)
    while (reference := read_reference(entry)) is None:
        try:
            await state.write(Write(KEY, own.to_json(), entry.at))
        except Conflict:
            entry = await state.get(KEY)  # another node was first
        else:
            return ()
    return reference.differing(own)


def _format_of(value: bytes) -> Any:
    try:
        written = json.loads(value)
    except ValueError:
        return FORMAT
    return written.get("format", FORMAT) if isinstance(written, dict) else FORMAT


def _differing(theirs: Any, ours: Any, place: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _differing(theirs.get(key), ours.get(key), f"{place}.{key}" if place else key)
    elif theirs != ours:
        yield place
