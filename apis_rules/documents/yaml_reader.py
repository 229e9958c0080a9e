"""YAML 1.2 with positions, as far as JSON goes: mappings with text keys, lists, texts, numbers, flags, null."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.document import COMMENT, Document, Path, Place
from apis_rules.documents.json_reader import DEPTH_LIMIT, DIGITS_LIMIT, duplicate_key, refuse_surrogates
from apis_rules.documents.source import refusal

NODES_LIMIT: Final = 300_000
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?\d+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")


def parse_yaml(text: str, file: str, findings: Findings) -> Document:
    """Read *text*. What makes it ambiguous (a key given twice) goes to *findings*; the last one counts.

    Raises:
        InputError: it is no YAML, or uses what JSON does not have (tags, merge keys, keys that are no text).
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        message = f"is not YAML: {error.problem or error.context}"
        raise refusal(location, "AR110", message, "mind the indentation and the ':'") from error
    except YAMLError as error:
        raise refusal(Location(file), "AR110", f"is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise refusal(Location(file), "AR111", f"is nested deeper than {DEPTH_LIMIT} levels") from error
    if root is None:
        raise refusal(Location(file), "AR105", "is empty")
    return _Reader(file, findings).read(root)


class _Reader:
    """Turns one node graph into values and places."""

    def __init__(self, file: str, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._places: dict[Path, Place] = {}

    def read(self, node: Node) -> Document:
        value = self._value(node, ())
        self._places[()] = Place(self._location(node))
        return Document(self._file, value, self._places)

    def _location(self, node: Node) -> Location:
        start, end = node.start_mark, node.end_mark
        return Location(self._file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _value(self, node: Node, path: Path) -> Any:
        if len(path) > DEPTH_LIMIT:
            raise refusal(
                self._location(node), "AR111", f"is nested deeper than {DEPTH_LIMIT} levels (or within itself)"
            )
        if len(self._places) > NODES_LIMIT:
            # A few lines of aliases of aliases can stand for billions of values.
            raise refusal(
                self._location(node), "AR111", f"stands for more than {NODES_LIMIT:,} values", "use fewer aliases"
            )
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return self._sequence(node, path)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        self._only_plain(node, "map")
        members: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_location = self._location(key_node)
            if not isinstance(key_node, ScalarNode):
                raise refusal(key_location, "AR117", "a key must be a text")
            if key_node.tag == f"{_TAG}merge":
                raise refusal(key_location, "AR117", "merge keys ('<<') are not read", "write the entries out")
            # The text as it is written, so that `-2880: short` keeps its sign's meaning and 010 its zero.
            key = _whole_characters(key_node.value, key_location)
            if key.startswith(COMMENT):
                continue
            at = (*path, key)
            if key in members:
                duplicate_key(self._findings, key, key_location, self._places[at])
            members[key] = self._value(value_node, at)
            self._places[at] = Place(self._location(value_node), key_location)
        return members

    def _sequence(self, node: SequenceNode, path: Path) -> list[Any]:
        self._only_plain(node, "seq")
        items: list[Any] = []
        for child in node.value:
            at = (*path, len(items))
            items.append(self._value(child, at))
            self._places[at] = Place(self._location(child))
        return items

    def _scalar(self, node: Node) -> Any:
        text: str = node.value
        match node.tag:
            case "tag:yaml.org,2002:null":
                return None
            case "tag:yaml.org,2002:bool":
                return text.lower() == "true"
            case "tag:yaml.org,2002:int" if _INT.fullmatch(text):
                return self._number(text, node)
            case "tag:yaml.org,2002:float":
                return self._number(text, node)
            case str() as tag if not tag.startswith(_TAG):
                self._only_plain(node, "str")
        return _whole_characters(text, self._location(node))

    def _number(self, text: str, node: Node) -> int | float:
        if len(text) <= DIGITS_LIMIT and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            value = _integer(text) if _INT.fullmatch(text) else float(text)
            if math.isfinite(value):
                return value
        raise refusal(self._location(node), "AR112", f"{text[:12]} is not a number that can be used")

    def _only_plain(self, node: Node, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            raise refusal(self._location(node), "AR117", f"the tag {node.tag!r} is not read", "write the plain value")


def _whole_characters(text: str, location: Location) -> str:
    """Join the halves of characters that JSON's escapes write as two; refuse a half that stands alone."""
    if text.isascii() or text.isprintable():
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    refuse_surrogates(joined, location)
    return joined


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    value = int(digits, 0) if digits[:2] in ("0o", "0x") else int(digits)
    return -value if text.startswith("-") else value
