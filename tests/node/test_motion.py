"""Files and the community's policy change while nodes run: what is right is put in force, what is not never is."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.decide.rule_files import bundled_rules, declare_rules
from apis_rules.documents.reading import load_policy, load_scenario, parse_policy
from apis_rules.documents.versions import KeptFile, VersionStore
from apis_rules.documents.watched import read_contents
from apis_rules.node.identity import Documents
from apis_rules.node.reference import KEY, join_community, read_reference, reference_of
from apis_rules.node.surroundings import NodeFiles
from apis_rules.ports.state import Write
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import RULES, SMALL_DEALS, World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PERIOD_S = 5.0
"""``refreshingPeriodMsec`` of the bundled files."""


class Motion:
    """A community whose nodes read their files again, each from a folder of its own."""

    def __init__(self, w: World, folder: Path) -> None:
        self.w = w
        self.folder = folder
        self.base = w.policy
        for unit_id in w.unit_ids:
            self.write_files(unit_id)

    def write_files(self, unit_id: str) -> None:
        own = self.folder / unit_id
        (own / "rules").mkdir(parents=True)
        documents = self.w.documents[unit_id]
        for name, model in (
            ("hwConfig", documents.hw_config),
            ("scenario", documents.scenario),
            ("policy", documents.policy),
        ):
            text = (RULES / f"{name}.json").read_text() if name == "scenario" else json.dumps(model.to_document())
            (own / f"{name}.json").write_text(text)
        kept = {n: KeptFile(str(own / f"{n}.json"), (own / f"{n}.json").read_text(), n) for n in FILES}
        self.w.node_files[unit_id] = NodeFiles(
            kept["hwConfig"], kept["scenario"], kept["policy"], own / "rules", own / "versions"
        )

    def file(self, unit_id: str, name: str) -> Path:
        return self.folder / unit_id / name

    def policy(self, **changes: Any) -> str:
        """Return the text of the community's policy with some keys changed."""
        return json.dumps(self.base.to_document() | changes)

    def publish(self, text: str) -> None:
        """Change the reference, as the verb does."""
        policy = parse_policy(text, "published").model
        entry = self.w.store.policy.get(KEY)
        held = read_reference(entry)
        assert held is not None
        changed = held.model_copy(update={"policy": policy.canonical_document(), "text": text})
        self.w.store.policy.write([Write(KEY, changed.to_json(), entry.at)])

    def held(self, unit_id: str) -> Documents:
        """Return what a running node goes by."""
        node = self.w.houses[unit_id].node
        assert node is not None
        return node.documents

    def told(self, rule: str, unit_id: str) -> list[str]:
        return [e.message for e in self.w.events(rule) if e.unit_id == unit_id]


FILES = ("hwConfig", "scenario", "policy")


@asynccontextmanager
async def motion(folder: Path, units: int = 2, **more: Any) -> AsyncIterator[Motion]:
    async with world(units, acceleration=20.0, policy=SMALL_DEALS, rsoc=[60.0] * units, started=False, **more) as w:
        opened = Motion(w, folder)
        for unit_id in w.unit_ids:
            w.start(unit_id)
        await w.until(lambda: all(w.houses[u].node.state == "autonomous" for u in w.unit_ids), 60, "all take part")
        await w.until(lambda: w.store.policy.get(KEY).value is not None, 5, "the first one's is the community's")
        yield opened


async def scenario_changes(folder: Path) -> None:
    async with motion(folder) as m:
        file = m.file("E001", "scenario.json")
        before = load_scenario(file).model
        text = file.read_text().replace('"3360-"', '"3000-"').replace('"2400-3360"', '"2400-3000"')
        file.write_text(text)
        wanted = load_scenario(file).model
        assert wanted != before
        await m.w.until(lambda: m.held("E001").scenario == wanted, PERIOD_S, "in force within its period")
        assert m.held("E002").scenario == before
        versions = VersionStore(m.file("E001", "versions")).history()
        assert len(versions) == 2
        assert [k.text for k in versions[0].files if k.path == str(file)] == [text]
        # Back to the version before, as the verb does.
        VersionStore(m.file("E001", "versions")).restore(versions[1])
        await m.w.until(lambda: m.held("E001").scenario == before, PERIOD_S, "rolled back")


def test_a_scenario_is_exchanged_within_its_period(tmp_path: Path) -> None:
    """A changed scenario is in force at that unit within its refreshing period, kept as a version, and rolled back."""
    run_virtual(scenario_changes(tmp_path))


async def hw_config_changes(folder: Path) -> None:
    async with motion(folder) as m:
        file = m.file("E001", "hwConfig.json")
        document = json.loads(file.read_text())
        document["gridCurrentCapacityA"] = 4.5
        document["safety"]["range"]["dcdc"]["meter"]["ig"] = {"min": -4.6, "max": 4.6}
        file.write_text(json.dumps(document))
        await m.w.until(lambda: m.held("E001").hw_config.grid_current_capacity_a == 4.5, PERIOD_S, "in force")
        services = m.w.houses["E001"].node.services
        assert services is not None
        for question in ("hard-limits", "local-safety", "accept"):
            assert services.rules.compiled(question).constants["hwConfig"]["gridCurrentCapacityA"] == 4.5
        assert services.board.deal_capacity == 2


def test_hw_config_is_exchanged_with_all_that_goes_by_it(tmp_path: Path) -> None:
    """Another capacity counts in the unit's hard limits, local safety, gates and data, all at once."""
    run_virtual(hw_config_changes(tmp_path))


WAYS = {
    "a value of another kind": (lambda text: text.replace('"pointPerWh": 10', '"pointPerWh": "10"'), "AR202"),
    "an unknown key": (lambda text: text.replace('"refreshingPeriodMsec"', '"refreshingPeriod"'), "AR200"),
    "half of it": (lambda text: text[: len(text) // 2], "AR1"),
    "nothing": (lambda text: "", "AR105"),
    "gone": (None, "AR102"),
}


async def broken(folder: Path, way: str) -> None:
    spoil, code = WAYS[way]
    async with motion(folder) as m:
        file = m.file("E001", "scenario.json")
        before, text = m.held("E001").scenario, file.read_text()
        if spoil is None:
            file.unlink()
        else:
            assert spoil(text) != text
            file.write_text(spoil(text))
        await m.w.until(lambda: m.told("file_refused", "E001"), 2.5 * PERIOD_S, "it is told")
        await asyncio.sleep(3 * PERIOD_S)
        (sentence,) = m.told("file_refused", "E001")
        assert f"{file}:" in sentence
        assert code in sentence
        assert m.held("E001").scenario is before
        assert m.w.houses["E001"].node.state == "autonomous"
        assert not m.told("file_mended", "E001")
        file.write_text(text)
        await m.w.until(lambda: m.told("file_mended", "E001"), PERIOD_S, "it is told that it is mended")
        assert m.held("E001").scenario == before


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_file_never_replaces_one_in_force(tmp_path: Path, way: str) -> None:
    """The unit goes on by what it had, tells place and code once, and tells when the file is right again."""
    run_virtual(broken(tmp_path, way))


async def written_slowly(folder: Path) -> None:
    async with motion(folder) as m:
        file = m.file("E001", "scenario.json")
        before = file.read_text()
        text = before.replace('"3360-"', '"3000-"').replace('"2400-3360"', '"2400-3000"')
        for part in range(1, 12):
            file.write_text(text[: len(text) * part // 12])
            # Each part is found by two looks, or by one and right in itself.
            await asyncio.sleep(4.5 if part < 11 else PERIOD_S / 2)
            assert not m.told("file_refused", "E001")
        file.write_text(before.replace('"pointPerWh": 10', '"pointPerWh": 12'))
        await asyncio.sleep(PERIOD_S / 2)
        file.write_text(text)
        wanted = load_scenario(file).model
        await m.w.until(lambda: m.held("E001").scenario == wanted, PERIOD_S, "in force")
        assert not m.told("file_refused", "E001")
        assert not m.told("file_mended", "E001")
        assert len(VersionStore(m.file("E001", "versions")).history()) == 2


def test_a_file_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """A file that grows for most of a minute is neither put in force before it is whole nor told as broken."""
    run_virtual(written_slowly(tmp_path))


OWN_ACCEPT = """\
question: accept
facts:
  percent: {path: $.unit.battery.rsoc, default: 0}
rules:
  - id: never-below-90
    when: percent < 90
    outcome: {decline: scenario}
    message: at {percent} nothing is accepted here
"""


async def rules_change(folder: Path) -> None:
    async with motion(folder) as m:
        file = m.file("E001", "rules/accept.yaml")
        file.write_text(OWN_ACCEPT)

        def ids(unit_id: str) -> set[str]:
            services = m.w.houses[unit_id].node.services
            assert services is not None
            return {r.id for r in services.rules.compiled("accept").rule_file.rules}

        await m.w.until(lambda: ids("E001") == {"never-below-90"}, PERIOD_S, "in force")
        assert "never-below-90" not in ids("E002")
        file.write_text(OWN_ACCEPT.replace("percent < 90", "percnt < 90"))
        await m.w.until(lambda: m.told("file_refused", "E001"), 2.5 * PERIOD_S, "refused")
        assert f"{file}:6:11: AR251" in m.told("file_refused", "E001")[0]
        assert ids("E001") == {"never-below-90"}
        file.unlink()
        await m.w.until(lambda: "never-below-90" not in ids("E001"), PERIOD_S, "the bundled ones again")
        # Rules of community extent are not one unit's business.
        reactions = (RULES / "reactions.yaml").read_text()
        m.file("E001", "rules/reactions.yaml").write_text(reactions.replace("[stop-deals, stop-local]", "[log]"))
        await m.w.until(lambda: m.told("policy_differs", "E001"), PERIOD_S + 5, "told")
        assert "rules/reactions" in m.told("policy_differs", "E001")[0]
        assert m.held("E001").rules.of_the_community == bundled_rules().of_the_community


def test_own_rules_are_exchanged_and_those_of_the_community_are_not(tmp_path: Path) -> None:
    """An own file in front of a bundled one is in force within the period; one that all share is held back and told."""
    run_virtual(rules_change(tmp_path))


async def policy_edited(folder: Path) -> None:
    async with motion(folder) as m:
        before = m.base
        file = m.file("E001", "policy.json")
        text = m.policy(mediator=before.to_document()["mediator"] | {"negotiationTimeoutMsec": 700})
        file.write_text(text)
        await m.w.until(lambda: m.told("policy_differs", "E001"), PERIOD_S, "told")
        (event,) = m.w.events("policy_differs")
        assert event.kind == "USER:LOCAL:ERROR"
        assert event.message.endswith(f"{file}: mediator.negotiationTimeoutMsec")
        await asyncio.sleep(3 * PERIOD_S)
        assert m.held("E001").policy == before
        # Published, it is in force at every node at once, and every file says so.
        m.publish(text)
        wanted = load_policy(file).model
        await m.w.until(lambda: all(m.held(u).policy == wanted for u in m.w.unit_ids), 1, "in force at both")
        assert m.file("E002", "policy.json").read_text() == text
        await m.w.until(lambda: m.told("file_mended", "E001"), 2 * PERIOD_S, "mended")
        assert len(m.w.events("policy_differs")) == 1


def test_a_policy_that_differs_is_not_put_in_force_until_it_is_published(tmp_path: Path) -> None:
    """One key: USER:LOCAL:ERROR names it and nothing changes; `policy publish` puts it in force at all nodes."""
    run_virtual(policy_edited(tmp_path))


async def another_edit_is_kept(folder: Path) -> None:
    async with motion(folder) as m:
        file = m.file("E001", "policy.json")
        mine = m.policy(refreshingPeriodMsec=4000)
        file.write_text(mine)
        await m.w.until(lambda: m.told("policy_differs", "E001"), PERIOD_S, "told")
        m.publish(m.policy(refreshingPeriodMsec=3000))
        await m.w.until(lambda: m.held("E001").policy.refreshing_period_s == 3.0, 1, "in force")
        assert file.read_text() == mine
        await m.w.until(lambda: len(m.told("policy_differs", "E001")) == 2, 2 * PERIOD_S, "told again")


def test_an_edited_file_is_not_written_over(tmp_path: Path) -> None:
    """What somebody changed and nobody published stays as it is, and is told anew after another is published."""
    run_virtual(another_edit_is_kept(tmp_path))


async def members_change(folder: Path) -> None:
    async with world(4, acceleration=20.0, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 91.0, 26.0], started=False) as w:
        m = Motion(w, folder)
        three = m.base.model_copy(update={"member_unit_ids": ("E001", "E002", "E003")})
        for unit_id in w.unit_ids[:3]:
            w.documents[unit_id].policy = three
            m.file(unit_id, "policy.json").write_text(json.dumps(three.to_document()))
            w.start(unit_id)
        deal_id = await w.one_deal()
        # A fourth one is added while a deal runs: its file says what is published, and it starts.
        m.publish(m.policy())
        await w.until(lambda: all(m.held(u).policy == m.base for u in w.unit_ids[:3]), 1, "in force")
        w.start("E004")
        started = lambda: [d for d in w.records.deals_of("E004").values() if d.state == "started"]  # noqa: E731
        await w.until(started, 120, "the new one trades")
        assert deal_id in w.records.deals() or any(r.deal_id == deal_id for r in w.final_records)
        # One that has a deal is taken out: its deals end in order, it leaves with 2, the others go on.
        gone = next(u for u in ("E002", "E001", "E003") if w.records.deals_of(u))
        await w.kill("E004")
        w.exclude("E004")
        left = [u for u in w.unit_ids if u not in (gone, "E004")]
        m.publish(m.policy(memberUnitIds=left))
        task = w.houses[gone].task
        assert task is not None
        await w.until(task.done, 40, "it leaves")
        assert task.result() == 2
        assert w.houses[gone].node.ended_because == f"{gone} is no member of the community any more"
        assert [e.unit_id for e in w.events("dismissed")]
        assert w.mode(gone) == "WAIT"
        assert not w.records.deals_of(gone)
        w.houses[gone].node = None
        await asyncio.sleep(30)
        assert all(w.houses[u].node.state == "autonomous" for u in left)
        assert w.records.lock("E004").exclusion is not None
        w.check_grid(dead=["E004"])
        w.check_books()


def test_members_come_and_go_while_the_others_run(tmp_path: Path) -> None:
    """One added takes part; one taken out is drained and leaves with 2; an exclusion stays; the others trade on."""
    run_virtual(members_change(tmp_path))


async def voltages_change(folder: Path) -> None:
    async with world(2, acceleration=20.0, policy=SMALL_DEALS, rsoc=[92.0, 27.0], started=False) as w:
        m = Motion(w, folder)
        for unit_id in w.unit_ids:
            w.start(unit_id)
        deal_id = await w.one_deal()
        m.publish(m.policy(operationGridVoltageV=355))
        await w.until(lambda: all(m.held(u).policy.operation_grid_voltage_v == 355 for u in w.unit_ids), 1, "in force")
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 60, "the deal's end")
        assert w.final_records[0].abort_reason is None
        assert not w.error_events()
        await w.until(w.records.deals, 60, "the next deal")
        await w.one_deal()
        holder = w.records.grid()[0].holder
        assert w.plant.grid_now().unit(holder).grid_voltage_v == pytest.approx(355, abs=2)
        w.check_grid()
        w.check_books()


def test_a_voltage_that_is_published_counts_from_the_next_ramp(tmp_path: Path) -> None:
    """The deal that runs goes on undisturbed; the next one is made at the new voltage."""
    run_virtual(voltages_change(tmp_path))


async def disks_that_refuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async with motion(folder) as m:
        monkeypatch.setattr("apis_rules.node.refresh.write_whole", full)
        monkeypatch.setattr("apis_rules.documents.versions.write_whole", full)
        m.publish(m.policy(refreshingPeriodMsec=3000))
        await m.w.until(lambda: all(m.held(u).policy.refreshing_period_s == 3.0 for u in m.w.unit_ids), 1, "in force")
        await m.w.until(lambda: m.told("version_not_kept", "E001"), 1, "told")
        assert "No space left" in m.told("version_not_kept", "E001")[0]
        assert "next start" in m.told("file_not_written", "E001")[0]
        await asyncio.sleep(20)
        assert all(m.w.houses[u].node.state == "autonomous" for u in m.w.unit_ids)


def test_a_disk_that_refuses_keeps_nothing_from_being_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was published is in force; that its file and its version could not be written is told, and no more."""
    run_virtual(disks_that_refuse(tmp_path, monkeypatch))


async def the_store_is_lost(folder: Path) -> None:
    async with motion(folder) as m:
        before = read_reference(m.w.store.policy.get(KEY))
        m.w.store.stop()
        m.w.store.policy.lose()
        m.w.store.start()
        await m.w.until(lambda: m.w.store.policy.get(KEY).value is not None, 10, "written again")
        assert read_reference(m.w.store.policy.get(KEY)) == before
        assert not m.w.events("dismissed")


def test_a_reference_that_was_lost_is_written_again(tmp_path: Path) -> None:
    """Nodes that run know what they go by: a store without it gets it from them."""
    run_virtual(the_store_is_lost(tmp_path))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"rules": {"reactions": "sha256:other"}}, "rules/reactions"),
        ({"charts": {"deal": "sha256:other"}}, "statecharts/deal"),
        ({"policy": {"gridUvloMaskV": 11.0}}, "gridUvloMaskV"),
    ],
)
def test_one_hash_covers_policy_rules_and_charts(change: dict[str, dict[str, object]], key: str) -> None:
    """A node that differs in any of the three has another hash, may not join, and the key is named."""

    async def main() -> None:
        async with world(1, started=False) as w:
            reference = reference_of(w.policy, "{}", bundled_rules().of_the_community)
            changed = {name: {**getattr(reference, name), **values} for name, values in change.items()}
            other = reference.model_copy(update=changed)
            ports = w.store.connect("E001")
            assert await join_community(ports.policy, reference) == ()
            assert await join_community(ports.policy, other) == (key,)
            assert reference.hash != other.hash

    run_virtual(main())


async def rules_that_others_lack(folder: Path) -> None:
    async with motion(folder) as m:
        own = (RULES / "reactions.yaml").read_text().replace("[stop-deals, stop-local]", "[stop-local]")
        file = m.file("E001", "rules/reactions.yaml")
        file.write_text(own)
        await m.w.until(lambda: m.told("policy_differs", "E001"), PERIOD_S, "held back")
        wanted = declare_rules(read_contents(file.parent)).of_the_community
        entry = m.w.store.policy.get(KEY)
        held = read_reference(entry)
        assert held is not None
        changed = held.model_copy(update={"rules": wanted})
        m.w.store.policy.write([Write(KEY, changed.to_json(), entry.at)])
        await m.w.until(lambda: m.held("E001").rules.of_the_community == wanted, 1, "in force where they are")
        task = m.w.houses["E002"].task
        assert task is not None
        await m.w.until(task.done, 20, "who lacks them leaves")
        assert task.result() == 2
        assert m.w.houses["E002"].node.ended_because == "this node has other rules/reactions than was published"
        m.w.houses["E002"].node = None
        assert m.w.houses["E001"].node.state == "autonomous"


def test_published_rules_are_in_force_where_they_lie_ready(tmp_path: Path) -> None:
    """A node that holds them back puts them in force when they are published; one that lacks them leaves in order."""
    run_virtual(rules_that_others_lack(tmp_path))
