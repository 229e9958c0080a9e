"""JSON Schemas of the four files, for editors: the same models that read them, in the files' own keys and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.document import COMMENT
from apis_rules.documents.keys import all_rows
from apis_rules.documents.kinds import Kind
from apis_rules.documents.reading import MODELS
from apis_rules.documents.shapes import inner_model, section_model

if TYPE_CHECKING:
    from apis_rules.documents.model import FileModel

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
WINDOW_PATTERN: Final = r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d-(([01]\d|2[0-3]):[0-5]\d:[0-5]\d|24:00:00)$"


def json_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the documents of *kind*, one of those in ``reading.MODELS``."""
    model = MODELS[kind]
    plain = model.model_json_schema(by_alias=True)
    words = {row.path: f"{row.what} ({row.unit})" if row.unit else row.what for row in all_rows() if row.table == kind}
    schema = _Writer(plain.get("$defs", {}), words, encrypted=kind is Kind.CONFIG).object_of(plain, model, "")
    schema["properties"]["$schema"] = {"type": "string"}
    return {"$schema": DIALECT, "title": f"apis-rules {kind}", **schema}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Turns pydantic's schema into the file's: milliseconds, comment keys, defaults as in the file, words for each key.

    The models' schemas are written out where they are used, so that one model can have other words in other places.
    """

    definitions: dict[str, Any]
    words: dict[str, str]
    encrypted: bool

    def object_of(self, part: dict[str, Any], model: type[FileModel], prefix: str) -> dict[str, Any]:
        """Return the schema of an object that *model* reads, whose keys stand below *prefix*."""
        properties = {}
        for name, field in model.model_fields.items():
            if field.exclude:
                continue
            key = field.alias or name
            path = f"{prefix}{key}"
            inner, free = inner_model(field.annotation)
            shown = self.value_of(part["properties"][key], inner, f"{path}.{'*.' if free else ''}")
            shown.pop("title", None)
            if key.endswith("Msec"):
                _whole_numbers(shown)
            if not field.is_required():
                shown["default"] = _in_file(model, name, field.get_default(call_default_factory=True))
            if path in self.words:
                shown["description"] = self.words[path]
            properties[key] = shown
        patterns: dict[str, Any] = {f"^{COMMENT}": {}}
        if self.encrypted:
            patterns[r"\.encrypted_?$"] = {}
        section = section_model(model)
        if section is not None:
            patterns[WINDOW_PATTERN] = self.value_of(part["additionalProperties"], section, f"{prefix}*.")
        written: dict[str, Any] = {"type": "object", "properties": properties}
        if "required" in part:
            written["required"] = part["required"]
        return {**written, "patternProperties": patterns, "additionalProperties": False}

    def value_of(self, part: dict[str, Any], inner: type[FileModel] | None, prefix: str) -> dict[str, Any]:
        """Return the schema *part* with the model *inner* written out wherever it is referred to."""
        if "$ref" in part and inner is not None:
            return self.object_of(self.definitions[part["$ref"].rpartition("/")[2]], inner, prefix)
        written = dict(part)
        if "anyOf" in part:
            written["anyOf"] = [self.value_of(choice, inner, prefix) for choice in part["anyOf"]]
        if isinstance(part.get("additionalProperties"), dict):
            written["additionalProperties"] = self.value_of(part["additionalProperties"], inner, prefix)
            written["patternProperties"] = {f"^{COMMENT}": {}}
            if written.pop("propertyNames", None):
                # The existing system's policy holds "": "" where nothing is listed.
                written["patternProperties"]["^$"] = {"const": ""}
        return written


def _whole_numbers(shown: dict[str, Any]) -> None:
    for choice in (shown, *shown.get("anyOf", ())):
        if choice.get("type") == "number":
            choice["type"] = "integer"


def _in_file(model: type[FileModel], name: str, default: Any) -> Any:
    return model.model_construct(**{name: default}).model_dump(mode="json", by_alias=True, include={name}).popitem()[1]
