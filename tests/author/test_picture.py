"""The picture of a scenario: what is drawn where, what is written into it, and the files that come out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from apis_rules.author.picture import blocks, draw_scenario
from apis_rules.cli import main
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import CompiledScenario, compile_scenario
from apis_rules.decide.regions import regions
from apis_rules.decide.scenario import Question
from apis_rules.documents.reading import load_scenario

DATA = Path(__file__).parent / "data"
ACCEPTS = (Question.ACCEPT_CHARGE, Question.ACCEPT_DISCHARGE)


def compiled(name: str) -> CompiledScenario:
    return compile_scenario(declared_scenario(load_scenario(DATA / f"{name}.scenario.json").model), partners=False)


def test_the_blocks_of_the_specification_are_those_of_its_figure() -> None:
    """Fig. 6-1: requests below 1440 and above 3360 of 4800 Wh, accepts on both sides of 2400 Wh, all day long."""
    parts = list(regions(compiled("specification-6-3"), 4800))
    requests = [(b.from_wh, b.to_wh, b.label[0]) for b in blocks(parts, (Question.REQUEST,))]
    accepts = [(b.from_wh, b.to_wh, b.label[0]) for b in blocks(parts, ACCEPTS)]
    # Exactly at its limit a battery has nothing to give; above it stands the first Wh.
    assert requests == [(0, 1440, "Charge"), (3361, 4801, "Discharge")]
    assert accepts == [(0, 2400, "Charge"), (2401, 4801, "Discharge")]
    assert {(b.from_s, b.to_s) for b in blocks(parts, ACCEPTS)} == {(0, 86400)}


def test_a_block_says_its_limit_its_price_and_its_partner() -> None:
    """What is written into a block is what stands in the scenario."""
    parts = list(regions(compiled("specification-6-3"), 4800))
    assert blocks(parts, (Question.REQUEST,))[0].label == [
        "Charge",
        "up to 1440 Wh",
        "10 points/Wh",
        "only with E002",
    ]


def test_blocks_of_all_windows_and_of_both_directions() -> None:
    """Where both directions are accepted there is a block of each; every window has its own."""
    parts = list(regions(compiled("two-windows"), 4800))
    accepts = blocks(parts, ACCEPTS)
    at_noon = [b.label[0] for b in accepts if b.from_s <= 43200 < b.to_s and b.from_wh <= 3000 < b.to_wh]
    assert sorted(at_noon) == ["Charge", "Discharge"]
    assert {b.from_s for b in accepts} == {0, 20 * 3600 + 14 * 60}


@pytest.mark.parametrize("name", ["shipped", "specification-6-3", "two-windows"])
def test_the_same_scenario_gives_the_same_file(name: str, tmp_path: Path) -> None:
    """Pictures can be kept under version control: no date and no random name is in them."""
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    draw_scenario(compiled(name), 4800, name, first)
    draw_scenario(compiled(name), 4800, name, second)
    assert first.read_bytes() == second.read_bytes()


def test_limits_bounds_and_statuses_are_written_in(tmp_path: Path) -> None:
    """Every limit with its share of the battery, every status and every offer can be read in the picture."""
    file = tmp_path / "picture.svg"
    draw_scenario(compiled("specification-6-3"), 4800, "specification", file)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>|<tspan[^>]*>([^<]*)</tspan>", file.read_text())
    written = " | ".join(a or b for a, b in texts)
    for text in ("1440 Wh", "30 %", "3360 Wh", "70 %", "2400 Wh", "50 %", "excess", "short", "up to 1440 Wh"):
        assert text in written
    for heading in ("Status", "Request", "Accept", "time of day"):
        assert heading in written


@pytest.mark.parametrize("ending", [".png", ".SVG"])
def test_dry_run_draws(ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """--plot writes a picture beside the decisions, in the form that its name says."""
    file = tmp_path / f"picture{ending}"
    assert main(["dry-run", "--scenario", str(DATA / "two-windows.scenario.json"), "--plot", str(file)]) == 0
    assert "20:14:00-24:00:00" in capfd.readouterr().out
    start = file.read_bytes()[:8]
    assert start == b"\x89PNG\r\n\x1a\n" if ending == ".png" else start.startswith(b"<?xml")


def test_many_windows_and_gaps_are_drawn(tmp_path: Path) -> None:
    """Windows of an hour, gaps and a tiny battery neither fail nor write over the edge."""
    text = ", ".join(
        f'"{h:02}:00:00-{h + 1:02}:00:00": {{"batteryStatus": {{"{h}-{h + 9}": "b{h}"}},'
        f' "request": {{"b{h}": {{"charge": {{"limitWh": {h + 5}}}}}}}}}'
        for h in range(0, 24, 2)
    )
    scenario = tmp_path / "scenario.json"
    scenario.write_text(f"{{{text}}}")
    model = load_scenario(scenario).model
    draw_scenario(compile_scenario(declared_scenario(model), partners=False), 40, "many", tmp_path / "many.png")
    assert (tmp_path / "many.png").stat().st_size > 10_000


@pytest.mark.parametrize("nominal_wh", [480, 4800, 120_000, 2_500_000])
def test_no_label_is_cut_off(nominal_wh: int, tmp_path: Path) -> None:
    """However large the battery, nothing is written over the border of the picture."""
    file = tmp_path / "picture.png"
    draw_scenario(compiled("specification-6-3"), nominal_wh, "specification", file)
    pixels = imread(file)[..., :3]
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]])
    assert border.min() == 1
    assert pixels.min() < 1
