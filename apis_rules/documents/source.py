"""The bytes of a file, as text; or one clear sentence why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.documents.diagnostics import Diagnostic, Location, Severity
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES: Final = 5_000_000


def read_text(path: Path, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """Return the text of the file at *path*, without a byte order mark.

    Raises:
        InputError: no such file, a folder, not readable, empty, larger than *limit_bytes*, or not UTF-8 text.
    """
    file = str(path)
    try:
        if path.is_dir():
            raise refusal(Location(file), "AR103", "is a folder, not a file", "name a file in it")
        with path.open("rb") as stream:
            data = stream.read(limit_bytes + 1)
    except FileNotFoundError as error:
        raise refusal(Location(file), "AR102", "there is no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refusal(Location(file), "AR104", f"cannot be read: {reason}") from error
    if len(data) > limit_bytes:
        raise refusal(
            Location(file), "AR107", f"is larger than {limit_bytes / 1e6:g} MB", "is this the file you meant?"
        )
    if b"\0" in data:
        raise refusal(Location(file), "AR106", "holds binary data, not text", "save it as UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refusal(Location(file, line, 1), "AR106", "is not UTF-8 text", "save it as UTF-8") from error
    if not text.strip():
        raise refusal(Location(file), "AR105", "is empty")
    return text


def refusal(location: Location, code: str, message: str, hint: str = "") -> InputError:
    """Return the exception of one error, to be raised."""
    return InputError([Diagnostic(location, code, Severity.ERROR, message, hint)])
