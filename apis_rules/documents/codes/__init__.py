"""The texts behind the diagnostic codes: one Markdown file per group, one section (``## AR101 title``) per code."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib import resources

from apis_rules.documents.diagnostics import Diagnostic, Location, Severity
from apis_rules.errors import InputError

_SECTION = re.compile(r"^## (AR\d{3}) (.+)$", re.MULTILINE)


@cache
def sections() -> dict[str, tuple[str, str]]:
    """Return code → (title, whole section as Markdown), in order of the codes."""
    found: dict[str, tuple[str, str]] = {}
    for file in resources.files(__package__).iterdir():
        if not file.name.endswith(".md"):
            continue
        text = file.read_text(encoding="utf-8")
        heads = list(_SECTION.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            end = following.start() if following else len(text)
            found[head[1]] = (head[2], text[head.start() : end].strip())
    return dict(sorted(found.items()))


def explain(code: str) -> str:
    """Return the section of *code*, or with ``all`` one line per code.

    Raises:
        InputError: there is no such code.
    """
    known = sections()
    if code == "all":
        return "\n".join(f"{c}  {title}" for c, (title, _) in known.items())
    wanted = code.upper()
    if wanted in known:
        return known[wanted][1]
    near = difflib.get_close_matches(wanted.replace("O", "0"), known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    where = Location("<argument CODE>")
    raise InputError(
        [
            Diagnostic(
                where, "AR101", Severity.ERROR, f"there is no code {code!r}", f"{hint}'apis-rules doc all' lists them"
            )
        ]
    )
