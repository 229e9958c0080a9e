"""Options that concern more than one folder of tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--ports NAME`` (again for more): run the contract suite over these implementations only."""
    parser.addoption(
        "--ports", action="append", default=[], metavar="NAME", help="implementations of the ports to test"
    )
