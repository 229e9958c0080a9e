"""A ruleset tried out in a process of its own before it goes live: a definition that crashes or hangs ends only that.

``python -m apis_rules.decide.trial`` reads one JSON object from its standard input, builds the chunks, matches the rows
and writes what it found; the parent compares.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from apis_rules.decide.definition import Chunk
from apis_rules.decide.engine import EngineFailure, Matcher
from apis_rules.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.decide.codegen import Row

_UNSUPPORTED: Final = 3
_PASSED: Final[deque[bytes]] = deque(maxlen=256)


def try_chunks(
    name: str, chunks: Sequence[Chunk], rows: Sequence[Row], expected: Sequence[Sequence[int]], limit_s: float = 10.0
) -> str | None:
    """Build *chunks* in a child process, match *rows* there and compare with what the scalar evaluator says.

    Blocks for as long as the child takes, 0.1 s to *limit_s*.

    Returns:
        None where all is well, else one sentence.

    Raises:
        Unsupported: the engine cannot be used on this machine.
    """
    task = json.dumps(
        {
            "name": name,
            "chunks": [[c.text, c.columns, c.indexes] for c in chunks],
            "limit_s": limit_s,
            "rows": [[None if v != v else v for v in row] for row in rows],  # noqa: PLR0124  # JSON has no NaN
        }
    )
    digest = hashlib.sha256(task.encode()).digest()
    # The nodes of one process mostly go by the same rules: what passed once need not be tried for each of them.
    if digest in _PASSED:
        return None
    problem = _try(name, task, rows, expected, limit_s)
    if problem is None:
        _PASSED.append(digest)
    return problem


def _try(name: str, task: str, rows: Sequence[Row], expected: Sequence[Sequence[int]], limit_s: float) -> str | None:
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-X", "faulthandler", "-m", "apis_rules.decide.trial"],
            input=task,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except OSError as error:
        return f"the trial build of {name} cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"the trial build of {name} did not end within {limit_s:g} s"
    if child.returncode == _UNSUPPORTED:
        raise Unsupported(child.stderr.strip())
    if child.returncode != 0:
        last = child.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return f"the trial build of {name} ended with {child.returncode}: {last[0]}"
    for row, found, wanted in zip(rows, json.loads(child.stdout), expected, strict=True):
        if found != list(wanted):
            return (
                f"the trial build of {name} differs from the scalar evaluator: {found}, not {list(wanted)}, for {row}"
            )
    return None


def _main() -> int:
    task = json.load(sys.stdin)
    # Should the parent be gone by then, a loop inside the engine still ends: the signal's own action needs no Python.
    signal.alarm(math.ceil(task["limit_s"]) + 1)
    chunks = [Chunk(text, tuple(columns), indexes) for text, columns, indexes in task["chunks"]]
    rows = [tuple(float("nan") if v is None else v for v in row) for row in task["rows"]]
    try:
        with Matcher(task["name"], chunks) as matcher:
            json.dump([matcher.match(row) for row in rows], sys.stdout)
    except Unsupported as error:
        sys.stderr.write(f"{error}\n")
        return _UNSUPPORTED
    except EngineFailure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
