"""What a chart means when it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.charts import Deadline, Draft, Effects, Machine, Plan, compile_chart
from apis_rules.charts.load import read_chart
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import parse_document
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from apis_rules.charts import Chart

LAMP = """
format: 1
chart: lamp
about: A lamp that dims.
events: {press: a, tick: b, cut: c}
aborts: [cut]
facts:
  level_a: {kind: number, range: [0, 10]}
  warm: flag
values: {warm_up_s: wiring.times.drain_s, limit_a: policy.gridVoltageAllowanceV, lit_s: wiring.times.hand_over_s}
permissions: {shine: gives light, burn: gives much}
effects: {drive: {about: d, arguments: {level: number, lamp: [left, right]}}, log: l}
initial: dark
states:
  dark:
    about: No light.
    final: true
    when:
      press:
        - {do: log}
        - {if: level_a < limit_a, do: [drive(1.5, left), log], to: glowing}
        - {if: level_a >= limit_a and warm, to: bright}
      cut: {}
  lit:
    about: There is light.
    allows: [shine]
    when:
      cut: {do: log, to: dark}
      press: {to: dark}
    after:
      lit_s: {to: dark}
    states:
      glowing:
        about: A little.
        entry: log
        when:
          tick: {if: warm, to: bright}
        after:
          warm_up_s: {do: log}
      bright:
        about: Much.
        allows: [burn]
        when:
          press: {if: warm, do: log}
          tick: {to: bright}
        after:
          warm_up_s: {to: glowing}
"""


@dataclass(frozen=True)
class Lamp:
    state: str
    log: tuple[str, ...] = field(default=())


EFFECTS: Effects[Lamp] = Effects()


@EFFECTS.define
def drive(draft: Draft[Lamp], level: float, lamp: str) -> None:
    draft.commands.append(f"{lamp} {level} A for {draft.context}")


@EFFECTS.define
def log(draft: Draft[Lamp]) -> None:
    draft.record = Lamp(draft.record.state, (*draft.record.log, f"{draft.event} in {draft.state}"))
    draft.writes.append(len(draft.record.log))


def lamp(text: str = LAMP) -> Chart:
    findings = Findings()
    chart = read_chart(parse_document(text, "lamp.yaml", findings), findings)
    assert chart is not None, findings.sorted()
    assert not findings.failed, findings.sorted()
    return chart


@pytest.fixture(scope="module")
def machine() -> Machine[Lamp]:
    return compile_chart(lamp(), EFFECTS, {"warm_up_s": 5, "limit_a": 2, "lit_s": 12})


def test_a_plan_says_what_becomes_of_the_record_and_what_is_to_be_done(machine: Machine[Lamp]) -> None:
    """The transition's effects come first, then those of entering; the record that was given stays as it was."""
    dark = Lamp("dark")
    plan = machine.advance(dark, "press", {"level_a": 1.0}, context="E001")
    assert plan.record == Lamp("glowing", ("press in dark", "press in glowing"))
    assert plan.commands == ("left 1.5 A for E001",)
    assert plan.writes == (1, 2)
    assert plan.moved
    assert dark == Lamp("dark")


def test_an_answer_without_a_guard_is_taken_last(machine: Machine[Lamp]) -> None:
    """An answer without a guard counts where no guard holds, wherever it stands in the file."""
    assert machine.advance(Lamp("dark"), "press", {"level_a": 3, "warm": True}).state == "bright"
    plan = machine.advance(Lamp("dark"), "press", {"level_a": 3, "warm": False})
    assert (plan.state, plan.moved) == ("dark", False)
    assert plan.record.log == ("press in dark",)


def test_what_is_not_known_fulfils_no_guard(machine: Machine[Lamp]) -> None:
    """A fact that is not given, or None, makes its guard false, and with it the negation of the guard."""
    for facts in ({}, {"level_a": None, "warm": None}):
        assert machine.advance(Lamp("dark"), "press", facts).state == "dark"


def test_a_state_that_names_an_event_answers_it_alone(machine: Machine[Lamp]) -> None:
    """A group answers for the states inside, except where one names the event: then nothing falls through."""
    assert machine.advance(Lamp("glowing"), "press", {}).state == "dark"
    plan = machine.advance(Lamp("bright"), "press", {"warm": False})
    assert plan.taken is None
    assert plan.state == "bright"
    assert machine.advance(Lamp("bright"), "cut", {}).record == Lamp("dark", ("cut in bright",))


def test_an_event_that_is_not_answered_changes_nothing(machine: Machine[Lamp]) -> None:
    """A state without an answer drops the event for good; it cannot fire later."""
    plan = machine.advance(Lamp("dark"), "tick", {"warm": True})
    assert plan == Plan(Lamp("dark"), "tick")
    assert machine.advance(Lamp("dark"), "after warm_up_s", {}).taken is None


@pytest.mark.parametrize(
    ("record", "event", "facts"),
    [
        (Lamp("gone"), "press", {}),
        (Lamp("dark"), "pres", {}),
        (Lamp("dark"), "after lunch", {}),
        (Lamp("dark"), "press", {"levl_a": 1}),
        (Lamp("dark"), "press", {"limit_a": 1}),
    ],
)
def test_a_name_that_the_chart_does_not_know_is_a_mistake_of_the_program(
    machine: Machine[Lamp], record: Lamp, event: str, facts: dict[str, Any]
) -> None:
    """A misspelt state, event or fact raises instead of being taken for one that is not there."""
    with pytest.raises(ValueError, match="lamp"):
        machine.advance(record, event, facts)


def test_an_effect_that_fails_leaves_the_machine_as_it_was(machine: Machine[Lamp]) -> None:
    """An exception of an effect reaches the caller, and the next event finds nothing of it."""
    effects: Effects[Lamp] = Effects()
    calls = []

    @effects.define
    def drive(draft: Draft[Lamp], level: float, lamp: str) -> None:
        calls.append((level, lamp))
        if len(calls) == 1:
            raise RuntimeError("once")

    @effects.define
    def log(draft: Draft[Lamp]) -> None:
        draft.commands.append("log")

    breaking = compile_chart(lamp(), effects, machine.values)
    with pytest.raises(RuntimeError, match="once"):
        breaking.advance(Lamp("dark"), "press", {"level_a": 1})
    assert breaking.advance(Lamp("dark"), "press", {"level_a": 1}).commands == ("log", "log")


def test_permissions_of_groups_hold_inside(machine: Machine[Lamp]) -> None:
    """What a group allows, every state in it allows; a state may allow more."""
    allowed = {state: machine.chart.allows(state) for state in machine.chart.leaves}
    assert allowed == {"dark": frozenset(), "glowing": {"shine"}, "bright": {"shine", "burn"}}


def test_timers_start_with_their_state_and_run_out_once(machine: Machine[Lamp]) -> None:
    """A timer starts when its state or group is entered from outside; a repeated step does not get its time again."""
    timers = machine.start_timers("dark", 0)
    assert machine.next_deadline(timers) is None
    lit = machine.advance(Lamp("dark"), "press", {"level_a": 1})
    timers = machine.move_timers(timers, lit, 100)
    assert timers.running == {("warm_up_s", "glowing"): 105, ("lit_s", "lit"): 112}
    assert machine.next_deadline(timers) == Deadline("after warm_up_s", 105)
    logged = machine.advance(lit.record, "after warm_up_s", {})
    timers = machine.move_timers(timers, logged, 105)
    assert timers.running == {("lit_s", "lit"): 112}
    brighter = machine.advance(logged.record, "tick", {"warm": True})
    timers = machine.move_timers(timers, brighter, 107)
    assert timers.running == {("warm_up_s", "bright"): 112, ("lit_s", "lit"): 112}
    again = machine.advance(brighter.record, "tick", {})
    timers = machine.move_timers(timers, again, 109)
    assert timers.running == {("warm_up_s", "bright"): 112, ("lit_s", "lit"): 112}
    fired = machine.move_timers(timers, Plan(again.record, "after warm_up_s"), 112)
    repeated = machine.move_timers(fired, machine.advance(again.record, "tick", {}), 113)
    assert repeated.running == {("lit_s", "lit"): 112}
    over = machine.advance(again.record, "after lit_s", {})
    assert machine.move_timers(timers, over, 112).running == {}


def test_a_new_master_starts_all_timers_of_a_state_anew(machine: Machine[Lamp]) -> None:
    """Whoever takes over a record knows nothing of when its state was entered, and grants the whole time."""
    assert machine.start_timers("glowing", 50).running == {("warm_up_s", "glowing"): 55, ("lit_s", "lit"): 62}


def test_why_a_transition_is_not_taken_can_be_explained(machine: Machine[Lamp]) -> None:
    """Each guarded transition is shown with the comparison that kept it from being taken, and by how much."""
    explained = machine.explain(Lamp("dark"), "press", {"level_a": 2.5, "warm": False})
    texts = [blocker.text for _, e in explained if (blocker := e.blocker()) is not None]
    assert texts == ["level_a < limit_a is false: 2.5 misses 2 by 0.5", "warm is false: the value is false"]


def test_a_chart_that_does_not_pass_its_check_is_never_run() -> None:
    """Neither a hole in the graph, nor an effect that the program lacks, nor a missing value comes to light late."""
    with pytest.raises(InputError, match="AR424"):
        compile_chart(lamp(LAMP.replace("      cut: {}\n", "")), EFFECTS, {"warm_up_s": 5, "limit_a": 2, "lit_s": 12})
    with pytest.raises(InputError, match="AR425"):
        compile_chart(lamp(), Effects(), {"warm_up_s": 5, "limit_a": 2, "lit_s": 12})
    with pytest.raises(ValueError, match="limit_a"):
        compile_chart(lamp(), EFFECTS, {"warm_up_s": 5, "lit_s": 12})


def test_the_hash_of_a_chart_is_that_of_what_it_does() -> None:
    """Sentences, comments and order of keys change no hash; a guard, a target, a path of a value do."""
    plain = lamp().canonical_hash
    assert lamp(LAMP.replace("No light.", "Darkness.")).canonical_hash == plain
    assert lamp("# mine\n" + LAMP.replace("{to: bright}", "{note: up, to: bright}")).canonical_hash == plain
    about, final = "    about: No light.\n", "    final: true\n"
    assert lamp(LAMP.replace(about + final, final + about)).canonical_hash == plain
    for old, new in (("level_a >= limit_a", "level_a > limit_a"), ("{do: log, to: dark}", "{to: dark}")):
        assert lamp(LAMP.replace(old, new)).canonical_hash != plain
    assert lamp(LAMP.replace("wiring.times.drain_s", "wiring.times.absence_s")).canonical_hash != plain


def test_an_effect_has_one_meaning() -> None:
    """A second function of one name is refused."""
    with pytest.raises(ValueError, match="twice"):
        EFFECTS.define(log)
