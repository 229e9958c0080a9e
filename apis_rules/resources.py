"""The one module that knows where the declared files lie: bundled beside the code, else in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """Return the folder of declared files called *name*: ``rules``, ``statecharts`` or ``transport``.

    An editable install may hold a bundled copy that has gone stale, so the checkout wins where there is one.
    """
    checkout = _PACKAGE.parent / name
    if (_PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    return _PACKAGE / "_data" / name
