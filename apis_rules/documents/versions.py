"""Every set of files that was put in force, kept by its hash: what ``history`` lists and ``rollback`` needs.

A version is one JSON file, written beside and renamed, so a crash leaves the old ones or all of the new one. The last
twenty are kept. A folder belongs to one process at a time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.model import canonical_hash
from apis_rules.documents.source import refusal
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT: Final = 20
FOLDER: Final = "versions"
"""Under a unit's state folder."""

_NAME: Final = re.compile(r"(\d{8})-[0-9a-f]{12}\.json\Z")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file of a version.

    Attributes:
        path: where it was read, and where a rollback writes it.
        text: as it was.
        content_hash: of its meaning, as decisions and policies name it.
    """

    path: str
    text: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Version:
    """What was in force from some time on.

    Attributes:
        number: counts up; the highest is in force.
        since_utc: when it was put in force, with milliseconds and ``Z``.
        files: sorted by path.
    """

    number: int
    since_utc: str
    files: tuple[KeptFile, ...]

    @property
    def content_hash(self) -> str:
        """One hash over the meaning of all its files."""
        return canonical_hash({kept.path: kept.content_hash for kept in self.files})


class VersionStore:
    """The versions in one folder."""

    def __init__(self, folder: Path, keep: int = KEPT) -> None:
        self._folder = folder
        self._keep = keep

    def history(self) -> tuple[Version, ...]:
        """Return the versions that are kept, the one in force first.

        Raises:
            InputError: AR265, one of them cannot be read.
        """
        return tuple(_read(path) for path in self._paths())

    def find(self, content_hash: str) -> Version | None:
        """Return the newest version that has this hash, or has a file with it; hashes may be shortened."""
        wanted = content_hash.removeprefix("sha256:")
        for version in self.history():
            hashes = (version.content_hash, *(kept.content_hash for kept in version.files))
            if wanted and any(h.removeprefix("sha256:").startswith(wanted) for h in hashes):
                return version
        return None

    def record(self, files: Iterable[KeptFile], since_utc: str) -> Version:
        """Keep *files* as the version now in force; the same content again is no new version.

        Raises:
            InputError: AR265, the newest version cannot be read.
            OSError: the folder cannot be written.
        """
        paths = self._paths()
        newest = _read(paths[0]) if paths else None
        version = Version(
            newest.number + 1 if newest else 1, since_utc, tuple(sorted(files, key=lambda kept: kept.path))
        )
        if newest is not None and newest.files == version.files:
            return newest
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = version.content_hash.removeprefix("sha256:")[:12]
        write_whole(self._folder / f"{version.number:08d}-{digest}.json", _written(version).encode(), durable=True)
        for old in self._paths()[self._keep :]:
            old.unlink(missing_ok=True)
        return version

    def restore(self, version: Version) -> tuple[Path, ...]:
        """Write the files of *version* back to where they came from; return those that changed.

        Raises:
            OSError: one of them cannot be written; those before it are.
        """
        changed = []
        for kept in version.files:
            path = Path(kept.path)
            if not path.is_file() or path.read_bytes() != kept.text.encode():
                write_whole(path, kept.text.encode(), durable=True)
                changed.append(path)
        return tuple(changed)

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted((p for p in self._folder.iterdir() if _NAME.match(p.name)), reverse=True)


def _written(version: Version) -> str:
    files = [{"path": k.path, "contentHash": k.content_hash, "text": k.text} for k in version.files]
    document = {"number": version.number, "sinceUtc": version.since_utc, "files": files}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _read(path: Path) -> Version:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(KeptFile(f["path"], f["text"], f["contentHash"]) for f in document["files"])
        return Version(int(document["number"]), str(document["sinceUtc"]), files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"is no version that can be read: {error!r}"
        raise refusal(Location(str(path)), "AR265", message, "take the file away; the others stay usable") from error
