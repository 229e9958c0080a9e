"""What a node hands over: how the mode is read from an answer, and that nothing is lost on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.charts.values import times_in_force
from apis_rules.compose.wait_orders import compile_orders
from apis_rules.documents.community import load_site
from apis_rules.documents.wiring import load_wiring
from apis_rules.grid.configs import write_configs
from apis_rules.grid.server import Addresses
from apis_rules.node.identity import Documents
from apis_rules.ports.types import ConverterMode
from apis_rules.supervisor.duty import Shown
from apis_rules.supervisor.orders import UnitOrders
from apis_transport.clock import clock_identity

if TYPE_CHECKING:
    from pathlib import Path

DRIVERS = ("dcdc_emulator", "dcdc_v1", "dcdc_v2")
SHOWN = {
    ConverterMode.WAIT: Shown.WAIT,
    ConverterMode.CHARGE: Shown.CURRENT,
    ConverterMode.DISCHARGE: Shown.CURRENT,
    ConverterMode.VOLTAGE_REFERENCE: Shown.HOLDING,
}


def orders(folder: Path, driver: str, **more: Any) -> UnitOrders:
    addresses = Addresses(("127.0.0.1", 4390), {"E001": ("127.0.0.1", 4380)}, {"E001": ("127.0.0.1", 4381)})
    write_configs(folder, ["E001"], addresses, driver)
    config = folder / "config.E001.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | more))
    site = load_site(config)
    assert site.config
    assert site.hw_config
    assert site.policy
    assert site.scenario
    documents = Documents(
        site.config.model,
        site.hw_config.model,
        site.policy.model,
        site.scenario.model,
        times_in_force(site.policy.model, load_wiring().times_of("embedded")),
    )
    return compile_orders(documents, folder)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", ConverterMode)
def test_every_driver_tells_every_mode(tmp_path: Path, driver: str, mode: ConverterMode) -> None:
    """The code, the words, or both of them."""
    ordered = orders(tmp_path, driver)
    both = {"status": mode.code, "operationMode": mode.operation_mode}
    for part in (both, {"operationMode": mode.operation_mode}, {"status": mode.code.upper().replace("X", "x")}):
        assert ordered.show({"status": part}) is SHOWN[mode]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (None, Shown.NOTHING),
        ([], Shown.NOTHING),
        ({"err": "no such unit"}, Shown.NOTHING),
        ({"status": {"status": "0x0014", "operationMode": "Waiting"}}, Shown.OTHER),
        ({"status": {"operationMode": "Battery Autonomy"}}, Shown.OTHER),
        ({"status": {"status": "none"}}, Shown.OTHER),
        ({"status": {"status": 20}}, Shown.OTHER),
    ],
)
def test_what_does_not_tell_the_mode(tmp_path: Path, answer: Any, shown: Shown) -> None:
    """No word of it is nothing; words that contradict each other, or are not known, are another mode."""
    assert orders(tmp_path, "dcdc_emulator").show(answer) is shown


@pytest.mark.parametrize("driver", DRIVERS)
def test_orders_travel_whole(tmp_path: Path, driver: str) -> None:
    """What the supervisor reads is what the node has written."""
    ordered = orders(tmp_path, driver)
    assert UnitOrders.from_document(json.loads(json.dumps(ordered.to_document()))) == ordered
    assert ordered.wait_url.startswith("http://127.0.0.1:43")
    assert "dig=0.0" in ordered.wait_url
    assert (ordered.holder_dead_man_s, ordered.request_timeout_s) == (20.0, 5.0)


@pytest.mark.parametrize(
    ("content", "refreshed_at_s"),
    [
        (None, None),
        (b"{", None),
        (b"[]", None),
        (b'{"clockId": "another start of the machine", "refreshedAtS": 7.5}', None),
        (f'{{"clockId": "{clock_identity()}", "refreshedAtS": 7.5}}'.encode(), 7.5),
        (f'{{"clockId": "{clock_identity()}"}}'.encode(), None),
    ],
)
def test_the_last_refresh_is_read_from_the_nodes_memory(
    tmp_path: Path, content: bytes | None, refreshed_at_s: float | None
) -> None:
    """H runs over restarts: from what the node has kept, if it is of this start of the machine."""
    ordered = orders(tmp_path, "dcdc_emulator")
    if content is not None:
        (tmp_path / "unit.json").write_bytes(content)
    assert ordered.begin_duty().refreshed_at_s == refreshed_at_s


def test_a_shared_battery_is_handed_over_with_its_claims(tmp_path: Path) -> None:
    """The claims of a gateway's node go with its orders, in its name; else there are none."""
    assert orders(tmp_path / "own", "dcdc_emulator").claims == ()
    shared = orders(tmp_path / "shared", "dcdc_emulator", batteryCapacityManagement={"enabled": True})
    assert len(shared.claims) == 2
    assert shared.owner == "example/example/E001"
    assert UnitOrders.from_document(json.loads(json.dumps(shared.to_document()))) == shared
