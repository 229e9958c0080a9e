"""``apis-rules draw CHART``: a state machine as Mermaid text, as a page of Markdown, or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.charts.bindings import MODULES, bundled_chart
from apis_rules.charts.draw import draw_mermaid, draw_page
from apis_rules.charts.load import load_chart
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.shapes import did_you_mean
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    import argparse

    from apis_rules.charts.model import Chart

_FORMS = (".mmd", ".md", ".svg")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("chart", metavar="CHART", help=f"a chart file, or one of {', '.join(MODULES)}")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="write Mermaid text (.mmd), a page with the sentences of the chart (.md) or a picture (.svg, extra draw)",
    )
    parser.epilog = "example:\n  apis-rules draw deal\n  apis-rules draw statecharts/deal.yaml --out deal.svg"


def run(args: argparse.Namespace) -> int:
    """Draw one chart; without ``--out``, print Mermaid text."""
    out: Path | None = args.out
    if out is not None and out.suffix not in _FORMS:
        hint = f"the ending says what is drawn: {', '.join(_FORMS)}"
        raise refusal(Location("<argument --out>"), "AR101", f"{out.name!r} has no ending that can be drawn", hint)
    chart = _chart(args.chart)
    if out is None:
        print(draw_mermaid(chart), end="")
        return 0
    try:
        _write(chart, out)
    except OSError as error:
        raise refusal(Location(str(out)), "AR104", f"cannot be written to: {error.strerror}") from error
    return 0


def _write(chart: Chart, out: Path) -> None:
    if out.suffix == ".svg":
        from apis_rules.author.chart_picture import write_svg

        write_svg(chart, out)
    else:
        out.write_text(draw_page(chart) if out.suffix == ".md" else draw_mermaid(chart), encoding="utf-8")


def _chart(given: str) -> Chart:
    if given in MODULES:
        return bundled_chart(given)
    path = Path(given)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return load_chart(path)
    meant = did_you_mean(given, MODULES)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(MODULES)}; a file ends in .yaml"
    raise refusal(Location("<argument CHART>"), "AR101", f"there is no chart called {given!r}", hint)
