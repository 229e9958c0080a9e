"""Pictures of a simulation: how the days went, and what sharing has changed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.simulation.outcome import self_sufficiency
from apis_rules.errors import Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.compose.simulation.outcome import Outcome

DAYS: Final = "days.png"
SHARING: Final = "sharing.png"
_BLUE: Final = "#4472c4"
_GREY: Final = "#b5b5b5"
_GREEN: Final = "#548235"
_ORANGE: Final = "#c55a11"
_YELLOW: Final = "#e0a800"
_FEW: Final = 8
"""So many units are told apart by their colours; of more, the spread is shown."""


def require_matplotlib() -> None:
    """Raise ``Unsupported`` where nothing can be drawn."""
    if find_spec("matplotlib") is None:
        raise Unsupported("matplotlib is missing: install apis-rules[plot]")


def draw_pictures(folder: Path, outcome: Outcome) -> tuple[Path, ...]:
    """Draw ``days.png`` and ``sharing.png`` into *folder*; return their paths. Needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        for name, draw, size in ((DAYS, _draw_days, (12.0, 11.0)), (SHARING, _draw_sharing, (12.0, 5.5))):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure, outcome)
            figure.savefig(folder / name, dpi=110)
    return folder / DAYS, folder / SHARING


def _draw_days(figure: Any, outcome: Outcome) -> None:
    charge, power, deals, voltage, energy = figure.subplots(5, 1, sharex=True, height_ratios=(3, 2, 1.4, 1.4, 1.4))
    times = [sample.time for sample in outcome.grid]
    by_unit = outcome.by_unit
    _draw_charge(charge, times, {u: [s.rsoc_percent for s in samples] for u, samples in by_unit.items()})
    power.plot(times, _summed(outcome, "pv_w"), color=_YELLOW, label="sun")
    power.plot(times, _summed(outcome, "load_w"), color=_BLUE, label="load")
    power.plot(times, _summed(outcome, "mains_w"), color=_ORANGE, label="mains")
    power.set_ylabel("all houses, kW")
    power.legend(loc="upper left", ncols=3, frameon=False)
    deals.fill_between(times, [sample.deals for sample in outcome.grid], step="post", color=_GREEN, alpha=0.6, lw=0)
    deals.yaxis.get_major_locator().set_params(integer=True)
    deals.set_ylabel("deals under way")
    voltage.plot(times, [sample.voltage_v for sample in outcome.grid], color=_BLUE, lw=0.8, ds="steps-post")
    voltage.set_ylabel("line voltage, V")
    energy.plot(times, [sample.exchanged_wh / 1000.0 for sample in outcome.grid], color=_GREEN)
    energy.set_ylabel("exchanged, kWh")
    for axes in (power, deals, voltage, energy):
        axes.set_ylim(bottom=0)
    for fault in outcome.happened:
        moment = outcome.setup.settings.start.timestamp() + fault.at_s
        for axes in (charge, power, deals, voltage, energy):
            axes.axvline(type(times[0]).fromtimestamp(moment), color=_ORANGE, lw=0.6, alpha=0.5)
    energy.set_xlim(times[0], times[-1])
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib has no types there
    energy.xaxis.set_major_locator(locator)
    energy.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # likewise
    figure.align_ylabels()
    setup = outcome.setup
    marks = "; orange lines: faults" if outcome.happened else ""
    charge.set_title(f"{len(by_unit)} units, {setup.days:g} days, seed {setup.seed}{marks}", loc="left")


def _draw_charge(axes: Any, times: list[Any], charge: dict[str, list[float]]) -> None:
    axes.set_ylabel("state of charge, %")
    axes.set_ylim(0, 100)
    if len(charge) <= _FEW:
        for unit_id, values in charge.items():
            axes.plot(times, values, label=unit_id, lw=1.4)
        axes.legend(loc="lower left", ncols=len(charge), frameon=False)
        return
    ranked = [sorted(moment) for moment in zip(*charge.values(), strict=True)]
    last = len(charge) - 1
    for share, alpha in ((0.0, 0.15), (0.25, 0.35)):
        low = [moment[round(share * last)] for moment in ranked]
        high = [moment[round((1 - share) * last)] for moment in ranked]
        label = "all units" if share == 0 else "the middle half"
        axes.fill_between(times, low, high, color=_BLUE, alpha=alpha, lw=0, label=label)
    axes.plot(times, [moment[last // 2] for moment in ranked], color=_BLUE, label="the middle one")
    axes.legend(loc="lower left", ncols=3, frameon=False)


def _summed(outcome: Outcome, name: str) -> list[float]:
    summed: dict[Any, float] = {}
    for sample in outcome.units:
        summed[sample.time] = summed.get(sample.time, 0.0) + getattr(sample, name) / 1000.0
    return list(summed.values())


def _draw_sharing(figure: Any, outcome: Outcome) -> None:
    share, exchange = figure.subplots(2, 1, sharex=True)
    units = [balance.unit_id for balance in outcome.balances]
    places = range(len(units))
    shared = [100.0 * self_sufficiency(balance.shared) for balance in outcome.balances]
    alone = [100.0 * self_sufficiency(balance.alone) for balance in outcome.balances]
    share.bar([p - 0.2 for p in places], alone, width=0.38, color=_GREY, label="alone")
    share.bar([p + 0.2 for p in places], shared, width=0.38, color=_GREEN, label="with sharing")
    share.set_ylabel("self-sufficiency, %")
    share.axhline(0, color="black", lw=0.6)
    share.set_ylim(min(0.0, *shared, *alone) * 1.1, 105)
    share.legend(loc="upper right", ncols=2, frameon=False)
    share.set_title("what of its use a house did not take from the mains", loc="left")
    exchange.bar(places, [b.shared.grid_in_wh / 1000 for b in outcome.balances], color=_BLUE, label="taken")
    exchange.bar(places, [-b.shared.grid_out_wh / 1000 for b in outcome.balances], color=_YELLOW, label="given")
    exchange.axhline(0, color="black", lw=0.6)
    exchange.set_ylabel("over the lines, kWh")
    exchange.legend(loc="upper right", ncols=2, frameon=False)
    exchange.set_xticks(list(places), units, rotation=0 if len(units) <= _FEW * 2 else 90)
