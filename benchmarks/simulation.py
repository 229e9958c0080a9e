"""How fast a simulated community lives: node-days per second, by acceleration and by the policy's periods.

Beside it: the modelled grid alone, with the same houses and nobody who trades.

Run: python benchmarks/simulation.py [--units 20] [--hours 6] [--week]
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from apis_rules.compose.simulation.run import simulate
from apis_rules.compose.simulation.setup import DAY_S, prepare
from apis_rules.compose.sites import bundled_site
from apis_rules.documents.community import Site
from apis_rules.documents.reading import Loaded
from apis_rules.grid.model import Grid

LIMIT_S: Final = 600.0
WEEK_DAYS: Final = 7
PERIODS: Final = (
    ("controller", "dataAcquisitionPeriodMsec"),
    ("user", "houseKeepingPeriodMsec"),
    ("mediator", "dealLoggingPeriodMsec"),
    ("gridMaster", "dataCollectionPeriodMsec"),
    ("gridMaster", "mainLoopPeriodMsec"),
)


def site_with(period_s: float) -> Site:
    """Return the bundled files with all loop and acquisition periods at *period_s*."""
    site = bundled_site()
    if site.policy is None:
        raise RuntimeError("the bundled site has a policy")
    written: dict[str, Any] = site.policy.model.to_document()
    for section, key in PERIODS:
        written[section][key] = round(1000 * period_s)
    policy = type(site.policy.model).model_validate(written)
    return Site(site.config, site.hw_config, Loaded(policy, site.policy.document, ()), site.scenario)


def measure(units: int, hours: float, acceleration: float, period_s: float) -> None:
    """Print one line."""
    setup = prepare([site_with(period_s)], units=units, until_s=hours * 3600, acceleration=acceleration, seed=1)
    began_s = time.process_time()
    outcome = simulate(setup)
    took_s = time.process_time() - began_s
    node_days = units * setup.days
    week_s = took_s * WEEK_DAYS / setup.days
    print(
        f"{units} units, {hours:g} h, periods {period_s:g} s, x{acceleration:g}: {took_s:6.1f} s of CPU, "
        f"{node_days / took_s:6.3f} node-days/s, {len(outcome.deals)} deals; a week like this {week_s:.0f} s "
        f"({'below' if week_s <= LIMIT_S else 'ABOVE'} {LIMIT_S:g} s)",
        flush=True,
    )


def grid_alone(units: int, hours: float) -> None:
    """Print what the grid costs by itself."""
    setup = prepare([bundled_site()], units=units, until_s=hours * 3600, acceleration=1.0, seed=1)
    grid = Grid(setup.settings)
    began_s = time.process_time()
    grid.advance(setup.until_s)
    took_s = time.process_time() - began_s
    print(f"{units} units, {hours:g} h, the grid alone: {units * hours * 3600 / DAY_S / took_s:.3f} node-days/s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=20)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--week", action="store_true", help="seven days at periods of 30 s, in full")
    args = parser.parse_args()
    if args.week:
        measure(args.units, WEEK_DAYS * 24.0, 60.0, 30.0)
        return
    grid_alone(args.units, args.hours)
    for acceleration in (60.0, 10.0):
        for period_s in (30.0, 5.0):
            measure(args.units, args.hours, acceleration, period_s)


if __name__ == "__main__":
    main()
