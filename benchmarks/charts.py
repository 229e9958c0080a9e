"""How long charts take: two hundred records get one event each, as the walks have them.

Beside it the usual way to use ``transitions``: one machine per record, made when the record is met.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import transitions

from apis_rules.charts.bindings import binding_of
from apis_rules.charts.walking import walk_files
from apis_rules.charts.walks import load_walks
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.machine import Machine
    from apis_rules.charts.model import Chart

RECORDS = 200
LIMIT_MS = 20.0

Asked = tuple[Any, str, dict[str, Any], Any]


def asked_by_walks(name: str) -> tuple[Machine[Any], list[Asked]]:
    """Return the machine of the chart and everything that its walks ask of it."""
    found: list[Asked] = []
    binding = binding_of(name)
    if binding is None:
        raise KeyError(name)
    files = [f for path in walk_files([data_dir("statecharts")]) if (f := load_walks(path)).chart.name == name]
    machine = binding.compile(files[0].chart, files[0].values)
    for walk, start in [(w, s) for f in files for w in f.walks for s in w.starts]:
        record = binding.make_record({"state": start, **walk.record})
        facts, context = dict(walk.facts), dict(walk.context)
        for step in walk.steps:
            facts = {k: v for k, v in {**facts, **step.facts}.items() if v is not None}
            context = {**context, **step.context}
            asked = (record, step.event, facts, binding.make_context(context))
            found.append(asked)
            record = machine.advance(*asked).record
    return machine, found


def one_machine_each(chart: Chart, asked: list[Asked]) -> None:
    """Make a machine of ``transitions`` for each record and send it one event; guards and effects left out."""
    edges = [
        {"trigger": t.event.replace(" ", "_"), "source": t.source, "dest": t.answer.target} for t in chart.transitions
    ]
    for record, event, _, _ in asked:
        machine = transitions.Machine(
            states=list(chart.leaves), transitions=edges, initial=record.state, auto_transitions=False,
            ignore_invalid_triggers=True,
        )  # fmt: skip
        machine.events[event.replace(" ", "_")].trigger(machine)


def median_ms(run: Callable[[], None], rounds: int) -> float:
    """Return the median of *rounds* runs in milliseconds of the processor, whatever else the machine does."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


def main() -> int:
    """Print a line per chart; 1 where the deals take longer than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=51)
    rounds = parser.parse_args().rounds
    names = sorted({load_walks(path).chart.name for path in walk_files([data_dir("statecharts")])})
    print(f"{RECORDS} records, one event each; median of {rounds} rounds")
    print(f"{'chart':<12} {'advance ms':>11} {'per event us':>13} {'machine each ms':>16} {'ratio':>7}")
    slow = False
    for name in names:
        machine, found = asked_by_walks(name)
        asked = list(islice(cycle(found), RECORDS))

        def ours(machine: Machine[Any] = machine, asked: list[Asked] = asked) -> None:
            for one in asked:
                machine.advance(*one)

        def theirs(chart: Chart = machine.chart, asked: list[Asked] = asked) -> None:
            one_machine_each(chart, asked)

        ours()
        ms, each_ms = median_ms(ours, rounds), median_ms(theirs, 3)
        slow |= name == "deal" and ms > LIMIT_MS
        print(f"{name:<12} {ms:>11.2f} {ms / RECORDS * 1000:>13.1f} {each_ms:>16.1f} {each_ms / ms:>6.0f}x")
    print(f"limit for the deals: {LIMIT_MS:g} ms")
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main())
