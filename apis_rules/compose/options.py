"""What `run` is asked for, and where things lie that outlive it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.ports.types.model import FORMAT, wrong_format
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    from apis_rules.documents.config import Config

STATE_DIR_VARIABLE: Final = "APIS_STATE_DIR"
NATS_URL_VARIABLE: Final = "APIS_NATS_URL"
RUN_FILE: Final = "run.json"
LAST_RUN_FILE: Final = "last-run.json"
"""The same content; it stays when the run has ended, for verbs that look back."""

STORE: Final = "store"
"""Folder of a server of our own."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments of ``run``.

    Attributes:
        nats: where the shared state is; empty: as the config says, else a server of our own.
        for_s: how long to run; None: until stopped.
        until_deals: how many deals may end before the run does.
        accelerate: of the example's clock.
        format: ``table`` for people, ``json`` for a program.
        new_store: make the shared state anew although these units have known one.
        logging: a logging.properties that counts instead of what lies beside the configs.
    """

    target: Path | None
    nats: tuple[str, ...]
    for_s: float | None
    until_deals: int | None
    accelerate: float
    start_timeout_s: float
    format: str
    state_dir: Path | None
    new_store: bool = False
    logging: Path | None = None


def parse_duration(text: str, argument: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``10m``, ``1h``.

    Raises:
        InputError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise refusal(Location(f"<argument {argument}>"), "AR101", f"{text!r} is no duration", "90s, 10m, 1h")
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def state_root(given: Path | None) -> Path:
    """Return the folder for what outlives a run: as given, else ``APIS_STATE_DIR``, else the platform's own."""
    if given is not None:
        return given
    if STATE_DIR_VARIABLE in os.environ:
        return Path(os.environ[STATE_DIR_VARIABLE])
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "apis-rules"


def unit_folder(root: Path, config: Config) -> Path:
    """Return the state folder of one unit."""
    return root / config.community_id / config.cluster_id / config.unit_id


@dataclass(frozen=True, slots=True)
class Running:
    """What a run leaves for the verbs that look at it: the run file. *credentials*: path of those for its servers."""

    urls: tuple[str, ...]
    community_id: str
    cluster_id: str
    members: tuple[str, ...]
    default_mode: str
    pid: int
    credentials: str | None = None

    @property
    def credentials_file(self) -> Path | None:
        """Where the credentials for the servers are."""
        return None if self.credentials is None else Path(self.credentials)

    def save(self, root: Path) -> None:
        """Write the run file into *root*."""
        root.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "urls": list(self.urls),
            "communityId": self.community_id,
            "clusterId": self.cluster_id,
            "members": list(self.members),
            "defaultMode": self.default_mode,
            "pid": self.pid,
            "credentials": self.credentials,
        }
        for name in (LAST_RUN_FILE, RUN_FILE):
            # Verbs read it at any moment. It is written while converters are controlled, so no disk is waited for.
            write_whole(root / name, f"{json.dumps(content, indent=2)}\n".encode(), durable=False)

    def remove(self, root: Path) -> None:
        """Take the run file away, unless another run has written its own meanwhile."""
        try:
            if load_running(root).pid == self.pid:
                (root / RUN_FILE).unlink()
        except (OSError, ValueError):
            return  # somebody has taken it away already


def load_running(root: Path, name: str = RUN_FILE) -> Running:
    """Read the run file of *root*, or that of the last run.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    content = json.loads((root / name).read_text(encoding="utf-8"))
    if (found := content.get("format", FORMAT)) != FORMAT:
        raise ValueError(f"{root / name}: {wrong_format(found)}")
    try:
        return Running(
            tuple(content["urls"]),
            content["communityId"],
            content["clusterId"],
            tuple(content["members"]),
            content["defaultMode"],
            int(content["pid"]),
            content.get("credentials"),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{root / name} lacks {error}") from error
