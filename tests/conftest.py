"""Options that concern more than one folder of tests."""

import pytest
from hypothesis import HealthCheck, settings

# A test never fails because the machine is slow; benchmarks are for speed.
settings.register_profile("apis", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("apis")


SHOWN = "shown"
"""Name under which a test records text for the end of the run, whichever process it runs in (``record_property``)."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded to be seen."""
    for reports in terminalreporter.stats.values():
        called = (r for r in reports if getattr(r, "when", None) == "call")
        for name, text in (p for r in called for p in r.user_properties):
            if name == SHOWN:
                terminalreporter.write_line(str(text))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--ports NAME`` (contract suite over these implementations only) and ``--rewrite`` (golden files)."""
    parser.addoption("--rewrite", action="store_true", help="write golden files anew; then read the difference")
    parser.addoption("--ports", action="append", default=[], metavar="NAME", help="over which ports")
