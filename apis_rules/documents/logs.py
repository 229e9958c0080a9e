"""Where a node's action log goes, and from which level on (specification 9.2): section ``logging`` of a config.json."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from apis_rules.documents.model import Count, FileModel, Flag, Name, Port, Text, Whole
from apis_rules.log_levels import LogLevel

_PLACEHOLDER: Final = re.compile(r"%(.?)", re.DOTALL)
_PLACEHOLDERS: Final = "thgu%"


def _pattern(text: str) -> str:
    for found in _PLACEHOLDER.finditer(text):
        if found[1] not in _PLACEHOLDERS or not found[1]:
            raise PydanticCustomError("log_pattern", "a path in which only %t, %h, %g, %u and %% follow a percent sign")
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise PydanticCustomError("ipv4_address", "an IPv4 address") from None


def _group(text: str) -> str:
    if not ipaddress.IPv4Address(_address(text)).is_multicast:
        raise PydanticCustomError("multicast_address", "the address of a multicast group, such as 224.2.2.4")
    return text


LogPattern: TypeAlias = Annotated[Name, AfterValidator(_pattern)]
"""Path of log files in Java's way: ``%t`` temporary folder, ``%h`` home, ``%g`` generation, ``%u`` the process."""

Address: TypeAlias = Annotated[Text, AfterValidator(_address)]
GroupAddress: TypeAlias = Annotated[Text, AfterValidator(_group)]


class ConsoleLog(FileModel):
    """Lines on the standard error output, in place of the live view."""

    level: LogLevel = "INFO"


class FileLog(FileModel):
    """Lines in files that take turns.

    Attributes:
        pattern: None: in the state folder.
        limit_bytes: of one file; 0: none.
        count: of files.
        append: whether a start goes on with the file of the last one.
    """

    level: LogLevel = "INFO"
    pattern: LogPattern | None = None
    limit_bytes: Whole = 1_000_000
    count: Count = 5
    append: Flag = True


class ErrorFileLog(FileLog):
    """The same once more, for what is wrong."""

    level: LogLevel = "WARNING"
    pattern: LogPattern


class UdpLog(FileModel):
    """A datagram per line, to a multicast group. It leaves the machine unencrypted: off unless it is asked for.

    Attributes:
        interface_address: of the network interface; None: as the machine is set up.
    """

    level: LogLevel = "OFF"
    group_address: GroupAddress = "224.2.2.4"
    port: Port = 8888
    interface_address: Address | None = None


class Logging(FileModel):
    """The outputs of a node's action log, each switched and filtered by its own level."""

    console: ConsoleLog | None = None
    file: FileLog | None = FileLog()
    error_file: ErrorFileLog | None = None
    udp: UdpLog | None = None
