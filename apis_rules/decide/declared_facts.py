"""The facts of a rule file: values at places of what the rules are asked about, or made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, model_validator

from apis_rules.decide.catalogue import CATALOGUE
from apis_rules.decide.facts import clean_value
from apis_rules.decide.language import KEYWORDS, NAME
from apis_rules.decide.tree import FactKind
from apis_rules.decide.vocabulary import Shape
from apis_rules.documents.jsonpath import compile_path
from apis_rules.documents.model import FileModel, Text
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from apis_rules.decide.facts import Value
    from apis_rules.decide.question_check import QuestionCheck
    from apis_rules.documents.diagnostics import Findings, Location
    from apis_rules.documents.document import Document, Path
    from apis_rules.documents.jsonpath import JsonPath


class RulePart(FileModel):
    """A part of a rule file."""

    # Rule files are ours: their keys are written as Python names are, with units.
    model_config = ConfigDict(alias_generator=None)


class FactModel(RulePart):
    """One entry under ``facts``; a text alone is its path."""

    path: Text | None = None
    derived: Text | None = None
    kind: Literal["number", "text", "flag"] = "number"
    default: Any = None
    about: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(schema))]}


@dataclass(frozen=True, slots=True)
class Fact:
    """A declared fact.

    Attributes:
        path: where it is read, or None for one from the catalogue.
        derived: its name in the catalogue, or nothing.
        default: what it is where the value is missing; None: missing.
        words: the only texts that it can be, its default among them; empty where it can be any.
        delivered: whether a device driver says it, which may know further words.
    """

    name: str
    kind: FactKind
    path: JsonPath | None
    derived: str
    default: Value | None
    about: str
    location: Location
    words: tuple[str, ...] = ()
    delivered: bool = False

    @property
    def root(self) -> str:
        """Which part of what the rules are asked about it comes from; nothing for one from the catalogue."""
        return str(self.path.steps[0]) if self.path and self.path.steps else ""

    @property
    def reads(self) -> frozenset[str]:
        """The names at the top of what the rules are asked about that its value comes from."""
        return CATALOGUE[self.derived].reads if self.derived else frozenset({self.root})


class FactReader:
    """Turns the entries under ``facts`` of one rule file into facts, and notes what cannot be one (AR257)."""

    def __init__(self, document: Document, findings: Findings, question: QuestionCheck) -> None:
        self._document = document
        self._findings = findings
        self._question = question

    def read(self, name: str, entry: FactModel) -> Fact | None:
        """Return the fact called *name*; None where something is wrong with it."""
        place: Path = ("facts", name)
        if not NAME.match(name) or name in KEYWORDS:
            hint = "a letter, then letters, digits and _; no word of the condition language"
            where = self._document.key_location(place)
            self._findings.error(where, "AR257", f"{name!r} cannot be the name of a fact", hint)
            return None
        if (entry.path is None) == (entry.derived is None):
            self._wrong(place, f"the fact {name!r} has a path or is derived, one of both")
            return None
        found = self._derived(place, str(entry.derived)) if entry.path is None else self._path(place, entry)
        if found is None:
            return None
        path, shape = found
        kind = shape.kind or FactKind(entry.kind)
        default = None if entry.default is None else clean_value(entry.default, kind)
        if entry.default is not None and default is None:
            self._wrong((*place, "default"), f"the default of the {kind} {name!r} is no {kind}")
            return None
        words = (*shape.words, *([default] if isinstance(default, str) else [])) if shape.words else ()
        where = self._document.location(place)
        return Fact(name, kind, path, entry.derived or "", default, entry.about, where, words, shape.delivered)

    def _derived(self, place: Path, name: str) -> tuple[None, Shape] | None:
        known = CATALOGUE.get(name)
        if known is None:
            near = did_you_mean(name, CATALOGUE)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(CATALOGUE)}"
            self._wrong((*place, "derived"), f"the catalogue has no fact {name!r}", hint)
            return None
        fits = self._question.derive(name, self._document.location((*place, "derived")))
        return (None, Shape(known.kind, known.words)) if fits else None

    def _path(self, place: Path, entry: FactModel) -> tuple[JsonPath, Shape] | None:
        at = (*place, "path") if isinstance(self._document.get(place), dict) else place
        text = str(entry.path)
        try:
            path = compile_path(text, self._document.location(at))
        except InputError as error:
            self._findings.extend(error.diagnostics)
            return None
        shape = self._question.look_up(path, self._document.location(at))
        if shape is None:
            return None
        if shape.kind not in (entry.kind, None):
            message = f"{text} is a {shape.kind}, the fact is declared as a {entry.kind}"
            self._wrong(at, message, f"{{path: {text}, kind: {shape.kind}}}")
            return None
        return path, shape

    def _wrong(self, place: Path, message: str, hint: str = "") -> None:
        self._findings.error(self._document.location(place), "AR257", message, hint)
