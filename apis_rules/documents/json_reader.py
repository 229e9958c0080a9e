"""JSON with positions, as people write it: with ``//`` and ``/* */`` comments, and repeated ``"#"`` keys.

Anything else that is not JSON (a trailing comma, single quotes, ``NaN``) is refused: other programs read these files.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

import tree_sitter
import tree_sitter_json

from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.document import COMMENT, Document, Path, Place
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTH_LIMIT: Final = 100
DIGITS_LIMIT: Final = 300
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<fraction>\.\d+)?(?P<exponent>[eE][+-]?\d+)?")
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_COMMENT_OR_PLUS = re.compile(_STRING_OR_COMMENT.pattern + r"|(?<=\d)([eE])\+(?=\d)", re.DOTALL)


def parse_json(text: str, file: str, findings: Findings) -> Document:
    """Read *text*. What makes it ambiguous (a key given twice) goes to *findings*; the last one counts.

    Raises:
        InputError: it is no JSON; the one error says where it first goes wrong.
    """
    data = _without_plus(text).encode("utf-8", "surrogatepass")
    tree = _parser().parse(data)
    roots = [child for child in tree.root_node.named_children if child.type != "comment"]
    if tree.root_node.has_error or len(roots) != 1:
        _explain(text, file)
    return _Reader(text, data, file, findings).read(roots[0])


def _without_plus(text: str) -> str:
    """Write ``1e+16`` as ``1e016``: the grammar does not know the plus. Texts, comments and places stay as they are."""
    if "e+" not in text and "E+" not in text:
        return text
    return _STRING_COMMENT_OR_PLUS.sub(lambda match: match[0] if match[1] is None else f"{match[1]}0", text)


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_json.language()))


class _Reader:
    """Turns one syntax tree into values and places."""

    def __init__(self, text: str, data: bytes, file: str, findings: Findings) -> None:
        self._data = data
        self._file = file
        self._findings = findings
        # The tree counts columns in bytes; people count characters.
        self._lines = None if text.isascii() else data.split(b"\n")
        self._places: dict[Path, Place] = {}

    def read(self, node: tree_sitter.Node) -> Document:
        location = self._location(node)
        value = self._value(node, location, ())
        self._places[()] = Place(location)
        return Document(self._file, value, self._places)

    def _location(self, node: tree_sitter.Node) -> Location:
        (line, column), (end_line, end_column) = node.start_point, node.end_point
        if self._lines is not None:
            column = len(self._lines[line][:column].decode("utf-8", "replace"))
            end_column = len(self._lines[end_line][:end_column].decode("utf-8", "replace"))
        return Location(self._file, line + 1, column + 1, end_line + 1, end_column + 1)

    def _value(self, node: tree_sitter.Node, location: Location, path: Path) -> Any:
        if len(path) > DEPTH_LIMIT:
            raise refusal(location, "AR111", f"is nested deeper than {DEPTH_LIMIT} levels")
        match node.type:
            case "object":
                return self._object(node, path)
            case "array":
                return self._array(node, path)
            case "string":
                return self._string(node, location)
            case "number":
                return number(self._text(node), location)
            case "true" | "false":
                return node.type == "true"
            case _:
                return None

    def _object(self, node: tree_sitter.Node, path: Path) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for pair in node.named_children:
            if pair.type != "pair":
                continue
            key_node, value_node = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if key_node is None or value_node is None:
                continue
            key_location = self._location(key_node)
            key = self._string(key_node, key_location)
            if key.startswith(COMMENT):
                continue
            location = self._location(value_node)
            at = (*path, key)
            if key in members:
                duplicate_key(self._findings, key, key_location, self._places[at])
            members[key] = self._value(value_node, location, at)
            self._places[at] = Place(location, key_location)
        return members

    def _array(self, node: tree_sitter.Node, path: Path) -> list[Any]:
        items: list[Any] = []
        for child in node.named_children:
            if child.type == "comment":
                continue
            location = self._location(child)
            at = (*path, len(items))
            items.append(self._value(child, location, at))
            self._places[at] = Place(location)
        return items

    def _string(self, node: tree_sitter.Node, location: Location) -> str:
        text = self._text(node)
        if "\\" not in text:
            return text[1:-1]
        value: str = json.loads(text)
        refuse_surrogates(value, location)
        return value

    def _text(self, node: tree_sitter.Node) -> str:
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")


def number(text: str, location: Location) -> int | float:
    """Return the number that JSON's *text* means.

    Raises:
        InputError: it is not JSON's way of writing a number, or is too large to be one.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise refusal(
            location, "AR108", f"{text} is not how JSON writes a number", "digits must stand before and after a '.'"
        )
    if len(text) <= DIGITS_LIMIT:
        value = float(text) if match["fraction"] or match["exponent"] else int(text)
        if math.isfinite(value):
            return value
    raise refusal(location, "AR112", f"the number {text[:12]}{'…' * (len(text) > 12)} is too large")


def refuse_surrogates(value: str, location: Location) -> None:
    """Raise ``InputError`` where *value* could not be written out again."""
    if not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
        raise refusal(location, "AR112", "a text holds half of a character (a lone surrogate)")


def duplicate_key(findings: Findings, key: str, location: Location, first: Place) -> None:
    """Note that *key* stands twice in one mapping."""
    line = (first.key or first.value).line
    findings.error(location, "AR113", f"the key {key!r} is given twice, first in line {line}", "keep one of them")


def _explain(text: str, file: str) -> NoReturn:
    """Raise the error for text that is no JSON, at the exact place where it stops being it."""

    def blank(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0])

    plain = _STRING_OR_COMMENT.sub(blank, text)
    try:
        json.loads(plain, parse_constant=_refuse_constant(file, plain))
    except json.JSONDecodeError as error:
        location = Location(file, error.lineno, error.colno)
        if error.pos >= len(plain.rstrip()) or error.msg.startswith("Unterminated string"):
            hint = "is the file complete? a '}', ']' or '\"' is missing at its end"
            raise refusal(location, "AR109", "ends too early", hint) from error
        message, hint = _plain_words(error, plain)
        raise refusal(location, "AR108", message, hint) from error
    except RecursionError as error:
        raise refusal(Location(file), "AR111", f"is nested deeper than {DEPTH_LIMIT} levels") from error
    raise refusal(Location(file), "AR108", "is not JSON")


def _refuse_constant(file: str, plain: str) -> Callable[[str], NoReturn]:
    def refuse_constant(name: str) -> NoReturn:
        before = plain[: plain.index(name)]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise refusal(Location(file, line, column), "AR112", f"{name} is not a number that can be used")

    return refuse_constant


_WORDS: Final = (
    ("Expecting ',' delimiter", "a ',' is missing before {found!r}", "put a ',' between two entries"),
    ("Expecting ':' delimiter", "a ':' is missing before {found!r}", "put a ':' between a key and its value"),
    ("Expecting property name", "a key in double quotes was expected, not {found!r}", 'write keys as "key"'),
    ("Expecting value", "a value was expected, not {found!r}", 'texts stand in double quotes: "text"'),
    ("Extra data", "something follows after the end", "one file holds one document"),
    ("Invalid control character", "a text runs over the end of its line", 'end it with "'),
    ("Invalid \\", "a text holds a '\\' that means nothing", "write \\\\ for one '\\'"),
)
"""How Python's own reader begins its sentence, and ours with a hint."""


def _plain_words(error: json.JSONDecodeError, text: str) -> tuple[str, str]:
    found = text[error.pos : error.pos + 1]
    if text.startswith("/*", error.pos):
        return "a comment is not closed", "end it with */"
    # Python's releases differ in where they see a trailing comma and in what they say of it.
    if error.msg.startswith("Illegal trailing comma") or (found in "}]" and text[: error.pos].rstrip()[-1:] == ","):
        return "a ',' stands behind the last entry", "take the ',' away"
    for begin, message, hint in _WORDS:
        if error.msg.startswith(begin):
            return message.format(found=found), hint
    return f"is not JSON ({error.msg})", ""
