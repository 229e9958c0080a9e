"""The names of one cluster on a server: subjects, buckets and streams with communityId and clusterId filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from apis_rules.documents.wiring import Wiring

WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What may be part of a subject: unit ids, verbs, topics."""

# Between two ids in a bucket's name stands one dash, so an id may not begin or end with one.
_COMMUNITY: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,64}(?<!-)")


def word(text: str) -> str:
    """Return *text* where it may stand in a subject. Raises ``ValueError``."""
    if not WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a single word of at most 64 letters, digits, _ and -")
    return text


@dataclass(frozen=True, slots=True)
class Names:
    """Makes the names that the wiring declares, for one (communityId, clusterId)."""

    wiring: Wiring
    community_id: str
    cluster_id: str

    def __post_init__(self) -> None:
        for label, value in (("communityId", self.community_id), ("clusterId", self.cluster_id)):
            if not _COMMUNITY.fullmatch(value):
                raise CannotOpen(
                    "AR510",
                    f"<{label}>",
                    f"{value!r} cannot be part of a subject",
                    "letters, digits, '_' and '-', not at the ends, at most 64",
                )

    def question(self, unit_id: str, verb: str) -> str:
        """Subject on which *unit_id* answers *verb*."""
        return self._subject(self.wiring.subjects.question, unit=word(unit_id), verb=word(verb))

    def question_to_all(self, verb: str) -> str:
        """Subject on which every node answers *verb*."""
        return self._subject(self.wiring.subjects.question_to_all, verb=word(verb))

    def news(self, topic: str) -> str:
        """Subject of a broadcast."""
        return self._subject(self.wiring.subjects.news, topic=word(topic))

    def stop(self, unit_id: str) -> str:
        """Subject of stops that wait for nothing."""
        return self._subject(self.wiring.subjects.stop, unit=word(unit_id))

    def outcome(self, unit_id: str) -> str:
        """Subject of one unit's outcomes."""
        return self._subject(self.wiring.subjects.outcome, unit=word(unit_id))

    @property
    def outcomes(self) -> str:
        """Pattern of all units' outcomes."""
        return self._subject(self.wiring.subjects.outcome, unit="*")

    def accepted(self, unit_id: str) -> str:
        """Subject of commands that passed the fence."""
        return self._subject(self.wiring.subjects.accepted, unit=word(unit_id))

    @property
    def all_accepted(self) -> str:
        """Pattern of all units' accepted commands."""
        return self._subject(self.wiring.subjects.accepted, unit=">")

    def bucket(self, template: str) -> str:
        """Name of a bucket. A dash inside an id is doubled, so that no two pairs of ids make one name."""
        return template.format(
            community=self.community_id.replace("-", "--"), cluster=self.cluster_id.replace("-", "--")
        )

    def stream(self, name: str) -> str:
        """Name of a log on the server."""
        return self.bucket("{community}-{cluster}-" + name)

    def log(self, name: str, subject: str) -> str:
        """Subject of a message of the log *name*."""
        return f"{self._subject(self.wiring.streams[name].subject)}.{subject}"

    def _subject(self, template: str, **parts: str) -> str:
        return template.format(community=self.community_id, cluster=self.cluster_id, **parts)
