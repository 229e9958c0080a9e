"""``check``: folders, files tied by a config, other kinds, output, exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from apis_rules.author.check import ANALYSES, CHECKERS, check_paths
from apis_rules.author.verbs.schema import KINDS, OWN_FORMS, schema_of
from apis_rules.author.workset import UNITS, write_workset
from apis_rules.cli import main
from apis_rules.decide.rule_files import declare_rules
from apis_rules.documents.diagnostics import Findings, Severity
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import MODELS, load_policy
from apis_rules.documents.watched import read_contents
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

FILES = Path(__file__).parents[1] / "files"
BAD = FILES / "bad" / "documents"
GOLDEN = FILES / "existing.txt"


def test_existing_files_are_fine_and_say_what_they_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """The existing system's files, plain and annotated, give no error; their warnings are those of ``existing.txt``."""
    monkeypatch.chdir(FILES)
    assert main(["check", "existing"]) == 0
    found = capsys.readouterr().out
    if pytestconfig.getoption("--rewrite"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_the_bundled_files_are_without_a_warning() -> None:
    """What the project ships passes its own check: rules, charts, wiring, drivers."""
    report = check_paths([data_dir(name) for name in ("rules", "statecharts", "transport")])
    assert report.diagnostics == ()
    assert report.files >= 20


def test_every_kind_has_its_check() -> None:
    """A kind without a model has an owner who checks it, and each owner's function is there; an example needs none."""
    assert {*MODELS, *CHECKERS, Kind.EXAMPLE} == set(Kind)
    for name in (*CHECKERS.values(), *ANALYSES):
        module, _, function = name.partition(":")
        assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_a_file_is_read_once_however_many_name_it(tmp_path: Path) -> None:
    """Four nodes that share a broken policy give its one mistake once."""
    write_workset(tmp_path / "site")
    policy = tmp_path / "site" / "policy.json"
    policy.write_text(policy.read_text().replace('"autonomous"', '"auto"'))
    found = check_paths([tmp_path / "site"]).diagnostics
    assert [(d.code, d.location.file) for d in found] == [("AR204", str(policy))]


def test_a_config_alone_brings_its_files(tmp_path: Path) -> None:
    """Checking one config checks what it names, and the four together."""
    write_workset(tmp_path)
    policy = tmp_path / "policy.json"
    policy.write_text(policy.read_text().replace('["E001", "E002", "E003", "E004"]', '["E001", "E002"]'))
    report = check_paths([tmp_path / "config3.json"])
    assert report.files == 4
    assert [d.code for d in report.diagnostics] == ["AR230"]


def test_own_rules_are_checked_with_what_names_them(tmp_path: Path) -> None:
    """A config's ``rules`` folder and ``--rules`` are checked; one that is not there is said."""
    write_workset(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"unitId"', '"rules": "own", "unitId"'))
    assert [d.code for d in check_paths([config]).diagnostics] == ["AR102"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "accept.yaml").write_text("question: accept\nabout: x\nfacts: {}\nrules: []\n")
    expected = [("accept.yaml", "AR203")]
    assert [(Path(d.location.file).name, d.code) for d in check_paths([config]).diagnostics] == expected
    assert main(["check", str(tmp_path / "policy.json"), "--rules", str(tmp_path / "own")]) == 1
    assert main(["check", str(tmp_path / "policy.json"), "--rules", str(tmp_path / "nowhere")]) == 2


H01 = """\
  - id: H01
    when: abs(set_current_a) > capacity_a
"""


def test_a_hard_limit_cannot_be_replaced(tmp_path: Path) -> None:
    """An own rule of a bundled hard limit's id is one error at its line, however the file is found; a copy is none."""
    bundled = (data_dir("rules") / "hard-limits.yaml").read_text(encoding="utf-8")
    own = tmp_path / "hard-limits.yaml"
    own.write_text(bundled)
    assert check_paths([own]).diagnostics == ()
    own.write_text(bundled.replace(H01, H01.replace("capacity_a", "2 * capacity_a")))
    line = 1 + bundled[: bundled.index(H01)].count("\n")
    policy = data_dir("rules") / "policy.json"
    for report in (check_paths([own]), check_paths([tmp_path]), check_paths([policy], rules=tmp_path)):
        assert [(d.code, d.location.file, d.location.line) for d in report.diagnostics] == [("AR264", str(own), line)]


SOUND = """\
question: accept
facts: {mode: {path: $.node.mode, kind: text}}
rules:
  - {id: stopped, when: mode == 'stop', outcome: {decline: not-autonomous}, message: "in mode {mode}"}
"""
NEVER_AUTONOMOUS = (data_dir("rules") / "operation-mode.yaml").read_text().replace("{mode: autonomous}", "{mode: stop}")
ERRORS = (data_dir("rules") / "errors.yaml").read_text()
TOGETHER = {
    "its question is misspelt": ("accept.yaml", SOUND.replace("accept", "acept", 1), "AR272", 1, 11),
    "it answers what another does": ("my-accept.yaml", SOUND, "AR264", 1, 11),
    "it answers what nobody asked it": ("request.yaml", SOUND, "AR264", 1, 11),
    "another table of modes": ("operation-mode.yaml", NEVER_AUTONOMOUS, "AR277", 2, 11),
    "a catalogue by another name": ("error.yaml", ERRORS, "AR264", 3, 1),
    "an entry is missing": ("errors.yaml", "errors: {}\n", "AR271", 1, 9),
    "a message with a gap": (
        "errors.yaml",
        ERRORS.replace("message: the converter was found active at the start", 'message: "at {unit}"'),
        "AR274", 7, 14,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", TOGETHER)
def test_what_a_node_refuses_at_its_start_check_finds(mistake: str, tmp_path: Path) -> None:
    """A mistake in own rule files is found with line and column, by their folder, ``--rules`` and the node's reader."""
    name, text, *expected = TOGETHER[mistake]
    own = tmp_path / name
    own.write_text(text)
    with pytest.raises(InputError) as refused:
        declare_rules(read_contents(tmp_path))
    policy = data_dir("rules") / "policy.json"
    found = (check_paths([tmp_path]).diagnostics, check_paths([policy], rules=tmp_path).diagnostics)
    for diagnostics in (refused.value.diagnostics, *found):
        assert {d.location.file for d in diagnostics} == {str(own)}
        assert [*{(d.code, d.location.line, d.location.column) for d in diagnostics}] == [tuple(expected)]


def test_own_rules_are_compiled_with_the_values_of_the_site(tmp_path: Path) -> None:
    """A value that the policy does not set, and without a default, is told at the fact of the own rule."""
    write_workset(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"unitId"', '"rules": "own", "unitId"'))
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "accept.yaml"
    optional = "facts: {most_ms: $.policy.gridMaster.handOverTimeLimitMsec, "
    own.write_text(SOUND.replace("facts: {", optional).replace("'stop'", "'stop' and most_ms > 3"))
    found = [(d.code, d.location.file, d.location.line) for d in check_paths([config]).diagnostics]
    assert found == [("AR263", str(own), 2)]


def test_times_of_a_policy_are_held_against_those_of_a_mastership(tmp_path: Path) -> None:
    """Too short a hand-over is an error at its key; one that is too short over three servers only is a warning."""
    text = (data_dir("rules") / "policy.json").read_text()
    for limit_ms, severity in ((9000, Severity.ERROR), (13000, Severity.WARNING)):
        (tmp_path / "policy.json").write_text(
            text.replace('"handOverTimeLimitMsec": null', f'"handOverTimeLimitMsec": {limit_ms}')
        )
        (found,) = check_paths([tmp_path / "policy.json"]).diagnostics
        line = 1 + text[: text.index("handOverTimeLimitMsec")].count("\n")
        assert (found.code, found.severity, found.location.line) == ("AR504", severity, line)


def test_addresses_that_a_run_refuses_are_doubtful(tmp_path: Path) -> None:
    """Where a node keeps to its own machine, a driver or a store on another one is told at its place."""
    write_workset(tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text().replace(
        '"unitId"', '"security": {"enabled": true, "pemKeyFile": "k", "pemCertFile": "c"}, "unitId"'
    )
    config.write_text(text.replace("localhost", "10.0.0.7").replace('"urls": []', '"urls": ["nats://10.0.0.8:4222"]'))
    found = [(d.code, d.message[:28]) for d in check_paths([config]).diagnostics if d.code != "AR209"]
    assert found == [("AR721", "the shared state is at 10.0."), ("AR721", "emulator is at 10.0.0.7, but")]


def test_what_a_config_names_is_of_the_kind_that_its_key_says(tmp_path: Path) -> None:
    """A policy where a scenario belongs, and an address that no store has, are each one error at their place."""
    write_workset(tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text()
    for old, new, code in (
        ("./scenario.json", "./policy.json", "AR239"),
        ('"urls": []', '"urls": ["http://house1:4222"]', "AR511"),
    ):
        config.write_text(text.replace(old, new))
        (found,) = [d for d in check_paths([config]).diagnostics if d.severity is Severity.ERROR]
        line = 1 + text[: text.index(old)].count("\n")
        assert (found.code, found.location.file, found.location.line) == (code, str(config), line)


def test_the_kind_may_be_said(tmp_path: Path) -> None:
    """``--kind`` goes before the keys; without it an unknown file is refused, in a folder passed over."""
    path = tmp_path / "x.json"
    path.write_text('{"comment": 1}')
    assert [d.code for d in check_paths([path], kind=Kind.SCENARIO).diagnostics] == ["AR217", "AR200"]
    named, inside = check_paths([path]), check_paths([tmp_path])
    assert [(d.code, d.severity) for d in named.diagnostics] == [("AR115", Severity.ERROR)]
    assert [(d.code, d.severity) for d in inside.diagnostics] == [("AR115", Severity.WARNING)]
    assert (named.unreadable, inside.unreadable) == (True, False)


def test_hidden_folders_and_other_endings_are_left_alone(tmp_path: Path) -> None:
    """A folder is searched to its depth, but not what is hidden; nothing found is said."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "broken.json").write_text("{")
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("{")
    assert [d.code for d in check_paths([tmp_path]).diagnostics] == ["AR116"]
    (tmp_path / "deep" / "deeper" / "broken.json").write_text("{")
    assert [d.code for d in check_paths([tmp_path]).diagnostics] == ["AR109"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["scenario-no-battery-status.json"], 1),
        (["config-spelling.json"], 0),
        (["config-spelling.json", "--strict"], 1),
        (["scenario-truncated.json"], 2),
        (["empty.json"], 2),
        (["binary.json"], 2),
        (["no-such-file.json"], 2),
        (["scenario-truncated.json", "policy-mode.json"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """0 with warnings at most, 1 for errors (for warnings with ``--strict``), 2 for what cannot be read."""
    assert (
        main(["check", str(BAD / arguments[0]), *[a if a[0] == "-" else str(BAD / a) for a in arguments[1:]]]) == code
    )
    out, err = capsys.readouterr()
    assert " checked: " in out
    assert err == ""


def test_findings_are_for_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, JSON lines and CSV hold the same rows: file, line, column, code, severity, message, hint."""
    path = str(BAD / "policy-mode.json")
    shown = {}
    for form in ("json", "jsonl", "csv"):
        assert main(["check", path, "--format", form]) == 1
        shown[form] = capsys.readouterr().out
    (row,) = json.loads(shown["json"])
    assert (row["file"], row["line"], row["column"], row["code"], row["severity"]) == (path, 2, 20, "AR204", "error")
    assert json.loads(shown["jsonl"]) == row
    (flat,) = csv.DictReader(io.StringIO(shown["csv"]))
    assert flat == {key: str(value) for key, value in row.items()}


def test_a_working_set_passes_its_own_check(tmp_path: Path) -> None:
    """What ``init`` writes is without an error or warning, with a config for every member and a case that holds."""
    folder = tmp_path / "new" / "site"
    written = write_workset(folder)
    report = check_paths([folder])
    assert report.diagnostics == ()
    assert report.files == len(written)
    assert set(UNITS) == set(load_policy(folder / "policy.json").model.member_unit_ids)
    assert (folder / "cases" / "first.yaml") in written
    assert main(["test", str(folder)]) == 0


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    """A folder with something in it, or a file, is refused and left as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError) as caught:
            write_workset(target)
        assert [d.code for d in caught.value.diagnostics] == ["AR119"]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_schemas_go_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be is one sentence and exit 2; the file is left as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["schema", "--out", str(tmp_path / "mine.txt")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_schemas_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One schema on the output, all of them as files, and the table of keys as rows."""
    assert main(["schema", "policy"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "apis-rules policy"
    assert main(["schema", "--out", str(tmp_path / "s")]) == 0
    capsys.readouterr()
    assert {path.name for path in (tmp_path / "s").iterdir()} == {f"{kind}.schema.json" for kind in KINDS}
    assert main(["schema", "hwConfig", "--keys", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["table"] for row in rows} == {"hwConfig"}
    assert any(row["path"] == "droopRatio" and row["effect"] == "controller" for row in rows)


def test_an_editor_takes_every_bundled_file() -> None:
    """Rule files, cases and the wiring as shipped are right by the schemas that ``schema`` writes for them."""
    seen = set()
    for path in (*data_dir("rules").rglob("*.yaml"), data_dir("transport") / "wiring.yaml"):
        value = load_document(path, Findings()).value
        kind = recognise(value)
        if kind in OWN_FORMS:
            seen.add(kind)
            assert [error.message for error in Draft202012Validator(schema_of(kind)).iter_errors(value)] == [], path
    assert seen == set(OWN_FORMS)


def test_facts_have_a_path_a_unit_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Every fact of the bundled rules, every derived one and every field beside them is listed, each source once."""
    assert main(["facts", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    sources = [(row["name"], row["source"]) for row in rows]
    assert len(sources) == len(set(sources))
    by_source = {row["source"]: row for row in rows}
    assert by_source["$.unit.dcdc.meter.vb"]["unit"] == "V"
    assert by_source["$.policy.gridCurrentStepA"]["example"] == "1.0"
    assert by_source["derived: own_deals"]["files"]
    assert all(row["example"] for row in rows if row["source"].startswith("$.policy"))


def test_own_rule_files_stand_in_for_the_bundled_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``facts --rules`` lists what an own file of the same name declares, and no more what the bundled one did."""
    (tmp_path / "accept.yaml").write_text(
        "question: accept\nabout: x\nfacts:\n  phase_of_moon: {path: $.unit.moon}\n"
        "rules:\n  - {id: a, when: phase_of_moon > 1, outcome: {decline: partner}, message: no}\n"
    )
    assert main(["facts", "--rules", str(tmp_path), "--format", "csv"]) == 0
    files = {row["name"]: row["files"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out)) if row["name"]}
    assert files["phase_of_moon"] == "accept"
    assert not any("accept" in names.split() for name, names in files.items() if name != "phase_of_moon")
    assert main(["facts", "--rules", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["check", "init", "facts", "schema"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` shows how the verb is used."""
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"apis-rules {verb}" in capsys.readouterr().out.partition("example")[2]


@pytest.mark.parametrize("arguments", [["check"], ["dry-run", "--scenario"]])
def test_no_bad_file_gives_a_traceback(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No such file, a device, binary, empty, large, cut off: a place and a code, exit 2, never another exception."""
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    (tmp_path / "empty.json").touch()
    (tmp_path / "large.json").write_bytes(b'{"acceptSelection": "' + b"x" * 5_000_000 + b'"}')
    (tmp_path / "cut.json").write_text('{"acceptSelection": {"strat')
    bad = ["no-such.json", "/dev/null", "/", "binary.json/x", "binary.json", "empty.json", "large.json", "cut.json"]
    for name in bad[:2] + bad[3:] if arguments == ["check"] else bad:
        assert main([*arguments, str(tmp_path / name)]) == 2
        assert "AR1" in "".join(capsys.readouterr())


def test_a_bad_file_ends_the_process_with_two(tmp_path: Path) -> None:
    """As a command of its own it exits 2 with one line on the error output and no traceback."""
    run = subprocess.run(
        [sys.executable, "-m", "apis_rules", "dry-run", "--scenario", "none.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (2, "", "none.json: AR102 error: there is no such file\n")
