"""What the nodes' process tells the one above it, with stand-ins for nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.compose.nodes import OpenNode
from apis_rules.compose.options import RunOptions
from apis_rules.compose.parent import Parent
from apis_rules.compose.run import _Run
from apis_rules.errors import ApisRulesError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

OPTIONS = RunOptions(None, (), None, None, 1.0, 20.0, "json", None)


class Above(Parent):
    """Keeps what it is told of units that left."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[tuple[str, bool]] = []

    def leave(self, unit_id: str, *, at_rest: bool) -> None:
        self.left.append((unit_id, at_rest))


@dataclass
class Failing:
    """A node that ends by an error, its converter in WAIT as far as it knows."""

    unit_id: str
    at_rest: bool = True
    services: Any = None
    identity: Any = field(init=False)

    def __post_init__(self) -> None:
        self.identity = SimpleNamespace(unit_id=self.unit_id)

    async def run(self) -> int:
        raise ExceptionGroup("ended", [ApisRulesError("its driver is gone")])


def run_of(*nodes: Failing, above: Parent, displaced: Callable[[], bool] = lambda: False) -> Any:
    community: Any = SimpleNamespace(displaced=displaced())
    opened: Any = [OpenNode(node, Path(), community) for node in nodes]  # type: ignore[arg-type]  # stand-ins
    onlooker: Any = SimpleNamespace(keep_deals=lambda _limit: None)
    log: Any = None
    return _Run(OPTIONS, opened, onlooker, above, log, lambda: None)


@pytest.mark.parametrize("displaced", [False, True])
async def test_a_failed_node_is_guarded_at_once(*, displaced: bool) -> None:
    """Not only when the whole process has ended; but not at all where another instance has its unit id."""
    above, node = Above(), Failing("E001")
    run = run_of(node, Failing("E002"), above=above, displaced=lambda: displaced)
    await run._live(node)
    assert above.left == [("E001", displaced)]
    assert run.failed


def begun(*, stalled: bool) -> Any:
    return SimpleNamespace(supervisor=SimpleNamespace(stalled=stalled))


def test_nodes_that_run_are_watched_while_another_waits_to_begin() -> None:
    """A sign of life is short-lived from the first node on, and stops with any of them; ended ones count no more."""
    first, second = Failing("E001"), Failing("E002")
    run = run_of(first, second, above=Above())
    assert run._alive() is None
    first.services = begun(stalled=False)
    assert run._alive() is True
    first.services = begun(stalled=True)
    assert run._alive() is False
    run._codes["E001"] = 0
    assert run._alive() is None
    second.services = begun(stalled=False)
    assert run._alive() is True
