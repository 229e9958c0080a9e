"""``apis-rules test``: the cases beside the rules and the walks beside the charts, with what they touch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.arguments import rules_argument
from apis_rules.author.case_files import load_cases
from apis_rules.author.cases import CaseReport, run_cases
from apis_rules.author.junit import write_junit
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.charts.walking import WalkReport, run_walks
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.documents.source import refusal
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

COLUMNS: Final = ("file", "line", "name", "passed", "message")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="files, or folders with cases/ or walks/",
    )
    parser.add_argument("--rules", metavar="DIR", help="own rule files, instead of those beside the cases")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="durable", help="who evaluates the rules")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write a JUnit report as well")
    parser.add_argument("--strict", action="store_true", help="exit 1 also where something is not covered")
    add_format(parser)
    parser.epilog = "example:\n  apis-rules test rules/ --junit report.xml"


def run(args: argparse.Namespace) -> int:
    """Run everything, print failures and coverage; exit 1 where something failed."""
    rules = rules_argument(args.rules)
    cases, walks = _found(args.paths or [data_dir("rules"), data_dir("statecharts")])
    report = run_cases([load_cases(path) for path in cases], Evaluator(args.engine), rules)
    walked = run_walks(walks) if walks else WalkReport((), {})
    rows = [*_case_rows(report), *_walk_rows(walked)]
    if args.junit:
        write_junit(args.junit, rows)
    if args.format == "table":
        _print(report, walked if walks else None)
    else:
        print_rows(rows, COLUMNS, args.format)
    uncovered = any(report.coverage.missing(kind) for kind in report.coverage.known) or any(
        not coverage.complete for coverage in walked.coverage.values()
    )
    return int(report.failed or walked.failed or (args.strict and uncovered))


def _found(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files of cases, and what the walks are taken from."""
    cases: list[Path] = []
    walks: list[Path] = []
    for path in paths:
        if path.is_dir():
            folders = [path / "cases", path / "walks"]
            inside = sorted(path.glob("*.yaml")) if path.name == "cases" else sorted(folders[0].glob("*.yaml"))
            cases += inside
            has_walks = path.name == "walks" or folders[1].is_dir()
            walks += [path] if has_walks else []
            if not inside and not has_walks:
                hint = "cases lie in rules/cases, walks in statecharts/walks"
                raise refusal(Location(str(path)), "AR116", "holds neither cases nor walks", hint)
        else:
            kind = recognise(load_document(path, Findings()).value)
            if kind not in (Kind.CASES, Kind.WALK):
                message = f"holds neither cases nor walks, but {kind or 'nothing known'}"
                raise refusal(Location(str(path)), "AR115", message, "cases begin with 'cases:'")
            (cases if kind is Kind.CASES else walks).append(path)
    return cases, walks


def _case_rows(report: CaseReport) -> Iterable[dict[str, Any]]:
    for result in report.results:
        yield {
            "file": result.file,
            "line": result.location.line,
            "name": result.name,
            "passed": not result.failures,
            "message": "; ".join(result.failures),
        }


def _walk_rows(report: WalkReport) -> Iterable[dict[str, Any]]:
    for result in report.results:
        yield {
            "file": result.file,
            "line": result.failures[0].location.line if result.failures else result.walk.location.line,
            "name": f"{result.walk.name} (from {result.start})",
            "passed": not result.failures,
            "message": "; ".join(failure.message for failure in result.failures),
        }


def _print(report: CaseReport, walked: WalkReport | None) -> None:
    failed = [result for result in report.results if result.failures]
    for result in failed:
        for sentence in result.failures:
            print(f"{result.location}: {result.name}: {sentence}")
    passed = len(report.results) - len(failed)
    print(f"{passed} case{'s' * (passed != 1)} passed, {len(failed)} failed")
    for kind, known in report.coverage.known.items():
        missing = report.coverage.missing(kind)
        print(f"{kind}: {len(known) - len(missing)} of {len(known)}")
        for name in missing:
            print(f"  no case touches {name}")
    for line in walked.lines() if walked else ():
        print(line)
