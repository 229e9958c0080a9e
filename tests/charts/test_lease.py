"""The arithmetic of the Grid Master's lease."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apis_rules.charts.grid_master import Mastership, Situation, mastership_facts
from apis_rules.charts.lease import (
    HAND_OVER_PAUSE_S,
    Strategy,
    acts_until_s,
    claim_wait_s,
    find_amnesia,
    find_successor,
    left_s,
    must_outrank,
    next_epoch_number,
    rank_candidates,
    takeover_s,
)
from apis_rules.ports.types import Epoch


@dataclass(frozen=True)
class Times:
    life_s: float
    renewal_s: float
    limit_s: float
    margin_s: float
    election_s: float
    dead_man_s: float


EMBEDDED = Times(5, 1.5, 1, 0.5, 0, 12)
CLUSTER = Times(15, 3, 1, 1, 7, 34)
SECONDS = st.floats(0, 1e6, allow_nan=False)
UNITS = st.sampled_from(["E001", "E002", "E003", "E004"])
EPOCHS = st.builds(Epoch, number=st.integers(0, 5), term_id=st.sampled_from(["a", "b", "c"]))


@st.composite
def valid_times(draw: st.DrawFn) -> Times:
    """Times for which the inequalities of the wiring hold."""
    renewal, limit = draw(st.floats(0.2, 5)), draw(st.floats(0.2, 2))
    margin, election = draw(st.floats(0.1, 2)), draw(st.floats(0, 10))
    life = renewal + 2 * limit + margin + draw(st.floats(0.01, 10))
    dead_man = life + election + 3 * renewal + 2 * limit + draw(st.floats(0, 5))
    return Times(life, renewal, limit, margin, election, dead_man)


@given(valid_times(), SECONDS, st.floats(0, 2), st.floats(0, 60))
def test_a_master_ends_before_its_lease_can(times: Times, sent_s: float, on_the_way_s: float, later_s: float) -> None:
    """However long a renewal took to reach the store, its sender stops the margin or more before the lease ends."""
    lease_ends_s = sent_s + on_the_way_s + times.life_s
    assert acts_until_s(sent_s, times) <= lease_ends_s - times.margin_s + 1e-6
    assert (left_s(sent_s + later_s, sent_s, times) > 0) == (sent_s + later_s < acts_until_s(sent_s, times))


@given(valid_times(), SECONDS, st.floats(0, 1), st.data())
def test_two_masters_never_act_at_once(times: Times, first_s: float, speed: float, data: st.DataObject) -> None:
    """Renewals are lost, answered late, or cut off for good: the next term begins after the last one's time is over.

    The store counts from when a renewal arrives; only acknowledged ones count for the master.
    """
    sent_s = arrived_s = first_s
    for _ in range(data.draw(st.integers(0, 6))):
        send_s = max(sent_s, arrived_s) + times.renewal_s
        fate = data.draw(st.sampled_from(["acknowledged", "unanswered", "not delivered"]))
        if send_s >= acts_until_s(sent_s, times):
            break
        if fate != "not delivered":
            arrived_s = send_s + speed * times.limit_s
        if fate == "acknowledged":
            sent_s = send_s
    next_term_begins_s = arrived_s + times.life_s
    assert acts_until_s(sent_s, times) < next_term_begins_s


@given(valid_times(), UNITS, st.lists(UNITS, unique=True), st.sets(UNITS))
def test_nobody_waits_so_long_that_a_deal_ends(
    times: Times, unit: str, preferred: list[str], present: set[str]
) -> None:
    """A head start is never longer than the margin, nor than what the dead-man time leaves for a change of masters."""
    wait_s = claim_wait_s(unit, preferred, present, times)
    assert 0 <= wait_s <= times.margin_s
    assert takeover_s(times) + wait_s <= times.dead_man_s + 1e-9


@given(valid_times(), st.lists(UNITS, unique=True, min_size=1), st.sets(UNITS, min_size=1))
def test_better_candidates_go_first(times: Times, preferred: list[str], present: set[str]) -> None:
    """Among present units the waits follow the preference; the best waits for nobody, the others wait longest."""
    assume(times.dead_man_s - takeover_s(times) > 0.01)
    waits = [claim_wait_s(u, preferred, present, times) for u in preferred if u in present]
    assert waits == sorted(set(waits))
    others = [claim_wait_s(u, preferred, present, times) for u in sorted(present - set(preferred))]
    if waits:
        assert waits[0] == 0
        assert all(other > waits[-1] for other in others)
    else:
        assert all(other == 0 for other in others)


def test_the_times_that_come_with_the_program_leave_a_head_start() -> None:
    """With the times of one server and of a cluster, the preferred unit has half a second and a second."""
    assert claim_wait_s("E002", ["E001"], {"E001", "E002"}, EMBEDDED) == 0.5
    assert claim_wait_s("E002", ["E001"], {"E001", "E002"}, CLUSTER) == 1


@pytest.mark.parametrize(
    ("strategy", "holder", "expected"),
    [
        (Strategy.VOLTAGE_REFERENCE_UNIT, "E003", ("E003",)),
        (Strategy.VOLTAGE_REFERENCE_UNIT, None, ()),
        (Strategy.FIXED, "E003", ("E001", "E002")),
        (Strategy.ANYWHERE, "E003", ()),
    ],
)
def test_the_strategy_says_who_should_be_master(strategy: Strategy, holder: str | None, expected: tuple[str]) -> None:
    """The holder, the ranked candidates, or anybody."""
    assert rank_candidates(strategy, holder, ["E001", "E002", "E001"]) == expected


def test_a_fixed_candidate_that_is_away_is_no_dead_end() -> None:
    """Ranked candidates follow each other; when all are away, anyone leads until one is back, and then hands over."""
    ranked = rank_candidates(Strategy.FIXED, None, ["E001", "E002"])
    assert claim_wait_s("E002", ranked, {"E002", "E003"}, EMBEDDED) == 0
    assert claim_wait_s("E003", ranked, {"E003"}, EMBEDDED) == 0
    assert find_successor("E003", ranked, {"E002", "E003"}, {}, 100) == "E002"
    assert find_successor("E002", ranked, {"E002", "E003"}, {}, 100) is None
    assert find_successor("E002", ranked, {"E001", "E002"}, {}, 100) == "E001"


@given(UNITS, st.lists(UNITS, unique=True), st.sets(UNITS), st.dictionaries(UNITS, SECONDS), SECONDS)
def test_mastership_moves_only_to_a_better_unit_that_is_ready(
    unit: str, preferred: list[str], ready: set[str], tried: dict[str, float], now_s: float
) -> None:
    """A successor is preferred to the present master, is ready, and was not tried a moment ago."""
    successor = find_successor(unit, preferred, ready, tried, now_s)
    if successor is not None:
        assert successor in ready
        assert successor != unit
        assert unit not in preferred or preferred.index(successor) < preferred.index(unit)
        assert successor not in tried or now_s - tried[successor] >= HAND_OVER_PAUSE_S


@given(st.none() | EPOCHS, st.lists(EPOCHS))
def test_epochs_only_grow(stored: Epoch | None, reported: list[Epoch]) -> None:
    """A new term's number is above everything stored or reported, so that no unit refuses it."""
    number = next_epoch_number(stored, reported)
    assert all(e.number < number for e in (stored, *reported) if e is not None)
    assert not must_outrank(Epoch(number=number, term_id="z"), reported)
    assert number == 1 + max((e.number for e in (stored, *reported) if e is not None), default=0)


@given(EPOCHS, st.integers(0, 100), st.integers(0, 100), st.dictionaries(UNITS, EPOCHS))
def test_amnesia_shows_in_the_store_or_in_a_unit(
    own: Epoch, revision: int, seen: int, reported: dict[str, Epoch]
) -> None:
    """A lower revision, a unit's higher epoch, another term of our number: each shows it, and nothing else does."""
    went_back = revision < seen
    refused = any(e.number > own.number or (e.number == own.number and e != own) for e in reported.values())
    assert (find_amnesia(own, revision, seen, reported) is not None) == (went_back or refused)
    assert must_outrank(own, reported.values()) == refused


def test_what_shows_amnesia_is_said() -> None:
    """The reason names the revisions, or the unit and the epochs."""
    own = Epoch(number=8, term_id="a")
    assert find_amnesia(own, 51, 100, {}) == "the store is at revision 51; this node has seen 100"
    newer = {"E003": Epoch(number=9, term_id="b")}
    assert find_amnesia(own, 100, 100, newer) == "E003 has seen epoch 9; the present one is 8"
    foreign = {"E003": Epoch(number=8, term_id="b")}
    assert find_amnesia(own, 100, 100, foreign) == "E003 knows epoch 8 as another term's"


def test_the_facts_of_the_chart_follow_from_the_clock() -> None:
    """What is left of the term and of the others' head start is counted from when things were sent and seen."""
    situation = Situation(now_s=100, sent_at_s=97, free_since_s=99.75, claim_wait_s=0.5)
    facts = mastership_facts(Mastership(), situation, EMBEDDED)
    assert (facts["left_s"], facts["wait_left_s"], facts["lease_free"]) == (1.5, 0.25, True)
    unknown = mastership_facts(Mastership(amnesia="seen"), Situation(now_s=100), EMBEDDED)
    assert "left_s" not in unknown
    assert "wait_left_s" not in unknown
    assert unknown["store_went_back"] is True
