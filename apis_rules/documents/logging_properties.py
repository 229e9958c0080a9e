"""An existing logging.properties (specification 6.6) read as what the section ``logging`` of a config says.

Outputs are the handlers for console, file, another file, and multicast; each takes the stricter of its own level and of
the level that apis-main's loggers have there. What has no effect here is said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.document import Document, Path, Place
from apis_rules.documents.load import load_document
from apis_rules.documents.logs import Logging
from apis_rules.documents.reading import Loaded, report
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError
from apis_rules.log_levels import THRESHOLDS, stricter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path as FilePath

NAME: Final = "logging.properties"

_OUTPUTS: Final[Mapping[str, str]] = {
    "ConsoleHandler": "console",
    "FileHandler": "file",
    "AnotherFileHandler": "errorFile",
    "MulticastHandler": "udp",
}
_FILE_KEYS: Final[Mapping[str, str]] = {
    "level": "level", "pattern": "pattern", "limit": "limitBytes", "count": "count", "append": "append",
}  # fmt: skip
_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "console": {"level": "level"},
    "file": _FILE_KEYS,
    "errorFile": _FILE_KEYS,
    "udp": {"level": "level", "groupAddress": "groupAddress", "port": "port"},
}
_WITHOUT_EFFECT: Final = ("formatter", "encoding", "filter", "maxLocks")
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "console": {"level": "INFO"},
    "file": {"level": "ALL", "pattern": "%h/java%u.log", "limitBytes": 0, "count": 1, "append": False},
    "errorFile": {"level": "ALL", "pattern": "%h/java%u.log", "limitBytes": 0, "count": 1, "append": False},
    "udp": {"level": "ALL"},
}
"""What java.util.logging and apis-main's own handlers take where nothing is said."""

_LOGGERS: Final = "jp.co.sony.csl.dcoes.apis.main"
"""Of apis-main; whatever stands nearest to it in the tree of names decides its level."""

_LEVELS: Final = tuple(".".join(_LOGGERS.split(".")[:count]) for count in range(len(_LOGGERS.split(".")) + 1))
"""The loggers whose level counts."""

_LIBRARIES: Final = ("io.vertx", "io.netty", "com.hazelcast", "java", "sun", "com.sun", "org")
"""Loggers of what apis-main is made of, which existing files name and which are not here."""


def load_logging_properties(path: FilePath) -> Loaded[Logging]:
    """Read the file at *path*. Raises ``InputError`` with everything that is wrong with it."""
    findings = Findings()
    logging = read_logging(load_document(path, findings), findings)
    if logging is None or findings.failed:
        raise InputError(findings.sorted())
    return Loaded(logging[0], logging[1], findings.sorted())


def check_document(document: Document, findings: Findings) -> None:
    """Check a file of this kind."""
    read_logging(document, findings)


def read_logging(document: Document, findings: Findings) -> tuple[Logging, Document] | None:
    """Return what *document* says, and where; None where it cannot be used, as *findings* then say."""
    handlers = _handlers(document, findings)
    value: dict[str, Any] = {output: dict(_DEFAULTS[output]) for output in handlers.values()}
    places: dict[Path, Place] = {(): document.places[()]}
    places |= {(output,): document.places[("handlers",)] for output in value}
    for key in document.value:
        handler, _, name = key.rpartition(".")
        output = handlers.get(handler)
        if output is None:
            _look_at_other(document, key, handlers, findings)
        elif name in _KEYS[output]:
            path = (output, _KEYS[output][name])
            value[output][path[1]] = _plain(document.value[key].strip())
            places[path] = document.places[(key,)]
        elif name not in _WITHOUT_EFFECT:
            near = did_you_mean(name, _KEYS[output])
            findings.warning(
                document.key_location((key,)), "AR242", f"{name} of {handler} is not known and has no effect",
                f"did you mean {handler}.{near}?" if near else f"known are {', '.join(_KEYS[output])}",
            )  # fmt: skip
    general = _general_level(document)
    for output in value.values():
        if general in THRESHOLDS and output["level"] in THRESHOLDS:
            output["level"] = stricter(general, output["level"])
    made = Document(document.file, {"file": None, **value}, places)
    try:
        return Logging.model_validate(made.value), made
    except ValidationError as error:
        found = Findings()
        report(Logging, made, error, found)
        for diagnostic in found.sorted():
            findings.extend([replace(diagnostic, message=_in_words_of_the_file(diagnostic.message, handlers))])
        return None


def _in_words_of_the_file(message: str, handlers: Mapping[str, str]) -> str:
    """Return *message* with the file's own key in place of ours."""
    for handler, output in handlers.items():
        for name, ours in _KEYS[output].items():
            if message.startswith(f"{output}.{ours} "):
                return message.replace(f"{output}.{ours}", f"{handler}.{name}", 1)
    return message


def _handlers(document: Document, findings: Findings) -> dict[str, str]:
    """Return class name → output of the handlers that are switched on."""
    found = {}
    for name in re.split(r"[,\s]+", document.value.get("handlers", "").strip()):
        output = _OUTPUTS.get(name.rpartition(".")[2])
        if output is not None:
            found[name] = output
        elif name:
            findings.warning(
                document.location(("handlers",)), "AR242", f"the handler {name} is not known and writes nothing",
                f"known are {', '.join(_OUTPUTS)}",
            )  # fmt: skip
    if not found:
        findings.warning(
            document.location(("handlers",)), "AR242", "no handler is switched on: there is no action log",
            "handlers = java.util.logging.ConsoleHandler, java.util.logging.FileHandler",
        )  # fmt: skip
    return found


def _look_at_other(document: Document, key: str, handlers: Collection[str], findings: Findings) -> None:
    """Say what stands in the file for nothing; of libraries and of known handlers that are not on nothing is said."""
    owner, dot, name = key.rpartition(".")
    level = document.value[key].strip()
    if key == "handlers" or owner.endswith("Formatter"):
        return
    if name == "level" and dot and level not in THRESHOLDS:
        findings.error(
            document.location((key,)), "AR204", f"{key} is {level!r}, which is no level",
            f"one of {', '.join(THRESHOLDS)}",
        )  # fmt: skip
    elif owner.endswith("Handler"):
        _look_at_handler(document, key, owner, handlers, findings)
    elif name != "level" or not dot:
        findings.warning(
            document.key_location((key,)), "AR242", f"{key} is no key of this file and has no effect",
            "known are handlers, and level and others of a handler or logger: NAME.level = INFO",
        )  # fmt: skip
    elif owner not in _LEVELS and not owner.startswith(_LIBRARIES):
        near = did_you_mean(owner, _LEVELS)
        findings.warning(
            document.key_location((key,)), "AR242", f"the logger {owner} is not known and its level has no effect",
            f"did you mean {near}?" if near else f"one level counts for all: {_LOGGERS}.level",
        )  # fmt: skip


def _look_at_handler(document: Document, key: str, owner: str, handlers: Collection[str], findings: Findings) -> None:
    """Say where a key is of no known handler, or of one whose name is written otherwise where it is switched on."""
    kind = owner.rpartition(".")[2]
    on = next((h for h in handlers if h.rpartition(".")[2] == kind), None)
    near = on or did_you_mean(owner, handlers)
    if on is not None or kind not in _OUTPUTS:
        findings.warning(
            document.key_location((key,)), "AR242", f"the handler {owner} is not known and {key} has no effect",
            f"did you mean {near}?" if near else f"known are {', '.join(_OUTPUTS)}",
        )  # fmt: skip


def _general_level(document: Document) -> Any:
    for logger in reversed(_LEVELS):
        level = document.value.get(f"{logger}.level")
        if level is not None:
            return level.strip()
    return "INFO"


def _plain(text: str) -> Any:
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return {"true": True, "false": False}.get(text.lower(), text)
