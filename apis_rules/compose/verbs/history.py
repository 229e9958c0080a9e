"""``apis-rules history``: the versions that were put in force, newest first, and what changed with each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.author.arguments import refuse
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.compose.options import state_root
from apis_rules.documents.versions import FOLDER, Version, VersionStore

if TYPE_CHECKING:
    import argparse

COLUMNS: Final = ("number", "since", "hash", "changed")
_SHORT: Final = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_state(parser)
    add_format(parser)
    parser.epilog = "example:\n  apis-rules history --unit E001\n  apis-rules history --state state/E001"


def run(args: argparse.Namespace) -> int:
    """Print one line per version."""
    versions = open_store(args).history()
    before = [*versions, None][1:]
    rows = (
        {
            "number": version.number,
            "since": version.since_utc,
            "hash": short(version),
            "changed": ", ".join(changed(version, older)),
        }
        for version, older in zip(versions, before, strict=True)
    )
    print_rows(rows, COLUMNS, args.format)
    if not versions and args.format == "table":
        print("no version is kept there yet")
    return 0


def add_state(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say whose versions are meant."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--unit", metavar="U", help="a unit of this machine")
    whose.add_argument("--state", metavar="DIR", type=Path, help="state folder of the unit")
    parser.add_argument("--state-dir", metavar="DIR", type=Path, help="of the run that the unit belongs to")


def open_store(args: argparse.Namespace) -> VersionStore:
    """Return the versions under a unit's state folder, or in a folder of versions itself.

    Raises:
        InputError: there is no such folder, or there are several for one unit id.
    """
    state: Path = args.state if args.unit is None else _folder_of(args.unit, state_root(args.state_dir))
    if not state.is_dir():
        refuse("--state", f"{state} is no folder", "name the state folder of a unit")
    inside = state / FOLDER
    return VersionStore(inside if inside.is_dir() else state)


def _folder_of(unit_id: str, root: Path) -> Path:
    found = sorted(path.parent for path in root.glob(f"*/*/{unit_id}/{FOLDER}") if path.is_dir())
    if not found:
        refuse("--unit", f"nothing is kept of a unit {unit_id} in {root}", "name the run's --state-dir")
    if len(found) > 1:
        places = ", ".join(map(str, found))
        refuse("--unit", f"several communities have a unit {unit_id}", f"--state with one of {places}")
    return found[0]


def short(version: Version) -> str:
    """Return the beginning of a version's hash, enough to name it."""
    return version.content_hash.removeprefix("sha256:")[:_SHORT]


def changed(version: Version, older: Version | None) -> list[str]:
    """Return the paths of the files that are other ones than in *older*, or that it has and this does not."""
    was = {} if older is None else {kept.path: kept.content_hash for kept in older.files}
    now = {kept.path: kept.content_hash for kept in version.files}
    return [path for path in sorted({**was, **now}) if was.get(path) != now.get(path)]
