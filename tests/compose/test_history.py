"""``history`` and ``rollback`` on a folder of versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apis_rules.cli import main
from apis_rules.documents.versions import KeptFile, VersionStore
from apis_rules.resources import data_dir


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with three versions of a scenario; the policy changed with the last."""
    store = VersionStore(tmp_path / "state" / "versions")
    policy = (data_dir("rules") / "policy.json").read_text()
    for number, text in enumerate(('{"a": 1}', '{"a": 2}', '{"a": 3}')):
        changed = policy.replace("50", "60") if number == 2 else policy
        files = [
            KeptFile(str(tmp_path / "scenario.json"), text, f"sha256:{number}{'a' * 63}"),
            KeptFile(str(tmp_path / "policy.json"), changed, f"sha256:{number // 2}{'b' * 63}"),
        ]
        store.record(files, f"2026-06-0{number + 1}T12:00:00.000Z")
        for kept in files:
            Path(kept.path).write_text(kept.text)
    return tmp_path / "state"


def test_history_lists_what_changed_when(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Newest first, each version has its time, its hash and the files that differ from the one before."""
    assert main(["history", "--state", str(state), "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["number"] for row in rows] == [3, 2, 1]
    assert [row["changed"].count("policy.json") for row in rows] == [1, 0, 1]
    assert all("scenario.json" in row["changed"] for row in rows)
    assert len({row["hash"] for row in rows}) == 3


def test_rollback_writes_the_version_before_and_leaves_the_policy(
    state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The files of the version before are back; a policy that differs stays and is told, as all units share it."""
    policy = (tmp_path / "policy.json").read_text()
    assert main(["rollback", "--state", str(state)]) == 0
    said = capfd.readouterr()
    assert (tmp_path / "scenario.json").read_text() == '{"a": 2}'
    assert (tmp_path / "policy.json").read_text() == policy
    assert "AR309 warning" in said.err
    assert "1 files changed" in said.out
    assert main(["rollback", "--state", str(state), "--strict"]) == 1


def test_rollback_to_a_named_version(state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A hash that history shows, or that of a file, names any version."""
    main(["history", "--state", str(state), "--format", "jsonl"])
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert main(["rollback", "--state", str(state), "--to", rows[2]["hash"]]) == 0
    assert (tmp_path / "scenario.json").read_text() == '{"a": 1}'
    assert main(["rollback", "--state", str(state), "--to", "2aaa"]) == 0
    assert (tmp_path / "scenario.json").read_text() == '{"a": 3}'
    assert main(["rollback", "--state", str(state), "--to", "ffff"]) == 2
    assert "no version has a hash" in capfd.readouterr().err


def test_what_cannot_be_rolled_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No folder, or no version before, is a sentence and exit 2."""
    assert main(["rollback", "--state", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capfd.readouterr().err
    assert main(["rollback", "--state", str(tmp_path)]) == 2
    assert "no version before" in capfd.readouterr().err
    assert main(["history", "--state", str(tmp_path)]) == 0
    assert "no version is kept" in capfd.readouterr().out


def test_the_policy_of_a_version_is_written_for_publishing(
    state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--policy FILE` gets the policy of the version before out of the history; the unit's own file is left alone."""
    own = (tmp_path / "policy.json").read_text()
    file = tmp_path / "before.json"
    assert main(["rollback", "--state", str(state), "--policy", str(file)]) == 0
    assert file.read_text() == (data_dir("rules") / "policy.json").read_text()
    assert file.read_text() != own
    assert (tmp_path / "policy.json").read_text() == own
    assert f"policy publish {file}" in capfd.readouterr().out


def test_a_unit_is_found_in_the_state_folder(state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`--unit` finds the one unit of that name below the state folder; where two have one, both are told."""
    root = tmp_path / "root"
    (root / "one" / "cluster").mkdir(parents=True)
    state.rename(root / "one" / "cluster" / "E001")
    assert main(["history", "--unit", "E001", "--state-dir", str(root), "--format", "jsonl"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 3
    assert main(["history", "--unit", "E002", "--state-dir", str(root)]) == 2
    assert "nothing is kept of a unit E002" in capfd.readouterr().err
    (root / "two" / "cluster" / "E001" / "versions").mkdir(parents=True)
    assert main(["history", "--unit", "E001", "--state-dir", str(root)]) == 2
    said = capfd.readouterr().err
    assert "several communities" in said
    assert str(root / "two" / "cluster" / "E001") in said


def test_a_rollback_never_writes_into_another_folder(
    state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two folders with one unit id may share a state folder: only versions of the files in force are written back."""
    old = (tmp_path / "scenario.json").read_text()
    (tmp_path / "copy").mkdir()
    mine = tmp_path / "copy" / "scenario.json"
    mine.write_text('{"a": 4}')
    store = VersionStore(state / "versions")
    store.record([KeptFile(str(mine), '{"a": 4}', "sha256:4" + "a" * 63)], "2026-06-09T12:00:00.000Z")
    assert main(["rollback", "--state", str(state)]) == 2
    assert "of its files" in capfd.readouterr().err
    assert main(["rollback", "--state", str(state), "--to", "2aaa"]) == 2
    assert f"version 3 is of other files than the ones in force: {tmp_path}" in capfd.readouterr().err
    assert (tmp_path / "scenario.json").read_text() == old
    store.record([KeptFile(str(mine), '{"a": 5}', "sha256:5" + "a" * 63)], "2026-06-10T12:00:00.000Z")
    mine.write_text('{"a": 5}')
    assert main(["rollback", "--state", str(state)]) == 0
    assert mine.read_text() == '{"a": 4}'
