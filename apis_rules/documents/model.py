"""The base of the models of files: the file's own keys outside, ``snake_case`` with units inside.

A key that counts milliseconds (``refreshingPeriodMsec``) is a field in seconds (``refreshing_period_s``); the
document that ``to_document`` writes has milliseconds again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

UNIT_ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
"""What a unit, community and cluster may be called: these names become parts of subjects, keys and file names."""


def file_key(field: str) -> str:
    """Return the key in the file for *field*: ``main_loop_period_s`` → ``mainLoopPeriodMsec``."""
    return f"{to_camel(field.removesuffix('_s'))}Msec" if field.endswith("_s") else to_camel(field)


def _whole(value: Any) -> Any:
    # The existing files' programs write 4320.0 for 4320 at times; 4320.5 stays wrong.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _seconds(milliseconds: float) -> float:
    if not milliseconds.is_integer():
        raise PydanticCustomError("int_from_float", "whole milliseconds expected")
    return milliseconds / 1000


Number: TypeAlias = Annotated[float, Strict()]
Whole: TypeAlias = Annotated[int, Strict(), Field(ge=0), BeforeValidator(_whole)]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=1), BeforeValidator(_whole)]
Port: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=65535), BeforeValidator(_whole)]
Flag: TypeAlias = Annotated[bool, Strict()]
Text: TypeAlias = Annotated[str, Strict()]
Name: TypeAlias = Annotated[str, Strict(), Field(min_length=1)]
UnitId: TypeAlias = Annotated[str, Strict(), Field(pattern=UNIT_ID_PATTERN)]
Seconds: TypeAlias = Annotated[
    float,
    Strict(),
    Field(ge=0),
    AfterValidator(_seconds),
    PlainSerializer(lambda seconds: round(seconds * 1000), return_type=int),
]
"""A wait: whole milliseconds in the file, from 0; a default given in code is in seconds."""
Period: TypeAlias = Annotated[
    float,
    Strict(),
    Field(ge=10),
    AfterValidator(_seconds),
    PlainSerializer(lambda seconds: round(seconds * 1000), return_type=int),
]
"""The same for what is done again and again or waited for at most: from 10 ms."""


class FileModel(BaseModel):
    """Frozen; knows exactly the keys it declares; takes no number for a text, no text for a number."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        alias_generator=file_key,
        populate_by_name=True,
        allow_inf_nan=False,
        extra="forbid",
    )

    def to_document(self) -> dict[str, Any]:
        """Return what a file that says everything, defaults included, would hold."""
        return self.model_dump(mode="json", by_alias=True)


def canonical_json(document: Any) -> bytes:
    """Write *document* in the one form that equal documents share: keys sorted, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def canonical_hash(document: Any) -> str:
    """Return ``sha256:`` and the hexadecimal digest of the canonical form."""
    return f"sha256:{hashlib.sha256(canonical_json(document)).hexdigest()}"
