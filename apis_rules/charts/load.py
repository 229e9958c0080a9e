"""A chart file becomes a ``Chart``. Everything that is wrong with its form or its names is found at once.

The format stands in ``statecharts/README.md``. What can only be seen in the graph as a whole is found by ``check``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from apis_rules.charts.model import (
    TIMEOUT,
    Answer,
    Chart,
    Declared,
    EffectCall,
    EffectDeclaration,
    Fact,
    Guard,
    Named,
)
from apis_rules.charts.reading import NAME, Reading
from apis_rules.charts.values import problem_with
from apis_rules.decide.language import KEYWORDS, parse_condition
from apis_rules.decide.language import NAME as FACT_NAME
from apis_rules.decide.tree import FactKind
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.load import load_document
from apis_rules.documents.model import canonical_hash
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apis_rules.documents.document import Document
    from apis_rules.documents.document import Path as Place

FORMAT: Final = 1
_CALL: Final = re.compile(r"([a-z][a-z0-9_]*)\s*(?:\((.*)\))?\s*\Z", re.DOTALL)
_VALUE_PATH: Final = re.compile(r"(?:policy|hwConfig|wiring)(?:\.[A-Za-z][A-Za-z0-9_]*)+\Z")
_TOP: Final = (
    "format", "chart", "about", "events", "aborts", "facts", "values", "permissions", "effects", "initial", "states",
)  # fmt: skip
_STATE: Final = ("about", "final", "allows", "entry", "when", "after", "states")
_ANSWER: Final = ("if", "do", "to", "note")
_FACT: Final = ("kind", "range", "values", "about")
_EFFECT: Final = ("about", "arguments")


def load_chart(path: Path) -> Chart:
    """Read the chart file at *path*; its form and names are right afterwards, its graph is not looked at yet.

    Raises:
        InputError: with everything that is wrong. AR400 (not of the form), AR401 (a name is not one), AR402 (unknown
            key), AR403 (missing), AR404 (name given twice), AR410 (state), AR411 (event), AR412 (effect), AR413
            (arguments of an effect), AR414 (value), AR415 (permission); those of ``parse_condition``.
    """
    findings = Findings()
    document = load_document(path, findings)
    chart = read_chart(document, findings)
    if findings.failed or chart is None:
        raise InputError(findings.sorted())
    return chart


def read_chart(document: Document, findings: Findings) -> Chart | None:
    """Read *document* as a chart; what is wrong goes to *findings*, and None is returned where nothing can be made."""
    return _Reader(document, findings).chart()


class _Reader(Reading):
    """Reads one document from top to bottom: declarations first, then the states that use them."""

    def __init__(self, document: Document, findings: Findings) -> None:
        super().__init__(document, findings)
        self._kinds: dict[str, FactKind] = {}
        self._events: dict[str, Named] = {}
        self._values: dict[str, Named] = {}
        self._permissions: dict[str, Named] = {}
        self._effects: dict[str, EffectDeclaration] = {}
        self._state_names: dict[str, Location] = {}
        self._leaves: set[str] = set()

    def chart(self) -> Chart | None:
        top = self.mapping((), _TOP, required=("format", "chart", "about", "events", "initial", "states"))
        if top is None:
            return None
        if top.get("format", FORMAT) != FORMAT:
            self.error(("format",), "AR400", f"the format is {FORMAT}", "a newer program may know a newer one")
        facts = self._facts()
        self._events = self._named("events")
        self._values = self._value_paths()
        self._permissions = self._named("permissions")
        self._effects = self._effect_declarations()
        for name in self._values:
            if name in facts:
                self.error(("values", name), "AR404", f"{name!r} is a fact and a value", "give one another name")
        self._kinds = {f.name: f.kind for f in facts.values()} | dict.fromkeys(self._values, FactKind.NUMBER)
        self._collect_states(("states",))
        states = self._states(("states",), ())
        aborts = tuple(
            Named(name, "", self.at(("aborts", i)))
            for i, name in enumerate(self.texts(("aborts",)))
            if self.known(name, self._events, ("aborts", i), "AR411", "event")
        )
        initial = self.text(("initial",))
        if initial and self._leaves:
            self._target(initial, ("initial",))
        if not states or not initial:
            return None
        return Chart(
            name=self.text(("chart",)),
            about=self.text(("about",)),
            file=self.document.file,
            location=self.at(()),
            events=self._events,
            aborts=aborts,
            facts=facts,
            values=self._values,
            permissions=self._permissions,
            effects=self._effects,
            initial=Named(initial, "", self.at(("initial",))),
            canonical_hash=canonical_hash(_without_sentences(top)),
            states=states,
        )

    # --- declarations

    def _facts(self) -> dict[str, Fact]:
        facts = {}
        for name, given in self.members(("facts",)):
            path = ("facts", name)
            if not FACT_NAME.match(name) or name in KEYWORDS:
                self.error_key(
                    path, "AR401", f"{name!r} is no name of a fact", "letters, digits and _; no word of the language"
                )
                continue
            form = {"kind": given} if isinstance(given, str) else self.mapping(path, _FACT, required=("kind",))
            if form is None:
                continue
            kind = form.get("kind")
            if kind not in set(FactKind):
                self.error((*path, "kind"), "AR400", f"{kind!r} is no kind of fact", "number, text or flag")
                continue
            low, high = self._range(path, form, FactKind(kind))
            facts[name] = Fact(
                name,
                FactKind(kind),
                str(form.get("about", "")),
                self.at_key(path),
                low,
                high,
                self._words(path, form, FactKind(kind)),
            )
        return facts

    def _range(self, path: Place, form: Mapping[str, Any], kind: FactKind) -> tuple[float | None, float | None]:
        given = form.get("range")
        if given is None:
            return None, None
        ends = given if isinstance(given, list) else []
        if kind is not FactKind.NUMBER or len(ends) != 2 or not all(_is_number(e) for e in ends) or ends[0] > ends[1]:
            self.error((*path, "range"), "AR400", "a range is [lowest, highest] of a number")
            return None, None
        return float(ends[0]), float(ends[1])

    def _words(self, path: Place, form: Mapping[str, Any], kind: FactKind) -> tuple[str, ...]:
        if form.get("values") is None:
            return ()
        if kind is not FactKind.TEXT:
            self.error((*path, "values"), "AR400", "only a text takes one of a few words")
            return ()
        return self.texts((*path, "values"))

    def _named(self, section: str) -> dict[str, Named]:
        found = {}
        for name, about in self.members((section,)):
            if self.is_name(name, (section, name)) and self.is_text(about, (section, name)):
                found[name] = Named(name, about, self.at_key((section, name)))
        return found

    def _value_paths(self) -> dict[str, Named]:
        found = self._named("values")
        for name, value in found.items():
            if not _VALUE_PATH.match(value.about):
                message = f"{value.about!r} names no value of the policy, hwConfig or wiring"
                self.error(("values", name), "AR414", message, "write policy., hwConfig. or wiring. and the keys to it")
            elif (problem := problem_with(name, value.about)) is not None:
                self.error(("values", name), "AR414", problem)
        return found

    def _effect_declarations(self) -> dict[str, EffectDeclaration]:
        found: dict[str, EffectDeclaration] = {}
        for name, given in self.members(("effects",)):
            path = ("effects", name)
            if not self.is_name(name, path):
                continue
            form = {"about": given} if isinstance(given, str) else self.mapping(path, _EFFECT, required=("about",))
            arguments: dict[str, tuple[str, ...] | Literal["number"]] = {}
            for argument, words in self.members((*path, "arguments")) if isinstance(given, dict) else ():
                if words == "number":
                    arguments[argument] = "number"
                else:
                    arguments[argument] = self.texts((*path, "arguments", argument))
            about = "" if form is None else str(form.get("about", ""))
            found[name] = EffectDeclaration(name, about, arguments, self.at_key(path))
        return found

    # --- states

    def _collect_states(self, path: Place) -> None:
        for name, given in self.members(path):
            here = (*path, name)
            if not self.is_name(name, here):
                continue
            if name in self._state_names:
                message = f"there are two states called {name!r}, the other in line {self._state_names[name].line}"
                self.error_key(here, "AR404", message, "a state's name is unique in its chart")
            self._state_names[name] = self.at_key(here)
            if isinstance(given, dict) and "states" in given:
                self._collect_states((*here, "states"))
            else:
                self._leaves.add(name)

    def _states(self, path: Place, groups: tuple[str, ...]) -> tuple[Declared, ...]:
        return tuple(
            state
            for name, _ in self.members(path)
            if NAME.match(name) and (state := self._state((*path, name), name, groups)) is not None
        )

    def _state(self, path: Place, name: str, groups: tuple[str, ...]) -> Declared | None:
        form = self.mapping(path, _STATE, required=("about",))
        if form is None:
            return None
        children = self._states((*path, "states"), (*groups, name)) if "states" in form else ()
        for key in ("entry", "final"):
            if "states" in form and key in form:
                self.error_key((*path, key), "AR400", f"a group has no {key!r}", "it belongs to the states inside")
        final = form.get("final", False)
        if not isinstance(final, bool):
            self.error((*path, "final"), "AR400", "final is true or false")
        answers: dict[str, tuple[Answer, ...]] = {}
        places: dict[str, Location] = {}
        for section, known, code, noun, prefix in (
            ("when", self._events, "AR411", "event", ""),
            ("after", self._values, "AR414", "value", TIMEOUT),
        ):
            for event, _ in self.members((*path, section)):
                here = (*path, section, event)
                if self.known(event, known, here, code, noun, key=True):
                    answers[prefix + event] = self._answers(here)
                    places[prefix + event] = self.at_key(here)
        allows = self.texts((*path, "allows"))
        for i, word in enumerate(allows):
            self.known(word, self._permissions, (*path, "allows", i), "AR415", "permission")
        return Declared(
            name=name,
            about=str(form.get("about", "")),
            final=final is True,
            allows=frozenset(allows),
            entry=self._effects_at((*path, "entry")),
            answers=answers,
            children=children,
            path=groups,
            location=self.at_key(path),
            places=places,
        )

    def _answers(self, path: Place) -> tuple[Answer, ...]:
        given = self.document.get(path)
        places: list[Place] = [(*path, i) for i in range(len(given))] if isinstance(given, list) else [path]
        read = [answer for place in places if (answer := self._answer(place)) is not None]
        for other in [a for a in read if a.guard is None][1:]:
            message = "a second answer without 'if' is never taken"
            self.findings.error(other.location, "AR420", message, "give it a guard, or remove it")
        return tuple(sorted(read, key=lambda answer: answer.guard is None))

    def _answer(self, path: Place) -> Answer | None:
        form = self.mapping(path, _ANSWER)
        if form is None:
            return None
        guard = None
        if "if" in form:
            guard = self._guard((*path, "if"))
            if guard is None:
                return None
        target = form.get("to")
        if target is not None and not self._target(target, (*path, "to")):
            return None
        return Answer(
            guard=guard,
            effects=self._effects_at((*path, "do")),
            target=target,
            note=str(form.get("note", "")),
            location=self.at(path),
            target_location=self.at((*path, "to")),
        )

    def _guard(self, path: Place) -> Guard | None:
        text = self.document.get(path)
        if isinstance(text, bool) or not isinstance(text, str):
            self.error(path, "AR400", "a guard is a condition over facts")
            return None
        at = self.at(path)
        if at.line == at.end_line and at.end_column - at.column == len(text) + 2:
            at = replace(at, column=at.column + 1)  # behind the opening quote
        condition = parse_condition(text, self._kinds, at, self.findings)
        return None if condition is None else Guard(" ".join(text.split()), condition, self.at(path))

    def _effects_at(self, path: Place) -> tuple[EffectCall, ...]:
        given = self.document.get(path)
        if given is None:
            return ()
        pieces: list[tuple[object, Place]]
        pieces = [(g, (*path, i)) for i, g in enumerate(given)] if isinstance(given, list) else [(given, path)]
        calls = []
        waiting = ""
        start: Place = path
        for piece, place in pieces:
            if not isinstance(piece, str):
                self.error(place, "AR400", "an effect is written name or name(argument, ...)")
                continue
            # A comma inside parentheses ends an item of a list in brackets: put such an effect together again.
            start = start if waiting else place
            waiting = f"{waiting}, {piece}" if waiting else piece
            if waiting.count("(") > waiting.count(")"):
                continue
            calls.append(self._call(waiting, start))
            waiting = ""
        if waiting:
            self.error(start, "AR400", f"{waiting!r} lacks a closing parenthesis")
        return tuple(call for call in calls if call is not None)

    def _call(self, text: str, path: Place) -> EffectCall | None:
        match = _CALL.match(text)
        if match is None:
            self.error(path, "AR400", f"{text!r} is no effect", "name or name(argument, ...)")
            return None
        name, inside = match[1], match[2]
        if not self.known(name, self._effects, path, "AR412", "effect"):
            return None
        given = [a.strip() for a in inside.split(",")] if inside and inside.strip() else []
        declared = self._effects[name].arguments
        if len(given) != len(declared):
            wanted = f"{len(declared)} argument{'' if len(declared) == 1 else 's'}"
            self.error(path, "AR413", f"{name} takes {wanted}, not {len(given)}", ", ".join(declared))
            return None
        arguments = [self._argument(a, name, n, w, path) for a, (n, w) in zip(given, declared.items(), strict=True)]
        if None in arguments:
            return None
        return EffectCall(name, tuple(a for a in arguments if a is not None), self.at(path))

    def _argument(
        self, text: str, effect: str, argument: str, words: tuple[str, ...] | Literal["number"], path: Place
    ) -> str | float | None:
        if words == "number":
            try:
                return float(text)
            except ValueError:
                self.error(path, "AR413", f"{argument} of {effect} is a number, not {text!r}")
                return None
        if text in words:
            return text
        self.error(path, "AR413", f"{argument} of {effect} is not {text!r}", f"it is one of {', '.join(words)}")
        return None

    def _target(self, name: object, path: Place) -> bool:
        if name in self._state_names and name not in self._leaves:
            self.error(path, "AR410", f"{name!r} is a group; a transition ends in one of the states inside")
            return False
        return self.known(name, self._leaves, path, "AR410", "state")


def _without_sentences(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_sentences(inner)
            for key, inner in value.items()
            if key not in ("about", "note") or not isinstance(inner, str)
        }
    return [_without_sentences(inner) for inner in value] if isinstance(value, list) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
