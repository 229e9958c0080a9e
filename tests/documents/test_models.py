"""The four files as models: existing files, units, spellings, windows and bands, one hash for one meaning."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.documents.community import load_site, resolve
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.documents.policy import Policy
from apis_rules.documents.reading import (
    MODELS,
    load_config,
    load_hw_config,
    load_policy,
    load_scenario,
    parse_policy,
)
from apis_rules.documents.scenario import DAY_S, Band, Scenario, Window
from apis_rules.documents.spellings import KEYS, VALUES
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

EXISTING = Path(__file__).parents[1] / "files" / "existing"
LOADERS = {
    Kind.CONFIG: load_config,
    Kind.HW_CONFIG: load_hw_config,
    Kind.SCENARIO: load_scenario,
    Kind.POLICY: load_policy,
}
POLICY: dict[str, Any] = load_document(data_dir("rules") / "policy.json", Findings()).value


def policy_hash(value: Any, file: str = "policy.json", **how: Any) -> str:
    return parse_policy(json.dumps(value, **how), file).model.canonical_hash


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [leaf for key, part in value.items() for leaf in leaves(part, (*path, key))]


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    changed = copy.deepcopy(value)
    at = changed
    for step in path[:-1]:
        at = at.setdefault(step, {})
    at[path[-1]] = new
    return changed


@pytest.mark.parametrize("path", sorted(EXISTING.rglob("*.json")), ids=lambda path: str(path.relative_to(EXISTING)))
def test_files_of_the_existing_system_are_read_as_they_are(path: Path) -> None:
    """Repeated ``#`` keys, comments in JSON, empty placeholders: each file is recognised and gives its model."""
    kind = recognise(load_document(path, Findings()).value)
    assert kind is not None
    assert LOADERS[kind](path).model.to_document()


def test_milliseconds_in_files_are_seconds_inside() -> None:
    """A model counts in the units that its names say, and writes the file's again."""
    policy = load_policy(EXISTING / "policy.json").model
    assert policy.controller.dcdc.voltage_reference.ramp_up.first.timeout_s == 180
    assert policy.controller.dcdc.checkpoint.retry_wait_s == 0.1
    assert policy.to_document()["controller"]["dcdc"]["checkpoint"]["retryWaitMsec"] == 100
    assert load_hw_config(EXISTING / "hwConfig.json").model.ranges.temperature_c.max == 45


@given(st.integers(10, 10**9))
def test_no_time_is_changed_by_reading_and_writing_it(milliseconds: int) -> None:
    """Every whole number of milliseconds survives the way through seconds."""
    scenario = Scenario.model_validate({"refreshingPeriodMsec": milliseconds})
    assert scenario.to_document()["refreshingPeriodMsec"] == milliseconds


def test_defaults_are_those_of_the_existing_system() -> None:
    """What a policy leaves out has the value that the existing system would use."""
    left_out = {"refreshingPeriodMsec", "operationMode", "largeCapacityUnitIds", "heloPeriodMsec", "user"}
    policy = parse_policy(json.dumps({k: v for k, v in POLICY.items() if k not in left_out}), "policy.json").model
    assert (policy.operation_mode, policy.large_capacity_unit_ids) == ("stop", ())
    assert (policy.refreshing_period_s, policy.user.house_keeping_period_s, policy.user.error_sustaining_s) == (
        5,
        60,
        30,
    )
    assert policy.grid_voltage_step_v == 350
    assert policy.holder_reserve is False


@pytest.mark.parametrize(("wrong", "right"), KEYS[Kind.POLICY].items())
def test_the_specifications_spelling_of_a_policy_key_means_the_files(wrong: str, right: str) -> None:
    """Each spelling gives the same policy with one warning at the key; both spellings at once are an error."""
    full = parse_policy(json.dumps(POLICY), "policy.json").model.to_document()
    steps, value = tuple(right.split(".")), full
    for step in steps:
        value = value[step]
    without = copy.deepcopy(full)
    holder = without
    for step in steps[:-1]:
        holder = holder[step]
    del holder[steps[-1]]
    loaded = parse_policy(json.dumps(put(without, tuple(wrong.split(".")), value)), "policy.json")
    assert [d.code for d in loaded.warnings] == ["AR206"]
    assert right in loaded.warnings[0].message
    assert loaded.model.to_document() == full
    with pytest.raises(InputError) as caught:
        parse_policy(json.dumps(put(full, tuple(wrong.split(".")), value)), "policy.json")
    assert [d.code for d in caught.value.diagnostics] == ["AR113"]


@pytest.mark.parametrize(("wrong", "right"), KEYS[Kind.POLICY].items())
def test_what_is_wrong_under_another_spelling_is_found_where_it_stands(wrong: str, right: str) -> None:
    """A wrong value is pointed at in the file as it is, though it is called by the right key."""
    full = parse_policy(json.dumps(POLICY), "policy.json").model.to_document()
    text = json.dumps(put(full, tuple(wrong.split(".")), "?"))
    without = json.loads(text)
    *steps, last = right.split(".")
    holder = without
    for step in steps:
        holder = holder[step]
    del holder[last]
    text = json.dumps(without)
    with pytest.raises(InputError) as caught:
        parse_policy(text, "policy.json")
    errors = [d for d in caught.value.diagnostics if d.code in {"AR202", "AR204"}]
    assert [(d.location.column, right in d.message) for d in errors] == [(text.index('"?"') + 1, True)]


@pytest.mark.parametrize(
    ("key", "wrong", "right"), [(key, *pair) for key, pairs in VALUES[Kind.POLICY].items() for pair in pairs.items()]
)
def test_the_specifications_spelling_of_a_value_means_the_files(key: str, wrong: str, right: str) -> None:
    """Each such value gives the policy of the files' value, with one warning that names it."""
    path = tuple(key.split("."))
    loaded = parse_policy(json.dumps(put(POLICY, path, wrong)), "policy.json")
    assert [d.code for d in loaded.warnings] == ["AR207"]
    assert loaded.model.canonical_hash == policy_hash(put(POLICY, path, right))


def test_the_specifications_spelling_in_a_config(tmp_path: Path) -> None:
    """The names of specification 6.1 that no file has are read as those of the files."""
    config = load_document(EXISTING / "config.json", Findings()).value
    config["security"] = {"enable": False}
    config["hwConfig file"], config["Scenario file"] = config.pop("hwConfigFile"), config.pop("scenarioFile")
    config["connection"]["emu_Driver"] = config["connection"].pop("emu_driver")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    loaded = load_config(path)
    assert [d.code for d in loaded.warnings].count("AR206") == len(KEYS[Kind.CONFIG])
    assert loaded.model.hw_config_file == "./hwConfig.json"
    assert loaded.model.connection.emu_driver is not None


def test_encrypted_entries_are_kept_by_the_path_of_their_key(tmp_path: Path) -> None:
    """``KEY.encrypted``, a text or a whole object, is known; its text is never shown; ``encrypted_`` is off."""
    config = load_document(EXISTING / "config.json", Findings()).value
    del config["controlCenter"]
    config["controlCenter.encrypted"] = {"enabled": False, "account": "YWJj", "password": "ZGVm"}
    config["connection"]["emulator"]["host.encrypted"] = "Z2hp"
    config["nats"] = {"urls.encrypted_": "amts"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    model = load_config(path).model
    assert {key: text.get_secret_value() for key, text in model.encrypted.items()} == {
        "controlCenter.account": "YWJj",
        "controlCenter.password": "ZGVm",
        "connection.emulator.host": "Z2hp",
    }
    assert model.control_center is not None
    assert model.control_center.enabled is False
    assert "YWJj" not in repr(model)


def test_a_secret_is_shown_by_no_diagnostic(tmp_path: Path) -> None:
    """A password of the wrong type is pointed at, not printed; ``encrypted`` alone is the name of no key."""
    config = load_document(EXISTING / "config.json", Findings()).value
    config["controlCenter"]["password"] = 998877
    config["encrypted"] = {"controlCenter.account": 665544}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert {"AR200", "AR202"} <= {d.code for d in caught.value.diagnostics}
    assert "998877" not in str(caught.value)
    assert "665544" not in str(caught.value)


@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]))
def test_one_meaning_has_one_hash(random: Any, indent: int | None) -> None:
    """Order of keys and of sets, spacing, comments, 350 or 350.0, and defaults written out or not change nothing."""
    full = parse_policy(json.dumps(POLICY), "policy.json").model.to_document()

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(key, shuffled(part)) for key, part in value.items()]
            random.shuffle(items)
            return dict(items) | ({"#": random.random()} if random.random() < 0.3 else {})
        if isinstance(value, list):
            return random.sample(value, len(value))
        return int(value) if isinstance(value, float) and value.is_integer() and random.random() < 0.5 else value

    assert policy_hash(shuffled(full), indent=indent) == policy_hash(POLICY)
    assert policy_hash(full, "policy.yaml", indent=indent) == policy_hash(POLICY)


def test_every_value_of_a_policy_is_in_its_hash() -> None:
    """No key can differ between two nodes without their hashes differing."""
    full = parse_policy(json.dumps(POLICY), "policy.json").model.canonical_document()
    before = policy_hash(POLICY)
    other = {True: False, False: True, "autonomous": "stop", "chargeUnit": "dischargeUnit"}
    other |= {"theoretical": "actual", "voltageReferenceUnit": "anywhere"}
    changed = 0
    for path in leaves(full):
        value = full
        for step in path:
            value = value[step]
        single = value == "newestDeal"  # the one strategy there is
        if isinstance(value, bool | str) and not single:
            new: Any = other[value]
        elif isinstance(value, int | float):
            new = value + 1
        else:
            continue
        changed += 1
        assert Policy.model_validate(put(full, path, new)).canonical_hash != before, path
    assert changed >= 50


def test_the_order_of_candidates_counts() -> None:
    """Who may become Grid Master is ranked, so two orders are two policies."""
    path = ("gridMaster", "gridMasterSelection", "candidateUnitIds")
    assert policy_hash(put(POLICY, path, ["E001", "E002"])) != policy_hash(put(POLICY, path, ["E002", "E001"]))


@given(st.integers(0, DAY_S - 1), st.integers(1, DAY_S), st.integers(0, DAY_S - 1))
def test_a_window_and_its_complement_share_the_day(start_s: int, end_s: int, time_s: int) -> None:
    """Start included, end not; past midnight where the end is not above the start; the complement is the rest."""

    def clock(seconds: int) -> str:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    if start_s == end_s:
        with pytest.raises(ValueError, match="empty"):
            Window.parse(f"{clock(start_s)}-{clock(end_s)}")
        return
    window = Window.parse(f"{clock(start_s)}-{clock(end_s)}")
    assert (window.start_s, window.end_s) == (start_s, end_s)
    assert window.contains(start_s)
    assert not window.contains(end_s)
    if (start_s, end_s) != (0, DAY_S):
        rest = Window.parse(f"{clock(end_s % DAY_S)}-{clock(start_s or DAY_S)}")
        assert window.contains(time_s) != rest.contains(time_s)


def test_midnight_may_be_written_as_the_end_in_two_ways() -> None:
    """``22:00:00-00:00:00`` ends at midnight, as ``22:00:00-24:00:00`` does."""
    assert Window.parse("22:00:00-00:00:00") == Window.parse("22:00:00-24:00:00")


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(-5, 10_005))
def test_a_band_takes_its_lower_bound_and_not_its_upper(lower: int, upper: int, remaining_wh: int) -> None:
    """``lower ≤ x < upper``; a bound that is left out bounds nothing; upside down is refused."""
    if upper <= lower:
        with pytest.raises(ValueError, match="empty"):
            Band.parse(f"{lower}-{upper}", "x")
        return
    assert Band.parse(f"{lower}-{upper}", "x").contains(remaining_wh) == (lower <= remaining_wh < upper)
    assert Band.parse(f"{lower}-", "x").contains(remaining_wh) == (remaining_wh >= lower)
    assert Band.parse(f"-{upper}", "x").contains(remaining_wh) == (remaining_wh < upper)
    assert Band.parse("-", "x").contains(remaining_wh)


def test_a_section_may_choose_accepts_in_its_own_way() -> None:
    """The file's way counts where a section has none."""
    scenario = load_scenario(EXISTING / "annotated" / "scenario.json").model
    ways = [scenario.strategy_of(section) for section in scenario.sections.values()]
    assert ways == ["pointAndAmount", "amount"]
    assert list(scenario.windows.values()) == [Window(0, DAY_S // 2), Window(DAY_S // 2, DAY_S)]


def test_paths_count_from_the_file_then_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies beside the file that names it goes first; what lies nowhere is looked for there."""
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside, here):
        folder.mkdir()
        (folder / "both.json").touch()
    (here / "only.json").touch()
    monkeypatch.chdir(here)
    base = beside / "config.json"
    assert resolve("both.json", base) == beside / "both.json"
    assert resolve("only.json", base) == Path("only.json")
    assert resolve("none.json", base) == beside / "none.json"


def test_a_site_is_read_whole_or_refused_whole(tmp_path: Path) -> None:
    """A config brings its three files with it; what is wrong with any of them is said at once, at its place."""
    for name in ("config.json", "hwConfig.json", "policy.json", "scenario.json"):
        (tmp_path / name).write_text((EXISTING / name).read_text())
    site = load_site(tmp_path / "config.json")
    assert all((site.config, site.hw_config, site.policy, site.scenario))
    (tmp_path / "scenario.json").write_text('{"00:00:00-24:00:00": {}}')
    (tmp_path / "hwConfig.json").unlink()
    (tmp_path / "policy.json").write_text((EXISTING / "policy.json").read_text().replace('"E001", ', "", 1))
    with pytest.raises(InputError) as caught:
        load_site(tmp_path / "config.json")
    assert sorted(d.code for d in caught.value.diagnostics) == ["AR102", "AR214", "AR219"]


def test_every_model_is_frozen() -> None:
    """What was read cannot change under those who use it."""
    for kind, model in MODELS.items():
        assert model.model_config.get("frozen"), kind
