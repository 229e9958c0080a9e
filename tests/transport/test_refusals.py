"""What a server's error numbers mean to the program."""

from __future__ import annotations

import pytest

from apis_rules.errors import Conflict, Outage, Refused
from apis_transport.jetstream import refusal


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"err_code": 10005, "code": 400, "description": "no suitable peers for placement, peer offline"}, Outage),
        ({"err_code": 10071, "code": 400, "description": "wrong last sequence: 7"}, Conflict),
        ({"err_code": 10008, "code": 503, "description": "JetStream system temporarily unavailable"}, Outage),
        ({"err_code": 10052, "code": 400, "description": "invalid configuration"}, Refused),
    ],
)
def test_what_may_work_a_moment_later_is_an_outage(error: dict[str, object], kind: type[Exception]) -> None:
    """A cluster that is still forming is waited for; what the server will never do is refused."""
    assert type(refusal(error)) is kind
