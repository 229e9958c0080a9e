"""The base of everything that travels as JSON."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

FORMAT: Final = 1
"""Of what is stored: shared state, streams, presence, state folders. Another number is another meaning of the keys."""


class WireModel(BaseModel):
    """Frozen; ``camelCase`` on the wire, ``snake_case`` here; no NaN or infinity; unknown keys are ignored."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        extra="ignore",
    )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read one JSON object. Raises pydantic's ``ValidationError`` where a key is missing or has the wrong type."""
        return cls.model_validate_json(text)

    def to_json(self) -> bytes:
        """Write compact JSON with the wire's keys; what is None is left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    def to_document(self) -> dict[str, Any]:
        """Return the same as plain Python values, for rules, files and tables."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StoredModel(WireModel):
    """What others read later, perhaps with an older or a newer program: its JSON says in which format it is.

    One of another format is no such record: reading it raises ``ValidationError``, never half of its meaning.
    """

    @model_validator(mode="before")
    @classmethod
    def _of_this_format(cls, given: Any) -> Any:
        found = given.get("format", FORMAT) if isinstance(given, dict) else FORMAT
        if found != FORMAT:
            raise ValueError(wrong_format(found))
        return given

    def to_json(self) -> bytes:
        """Write compact JSON with the wire's keys, the format first; what is None is left out."""
        keys = super().to_json()[1:]
        return b'{"format":%d%s%s' % (FORMAT, b"," if keys != b"}" else b"", keys)


def wrong_format(found: Any) -> str:
    """Return the sentence about a record of format *found*."""
    newer = isinstance(found, int) and found > FORMAT
    advice = "this program is too old for it" if newer else "this program is too new for it"
    return f"it has the format {found}, this program reads {FORMAT}: {advice}"
