"""The example in ``statecharts/README.md`` is what it says it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from apis_rules.charts import bindings, walks
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from pathlib import Path


def test_the_example_passes_the_checks(tmp_path: Path) -> None:
    """The chart and the walk that explain the format are right, to the last warning."""
    text = (data_dir("statecharts") / "README.md").read_text("utf-8")
    chart, walk = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
    (tmp_path / "walks").mkdir()
    (tmp_path / "lamp.yaml").write_text(chart, "utf-8")
    (tmp_path / "walks" / "lamp.yaml").write_text(walk, "utf-8")
    findings = Findings()
    bindings.check_document(load_document(tmp_path / "lamp.yaml", findings), findings)
    walks.check_document(load_document(tmp_path / "walks" / "lamp.yaml", findings), findings)
    assert findings.sorted() == ()


def test_every_chart_stands_in_the_table() -> None:
    """The table names each chart that the program knows, with its drawing."""
    text = (data_dir("statecharts") / "README.md").read_text("utf-8")
    assert re.findall(r"`(\w+)\.yaml` \|", text) == list(bindings.MODULES)
    assert re.findall(r"\(drawings/(\w+)\.md\)", text) == list(bindings.MODULES)
