"""Chart files become checked state machines that plan. Pure: no I/O, clock, randomness or asyncio.

A file of ``statecharts/`` is read (``load``), checked as a whole (``check``), and compiled with the effects that the
program has for it (``bindings``) to a machine that plans (``machine``). Walks test it as data (``walks``, ``walking``),
and it is drawn for its readers (``draw``).
"""

from apis_rules.charts.bindings import Binding, binding_of, bundled_chart, bundled_machine
from apis_rules.charts.load import load_chart
from apis_rules.charts.machine import Deadline, Draft, Effects, Machine, Plan, Timers, compile_chart
from apis_rules.charts.model import Chart, Transition
from apis_rules.charts.values import chart_values

__all__ = [
    "Binding",
    "Chart",
    "Deadline",
    "Draft",
    "Effects",
    "Machine",
    "Plan",
    "Timers",
    "Transition",
    "binding_of",
    "bundled_chart",
    "bundled_machine",
    "chart_values",
    "compile_chart",
    "load_chart",
]
