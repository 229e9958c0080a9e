"""One process of a machine commands a converter, whichever state folder, store and community it works with.

The lock of a state folder and the presence in a community's store say that a *unit* runs. A second run with another
folder and a server of its own would see neither of them, and command the same converter.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apis_rules.documents.config import Config


def converter_lock(config: Config) -> Path:
    """Return the file whose lock says that a process of this user commands the converter of *config*."""
    place = f"{config.system_type} {config.connection.model_dump_json()} {config.unit_id}"
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    # What another user has made could not be opened, also when nobody holds it any more.
    return Path(tempfile.gettempdir()) / f"apis-rules-{os.getuid()}" / f"converter-{name}.lock"
