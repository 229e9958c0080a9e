"""``apis-rules rollback``: writes the version before, or a named one, back to the files that it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.author.arguments import refuse
from apis_rules.author.inputs import finish
from apis_rules.compose.verbs.history import add_state, open_store, short
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import parse_document
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from apis_rules.documents.versions import KeptFile, Version, VersionStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_state(parser)
    parser.add_argument("--to", metavar="HASH", help="a version, or a file in it, by the beginning of its hash")
    parser.add_argument("--policy", metavar="FILE", type=Path, help="write the policy of that version to FILE")
    parser.add_argument("--strict", action="store_true", help="exit 1 when there are warnings")
    parser.epilog = "example:\n  apis-rules rollback --unit E001\n  apis-rules rollback --state state/E001 --to 3fb2"


def run(args: argparse.Namespace) -> int:
    """Write the files back, and say which changed; a running node puts them in force at its next refresh."""
    store = open_store(args)
    version = _version(store, args.to)
    findings = Findings()
    policies = [kept for kept in version.files if _is_policy(kept)]
    in_force = {kept.path: kept.content_hash for kept in store.history()[0].files}
    for policy in policies:
        if in_force.get(policy.path) != policy.content_hash:
            message = f"the policy of version {version.number} is another one; the file stays as it is"
            hint = "--policy FILE writes it there, and 'apis-rules policy publish FILE' puts it in force for all"
            findings.warning(Location(policy.path), "AR309", message, hint)
    try:
        written = store.restore(replace(version, files=tuple(k for k in version.files if k not in policies)))
    except OSError as error:
        refuse("--state", f"{error.filename or 'a file'} cannot be written: {error.strerror}", "the others are written")
    if args.policy is not None:
        _write_policy(policies, args.policy)
    for path in written:
        print(f"{path} is as in version {version.number}")
    print(f"version {version.number} ({short(version)}) of {version.since_utc}: {len(written)} files changed")
    return finish(findings.sorted(), strict=args.strict)


def _write_policy(policies: Sequence[KeptFile], file: Path) -> None:
    if not policies:
        refuse("--policy", "that version has no policy", "apis-rules history lists them")
    try:
        write_whole(file, policies[0].text.encode(), durable=True)
    except OSError as error:
        refuse("--policy", f"{file} cannot be written: {error.strerror}")
    print(f"{file} is the policy of that version; 'apis-rules policy publish {file}' puts it in force for all")


def _version(store: VersionStore, wanted: str | None) -> Version:
    if wanted is not None:
        found = store.find(wanted)
        if found is None:
            refuse("--to", f"no version has a hash that begins with {wanted!r}", "apis-rules history lists them")
        if not _is_of_same_files(found, store.history()[0]):
            files = ", ".join(kept.path for kept in found.files)
            refuse("--to", f"version {found.number} is of other files than the ones in force: {files}",
                   "a run of another folder has kept it in the same state folder; nothing is written")  # fmt: skip
        return found
    in_force, *before = store.history() or (None,)
    fitting = [version for version in before if in_force and _is_of_same_files(version, in_force)]
    if not fitting:
        refuse("--state", "there is no version before the one in force, of its files", "apis-rules history lists them")
    return fitting[0]


def _is_of_same_files(version: Version, in_force: Version) -> bool:
    """Whether both were read from the same place; two folders with one unit id may share a state folder."""
    return not {kept.path for kept in version.files}.isdisjoint(kept.path for kept in in_force.files)


def _is_policy(kept: KeptFile) -> bool:
    return recognise(parse_document(kept.text, kept.path, Findings()).value) is Kind.POLICY
