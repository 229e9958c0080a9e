"""What can be wrong when a store is opened, started or joined: one exception with a code, one clear sentence each.

Once a store is open, calls raise the errors of ``apis_rules.errors`` that the ports promise.
"""

from __future__ import annotations

from apis_rules.documents.diagnostics import Diagnostic, Location, Severity
from apis_rules.errors import InputError


class CannotOpen(InputError):
    """The store, or this unit's place in it, cannot be had. Asking again the same way will not help.

    Attributes:
        code: ``AR510`` to ``AR529``; ``apis-rules doc CODE`` explains it.
    """

    def __init__(self, code: str, where: str, message: str, hint: str = "") -> None:
        super().__init__([Diagnostic(Location(where), code, Severity.ERROR, message, hint)])
        self.code = code
