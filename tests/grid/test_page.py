"""The verb ``emulate`` as a process, and its live page in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Process:
    """A running ``apis-rules emulate``: what it said at its start, and its page's address."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process, self.said = process, ""
        for line in process.stdout:
            self.said += line
            if "ends with" in line:
                break
        found = re.search(r"page\s+(http://\S+)/", self.said)
        assert found, self.said
        self.url = found[1]

    def ask(self, path: str, body: dict[str, object] | None = None) -> Any:
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(self.url + path, data, timeout=20) as answer:  # noqa: S310  loopback
            return json.load(answer)


@contextlib.contextmanager
def emulating(*arguments: str) -> Iterator[Process]:
    ports = ("--port", "0", "--v2-port", "0", "--v1-port", "0")
    command = [sys.executable, "-m", "apis_rules", "emulate", *arguments, *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Process(process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
        assert code == 0


@contextlib.contextmanager
def browsing(width: int = 1400, height: int = 800, expected: str = "") -> Iterator[Page]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        missing = "no browser: install Debian's chromium (apt-get install chromium)"
        # The gate installs one; a person who has none still gets everything else tested, and is told.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
    assert [p for p in problems if not expected or expected not in p] == []


def test_the_page_shows_the_grid_as_it_lives() -> None:
    """Units, modes, voltages, currents of lines, charge, time and faults appear and follow what happens."""
    with emulating("--accelerate", "100") as emulator, browsing() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(emulator.url)
        expect(page.locator("[data-unit]")).to_have_count(4)
        expect(page.locator("[data-line]")).to_have_count(3)
        expect(page.locator("#holder")).to_have_text("nobody")
        first_time = page.locator("#time").inner_text()
        emulator.ask("/set/dcdc/E001?mode=0x0014&dvg=350&dig=2.3")
        unit = page.locator("[data-unit=E001]")
        expect(unit).to_contain_text("holds")
        expect(page.locator("#voltage")).to_have_text(re.compile(r"^(349\.9|350\.0|350\.1) V$"), timeout=20_000)
        expect(page.locator("#holder")).to_have_text("E001")
        emulator.ask("/set/dcdc/E003?mode=0x0041&dvg=350&dig=2")
        taker = page.locator("[data-unit=E003]")
        expect(taker).to_contain_text("charges")
        expect(taker.locator(".ig")).to_have_text(re.compile(r"^(1\.99|2\.0\d) A$"))
        expect(unit.locator(".ig")).to_have_text(re.compile(r"^\u2212(2\.0\d|1\.99) A$"))
        expect(page.locator("[data-line=E002-E003]")).to_contain_text("of 10 A")
        expect(taker.locator(".soc")).to_have_text(re.compile(r"^\d+\.\d %$"))
        emulator.ask("/faults", {"kind": "line_capacity", "line": "E002-E003", "value": 1.0})
        expect(page.locator("[data-line=E002-E003]")).to_have_class("over")
        page.select_option("[name=kind]", "heavy_alarm")
        page.select_option("[name=where]", "E004")
        page.click("text=Add fault")
        expect(page.locator("[data-unit=E004]")).to_contain_text("Heavy alarm")
        page.click("text=heavy alarm E004")
        expect(page.locator("[data-unit=E004]")).not_to_contain_text("Heavy alarm")
        emulator.ask("/faults", {"kind": "trip", "unit": "E002"})
        page.click("text=Heavy alarm · clear")
        expect(page.locator("[data-unit=E002]")).not_to_contain_text("Heavy alarm")
        page.click("button[value='600']")
        expect(page.locator("[aria-pressed=true]")).to_have_attribute("value", "600")
        assert page.locator("#time").inner_text() > first_time
        assert all(url.startswith(emulator.url) for url in asked)
        box = page.locator("[data-unit=E001] rect").first.bounding_box()
        assert box is not None
        assert box["width"] > 150


def test_cards_stay_readable_on_a_small_screen() -> None:
    """On a phone the picture of a small community is moved sideways instead of becoming too small to read."""
    with emulating() as emulator, browsing(400, 800) as page:
        page.goto(emulator.url)
        expect(page.locator("[data-unit]")).to_have_count(4)
        box = page.locator("[data-unit=E001] rect.box").bounding_box()
        assert box is not None
        assert box["width"] > 115
        last = page.locator("[data-unit=E004]")
        last.scroll_into_view_if_needed()
        box = last.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 400


def test_the_page_says_when_the_emulator_is_gone() -> None:
    """An emulator that ends is told on the page instead of a picture that stands still."""
    with browsing(expected="ERR_CONNECTION_REFUSED") as page:
        with emulating() as emulator:
            page.goto(emulator.url)
            expect(page.locator("[data-unit]")).to_have_count(4)
            expect(page.locator("#lost")).to_be_hidden()
        expect(page.locator("#lost")).to_be_visible()


@pytest.mark.parametrize("size", [(1400, 800), (800, 600)])
def test_cards_of_a_tree_do_not_overlap(size: tuple[int, int]) -> None:
    """On the specification's tree of nineteen nodes every unit has a place of its own inside the picture."""
    with emulating("--units", "19", "--topology", "11.1") as emulator, browsing(*size) as page:
        page.goto(emulator.url)
        expect(page.locator("[data-unit]")).to_have_count(19)
        boxes = [card.bounding_box() for card in page.locator("[data-unit] rect.box").all()]
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= size[0] for box in boxes)
        for k, a in enumerate(boxes):
            for b in boxes[k + 1 :]:
                assert a is not None
                assert b is not None
                apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
                assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]


def test_the_start_prints_and_writes_configs(tmp_path: Path) -> None:
    """What is printed names every port, and the files written are read by the readers of nodes and left alone later."""
    from apis_rules.documents.community import load_site

    folder = tmp_path / "community"
    with emulating("--units", "3", "--write-configs", str(folder), "--system-type", "dcdc_v2") as emulator:
        assert sorted(f.name for f in folder.iterdir()) == [
            *(f"config.E00{k}.json" for k in (1, 2, 3)),
            "hwConfig.json",
            "policy.json",
            "scenario.json",
        ]
        site = load_site(folder / "config.E002.json")
        assert site.config is not None
        assert site.policy is not None
        assert site.policy.model.member_unit_ids == ("E001", "E002", "E003")
        config = json.loads((folder / "config.E002.json").read_text(encoding="utf-8"))
        port = config["connection"]["dcdc_controller"]["port"]
        assert f"E002 {port}" in emulator.said
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/version/get", timeout=20) as answer:
            assert json.load(answer)["comm_interface_version"] == "2.0"
        checked = subprocess.run(
            [sys.executable, "-m", "apis_rules", "check", str(folder)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert checked.stdout.splitlines() == ["6 files checked: 0 errors, 0 warnings"], checked.stdout
        (folder / "policy.json").write_text("mine", encoding="utf-8")
    with emulating("--units", "3", "--write-configs", str(folder)) as emulator:
        assert (folder / "policy.json").read_text(encoding="utf-8") == "mine"
        assert "left as they are" in emulator.said


def test_a_machine_that_lacks_something_is_told(tmp_path: Path) -> None:
    """Too few open files, and a missing extra, are said in one sentence instead of a traceback."""
    emulate = f"{sys.executable} -m apis_rules emulate --port 0 --v2-port 0 --v1-port 0"
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')")
    for command, word in (
        (f"ulimit -n 100; {emulate} --units 200", "cannot open another port"),
        (f"PYTHONPATH={tmp_path} {emulate}", "install apis-rules[emulator]"),
    ):
        result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 2
        assert word in result.stderr
        assert "Traceback" not in result.stderr


def test_a_script_of_faults_and_a_topology_from_files(tmp_path: Path) -> None:
    """Faults happen at their times, on the lines of the file."""
    topology = tmp_path / "lines.yaml"
    topology.write_text("lines:\n  - {from: A, to: B, resistanceOhm: 0.5, capacityA: 3}\nunits: {E002: A, E001: B}\n")
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {kind: line_open, line: A-B}\n- {kind: heavy_alarm, unit: E001, afterS: 1000000}\n")
    arguments = ("--units", "2", "--ramp", "5", "--topology", str(topology), "--faults", str(faults))
    with emulating(*arguments) as emulator:
        grid = emulator.ask("/grid")
        assert grid["lines"] == [
            {"name": "A-B", "start": "A", "end": "B", "current_a": 0.0, "capacity_a": 3.0, "open": True}
        ]
        assert [u["node"] for u in grid["units"]] == ["B", "A"]
        assert [f["kind"] for f in grid["faults"]] == ["line_open", "heavy_alarm"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--units", "0"], "no whole number from 1 to 1000"),
        (["--accelerate", "nan"], "no number from"),
        (["--rsoc", "50,101"], "no number from 0 to 100"),
        (["--start", "noon"], "no time like"),
        (["--topology", "missing.yaml"], "AR102"),
        (["--houses", "missing"], "AR102"),
        (["--host", "203.0.113.7"], "cannot listen on 203.0.113.7:4390"),
        (["--port", "0", "--v2-port", "65534"], "there is no port 65536"),
        (["--port", "24391", "--v2-port", "24391"], "cannot listen on 127.0.0.1:24391"),
        (["--port", "0", "--v2-port", "0", "--v1-port", "0", "--write-configs", "pyproject.toml"], "AR104"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], word: str) -> None:
    """Each ends with exit code 2 and one sentence."""
    result = subprocess.run(
        [sys.executable, "-m", "apis_rules", "emulate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert word in result.stderr
    assert "Traceback" not in result.stderr
