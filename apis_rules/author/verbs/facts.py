"""``apis-rules facts``: everything that a rule can look at, with its path, its unit and an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.arguments import rules_argument
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.decide.folder import load_rule_folder
from apis_rules.decide.listing import list_facts
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.jsonpath import compile_path
from apis_rules.documents.keys import all_rows
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    import argparse

_ROOTS: Final = {"unitData": "$.unit", "dealRecord": "$.deal.record", "policy": "$.policy", "hwConfig": "$.hwConfig"}
"""Table of keys → where rules find its documents."""
_KINDS: Final = {bool: "flag", int: "number", float: "number", str: "text"}

COLUMNS: Final = ("name", "kind", "unit", "source", "example", "about", "files")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--rules", metavar="DIR", help="own rule files, in place of the bundled ones by name")
    add_format(parser)
    parser.epilog = "examples:\n  apis-rules facts\n  apis-rules facts --rules site/rules --format csv"


def run(args: argparse.Namespace) -> int:
    """Print the facts of the rule files, the derived ones that no file uses, and the fields that no file names."""
    rules = rules_argument(args.rules)
    example = _example()
    facts = list_facts(load_rule_folder(data_dir("rules"), rules).values(), example)
    rows = [
        {
            "name": fact.name,
            "kind": fact.kind.value,
            "unit": fact.unit,
            "source": fact.source,
            "example": fact.example,
            "about": fact.about,
            "files": " ".join(fact.files),
        }
        for fact in facts
    ]
    print_rows([*rows, *_fields(example, {fact.source for fact in facts})], COLUMNS, args.format)
    return 0


def _fields(example: dict[str, Any], taken: set[str]) -> list[dict[str, Any]]:
    """Return the fields that no rule file has named yet: a rule may take any of them by its path."""
    rows = []
    for key in all_rows():
        source = f"{_ROOTS[key.table]}.{key.path}" if key.table in _ROOTS and "*" not in key.path else ""
        value = compile_path(source).get(example) if source else None
        kind = _KINDS.get(type(value))
        if kind is not None and source not in taken:
            shown = str(value).lower() if kind == "flag" else value
            rows.append({
                "name": "", "kind": kind, "unit": key.unit, "source": source, "example": shown, "about": key.what,
                "files": "",
            })  # fmt: skip
    return rows


def _example() -> dict[str, Any]:
    rules = data_dir("rules")
    example: dict[str, Any] = load_document(rules / "samples" / "facts.yaml", Findings()).value
    policy = load_policy(rules / "policy.json").model.to_document()
    hw_config = load_hw_config(rules / "hwConfig.json").model.to_document()
    return {**example, "policy": policy, "hwConfig": hw_config}
