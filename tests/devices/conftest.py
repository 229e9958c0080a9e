"""Device tests run on asyncio's own loop, in real time."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run each test on asyncio."""
    return "asyncio"
