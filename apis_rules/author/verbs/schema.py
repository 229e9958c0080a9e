"""``apis-rules schema``: JSON Schemas for editors, and the table of keys."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.keys import all_rows
from apis_rules.documents.kinds import Kind
from apis_rules.documents.reading import MODELS
from apis_rules.documents.schema import DIALECT, json_schema
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    import argparse


OWN_FORMS: Final = {
    Kind.RULES: "apis_rules.decide.rulefile:RuleFileModel",
    Kind.CASES: "apis_rules.author.case_files:CaseFileModel",
    Kind.WIRING: "apis_rules.documents.wiring:Wiring",
    Kind.FAULTS: "apis_rules.grid.fault_script:FaultScript",
}
"""Files of our own form: their schema is that of the model that reads them."""

KINDS: Final = (*MODELS, *OWN_FORMS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "kind", nargs="?", choices=[kind.value for kind in KINDS], help="whose schema; none: all of them"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="write KIND.schema.json files there instead of printing"
    )
    parser.add_argument(
        "--keys", action="store_true", help="print the table of keys instead: what each is and what reads it"
    )
    add_format(parser)
    parser.epilog = (
        "examples:\n"
        '  apis-rules schema --out .vscode      then "$schema": ".vscode/policy.schema.json" in a file\n'
        "  apis-rules schema policy --keys --format csv"
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the schemas, or print the table of keys."""
    if args.keys:
        rows = [row for row in all_rows() if args.kind in (None, row.table)]
        columns = ("table", "path", "unit", "what", "effect")
        print_rows(({name: getattr(row, name) for name in columns} for row in rows), columns, args.format)
        return 0
    schemas = {kind: schema_of(kind) for kind in ([Kind(args.kind)] if args.kind else KINDS)}
    if args.out is None:
        shown = schemas[Kind(args.kind)] if args.kind else {kind.value: schema for kind, schema in schemas.items()}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return 0
    if args.out.exists() and not args.out.is_dir():
        raise refusal(Location("<argument --out>"), "AR101", f"{args.out} is a file, not a folder", "name a folder")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for kind, schema in schemas.items():
            target = args.out / f"{kind}.schema.json"
            target.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            print(target)
    except OSError as error:
        raise refusal(Location("<argument --out>"), "AR101", f"cannot write to {args.out}: {error.strerror}") from error
    return 0


def schema_of(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of one of ``KINDS``."""
    if kind in MODELS:
        return json_schema(kind)
    module, _, name = OWN_FORMS[kind].partition(":")
    model = getattr(importlib.import_module(module), name)
    return {**model.model_json_schema(by_alias=True), "$schema": DIALECT, "title": f"apis-rules {kind}"}
