"""One way from a path to a ``Document``, whatever the file's form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from apis_rules.documents.json_reader import parse_json
from apis_rules.documents.properties_reader import parse_properties
from apis_rules.documents.source import read_text
from apis_rules.documents.yaml_reader import parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document

ENDINGS: Final = (".json", ".yaml", ".yml")
"""Of the names of files that people write."""
PROPERTIES: Final = ".properties"
"""Of the name of a file in Java's way."""

JSON_START = re.compile(r"(?:\s+|//[^\n]*\n|/\*.*?\*/)*[{\[]", re.DOTALL)


def load_document(path: Path, findings: Findings) -> Document:
    """Read the JSON, YAML or properties file at *path*; a key given twice is an error in *findings*.

    Raises:
        InputError: it cannot be read at all: one error that says why and, where it can be said, where.
    """
    return parse_document(read_text(path), str(path), findings)


def parse_document(text: str, file: str, findings: Findings) -> Document:
    """Read *text* by the ending of *file*; any other ending: as JSON if it begins like JSON, else as YAML.

    Raises:
        InputError: it is none of these.
    """
    if file.endswith(PROPERTIES):
        return parse_properties(text, file, findings)
    if file.endswith((".yaml", ".yml")) or not (file.endswith(".json") or JSON_START.match(text)):
        return parse_yaml(text, file, findings)
    return parse_json(text, file, findings)
