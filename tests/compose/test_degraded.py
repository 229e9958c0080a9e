"""A node whose driver goes away while it runs: degraded, said inside and outside, and back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compose.houses import Houses, Program, ask, ask_json, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nats_servers import Server

pytestmark = pytest.mark.timeout(150)


def test_a_driver_that_goes_away(houses: Houses, folder: Path, server: Server) -> None:
    """Each failed request is told, ``status`` says degraded as the run does, and all is well when it is back."""
    place = ("--state-dir", folder / "state")

    def line_of_unit() -> dict[str, object]:
        return next(u for u in ask_json("status", "--format", "json", *place)["units"] if u["unit_id"] == "E001")

    with Program("run", folder / "config.E001.json", "--nats", server.url, *place) as node:
        node.wait_line("Grid Master E001", 60)
        houses.stop()
        node.wait_line("a request to the driver has failed and is sent again", 20)
        node.wait_line("E001 is degraded: the driver does not answer (", 30)
        assert str(line_of_unit()["trouble"]).startswith("the driver does not answer (")
        assert "E001 is degraded: the driver does not" in " ".join(ask("status", *place).split())
        houses.start()
        until(lambda: not line_of_unit()["trouble"], 30, "the driver is back")
        assert node.running
        assert houses.all_wait()
