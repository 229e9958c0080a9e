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
    from collections.abc import Sequence

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
