"""From a file to a checked model: every finding has its place, and all are found at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import ValidationError

from apis_rules.documents import breaches
from apis_rules.documents.config import Config
from apis_rules.documents.diagnostics import Diagnostic, Findings
from apis_rules.documents.document import Document, Path, dotted
from apis_rules.documents.hw_config import HwConfig
from apis_rules.documents.kinds import Kind, looks_like_window
from apis_rules.documents.load import parse_document
from apis_rules.documents.model import UNIT_ID_PATTERN, FileModel
from apis_rules.documents.policy import Policy
from apis_rules.documents.scenario import Scenario, Window
from apis_rules.documents.shapes import all_keys, did_you_mean, known_keys, model_at
from apis_rules.documents.source import read_text
from apis_rules.documents.spellings import put_right
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path as FilePath

    from pydantic_core import ErrorDetails

MODELS: Final[Mapping[Kind, type[FileModel]]] = {
    Kind.CONFIG: Config,
    Kind.HW_CONFIG: HwConfig,
    Kind.SCENARIO: Scenario,
    Kind.POLICY: Policy,
}
FOUR_BANDS: Final = (
    '"batteryStatus": {"3360-": "excess", "2400-3360": "sufficient", "1440-2400": "scarce", "-1440": "short"}'
)
"""The bands of the specification's Fig. 6-1 for a battery of 4800 Wh, as they would stand in a file."""

M = TypeVar("M", bound=FileModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A file that may be used.

    Attributes:
        model: what it says.
        document: where it says it; in the spelling of the files, whatever spelling the file itself has.
        warnings: what is doubtful about it.
        text: what the file holds.
    """

    model: M
    document: Document
    warnings: tuple[Diagnostic, ...]
    text: str = ""


def load_config(path: FilePath) -> Loaded[Config]:
    """Read a config.json. Raises ``InputError`` with everything that is wrong with it."""
    return _load(Config, Kind.CONFIG, path)


def load_hw_config(path: FilePath) -> Loaded[HwConfig]:
    """Read a hwConfig.json. Raises ``InputError`` with everything that is wrong with it."""
    return _load(HwConfig, Kind.HW_CONFIG, path)


def load_scenario(path: FilePath) -> Loaded[Scenario]:
    """Read a scenario.json. Raises ``InputError`` with everything that is wrong with it."""
    return _load(Scenario, Kind.SCENARIO, path)


def load_policy(path: FilePath) -> Loaded[Policy]:
    """Read a policy.json. Raises ``InputError`` with everything that is wrong with it."""
    return _load(Policy, Kind.POLICY, path)


def parse_policy(text: str, file: str) -> Loaded[Policy]:
    """Read the text of a policy; *file* is what diagnostics call it. Raises what ``load_policy`` raises."""
    return _parse(Policy, Kind.POLICY, text, file)


def parse_hw_config(text: str, file: str) -> Loaded[HwConfig]:
    """Read the text of a hwConfig; *file* is what diagnostics call it. Raises what ``load_hw_config`` raises."""
    return _parse(HwConfig, Kind.HW_CONFIG, text, file)


def parse_scenario(text: str, file: str) -> Loaded[Scenario]:
    """Read the text of a scenario; *file* is what diagnostics call it. Raises what ``load_scenario`` raises."""
    return _parse(Scenario, Kind.SCENARIO, text, file)


def _load(model: type[M], kind: Kind, path: FilePath) -> Loaded[M]:
    return _parse(model, kind, read_text(path), str(path))


def _parse(model: type[M], kind: Kind, text: str, file: str) -> Loaded[M]:
    findings = Findings()
    document, read = read_model(model, kind, parse_document(text, file, findings), findings)
    if read is None or findings.failed:
        raise InputError(findings.sorted())
    return Loaded(read, document, findings.sorted(), text)


def read_model(model: type[M], kind: Kind, document: Document, findings: Findings) -> tuple[Document, M | None]:
    """Check *document* against *model* and the rules between its keys.

    Returns:
        The document in the spelling of the files, and the model; None where a value or key is wrong in itself.
    """
    if not isinstance(document.value, dict):
        findings.error(document.location(), "AR114", f"a {kind} is an object with keys", "begin it with '{'")
        return document, None
    document = put_right(kind, document, findings)
    value = _only_windows(document, findings) if kind is Kind.SCENARIO else document.value
    read: M | None = None
    try:
        read = model.model_validate(value)
    except ValidationError as error:
        report(model, document, error, findings)
    breaches.CHECKS[kind](document, findings)
    return document, read


def _only_windows(document: Document, findings: Findings) -> dict[str, Any]:
    """Refuse the keys at the top of a scenario that are neither declared nor a window; return it without them."""
    kept: dict[str, Any] = {}
    for key, value in document.value.items():
        if key in known_keys(Scenario):
            kept[key] = value
            continue
        try:
            Window.parse(key)
        except ValueError as error:
            if looks_like_window(key):
                findings.error(document.key_location((key,)), "AR210", str(error), "write it as 06:00:00-18:30:00")
            else:
                _unknown_key(Scenario, document, (key,), findings)
        else:
            kept[key] = value
    return kept


def report(model: type[FileModel], document: Document, error: ValidationError, findings: Findings) -> None:
    """Note everything that pydantic found wrong in *document*, in our words and at its place."""
    details = error.errors(include_url=False)
    # A misspelt key would be found twice: as unknown, and as missing under its right name.
    meant = {(*d["loc"][:-1], _meant(model, d["loc"])) for d in details if d["type"] == "extra_forbidden"}
    for detail in details:
        if detail["type"] != "missing" or detail["loc"] not in meant:
            _diagnose(model, document, detail, findings)


def _meant(model: type[FileModel], path: Path) -> str:
    holder = model_at(model, path[:-1])
    return did_you_mean(str(path[-1]), known_keys(holder)) if holder else ""


def _diagnose(model: type[FileModel], document: Document, detail: ErrorDetails, findings: Findings) -> None:
    """Say one of pydantic's errors in our words, at its place."""
    path: Path = tuple(detail["loc"])
    if path and path[-1] == "[key]":
        path = path[:-1]
        findings.error(document.key_location(path), "AR202", "a name of at least one character was expected")
        return
    location = document.location(path)
    context = detail.get("ctx", {})
    shown = "a secret" if {"password", "encrypted"} & set(path) else shorten(detail["input"])
    match detail["type"]:
        case "missing":
            _missing(document, path, findings)
        case "extra_forbidden":
            _unknown_key(model, document, path, findings)
        case "literal_error":
            choices = context["expected"]
            findings.error(location, "AR204", f"{dotted(path)} is {shown}, which is none of {choices}", _near(detail))
        case "string_pattern_mismatch" if context["pattern"] == UNIT_ID_PATTERN:
            findings.error(
                location, "AR235", f"{shown} cannot be a name: {dotted(path)} takes letters, digits, _ and -",
                "1 to 64 of them: the name becomes part of addresses and file names",
            )  # fmt: skip
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" as relation:
            word, bound = _BOUNDS[relation], next(iter(context.values()))
            findings.error(location, "AR203", f"{dotted(path)} is {shown}, but must be {word} {bound:g}")
        case "too_long":
            most, found = context["max_length"], context["actual_length"]
            findings.error(location, "AR202", f"{dotted(path)} has {found} entries, but must have {most}")
        case "too_short" | "string_too_short":
            findings.error(location, "AR203", f"{dotted(path)} is empty")
        case kind:
            expected = _EXPECTED.get(kind, detail["msg"].lower())
            findings.error(location, "AR202", f"{dotted(path)} is {shown}, but must be {expected}")


def _missing(document: Document, path: Path, findings: Findings) -> None:
    holder, last = path[:-1], path[-1]
    if isinstance(last, int):
        message = f"{dotted(holder)} ends before its entry {last + 1}"
        findings.error(document.location(holder), "AR202", message)
    elif last == "batteryStatus":
        hint = f"without it no request or accept can apply; for example {FOUR_BANDS}"
        findings.error(document.key_location(holder), "AR214", f"{dotted(holder)} defines no battery status", hint)
    else:
        findings.error(document.key_location(holder), "AR201", f"the key {dotted(path)} is missing")


_BOUNDS: Final = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}
_EXPECTED: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object with keys",
    "model_type": "an object with keys",
    "model_attributes_type": "an object with keys",
    "ipv4_address": "an IPv4 address",
    "multicast_address": "the address of a multicast group, such as 224.2.2.4",
}


def shorten(value: Any) -> str:
    """Return *value* as a short piece of a sentence."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}…"


def _near(detail: ErrorDetails) -> str:
    value, choices = detail["input"], detail.get("ctx", {})["expected"]
    known = [part for part in choices.split("'") if part.strip(" ,or")]
    near = difflib.get_close_matches(str(value), known, n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def _unknown_key(model: type[FileModel], document: Document, path: Path, findings: Findings) -> None:
    near = _meant(model, path)
    elsewhere = [place for place in all_keys(model) if place.rpartition(".")[2] == path[-1]]
    if near:
        hint = f"did you mean {near}?"
    elif elsewhere:
        hint = f"does it belong to {elsewhere[0]}?"
    else:
        hint = "take it out, or make it a comment with '#'"
    findings.error(document.key_location(path), "AR200", f"the key {dotted(path)} is not known", hint)
