"""The rule files that come with the program: what each of their rules says, and when."""

from __future__ import annotations

import pytest

from apis_rules.charts.load import load_chart
from apis_rules.decide.catalogue import SIDES, STARTED
from apis_rules.decide.decision import NO_STRIKES, Decider
from apis_rules.decide.outcomes import Action, Decline, RaiseError, React, SetMode
from apis_rules.decide.ruleset import Evaluator
from apis_rules.ports.types.deal import DealDetail, DealSide
from apis_rules.ports.types.error_event import Category, Extent, Level
from apis_rules.ports.types.negotiation import DeclineReason
from apis_rules.ports.types.unit_data import OperationMode
from apis_rules.resources import data_dir
from tests.decide.shipped import QUESTIONS, compiled, example

FREE = {
    "node__localMode": None,
    "deals": [],
    "request__type": "charge",
    "request__unitId": "E002",
    "request__pairUnitId": None,
}


def ask(question, now_s=0.0, strikes=NO_STRIKES, **changes):
    """Return the decision about the changed example, which both evaluators agree on."""
    document = example(**changes)
    with Decider(compiled(question)) as live, Decider(compiled(question), Evaluator.PURE) as pure:
        decision = live.decide(document, now_s, strikes)
        assert decision == pure.decide(document, now_s, strikes)
        assert decision.alarms == ()
    holding = {(e.rule.id, e.element) for e in live.compiled.explain(document) if e.holds}
    assert {(h.rule.id, h.element) for h in decision.hits} == holding
    return decision


def rules_that_hold(question, **changes):
    """Return their ids."""
    return [hit.rule.id for hit in ask(question, **changes).hits]


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({}, None, ""),
        ({"node__ready": False}, DeclineReason.NOT_READY, "the node is not ready for deals"),
        ({"node__localErrors": True}, DeclineReason.ERRORS, "this unit has an error, or had one a short while ago"),
        (
            {"node__communityErrors": True},
            DeclineReason.COMMUNITY_ERRORS,
            "the community has an error or no Grid Master",
        ),
        ({"node__mode": "heteronomous"}, DeclineReason.NOT_AUTONOMOUS, "the operation mode is heteronomous"),
        ({"node__draining": True}, DeclineReason.NOT_READY, "the node is not ready for deals"),
        ({"node__excluded": True}, DeclineReason.NOT_READY, "the node is not ready for deals"),
        ({"node__hasMaster": False}, DeclineReason.COMMUNITY_ERRORS, "the community has an error or no Grid Master"),
        ({"node__reservedDeals": 2}, DeclineReason.NO_CAPACITY, "0 of 2 deals are taken, 2 places kept free"),
        ({"node": {}}, DeclineReason.NOT_AUTONOMOUS, "the operation mode is stop"),
        (
            {"unit__apis__deal_interlock_capacity": 0},
            DeclineReason.NO_CAPACITY,
            "0 of 0 deals are taken, 0 places kept free",
        ),
        ({"unit__apis": {}}, DeclineReason.NO_CAPACITY, "0 of 0 deals are taken, 0 places kept free"),
        (
            {"node__chargeLocked": True},
            DeclineReason.BATTERY_LOCKED,
            "this direction of the battery is taken: north/a/E007 claims 2 A",
        ),
        ({"request__amountWh": 49}, DeclineReason.TOO_SMALL, "49 Wh is less than a deal's minimum of 50 Wh"),
        ({"request__amountWh": 50}, None, ""),
    ],
)
def test_the_gates_of_a_request(changes, reason, message):
    """The first gate that is closed says why; a value that is missing closes the gate that asks for it."""
    first = ask("request", **{**FREE, **changes}).first
    assert (first.outcome, first.message) == (Decline(reason), message) if reason else first is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"request__unitId": "E009"}, DeclineReason.NOT_MEMBER),
        ({"request__unitId": None}, DeclineReason.NOT_MEMBER),
        ({"request": {"unitId": "E002", "type": "charge", "pairUnitId": "E003"}}, DeclineReason.PARTNER),
        ({"request": {"unitId": "E002", "type": "charge", "pairUnitId": "E001"}}, None),
        ({"node__mode": "stop"}, DeclineReason.NOT_AUTONOMOUS),
        ({"node__dischargeLocked": True}, DeclineReason.BATTERY_LOCKED),
        ({"node__chargeLocked": True}, None),
    ],
)
def test_the_gates_of_an_accept(changes, reason):
    """An acceptor's own direction is the opposite of the request's."""
    first = ask("accept", **{**FREE, **changes}).first
    assert first is None if reason is None else first.outcome == Decline(reason)


@pytest.mark.parametrize("question", ["request", "accept", "choose"])
@pytest.mark.parametrize(
    "missing", ["ready", "draining", "excluded", "hasMaster", "localErrors", "communityErrors", "mode"]
)
def test_a_gate_whose_fact_is_unknown_is_closed(question, missing):
    """What the node does not know of itself keeps it from dealing."""
    free = {**FREE, "accepts": []}
    assert ask(question, **free).hits == ()
    assert isinstance(ask(question, **free, **{f"node__{missing}": None}).hits[0].outcome, Decline)


@pytest.mark.parametrize(("question", "closed"), [("request", "charge"), ("accept", "discharge")])
def test_a_unit_deals_in_one_direction_at_a_time(question, closed):
    """With a deal in which the unit discharges, it neither asks to charge nor answers a request to discharge."""
    deal = {"state": "created", "record": {"dealId": "d-1", "chargeUnitId": "E002", "dischargeUnitId": "E001"}}
    for requested in ("charge", "discharge"):
        rules = rules_that_hold(question, **{**FREE, "deals": [deal], "request__type": requested})
        assert ("opposite-direction" in rules) == (requested == closed)


def test_accepts_are_refused_one_by_one():
    """Each accept that may not be taken has its reason; the others have none."""
    good = {"unitId": "E003", "type": "discharge", "amountWh": 300}
    accepts = [
        good,
        {**good, "unitId": "E009"},
        {**good, "unitId": "E002", "type": "charge"},
        {**good, "unitId": "E002", "pairUnitId": "E003"},
        {**good, "unitId": "E002", "amountWh": 40},
        {"unitId": "E002"},
    ]
    request = {"unitId": "E001", "type": "charge", "amountWh": 500}
    decision = ask("choose", **{**FREE, "request": request, "accepts": accepts})
    assert [(h.rule.id, h.element) for h in decision.hits] == [
        ("not-member", "E009"),
        ("same-direction", "E002"),
        ("same-direction", "E002"),
        ("partner", "E002"),
        ("too-small", "E002"),
        ("too-small", "E002"),
    ]
    wanted = ask("choose", **{**FREE, "request": {**request, "pairUnitId": "E002"}, "accepts": [good]})
    assert [(h.rule.id, h.element) for h in wanted.hits] == [("partner", "E003")]


@pytest.mark.parametrize(
    ("community", "local", "mode"),
    [
        ("autonomous", None, "autonomous"),
        ("autonomous", "heteronomous", "heteronomous"),
        ("autonomous", "stop", "stop"),
        ("heteronomous", None, "heteronomous"),
        ("heteronomous", "stop", "stop"),
        ("stop", "heteronomous", "stop"),
        ("manual", None, "manual"),
        ("manual", "stop", "manual"),
        ("auto", None, "stop"),
        (None, None, "stop"),
    ],
)
def test_the_operation_mode_in_effect(community, local, mode):
    """The stricter of the community's and the unit's own mode counts; manual is the community's; unknown is stop."""
    first = ask("operation-mode", node__communityMode=community, node__localMode=local).first
    assert first is not None
    assert first.outcome == SetMode(OperationMode(mode))


HARDWARE = RaiseError(Category.HARDWARE, Extent.LOCAL, Level.ERROR)


def test_l26_is_a_warning_at_once_and_an_error_when_it_has_lasted():
    """A charging current within the allowance is fine; beyond it comes a warning, and after 5 s an error."""
    assert ask("local-safety").hits == ()
    assert ask("local-safety", unit__dcdc__meter__ig=2.125).hits == ()
    first = ask("local-safety", 100.0, unit__dcdc__meter__ig=2.25)
    assert [(h.rule.id, h.outcome.level, h.message) for h in first.hits] == [
        ("L26", Level.WARN, "charging with 2.25 A, set to 2 A, allowed 0.125 A apart")
    ]
    assert first.wake_at_s == 105.0
    second = ask("local-safety", 104.9, first.strikes, unit__dcdc__meter__ig=2.25)
    assert [h.outcome.level for h in second.hits] == [Level.WARN]
    third = ask("local-safety", 105.0, second.strikes, unit__dcdc__meter__ig=2.25)
    assert [h.outcome for h in third.hits] == [HARDWARE]
    assert third.wake_at_s is None
    good = ask("local-safety", 106.0, third.strikes)
    assert good.strikes == {}
    again = ask("local-safety", 107.0, good.strikes, unit__dcdc__meter__ig=2.25)
    assert [h.outcome.level for h in again.hits] == [Level.WARN]


@pytest.mark.parametrize(
    "change", [{"node__mode": "manual"}, {"node__switching": True}, {"unit__dcdc__meter__ig": None}]
)
def test_l26_is_left_out_in_manual_mode_while_switching_and_without_a_reading(change):
    """The exceptions of the dynamic checks hold; a missing current breaks no allowance."""
    assert "L26" not in rules_that_hold("local-safety", **{"unit__dcdc__meter__ig": 2.3, **change})


@pytest.mark.parametrize("change", [{"node__mode": None}, {"node__switching": None}])
def test_an_exception_that_is_unknown_is_no_exception(change):
    """Without a known operation mode, or without knowing of a switch, the check counts."""
    assert rules_that_hold("local-safety", **{"unit__dcdc__meter__ig": 2.3, **change}) == ["L26"]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"deals": [], "unit__dcdc__status": {"status": "0x1234"}}, ["L03"]),
        ({"deals": [], "unit__dcdc__status": {"status": "no code"}}, ["L03"]),
        ({"deals": [], "unit__dcdc__status": {}}, []),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0000", "operationMode": "Waiting"}}, []),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0000", "operationMode": "Heteronomy CV"}}, ["L04"]),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0002", "operationMode": "Heteronomy CV"}}, []),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0002", "operationMode": "Grid Autonomy"}}, ["L04"]),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0014", "operationMode": "Grid Autonomy"}}, []),
        ({"deals": [], "unit__dcdc__status": {"status": "0x14", "operationMode": "Waiting"}}, ["L04"]),
        ({"deals": [], "unit__dcdc__status": {"status": "0x0014"}}, []),
    ],
)
def test_what_the_device_reports_of_itself_is_an_error_at_once(changes, rules):
    """An unknown mode, or a mode under another's name; a name that is missing is none."""
    hits = [h for h in ask("local-safety", **changes).hits if h.rule.id in ("L03", "L04")]
    assert [h.rule.id for h in hits] == rules
    assert all(h.outcome == HARDWARE for h in hits)


@pytest.mark.parametrize(
    ("state", "side", "code", "rules"),
    [
        ("started", {"on": True}, "0x0041", []),
        ("started", {"on": True}, "0x0014", []),
        ("started", {"on": True}, "0x0000", ["L08"]),
        ("started", {"on": True}, "0x0002", ["L08"]),
        ("started", {"on": True}, "0x9999", ["L03", "L08"]),
        ("started", {"on": True, "leaving": True}, "0x0000", []),
        ("activated", {"on": True}, "0x0000", []),
        ("activated", {"on": True}, "0x0002", ["L08"]),
        ("created", {"on": False}, "0x0000", []),
        ("created", {"on": False}, "0x0041", ["L08-none"]),
        ("created", {}, "0x0041", ["L08-none"]),
        ("deactivated", {"on": False}, "0x0014", ["L08-none"]),
    ],
)
def test_l08_compares_the_mode_with_each_deal(state, side, code, rules):
    """E001 charges in the deal: it may charge or hold the voltage, wait only while it is switched on or off for it."""
    changes = {"deals__0__state": state, "deals__0__detail__charge": side, "unit__dcdc__status": {"status": code}}
    hits = [h for h in ask("local-safety", **changes).hits if h.rule.id in ("L03", "L08", "L08-none")]
    assert [h.rule.id for h in hits] == rules
    if rules == ["L08"]:
        assert hits[0].element == "d-1"


def test_the_catalogue_knows_the_chart_of_deals():
    """The state and the detail that derived facts look at are those of the chart and of the stored deal."""
    assert STARTED in load_chart(data_dir("statecharts") / "deal.yaml").leaves
    detail = DealDetail(charge=DealSide(on=True), discharge=DealSide(leaving=True)).to_document()
    assert [(detail[side]["on"], detail[side]["leaving"]) for side, _ in SIDES] == [(True, False), (False, True)]


def test_g04_sums_the_currents_of_each_dealing_unit_once():
    """The sum over two units may be 0.25 A; twice the same deal changes nothing; a missing current says nothing."""
    assert rules_that_hold("global-safety", units__1__dcdc__meter__ig=-1.75) == []
    decision = ask("global-safety", units__1__dcdc__meter__ig=-1.7)
    assert [h.message for h in decision.hits] == [
        "the currents of 2 units in deals add up to 0.3 A, allowed 0.125 A for each"
    ]
    twice = [example()["deals"][0], example()["deals"][0]]
    off = {"deals__0__detail__charge__on": False, "deals__0__detail__discharge__on": False}
    assert rules_that_hold("global-safety", units__1__dcdc__meter__ig=-1.7, **off) == []
    holder = {"deals__0__detail__discharge__on": False, "units__1__dcdc__meter__ig": -1.7}
    assert rules_that_hold("global-safety", **holder) == ["G04"]
    assert rules_that_hold("global-safety", units__1__dcdc__meter__ig=-1.75, deals=twice) == []
    assert rules_that_hold("global-safety", units__1__dcdc__meter__ig=None) == ["G05", "G08"]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, []),
        ({"write__gridCurrentA": 2.3}, []),
        ({"write__gridCurrentA": 2.31}, ["H01"]),
        ({"write__gridVoltageV": 380.1}, ["H02"]),
        ({"write__gridVoltageV": 299.9}, ["H02"]),
        ({"write__mode": "wait", "write__gridVoltageV": 0.0, "write__gridCurrentA": 0.0}, []),
        ({"unit__dcdc__status__alarmState": "Light alarm"}, []),
        ({"unit__dcdc__status__alarmState": "something new"}, []),
        ({"unit__dcdc__status__alarmState": "Heavy alarm"}, ["L01"]),
        ({"unit__battery__battery_operation_status": 0}, ["L02"]),
        ({"unit__battery__battery_operation_status": None}, []),
        ({"write": {"mode": "charge"}, "unit__dcdc__meter__tmp": 45.0}, []),
        ({"unit__dcdc__meter__tmp": 45.1}, ["L10"]),
        ({"unit__dcdc__meter__vg": -4.1}, ["L11"]),
        ({"unit__dcdc__meter__vb": 58.5}, ["L12"]),
        ({"unit__dcdc__meter__ig": -2.36}, ["L13"]),
        ({"unit__dcdc__meter__ib": 20.1}, ["L14"]),
        ({"unit__dcdc__meter__ib": 20.1, "write__mode": "wait"}, []),
    ],
)
def test_no_write_passes_a_hard_limit(changes, rules):
    """A set-point that converter or grid do not bear, or a reading out of range, holds a write back; WAIT never."""
    assert rules_that_hold("hard-limits", **changes) == rules


def test_g07_looks_at_a_branch_from_both_ends():
    """More than 5 A in front of the branch or behind it is an error, at once, for that branch."""
    # What the meter of the one unit at each end may err by is allowed: 0.125 A.
    assert rules_that_hold("global-safety", units__0__dcdc__meter__ig=5.12, units__1__dcdc__meter__ig=-5.12) == []
    for front, behind in ((5.13, -5.0), (-5.13, 5.0), (5.0, -5.13)):
        decision = ask("global-safety", units__0__dcdc__meter__ig=front, units__1__dcdc__meter__ig=behind)
        assert [(h.rule.id, h.element, h.pending) for h in decision.hits] == [("G07", "line-1", True)]


@pytest.mark.parametrize(
    ("extent", "category", "level", "actions"),
    [
        ("LOCAL", "HARDWARE", "ERROR", "stop-deals stop-local"),
        ("LOCAL", "LOGIC", "ERROR", "stop-deals stop-local resign reset-local"),
        ("LOCAL", "FRAMEWORK", "ERROR", "stop-deals stop-local resign reset-local"),
        ("LOCAL", "USER", "FATAL", "stop-deals stop-local resign shut-down"),
        ("GLOBAL", "HARDWARE", "ERROR", "scram mode-stop"),
        ("GLOBAL", "LOGIC", "FATAL", "scram shut-down-all"),
        ("LOCAL", "USER", "ERROR", "stop-deals stop-local"),
        ("GLOBAL", "FRAMEWORK", "ERROR", "scram reset-all"),
        ("GLOBAL", "LOGIC", "ERROR", "scram reset-all"),
        ("GLOBAL", "USER", "ERROR", "scram"),
        ("GLOBAL", "HARDWARE", "WARN", "log"),
        ("LOCAL", "LOGIC", "WARN", "log"),
    ],
)
def test_rows_of_the_reaction_table(extent, category, level, actions):
    """Each row gives its actions in their order; a warning is only logged."""
    first = ask("reactions", event={"extent": extent, "category": category, "level": level, "unitId": "E001"}).first
    assert first is not None
    assert first.outcome == React(tuple(map(Action, actions.split())))


@pytest.mark.parametrize("question", QUESTIONS)
def test_shipped_rules_build_in_the_engine(question):
    """Every shipped file passes its trial build: the engine and the scalar evaluator agree around every threshold."""
    for ruleset in compiled(question).rulesets:
        assert ruleset.trial(samples=60) is None
