"""``apis-rules check PATH...``: documents, rule files, charts, wiring: form, meaning, analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.author.arguments import rules_argument
from apis_rules.author.check import check_paths
from apis_rules.author.verbs.output import add_format, print_diagnostics
from apis_rules.documents.diagnostics import Severity
from apis_rules.documents.kinds import Kind

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", type=Path, help="a file, or a folder with all that is in it"
    )
    parser.add_argument(
        "--kind", choices=[kind.value for kind in Kind], help="what the files are, where keys do not tell"
    )
    parser.add_argument("--rules", metavar="DIR", help="own rule files, checked too")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings too")
    add_format(parser)
    parser.epilog = "example:\n  apis-rules check config.json\n  apis-rules check rules/ --strict"


def run(args: argparse.Namespace) -> int:
    """Print everything that was found, sorted; exit 2 where a file cannot be read, 1 for errors, else 0."""
    rules = rules_argument(args.rules)
    report = check_paths(args.paths, kind=Kind(args.kind) if args.kind else None, rules=rules)
    print_diagnostics(
        report.diagnostics, args.format, summary=f"{report.files} file{'s' * (report.files != 1)} checked"
    )
    if report.unreadable:
        return 2
    errors = any(d.severity is Severity.ERROR for d in report.diagnostics)
    return int(errors or (args.strict and bool(report.diagnostics)))
