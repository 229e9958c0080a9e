"""An existing logging.properties is read as what it means for the action log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.logging_properties import load_logging_properties, read_logging
from apis_rules.documents.logs import ConsoleLog, ErrorFileLog, FileLog, Logging, UdpLog
from apis_rules.documents.properties_reader import parse_properties
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

EXISTING = """#
# handlers as on a board
handlers = java.util.logging.ConsoleHandler,java.util.logging.FileHandler,\\
    jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler,jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler

java.util.logging.ConsoleHandler.formatter = io.vertx.core.logging.VertxLoggerFormatter
java.util.logging.ConsoleHandler.level = ALL

java.util.logging.FileHandler.formatter = io.vertx.core.logging.VertxLoggerFormatter
java.util.logging.FileHandler.level = INFO
java.util.logging.FileHandler.pattern = ./%u.%g.log
java.util.logging.FileHandler.limit = 5242880
java.util.logging.FileHandler.count = 10

jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.level = WARNING
jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.pattern = ./%u.%g.err
jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.limit = 5242880
jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.count = 10

jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.formatter = ApisMainLoggerFormatter
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.level = ALL
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.groupAddress = 224.2.2.4
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.port = 8888

.level = INFO
io.vertx.level = INFO
com.hazelcast.level = INFO
jp.co.sony.csl.dcoes.level = {level}
"""


def load(tmp_path: Path, text: str) -> Logging:
    file = tmp_path / "logging.properties"
    file.write_text(text)
    loaded = load_logging_properties(file)
    assert loaded.warnings == ()
    return loaded.model


def test_the_file_of_a_board(tmp_path: Path) -> None:
    """Levels, limits, counts, patterns, group and port of all four handlers are taken over, without a warning."""
    assert load(tmp_path, EXISTING.format(level="ALL")) == Logging(
        console=ConsoleLog(level="ALL"),
        file=FileLog(level="INFO", pattern="./%u.%g.log", limit_bytes=5242880, count=10, append=False),
        error_file=ErrorFileLog(level="WARNING", pattern="./%u.%g.err", limit_bytes=5242880, count=10, append=False),
        udp=UdpLog(level="ALL", group_address="224.2.2.4", port=8888),
    )


def test_the_level_of_apis_mains_loggers_holds_everywhere(tmp_path: Path) -> None:
    """Each output takes the stricter of its handler's level and of the nearest logger's."""
    strict = load(tmp_path, EXISTING.format(level="WARNING"))
    assert (strict.console, strict.file) == (
        ConsoleLog(level="WARNING"),
        FileLog(level="WARNING", pattern="./%u.%g.log", limit_bytes=5242880, count=10, append=False),
    )
    off = load(tmp_path, EXISTING.format(level="ALL") + "jp.co.sony.csl.dcoes.apis.level = OFF\n")
    assert off.udp is not None
    assert off.udp.level == "OFF"


def test_a_handler_that_is_not_switched_on_writes_nothing(tmp_path: Path) -> None:
    """What is said of other handlers has no effect; a file handler without words has Java's defaults."""
    text = "handlers=java.util.logging.FileHandler\njava.util.logging.ConsoleHandler.level=ALL\n"
    assert load(tmp_path, text) == Logging(
        console=None, file=FileLog(level="INFO", pattern="%h/java%u.log", limit_bytes=0, count=1, append=False)
    )


def said_of(tmp_path: Path, line: str) -> list[str]:
    file = tmp_path / "logging.properties"
    file.write_text(EXISTING.format(level="ALL") + line)
    findings = Findings()
    read_logging(load_document(file, findings), findings)
    number = EXISTING.count("\n") + 1
    assert all((d.location.line, d.location.file) == (number, str(file)) for d in findings.sorted())
    return [f"{d.severity} {d.message}; {d.hint}" for d in findings.sorted()]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("half a sentence", "half is no key of this file and has no effect"),
        ("jp.co.sony.csl.dcoes.apis.mian.level = INFO", "did you mean jp.co.sony.csl.dcoes.apis.main?"),
        (
            "jp.co.sony.csl.dcoes.apis.main.app.level = INFO",
            "the logger jp.co.sony.csl.dcoes.apis.main.app is not known",
        ),
        ("java.util.loging.FileHandler.level = INFO", "did you mean java.util.logging.FileHandler?"),
        ("my.own.PigeonHandler.level = INFO", "the handler my.own.PigeonHandler is not known"),
        ("a.b.useParentHandlers = false", "a.b.useParentHandlers is no key"),
    ],
)
def test_what_stands_there_for_nothing_is_said_once(tmp_path: Path, line: str, said: str) -> None:
    """A junk line, and the name of a logger or handler that is none, is one warning at its place."""
    (warning,) = said_of(tmp_path, line)
    assert warning.startswith("warning ")
    assert said in warning


@pytest.mark.parametrize(
    "line",
    [
        "java.util.logging.SimpleFormatter.format = %5$s",
        "org.apache.level = FINE",
        "jp.co.sony.csl.level = INFO",
    ],
)
def test_what_existing_files_say_of_others_is_no_news(tmp_path: Path, line: str) -> None:
    """Libraries of the existing system and formatters are passed over."""
    assert said_of(tmp_path, line) == []


@pytest.mark.parametrize(
    ("was", "now", "key"),
    [
        ("FileHandler.limit = 5242880", "FileHandler.limit = many", "java.util.logging.FileHandler.limit is 'many'"),
        (
            "MulticastHandler.groupAddress = 224.2.2.4",
            "MulticastHandler.groupAddress = 10.0.0.1",
            "jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.groupAddress",
        ),
    ],
)
def test_errors_name_the_key_that_stands_in_the_file(tmp_path: Path, was: str, now: str, key: str) -> None:
    """Whoever looks for it finds it there."""
    text = EXISTING.format(level="ALL")
    file = tmp_path / "logging.properties"
    file.write_text(text.replace(was, now, 1))
    with pytest.raises(InputError) as caught:
        load_logging_properties(file)
    (error,) = caught.value.diagnostics
    assert error.message.startswith(key)


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


def escaped(text: str, special: str) -> str:
    return "".join(
        {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}.get(c, f"\\{c}" if c in special else c) for c in text
    )


@given(st.dictionaries(KEYS, KEYS, max_size=5), st.sampled_from(["=", ":", " = ", "\t"]))
def test_what_is_written_is_read(values: dict[str, str], between: str) -> None:
    """Any keys and values, escaped as Java does, come back as they were, each at its place."""
    keep = {k: v for k, v in values.items() if k.isprintable() and v.isprintable()}
    text = "".join(
        f"! a comment\n{escaped(k, chr(92) + '=: #!')}{between}\\\n  {escaped(v, chr(92) + ' =:')}\n"
        for k, v in keep.items()
    )
    findings = Findings()
    document = parse_properties(text, "x.properties", findings)
    assert document.value == keep
    assert not findings.sorted()
    for number, key in enumerate(keep):
        place = document.places[(key,)]
        assert place.key is not None
        assert (place.key.line, place.key.column) == (3 * number + 2, 1)
        assert (place.value.line, place.value.column) == (3 * number + 3, 3)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\\", "a", "a\\\n", "=b", "\\u0041=1"])
def test_odd_files(text: str) -> None:
    """Nothing ends the reader; a key without a value has an empty one."""
    assert parse_properties(text, "x.properties", Findings()).value in ({}, {"a": ""}, {"": "b"}, {"A": "1"})
