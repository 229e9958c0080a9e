"""The contract suite runs over every implementation listed here; ``--ports NAME`` picks some, wrong twins included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.bench import Bench, Implementation
from tests.contract.nats import CLUSTER, OverCluster, OverEmbeddedServer
from tests.contract.twins import WRONG_TWINS, Twins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

IMPLEMENTATIONS: list[Implementation] = [Twins(), OverEmbeddedServer(), OverCluster()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that uses a bench one run per implementation."""
    if "implementation" in metafunc.fixturenames:
        known = {i.name: i for i in [*IMPLEMENTATIONS, *WRONG_TWINS]}
        names = metafunc.config.getoption("--ports") or [i.name for i in IMPLEMENTATIONS]
        metafunc.parametrize("implementation", [known[n] for n in names], ids=names)


@pytest.fixture
def anyio_backend(implementation: Implementation) -> tuple[str, dict[str, object]]:
    """Run each test on the loop of its implementation."""
    return ("asyncio", {"loop_factory": implementation.loop_factory})


@pytest.fixture
async def bench(implementation: Implementation) -> AsyncIterator[Bench]:
    """An empty community."""
    async with implementation.open() as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _servers() -> Iterator[None]:
    """Stop the servers that tests have started for the whole run."""
    yield
    CLUSTER.stop()
