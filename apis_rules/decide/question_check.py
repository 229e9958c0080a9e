"""A rule file against its question: what its rules look at can be there, and it takes what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.decide.catalogue import CATALOGUE
from apis_rules.decide.outcomes import KEYWORDS, said
from apis_rules.decide.questions import QUESTIONS
from apis_rules.decide.tree import Comparison, Constant, Member, Name, Not
from apis_rules.decide.vocabulary import ANYTHING, Astray, find, roots
from apis_rules.documents.shapes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apis_rules.decide.declared_facts import Fact
    from apis_rules.decide.outcomes import Outcome
    from apis_rules.decide.tree import Condition
    from apis_rules.decide.vocabulary import Shape
    from apis_rules.documents.diagnostics import Findings, Location
    from apis_rules.documents.jsonpath import JsonPath


class QuestionCheck:
    """Holds the parts of one rule file against its question; what does not fit goes to *findings*.

    Of a question that nobody asks only that is said (AR272), and what is wrong whatever is asked.
    """

    def __init__(self, name: str, where: Location, findings: Findings) -> None:
        self._name = name
        self._findings = findings
        self._question = QUESTIONS.get(name)
        self._given = self._question.given() if self._question else roots()
        if self._question is None:
            near = did_you_mean(name, QUESTIONS)
            hint = f"did you mean {near}?" if near else f"asked are {', '.join(QUESTIONS)}"
            findings.error(where, "AR272", f"nobody asks the question {name!r}: none of these rules is in force", hint)

    def look_up(self, path: JsonPath, where: Location) -> Shape | None:
        """Return what the path of a fact leads to.

        None, with AR257 or AR268, where it can never lead to a value; AR269 where only a driver of one's own would
        deliver one.
        """
        steps = path.steps or ()
        root = str(steps[0]) if steps else ""
        if root not in roots():
            near = did_you_mean(path.text.removeprefix("$.").partition(".")[0], self._given)
            hint = f"did you mean $.{near}?" if near else f"begin with {self._roots()}"
            message = f"{path.text} names no single value of what rules are asked about"
            self._findings.error(where, "AR257", message, hint)
            return None
        if root not in self._given:
            message = f"{path.text} has never a value: {self._name} is not told of $.{root}"
            self._findings.error(where, "AR268", message, f"it is asked about {self._roots()}")
            return None
        found = find(steps, self._given)
        if not isinstance(found, Astray):
            return found
        if not found.certain:
            self._findings.warning(where, "AR269", f"{path.text} may never have a value: {found.message}", found.hint)
            return ANYTHING
        if isinstance(find(steps, roots()), Astray):
            self._findings.error(where, "AR268", f"{path.text} has never a value: {found.message}", found.hint)
        else:
            message = f"{path.text} has never a value where {self._name} is asked"
            self._findings.error(where, "AR268", message, f"of {steps[0]} it is told {', '.join(found.known)}")
        return None

    def derive(self, name: str, where: Location) -> bool:
        """Whether a fact of the catalogue can be made of what is given; AR268 where it cannot."""
        missing = sorted(CATALOGUE[name].reads - self._given.keys())
        if missing:
            message = f"the fact {name} is made from $.{missing[0]}, which {self._name} is not told of"
            self._findings.error(where, "AR268", message, f"it is asked about {self._roots()}")
        return not missing

    def only_in_loops(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of the roots *names* that there are only where a rule runs for each of them."""
        if self._question is None:
            return frozenset(names) & {"deal", "branch", "accept"}
        return frozenset(names) & {*self._question.loops} - {*self._question.about}

    def loop(self, for_each: str, where: Location) -> None:
        """Note a rule that would run for each of what there is none of (AR276)."""
        if self._question is not None and for_each not in self._question.loops:
            loops = " or ".join(self._question.loops)
            hint = f"it has 'for_each: {loops}'" if loops else "its rules are asked once, without for_each"
            self._findings.error(where, "AR276", f"{self._name} has no {for_each}s to run a rule for each of", hint)

    def outcome(self, outcome: Outcome, where: Location) -> None:
        """Note an outcome that the question cannot take (AR273)."""
        if self._question is None or isinstance(outcome, self._question.outcome):
            return
        message = f"{self._name} does not take the outcome {KEYWORDS[type(outcome)]!r}"
        self._findings.error(where, "AR273", message, f"its rules have {said(self._question.outcome)}")

    def words(self, condition: Condition, facts: Mapping[str, Fact]) -> None:
        """Note texts that a fact never is (AR275)."""
        for name, word, where in _compared(condition):
            fact = facts.get(name)
            if fact is None or not fact.words or word in fact.words:
                continue
            near = did_you_mean(word, fact.words)
            hint = f"did you mean {near!r}?" if near else f"it is one of {', '.join(fact.words)}"
            if fact.delivered:
                message = f"no driver that comes with the program says {word!r} for {name}"
                self._findings.warning(where, "AR275", message, hint)
            else:
                self._findings.error(where, "AR275", f"{name} is never {word!r}", hint)

    def _roots(self) -> str:
        return ", ".join(f"$.{name}" for name in self._given)


def _compared(condition: Condition) -> Iterator[tuple[str, str, Location]]:
    match condition:
        case Not(part):
            yield from _compared(part)
        case Comparison(Name(name), _, Constant(str() as word, where)) | Comparison(
            Constant(str() as word, where), _, Name(name)
        ):
            yield name, word, where
        case Member(Name(name), values, _, where):
            yield from ((name, word, where) for word in values if isinstance(word, str))
        case Comparison() | Member():
            return
        case _:
            for part in condition.parts:
                yield from _compared(part)
