"""``transport/wiring.yaml``: who hears what, where it is kept, and the times of a mastership.

What must hold between the times is told in the README, "How one node at a time commands". Keys are ``snake_case`` with
units. The file is checked when it is loaded, and ``Times.broken`` again whenever the policy's scram delay changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationError

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.document import dotted
from apis_rules.documents.load import load_document
from apis_rules.documents.model import FileModel
from apis_rules.documents.reading import report
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from apis_rules.documents.document import Document

Kind: TypeAlias = Literal["embedded", "cluster"]
"""How the store runs: one server on this machine, or three and more that agree by majority."""

DEFAULT_SCRAM_DELAY_S: Final = 5.0
"""``scramDelay`` of the example policy; the one in force is checked when it is known."""

Seconds: TypeAlias = Annotated[float, Field(ge=0, le=86400 * 366)]
Some: TypeAlias = Annotated[float, Field(gt=0, le=3600)]
WholeSeconds: TypeAlias = Annotated[int, Field(ge=1, le=86400 * 366, strict=True)]
Megabytes: TypeAlias = Annotated[int, Field(ge=1, le=1 << 20, strict=True)]
Template: TypeAlias = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]|\{\w+\})+(\.([A-Za-z0-9_-]|\{\w+\})+)*$")]


class _Part(FileModel):
    # This file is ours: its keys are the names that the code uses.
    model_config = ConfigDict(alias_generator=None)


class Subjects(_Part):
    """Subjects of plain messages and of commands."""

    question: Template
    question_to_all: Template
    news: Template
    stop: Template
    outcome: Template
    accepted: Template


class Bucket(_Part):
    """One bucket of keys.

    Attributes:
        history: values kept of a key; 1 wherever a value may expire, for else the one before would come back.
        time_limit_s: after which every key expires, whoever wrote it.
        expiry_marker_s: how long an expiry is remembered as a change of its own; None: keys here never expire.
        deletion_marker_s: the same of a deletion; None: for ever.
    """

    name: Template
    storage: Literal["file", "memory"]
    max_mb: Megabytes
    history: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    time_limit_s: WholeSeconds | None = None
    expiry_marker_s: WholeSeconds | None = None
    deletion_marker_s: WholeSeconds | None = None


class Buckets(_Part):
    """The three buckets of a community."""

    ctl: Bucket
    unit: Bucket
    policy: Bucket

    def items(self) -> Iterator[tuple[str, Bucket]]:
        """Yield each with its name here."""
        yield from (("ctl", self.ctl), ("unit", self.unit), ("policy", self.policy))


class Stream(_Part):
    """One log.

    Attributes:
        subject: what stands before the subjects of its messages.
        repeats_s: how long a message that is sent again is known by its id.
    """

    subject: Template
    max_mb: Megabytes
    repeats_s: WholeSeconds


class Server(_Part):
    """What a server of our own may use."""

    max_file_mb: Megabytes
    max_memory_mb: Megabytes
    max_payload_kb: Annotated[int, Field(ge=64, le=8192, strict=True)]


class LinkTimes(_Part):
    """How soon a node knows that it is alone."""

    ping_s: Some
    probe_s: Some
    alive_s: Some
    heartbeat_s: Some
    fresh_s: Some


class PresenceTimes(_Part):
    """Renewal of a unit's presence, and how long a second instance looks whether the first one renews."""

    renewal_s: Some
    refusal_s: Some


class Times(_Part):
    """The times of a mastership, for one kind of store.

    Attributes:
        life_s: of the lease.
        renewal_s: between two renewals.
        limit_s: of one question to the store.
        margin_s: kept before the end of the lease's life.
        election_s: how long the store may be without a leader.
        dead_man_s: of a current-controlled unit that hears no refresh.
        holder_reserve_s: of the holder, on top of that and the scram delay.
        absence_s: for which others' deals go on while a party is unaccounted for.
        drain_s: for an orderly end of everything.
        hand_over_s: for the voltage to change hands, of which the steps themselves take hand_over_steps_s.
    """

    replicas: Annotated[int, Field(ge=1, le=5, strict=True)]
    life_s: WholeSeconds
    renewal_s: Some
    limit_s: Some
    margin_s: Some
    election_s: Seconds
    dead_man_s: Some
    holder_reserve_s: Some
    absence_s: Some
    drain_s: Some
    hand_over_s: Some
    hand_over_steps_s: Some

    def holder_dead_man_s(self, scram_delay_s: float) -> float:
        """Return how long the holder goes on without a refresh: longer than anyone whom it carries."""
        return self.dead_man_s + scram_delay_s + self.holder_reserve_s

    def as_values(self, scram_delay_s: float) -> Mapping[str, float]:
        """Return the times by name, for the charts, the holder's dead-man time among them."""
        return {**self.model_dump(), "holder_dead_man_s": self.holder_dead_man_s(scram_delay_s)}

    def broken(self, scram_delay_s: float) -> tuple[tuple[str, str], ...]:
        """Return what does not hold: the key that is out of bounds and one sentence, by key."""
        life, renewal, limit, election = self.life_s, self.renewal_s, self.limit_s, self.election_s
        holder = self.holder_dead_man_s(scram_delay_s)
        dead_man = life + election + 3 * renewal + 2 * limit
        drained = life + election + self.absence_s + self.drain_s
        handed_over = life + election + 3 * limit + self.hand_over_steps_s
        rules = (
            (
                "life_s",
                renewal + 2 * limit + self.margin_s < life,
                f"a renewal that is tried twice ends after {renewal + 2 * limit + self.margin_s:g} s, "
                f"which is not before the lease's end at {life:g} s (renewal_s + 2 limit_s + margin_s < life_s)",
            ),
            (
                "dead_man_s",
                dead_man <= self.dead_man_s,
                f"a change of master takes up to {dead_man:g} s, longer than the dead-man time, {self.dead_man_s:g} s "
                "(life_s + election_s + 3 renewal_s + 2 limit_s <= dead_man_s)",
            ),
            (
                "absence_s",
                self.absence_s < self.dead_man_s,
                f"units stop by themselves after {self.dead_man_s:g} s, so nothing can go on for {self.absence_s:g} s "
                "(absence_s < dead_man_s)",
            ),
            (
                "holder_reserve_s",
                drained <= holder,
                f"a new master may need {drained:g} s until all is drained, and the holder stops after {holder:g} s "
                "(life_s + election_s + absence_s + drain_s <= dead_man_s + scram delay + holder_reserve_s)",
            ),
            (
                "hand_over_s",
                handed_over <= self.hand_over_s,
                f"a hand-over and a change of master take up to {handed_over:g} s, longer than {self.hand_over_s:g} s "
                "(life_s + election_s + 3 limit_s + hand_over_steps_s <= hand_over_s)",
            ),
        )
        return tuple(sorted((key, sentence) for key, holds, sentence in rules if not holds))


class TimesByKind(_Part):
    """The times for both kinds of store."""

    embedded: Times
    cluster: Times


class Wiring(_Part):
    """The whole file."""

    format: Literal[1]
    subjects: Subjects
    buckets: Buckets
    streams: Annotated[dict[str, Stream], Field(min_length=1)]
    server: Server
    link: LinkTimes
    presence: PresenceTimes
    times: TimesByKind

    def times_of(self, kind: Kind) -> Times:
        """Return the times for one kind of store."""
        return self.times.embedded if kind == "embedded" else self.times.cluster


def load_wiring(path: Path | None = None) -> Wiring:
    """Read the wiring, the bundled one where no other is named.

    Raises:
        InputError: it cannot be used: every reason with its place.
    """
    findings = Findings()
    document = load_document(path or data_dir("transport") / "wiring.yaml", findings)
    wiring = _read(document, findings)
    if wiring is None or findings.failed:
        raise InputError(findings.sorted())
    return wiring


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong with a wiring."""
    _read(document, findings)


def _read(document: Document, findings: Findings) -> Wiring | None:
    try:
        wiring = Wiring.model_validate(document.value)
    except ValidationError as error:
        report(Wiring, document, error, findings)
        return None
    for path, code, message, hint in (*_names(wiring), *_sizes(wiring), *_order(wiring)):
        findings.error(document.location(path), code, message, hint)
    return wiring


_Finding: TypeAlias = tuple[tuple[str, ...], str, str, str]
_Named: TypeAlias = dict[tuple[str, ...], tuple[str, frozenset[str]]]

_COMMON: Final = frozenset({"community", "cluster"})
_FILLED_IN: Final = {
    "question": _COMMON | {"unit", "verb"},
    "question_to_all": _COMMON | {"verb"},
    "news": _COMMON | {"topic"},
    "stop": _COMMON | {"unit"},
    "outcome": _COMMON | {"unit"},
    "accepted": _COMMON | {"unit"},
}


def _names(wiring: Wiring) -> Iterator[_Finding]:
    """Every name holds what tells one use of it from another, and no two names meet."""
    subjects: _Named = {
        ("subjects", key): (getattr(wiring.subjects, key), wanted) for key, wanted in _FILLED_IN.items()
    }
    logs: _Named = {("streams", key, "subject"): (stream.subject, _COMMON) for key, stream in wiring.streams.items()}
    buckets: _Named = {("buckets", key, "name"): (bucket.name, _COMMON) for key, bucket in wiring.buckets.items()}
    for path, (template, wanted) in {**subjects, **logs, **buckets}.items():
        found = re.findall(r"\{(\w+)\}", template)
        if frozenset(found) != wanted or len(found) != len(wanted):
            names = " ".join(f"{{{name}}}" for name in sorted(wanted))
            yield path, "AR500", f"{dotted(path)} must hold each of {names} once, and nothing else in braces", ""
    for key, bucket in wiring.buckets.items():
        if "." in bucket.name:
            yield ("buckets", key, "name"), "AR500", f"the name of the bucket {key} cannot hold a dot", ""
    patterns = [(path, _pattern(template)) for path, (template, _) in subjects.items()]
    patterns += [(path, [*_pattern(template), ">"]) for path, (template, _) in logs.items()]
    named = [(path, [template]) for path, (template, _) in buckets.items()]
    for group in (patterns, named):
        for index, (path, pattern) in enumerate(group):
            for other_path, other in group[:index]:
                if _meet(pattern, other):
                    yield path, "AR501", f"{dotted(path)} and {dotted(other_path)} can be the same", "change a word"


def _pattern(template: str) -> list[str]:
    return ["*" if "{" in word and not set(re.findall(r"\{(\w+)\}", word)) <= _COMMON else word
            for word in template.split(".")]  # fmt: skip


def _meet(one: list[str], other: list[str]) -> bool:
    for left, right in zip(one, other, strict=False):
        if ">" in {left, right}:
            return True
        if left != right and "*" not in {left, right}:
            return False
    return len(one) == len(other)


def _sizes(wiring: Wiring) -> Iterator[_Finding]:
    """Values that expire have no history, and everything fits into a server of our own."""
    for key, bucket in wiring.buckets.items():
        expires = bucket.expiry_marker_s is not None or bucket.time_limit_s is not None
        if expires and bucket.history != 1:
            yield (
                ("buckets", key, "history"),
                "AR502",
                f"the bucket {key} keeps {bucket.history} values of a key, so that an expired value would give way to "
                "the one before",
                "history: 1, or no time limits",
            )
    for key in ("ctl", "unit"):
        if getattr(wiring.buckets, key).expiry_marker_s is None:
            yield (
                ("buckets", key),
                "AR502",
                f"values of the bucket {key} expire, so it needs expiry_marker_s",
                "without it nobody is told of an expiry",
            )
    file_mb = sum(b.max_mb for _, b in wiring.buckets.items() if b.storage == "file")
    file_mb += sum(stream.max_mb for stream in wiring.streams.values())
    memory_mb = sum(b.max_mb for _, b in wiring.buckets.items() if b.storage == "memory")
    for key, needed, given in (
        ("max_file_mb", file_mb, wiring.server.max_file_mb),
        ("max_memory_mb", memory_mb, wiring.server.max_memory_mb),
    ):
        if needed > given:
            yield (
                ("server", key),
                "AR503",
                f"server.{key} is {given}, but the buckets and streams of one cluster may take {needed} MB",
                "a server whose quota is used up refuses every write, the renewal of the lease included",
            )


def _order(wiring: Wiring) -> Iterator[_Finding]:
    """The times fit together."""
    for kind in ("embedded", "cluster"):
        times: Times = getattr(wiring.times, kind)
        for key, sentence in times.broken(DEFAULT_SCRAM_DELAY_S):
            yield ("times", kind, key), "AR504", sentence, ""
    link = wiring.link
    for key, small, large in (
        ("alive_s", link.probe_s, link.alive_s),
        ("fresh_s", link.heartbeat_s, link.fresh_s),
    ):
        if large <= small:
            yield ("link", key), "AR504", f"link.{key} must be longer than {small:g} s, the time between two signs", ""
    presence = wiring.presence
    if presence.refusal_s <= 2 * presence.renewal_s:
        yield (
            ("presence", "refusal_s"),
            "AR504",
            f"presence.refusal_s must be longer than two renewals, {2 * presence.renewal_s:g} s",
            "",
        )
    limit_s = wiring.buckets.unit.time_limit_s
    if limit_s is not None and limit_s <= 2 * presence.renewal_s:
        yield (
            ("buckets", "unit", "time_limit_s"),
            "AR504",
            f"a presence is renewed every {presence.renewal_s:g} s, too seldom for a time limit of {limit_s} s",
            "",
        )
