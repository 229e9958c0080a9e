"""Cases beside the rules, ``rules/cases/*.yaml``: states and facts with what shall be decided.

::

    scenario: ../scenario.json               # relative to this file; policy and hw_config likewise, where needed
    policy: ../policy.json
    policy_changes: {operationMode: stop}    # what the cases want otherwise than that policy has it
    unit: E001
    asked_by: E002
    given: {node: {mode: autonomous}}        # what every question of the file is about
    cases:
      - name: a full battery offers energy
        at: "12:00:00"
        remaining_wh: 4400
        expect:
          status: excess
          request: {type: discharge, amountWh: 80}    # what is not named may be anything; null: none
          accept: {charge: null}
      - name: the cheapest seller is taken
        choose:
          strategy: pointAndAmount                    # left out: that of the scenario at the time
          request: {unitId: E001, type: charge, amountWh: 100, pointPerWh: 10}
          accepts: [{unitId: E002, type: discharge, amountWh: 100, pointPerWh: 9}]
        expect: {chosen: E002}
      - name: no request while the community is stopped
        question: request
        given: {node: {mode: stop}}                   # over what the file gives, over an autonomous node without deals
        expect: {rule: not-autonomous}                # the best rule that holds; null: none; rules: [...] all of them
      - name: a charging current that stays wrong
        question: local-safety
        given: {unit: {dcdc: {meter: {ig: 2.3}}}}     # null takes a value out
        after_s: 5                                    # asked once more, so much later
        expect: {rules: [L26], error: "HARDWARE:LOCAL:ERROR", do: "stop-deals, stop-local"}
      - name: what is done where WAIT is not confirmed
        raised: not_confirmed                         # an error of the catalogue
        expect: {error: "HARDWARE:LOCAL:ERROR", do: "stop-deals, stop-local"}
      - name: a policy without an allowance
        without: {file: policy, key: gridVoltageAllowanceV}
        expect: {codes: [AR201]}                      # what check says
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from apis_rules.author.arguments import MAX_WH, time_of_day
from apis_rules.decide.questions import QUESTIONS
from apis_rules.decide.raised import RAISED
from apis_rules.decide.vocabulary import Astray, find, roots
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.document import dotted
from apis_rules.documents.load import load_document
from apis_rules.documents.model import FileModel, Flag, Name, Number, Text, UnitId, Whole
from apis_rules.documents.reading import report
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from apis_rules.decide.vocabulary import Shape
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.document import Document, Path


def _time(value: Any) -> Any:
    time_s = time_of_day(value) if isinstance(value, str) else None
    if time_s is None:
        raise ValueError("a time of day in quotes is needed, from '00:00:00' to '23:59:59'")
    return time_s


class _Part(FileModel):
    # Keys of the messages are camelCase as there; the others are ours.
    model_config = ConfigDict(alias_generator=None)


class ExpectedProposal(_Part):
    """What a request or accept shall be."""

    type: Literal["charge", "discharge"] | None = None
    amount_wh: Annotated[Whole | None, Field(alias="amountWh")] = None
    point_per_wh: Annotated[Number | None, Field(alias="pointPerWh")] = None
    pair_unit_id: Annotated[UnitId | None, Field(alias="pairUnitId")] = None
    rule: Text | None = None
    offered: Flag | None = None
    declined: Text | None = None
    deal_amount_wh: Annotated[Whole | None, Field(alias="dealAmountWh")] = None


class ExpectedAccepts(_Part):
    """What shall be accepted, by the own direction."""

    charge: ExpectedProposal | None = None
    discharge: ExpectedProposal | None = None


class Expected(_Part):
    """What shall come out. Only what is named is looked at."""

    status: Text | None = None
    request: ExpectedProposal | None = None
    accept: ExpectedAccepts = ExpectedAccepts()
    chosen: UnitId | None = None
    rule: Text | None = None
    rules: tuple[Text, ...] = ()
    error: Text | None = None
    message: Text | None = None
    do: Text | None = None
    codes: tuple[Text, ...] = ()


class WithoutModel(_Part):
    """The policy or hwConfig of the cases, one key taken out."""

    file: Literal["policy", "hw_config"]
    key: Name


class ChooseModel(_Part):
    """A request with its accepts, as their messages."""

    request: dict[str, Any]
    accepts: tuple[dict[str, Any], ...]
    strategy: Literal["amount", "pointAndAmount"] | None = None


class CaseModel(_Part):
    """One case."""

    name: Name
    at: Annotated[int, BeforeValidator(_time), WithJsonSchema({"type": "string"})] = 0
    remaining_wh: Annotated[Number, Field(ge=0, le=MAX_WH)] | None = None
    choose: ChooseModel | None = None
    question: Name | None = None
    raised: Name | None = None
    without: WithoutModel | None = None
    given: Annotated[dict[str, Any], Field(default_factory=dict)]
    after_s: Annotated[Number, Field(ge=0)] = 0.0
    expect: Expected


class CaseFileModel(_Part):
    """A file of cases."""

    about: Text = ""
    scenario: Name | None = None
    policy: Name | None = None
    policy_changes: Annotated[dict[str, Any], Field(default_factory=dict)]
    hw_config: Name | None = None
    unit: UnitId | None = None
    asked_by: UnitId | None = None
    given: Annotated[dict[str, Any], Field(default_factory=dict)]
    cases: tuple[CaseModel, ...]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases, read."""

    path: FilePath
    model: CaseFileModel
    document: Document

    def location(self, index: int, *path: str) -> Location:
        """Where a case, or what stands in it, was written."""
        return self.document.location(("cases", index, *path))


def load_cases(path: FilePath) -> CaseFile:
    """Read a file of cases. Raises ``InputError`` with everything that is wrong with it."""
    findings = Findings()
    document = load_document(path, findings)
    model = _read(document, findings)
    if model is None or findings.failed:
        raise InputError(findings.sorted())
    return CaseFile(path, model, document)


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong with a file of cases in itself."""
    _read(document, findings)


def _read(document: Document, findings: Findings) -> CaseFileModel | None:
    try:
        model = CaseFileModel.model_validate(document.value)
    except ValidationError as error:
        report(CaseFileModel, document, error, findings)
        return None
    if not model.cases:
        findings.error(document.location(("cases",)), "AR306", "there is no case in this file", "add one, or no file")
    _check_given(document, ("given",), roots(), findings)
    first: dict[str, int] = {}
    for index, case in enumerate(model.cases):
        place = document.location(("cases", index))
        asks = (case.remaining_wh, case.choose, case.question, case.raised, case.without)
        asked = sum(part is not None for part in asks)
        for wrong, message, hint in (
            (
                asked != 1,
                "asks nothing, or more than one thing",
                "it has one of remaining_wh, choose, question, raised, without",
            ),
            (
                case.remaining_wh is not None and model.scenario is None,
                "needs a scenario",
                "scenario: ../scenario.json",
            ),
            (not case.expect.model_fields_set, "expects nothing, so it cannot fail", "say what shall come out"),
        ):
            if wrong:
                findings.error(place, "AR306", f"the case {case.name!r} {message}", hint)
        _check_words(case, ("cases", index), document, findings)
        if first.setdefault(case.name, index) != index:
            findings.error(place, "AR307", f"two cases are called {case.name!r}", "names tell cases apart in reports")
    return model


def _check_words(case: CaseModel, place: Path, document: Document, findings: Findings) -> None:
    """Note a question that nobody asks, an error that nothing raises, and facts that a question is never told."""
    for key, word, known in (("question", case.question, QUESTIONS), ("raised", case.raised, RAISED)):
        if word is not None and word not in known:
            near = did_you_mean(word, known)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(known))}"
            what = "nobody asks the question" if key == "question" else "nothing raises"
            findings.error(document.location((*place, key)), "AR306", f"{what} {word!r}", hint)
    if case.question is not None and case.question in QUESTIONS:
        _check_given(document, (*place, "given"), QUESTIONS[case.question].given(), findings)


def _check_given(document: Document, place: Path, told: Mapping[str, Shape], findings: Findings) -> None:
    for steps in _places(document.get(place)):
        found = find(steps, told)
        if not isinstance(found, Astray):
            continue
        at = document.key_location((*place, *steps))
        if found.certain:
            findings.error(at, "AR326", f"no rule is told of {dotted(steps)}: {found.message}", found.hint)
        else:
            findings.warning(at, "AR326", found.message, found.hint)


def _places(value: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in inner:
        below = list(_places(held))
        yield from ((key, *steps) for steps in below)
        if not isinstance(held, dict | list):
            yield (key,)
