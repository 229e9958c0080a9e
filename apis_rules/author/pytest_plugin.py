"""Lets pytest collect cases and walks: YAML files in folders called ``cases`` and ``walks``.

Installed with the package. A file is only taken for cases or walks where its keys say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apis_rules.author.cases import CaseResult
    from apis_rules.charts.walking import WalkResult

FOLDERS = ("cases", "walks")


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    """Take a file for cases or walks where it lies in such a folder and its keys say so."""
    if file_path.suffix not in (".yaml", ".yml") or file_path.parent.name not in FOLDERS:
        return None
    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.kinds import Kind, recognise
    from apis_rules.documents.load import load_document
    from apis_rules.errors import InputError

    try:
        kind = recognise(load_document(file_path, Findings()).value)
    except InputError:
        return None
    kinds: dict[Any, type[_File]] = {Kind.CASES: CaseFileNode, Kind.WALK: WalkFileNode}
    return kinds[kind].from_parent(parent, path=file_path) if kind in kinds else None


class Unexpected(Exception):
    """A case or walk came out otherwise; the text is the report."""


class _File(pytest.File):
    pass


class CaseFileNode(_File):
    """A file of cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Run the cases, and yield one item each."""
        from apis_rules.author.case_files import load_cases
        from apis_rules.author.cases import run_cases
        from apis_rules.decide.ruleset import Evaluator

        for result in run_cases([load_cases(self.path)], Evaluator.PURE).results:
            yield Outcome.of(self, result.name, _case_failures(result), result.location.line)


class WalkFileNode(_File):
    """A file of walks through a chart."""

    def collect(self) -> Iterator[pytest.Item]:
        """Take the walks, and yield one item each."""
        from apis_rules.charts.walking import run_walks

        for result in run_walks([self.path]).results:
            name = f"{result.walk.name} (from {result.start})"
            yield Outcome.of(self, name, _walk_failures(result), result.walk.location.line)


def _case_failures(result: CaseResult) -> list[str]:
    return [f"{result.location}: {failure}" for failure in result.failures]


def _walk_failures(result: WalkResult) -> list[str]:
    return [str(failure) for failure in result.failures]


class Outcome(pytest.Item):
    """One case or walk with what came out."""

    failures: list[str]
    line: int

    @classmethod
    def of(cls, parent: pytest.Collector, name: str, failures: list[str], line: int) -> Outcome:
        """Make the item."""
        item: Outcome = cls.from_parent(parent, name=name)
        item.failures, item.line = failures, line
        return item

    def runtest(self) -> None:
        """Fail where something came out otherwise."""
        if self.failures:
            raise Unexpected("\n".join(self.failures))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show the differences, without a traceback into this module."""
        return str(excinfo.value) if isinstance(excinfo.value, Unexpected) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case stands."""
        return self.path, max(self.line - 1, 0), self.name
