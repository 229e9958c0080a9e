"""Named conditions over one set of facts, evaluated by whichever evaluator is asked for."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from apis_rules.decide.codegen import Program, Row, compile_conditions
from apis_rules.decide.definition import Chunk, compile_chunks
from apis_rules.decide.engine import EngineFailure, Matcher
from apis_rules.decide.samples import sample_rows
from apis_rules.decide.trial import try_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from apis_rules.decide.columns import ColumnProgram
    from apis_rules.decide.tree import Condition, FactKind


class Evaluator(enum.StrEnum):
    """Who evaluates: durable-rules, or the code generated from the same tree, for one state or for columns of them."""

    DURABLE = "durable"
    PURE = "pure"
    VECTOR = "vector"


@dataclass(frozen=True)
class Ruleset:
    """Conditions by name, best first. Make one with ``compile_ruleset``."""

    name: str
    rules: tuple[tuple[str, Condition], ...]
    kinds: Mapping[str, FactKind]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the rules, in their order."""
        return tuple(name for name, _ in self.rules)

    @cached_property
    def program(self) -> Program:
        """The generated evaluators."""
        return compile_conditions([condition for _, condition in self.rules], self.kinds)

    @cached_property
    def over_columns(self) -> ColumnProgram:
        """The same over whole columns of facts; NumPy is loaded only for those who need that."""
        from apis_rules.decide.columns import ColumnProgram

        return ColumnProgram(self.program.lowered)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The definitions for the engine."""
        return compile_chunks(self.program.lowered)

    def match(self, facts: Mapping[str, object]) -> tuple[str, ...]:
        """Return the names of the rules that hold, best first, by the scalar evaluator."""
        program, names = self.program, self.names
        return tuple([names[i] for i in program.match(program.read(facts.get))])

    def masks(self, facts: Mapping[str, NDArray[Any]], rows: int) -> dict[str, NDArray[np.bool_]]:
        """Return for each rule the rows in which it holds; ``ColumnProgram.columns`` says how columns come."""
        program = self.over_columns
        masks = program.masks(program.columns(facts, rows))
        return dict(zip(self.names, masks, strict=True))

    def first(self, facts: Mapping[str, NDArray[Any]], rows: int) -> NDArray[np.int16]:
        """Return for each row the index of the best rule that holds, or -1."""
        program = self.over_columns
        return program.first(program.columns(facts, rows))

    def trial(self, samples: int = 200, limit_s: float = 10.0) -> str | None:
        """Build the ruleset for the engine in a child process and compare it there; None where all is well."""
        rows = sample_rows(self.program.lowered, samples)
        return try_chunks(self.name, self.chunks, rows, [self.program.match(r) for r in rows], limit_s)


def compile_ruleset(name: str, rules: Sequence[tuple[str, Condition]], kinds: Mapping[str, FactKind]) -> Ruleset:
    """Make a ruleset of *rules*, given best first.

    Raises:
        ValueError: two rules have the same name.
    """
    names = [rule for rule, _ in rules]
    if len(set(names)) != len(names):
        raise ValueError(f"ruleset {name}: two rules of one name among {names}")
    return Ruleset(name, tuple(rules), dict(kinds))


@dataclass(frozen=True, slots=True)
class Matched:
    """What the engine and the scalar evaluator found together.

    Attributes:
        hits: names of the rules that count as holding, best first.
        alarm: nothing where both agreed, else one sentence; what is safe is in *hits* already.
    """

    hits: tuple[str, ...]
    alarm: str = ""


class LiveRuleset:
    """A ruleset inside durable-rules; each answer is compared with the scalar evaluator's.

    Where they differ, or the engine fails, the safe answer counts: a rule that forbids or reports holds if either says
    so (*safe* true), one that permits holds only if both say so (*safe* false).

    Raises:
        Unsupported: the engine cannot be used on this machine.
        EngineFailure: it refused the ruleset.
    """

    def __init__(self, ruleset: Ruleset, safe: Mapping[str, bool]) -> None:
        self.ruleset = ruleset
        self._names = ruleset.names
        self._safe = [safe[name] for name in ruleset.names]
        self._read, self._pure = ruleset.program.read, ruleset.program.match
        self._matcher = Matcher(ruleset.name, ruleset.chunks)

    def match(self, facts: Mapping[str, object]) -> Matched:
        """Return the rules that hold for *facts*, of which anything may be missing or of a wrong kind."""
        row = self._read(facts.get)
        pure = self._pure(row)
        try:
            engine = self._matcher.match(row)
        except EngineFailure as failure:
            return self._differing(pure, [], row, str(failure))
        if engine == pure:
            names = self._names
            return Matched(tuple([names[i] for i in pure]))
        return self._differing(pure, engine, row, "durable-rules and the scalar evaluator differ")

    def engine_only(self, facts: Mapping[str, object]) -> tuple[str, ...]:
        """Return what the engine alone says; for comparisons and benchmarks.

        Raises:
            EngineFailure: it gave no answer.
        """
        names = self._names
        return tuple([names[i] for i in self._matcher.match(self._read(facts.get))])

    def _differing(self, pure: Sequence[int], engine: Sequence[int], row: Row, what: str) -> Matched:
        either, both = set(pure) | set(engine), set(pure) & set(engine)
        hits = [i for i in sorted(either) if self._safe[i] or i in both]
        differ = ", ".join(self._names[i] for i in sorted(either - both)) or "no rule"
        alarm = f"{what} in ruleset {self.ruleset.name} ({differ}) for {dict(zip(self._columns(), row, strict=True))}"
        return Matched(tuple(self._names[i] for i in hits), alarm)

    def _columns(self) -> tuple[str, ...]:
        lowered = self.ruleset.program.lowered
        return (*(name for name, _ in lowered.facts), *lowered.columns[len(lowered.facts) :])

    def close(self) -> None:
        """Free the engine's memory."""
        self._matcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
