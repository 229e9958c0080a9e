"""Rules in force, exchanged while they are used: the new are built beside the old and take over only as a whole.

A set that fails anything (its form, its build, its trial in a child process) changes nothing. What was in force before
stays at hand for ``rollback``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from apis_rules.decide.decision import NO_STRIKES, CompiledRules, Decider, Decision, Strikes, compile_rules
from apis_rules.decide.engine import EngineFailure
from apis_rules.decide.folder import load_rule_folder
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.diagnostics import Diagnostic, Findings, Location, Severity
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from apis_rules.decide.rulefile import RuleFile


@dataclass(frozen=True, slots=True)
class RuleSources:
    """Everything that decides what the rules are.

    Attributes:
        files: question → rule file.
        constants: ``policy`` and ``hwConfig`` as documents with their defaults.
    """

    files: Mapping[str, RuleFile]
    constants: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TriedOut:
    """Rules that could be put in force, or what keeps them from it. They count for what is in force when they are made.

    Attributes:
        compiled: question → its rules, where they are others than those in force.
    """

    sources: RuleSources
    compiled: Mapping[str, CompiledRules]
    findings: tuple[Diagnostic, ...]

    @property
    def failed(self) -> bool:
        """Whether they cannot be put in force."""
        return any(d.severity is Severity.ERROR for d in self.findings)


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of putting rules in force.

    Attributes:
        accepted: whether they are in force; otherwise those before still are.
        changed: questions whose rules are others now.
        findings: what is wrong (then nothing changed) or doubtful, sorted by place.
    """

    accepted: bool
    changed: tuple[str, ...]
    findings: tuple[Diagnostic, ...]


class RulesInForce:
    """The rules that a node decides by. Belongs to one thread; ``put`` blocks it while the trial runs.

    A node that cannot wait lets another thread ``try_out``, which changes nothing, and ``take``s the outcome itself.

    Args:
        evaluator: who decides.
        trial: whether each new ruleset is first built and compared in a child process (about 0.1 s each).
    """

    def __init__(self, evaluator: Evaluator = Evaluator.DURABLE, *, trial: bool = True) -> None:
        self._evaluator = evaluator
        self._trial = trial and evaluator is Evaluator.DURABLE
        self._deciders: dict[str, Decider] = {}
        self._sources: RuleSources | None = None
        self._before: RuleSources | None = None

    @property
    def hashes(self) -> dict[str, str]:
        """Question → content hash of the rule file in force."""
        return {question: d.compiled.rule_file.content_hash for question, d in self._deciders.items()}

    def compiled(self, question: str) -> CompiledRules:
        """Return the rules in force for *question*, to explain by. Raises ``KeyError`` where there are none."""
        return self._deciders[question].compiled

    def decide(
        self, question: str, document: Mapping[str, Any], now_s: float, strikes: Strikes = NO_STRIKES
    ) -> Decision:
        """Answer *question* by the rules in force; see ``Decider.decide``. Raises ``KeyError`` where there are none."""
        return self._deciders[question].decide(document, now_s, strikes)

    def put(self, sources: RuleSources, *, trial: bool = True) -> Reload:
        """Put *sources* in force if everything about them is right; what has not changed goes on as it is.

        *trial* False spares the child processes, for rules that were tried before.

        Raises:
            Unsupported: durable-rules cannot be used on this machine.
        """
        return self.take(self.try_out(sources, trial=trial))

    def try_out(self, sources: RuleSources, *, trial: bool = True) -> TriedOut:
        """Compile what differs from the rules in force, and try it in child processes; nothing is changed.

        Raises:
            Unsupported: durable-rules cannot be used on this machine.
        """
        findings = Findings()
        compiled: dict[str, CompiledRules] = {}
        for question, rule_file in sources.files.items():
            if self._unchanged(question, rule_file, sources):
                continue
            rules = compiled[question] = compile_rules(rule_file, sources.constants, findings)
            problems = [p for ruleset in rules.rulesets if (p := ruleset.trial())] if trial and self._trial else []
            for problem in problems:
                findings.error(Location(rule_file.file), "AR266", problem, "the rules before stay in force")
        return TriedOut(sources, compiled, findings.sorted())

    def take(self, tried: TriedOut) -> Reload:
        """Put in force what was tried out, all of it or nothing."""
        findings = Findings()
        findings.extend(tried.findings)
        built: dict[str, Decider] = {}
        try:
            for question, compiled in tried.compiled.items() if not findings.failed else ():
                try:
                    built[question] = Decider(compiled, self._evaluator)
                except EngineFailure as failure:
                    where = Location(compiled.rule_file.file)
                    findings.error(where, "AR266", str(failure), "the rules before stay in force")
        except BaseException:
            _close(built.values())
            raise
        if findings.failed:
            _close(built.values())
            return Reload(accepted=False, changed=(), findings=findings.sorted())
        gone = [question for question in self._deciders if question not in tried.sources.files]
        replaced = [self._deciders.pop(question) for question in (*built, *gone) if question in self._deciders]
        self._deciders.update(built)
        _close(replaced)
        changed = tuple(sorted((*built, *gone)))
        if changed:
            self._before, self._sources = self._sources, tried.sources
        return Reload(accepted=True, changed=changed, findings=findings.sorted())

    def put_folder(self, folder: Path, own: Path | None, constants: Mapping[str, Any]) -> Reload:
        """Read the rule files of *folder*, those of *own* instead of equal names, and put them in force."""
        try:
            files = load_rule_folder(folder, own)
        except InputError as error:
            return Reload(accepted=False, changed=(), findings=error.diagnostics)
        return self.put(RuleSources(files, constants))

    def rollback(self) -> Reload:
        """Put in force what was in force before; doing it twice comes back.

        Raises:
            LookupError: there was nothing before.
        """
        if self._before is None:
            raise LookupError("no rules were in force before these")
        return self.put(self._before)

    def _unchanged(self, question: str, rule_file: RuleFile, sources: RuleSources) -> bool:
        decider = self._deciders.get(question)
        if decider is None or self._sources is None:
            return False
        same_rules = decider.compiled.rule_file.content_hash == rule_file.content_hash
        return same_rules and self._sources.constants == sources.constants

    def close(self) -> None:
        """Free the engine's memory."""
        _close(self._deciders.values())
        self._deciders.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(deciders: Iterable[Decider]) -> None:
    for decider in deciders:
        decider.close()
