"""Cases of the existing system's own evaluator: three scenarios, what it decides, and what it chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


@pytest.fixture(scope="session")
def decisions() -> list[dict[str, Any]]:
    return lines("decisions.jsonl")


@pytest.fixture(scope="session")
def choices() -> list[dict[str, Any]]:
    return lines("choices.jsonl")
