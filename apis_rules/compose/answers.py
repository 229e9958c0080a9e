"""What a verb says where a running community refuses it, or does not answer: a code, a sentence, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.errors import Conflict, Refused
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.overview import Overview
    from apis_rules.errors import InputError, PortError


def refused_verb(error: PortError, args: argparse.Namespace, overview: Overview) -> InputError:
    """Return *error* as what the verb of *args* ends with; *overview*: how things stand, for the hint."""
    where = Location(f"apis-rules {args.verb}")
    if isinstance(error, Refused):
        return refusal(where, "AR730", str(error), _hint(error, args, overview))
    return refusal(where, "AR731", str(error), "look with 'apis-rules status' what has become of it, then ask again")


def _hint(error: Refused, args: argparse.Namespace, overview: Overview) -> str:
    if isinstance(error, Conflict):
        return "somebody else has changed it meanwhile: look again, then ask again"
    if overview.master is None:
        return "within seconds after a start or a death there is a Grid Master again; 'apis-rules status' shows it"
    if args.verb == "converter":
        if overview.mode != OperationMode.MANUAL:
            return "'apis-rules mode set manual' ends what is under way in order; then converters are commanded by hand"
        if overview.holder is None and args.order in ("charge", "discharge"):
            return (
                "'apis-rules converter U reference 350' at another unit first; 'apis-rules status' shows when it is up"
            )
    if args.verb == "deals" and overview.mode in (OperationMode.STOP, OperationMode.MANUAL):
        return "'apis-rules mode set heteronomous' lets deals from outside be made, and no others"
    return "'apis-rules status' shows how things stand"
