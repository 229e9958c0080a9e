"""``apis-rules VERB``: finds the verb's module, lets it read its arguments and run; prints what went wrong in one way.

A verb is a module with ``configure(parser)`` and ``run(args) -> int``; it is imported only when it is called, so that a
start is quick. Exit 0 fine, 1 errors found or cases failed, 2 wrong usage or unreadable input.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules import __version__
from apis_rules.errors import ApisRulesError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb's module is, and its line in the help."""

    module: str
    summary: str


VERBS: Final[dict[str, Verb]] = {
    "init": Verb("apis_rules.author.verbs.init", "write a commented working set of files"),
    "facts": Verb("apis_rules.author.verbs.facts", "everything that rules can look at, with paths and examples"),
    "check": Verb("apis_rules.author.verbs.check", "check files: form, meaning, analysis"),
    "dry-run": Verb("apis_rules.author.verbs.dry_run", "what a unit in given battery states would request and accept"),
    "choose": Verb("apis_rules.author.verbs.choose", "which accept a unit takes, and why not the others"),
    "explain": Verb("apis_rules.compose.verbs.explain", "why, and why not and by how much; why a community stopped"),
    "test": Verb("apis_rules.author.verbs.test", "run cases and walks, with what they cover"),
    "diff": Verb("apis_rules.author.verbs.diff", "decisions that change between two versions"),
    "replay": Verb("apis_rules.author.verbs.replay", "make recorded decisions once more"),
    "history": Verb("apis_rules.compose.verbs.history", "the versions of files that were put in force"),
    "rollback": Verb("apis_rules.compose.verbs.rollback", "write the version before back to its files"),
    "schema": Verb("apis_rules.author.verbs.schema", "JSON Schemas for editors; what reads each key"),
    "doc": Verb("apis_rules.author.verbs.doc", "explain a diagnostic code"),
    "draw": Verb("apis_rules.author.verbs.draw", "draw a state machine"),
    "run": Verb("apis_rules.compose.verbs.run", "run one node, a folder of nodes, or the example community"),
    "status": Verb("apis_rules.compose.verbs.status", "a running community at one glance"),
    "deals": Verb("apis_rules.compose.verbs.deals", "the deals of a running community"),
    "decisions": Verb("apis_rules.compose.verbs.decisions", "what the units decided, as JSON lines for replay"),
    "mode": Verb("apis_rules.compose.verbs.mode", "look at or set the operation mode"),
    "converter": Verb("apis_rules.compose.verbs.converter", "command one converter directly, in manual mode"),
    "policy": Verb("apis_rules.compose.verbs.policy", "what the community goes by: show, compare, publish"),
    "exclude": Verb("apis_rules.compose.verbs.exclude", "declare a unit's converter cut off from the bus"),
    "battery": Verb("apis_rules.compose.verbs.battery", "who claims a battery that several nodes share"),
    "stop": Verb("apis_rules.compose.verbs.stop", "end one node or all, in order"),
    "simulate": Verb("apis_rules.compose.verbs.simulate", "a community of modelled houses for days, in virtual time"),
    "emulate": Verb("apis_rules.grid.verbs.emulate", "a modelled DC grid behind the interfaces of real drivers"),
    "cluster-config": Verb("apis_transport.verbs.cluster_config", "write one nats-server configuration per board"),
}

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Make the parser; the arguments of *verb* are filled in, those of the others are not looked at."""
    parser = argparse.ArgumentParser(
        prog="apis-rules",
        description="Declared rules and state machines for houses that share energy over one DC grid.",
        epilog="'apis-rules VERB --help' shows a verb with an example. Exit: 0 fine, 1 errors found, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"apis-rules {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, entry in VERBS.items():
        subparser = verbs.add_parser(
            name, help=entry.summary, description=entry.summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == verb:
            _module(name).configure(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((a for a in arguments if not a.startswith("-")), None)
    args = build_parser(verb if verb in VERBS else None).parse_args(arguments)
    args.arguments = tuple(arguments)
    try:
        code = _module(args.verb).run(args)
        sys.stdout.flush()
    except InputError as error:
        for diagnostic in error.diagnostics:
            print(diagnostic, file=sys.stderr)
        return 2
    except ApisRulesError as error:
        print(f"apis-rules {args.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`); the rest has nowhere to go.
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        _drop_output()
        print(f"apis-rules {args.verb}: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return int(code)


def _drop_output() -> None:
    """Close the standard output, so that Python does not fail once more over what it still holds."""
    with contextlib.suppress(OSError):
        sys.stdout.close()


def _module(verb: str) -> ModuleType:
    return importlib.import_module(VERBS[verb].module)
