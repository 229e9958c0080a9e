"""The base of everything that travels as JSON."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class WireModel(BaseModel):
    """Frozen; ``camelCase`` on the wire, ``snake_case`` here; no NaN or infinity; unknown keys are ignored."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False, extra="ignore"
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
