"""What verbs say where a community refuses them."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from apis_rules.compose.answers import refused_verb
from apis_rules.errors import Conflict, Outage, PortError, Refused, Unknown


@pytest.mark.parametrize(
    ("error", "verb", "order", "around", "code", "hint"),
    [
        (Refused("no"), "converter", "charge", {"mode": "autonomous"}, "AR730", "mode set manual"),
        (Refused("no"), "converter", "charge", {"mode": "manual"}, "AR730", "reference 350"),
        (Refused("no"), "converter", "reference", {"mode": "manual"}, "AR730", "'apis-rules status'"),
        (Refused("no"), "converter", "charge", {"master": None}, "AR730", "a Grid Master again"),
        (Refused("no"), "deals", "", {"mode": "stop"}, "AR730", "mode set heteronomous"),
        (Refused("no"), "deals", "", {"mode": "heteronomous"}, "AR730", "'apis-rules status'"),
        (Conflict("no"), "exclude", "", {}, "AR730", "somebody else"),
        (Unknown("no answer"), "deals", "", {}, "AR731", "then ask again"),
        (Outage("no answer"), "mode", "", {}, "AR731", "then ask again"),
    ],
)
def test_a_refusal_says_what_to_do(
    error: PortError, verb: str, order: str, around: dict[str, Any], code: str, hint: str
) -> None:
    """Each is one diagnostic with code, the sentence that came, and a command that helps as things stand."""
    overview: Any = SimpleNamespace(**{"mode": "autonomous", "master": "E001", "holder": None, **around})
    (said,) = refused_verb(error, argparse.Namespace(verb=verb, order=order), overview).diagnostics
    assert said.code == code
    assert said.message == str(error)
    assert said.location.file == f"apis-rules {verb}"
    assert hint in said.hint
