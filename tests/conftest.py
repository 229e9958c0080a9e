"""Options that concern more than one folder of tests."""

import pytest
from hypothesis import HealthCheck, settings

# A test never fails because the machine is slow; benchmarks are for speed.
settings.register_profile("apis", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("apis")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--ports NAME`` (contract suite over these implementations only) and ``--rewrite`` (golden files)."""
    parser.addoption("--rewrite", action="store_true", help="write golden files anew; then read the difference")
    parser.addoption("--ports", action="append", default=[], metavar="NAME", help="over which ports")
