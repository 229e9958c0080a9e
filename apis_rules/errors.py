"""Every exception that apis-rules raises on purpose.

::

    ApisRulesError
    ├── InputError            a file or argument is wrong; carries diagnostics; the command line exits 2
    ├── Unsupported           this machine or installation lacks something; one sentence says what to do
    └── PortError             something outside did not do what was asked
        ├── Outage            not reached, or known not to be done; asking again later may work
        ├── Refused           reached, and answered no; asking again the same way will not work
        │   ├── Conflict      a condition of a write did not hold; nothing was written
        │   └── Fenced        the writer's term is over; nothing was written
        └── Unknown           sent, but no answer came: it may or may not have been done. Re-read before deciding

Which port call raises which of these is said at the call, in ``apis_rules.ports``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apis_rules.documents.diagnostics import Diagnostic


class ApisRulesError(Exception):
    """Root of the tree."""


class InputError(ApisRulesError):
    """What was given cannot be used.

    Attributes:
        diagnostics: at least one, sorted by place.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(str(d) for d in diagnostics))
        self.diagnostics = tuple(diagnostics)


class Unsupported(ApisRulesError):
    """The machine or the installation lacks something. The text says what, and what to do."""


class PortError(ApisRulesError):
    """Something outside did not do what was asked."""


class Outage(PortError):
    """Not reached, or known not to be done."""


class Refused(PortError):
    """Reached, and answered no."""


class Conflict(Refused):
    """A condition of a write did not hold; nothing of it was written.

    Attributes:
        actual: the revision that the key has instead, where the store said so.
    """

    def __init__(self, message: str, actual: int | None = None) -> None:
        super().__init__(message)
        self.actual = actual


class Fenced(Refused):
    """The term in whose name the call was made is over."""


class Unknown(PortError):
    """Sent, but no answer came in time: it may have been done, or be done later. Re-read before deciding."""


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the exceptions that are no groups themselves."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def plain_error(group: BaseExceptionGroup[BaseException]) -> ApisRulesError | None:
    """Return one error that says what all of *group* say; None where one of them was not raised on purpose."""
    errors = list(leaves(group))
    if not all(isinstance(e, ApisRulesError) for e in errors):
        return None
    diagnostics = [d for e in errors if isinstance(e, InputError) for d in e.diagnostics]
    if diagnostics:
        return InputError(sorted(set(diagnostics), key=lambda d: (d.location, d.code, d.message)))
    return ApisRulesError("; ".join(dict.fromkeys(str(e) for e in errors)))
