"""Claims on a battery that several nodes share: who has it, for how much, and what a death leaves behind."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apis_rules.battery_claims import ClaimFile, Unclaimable, clear_claim, list_claims

A, B = "c/north/E001", "c/south/E001"

KEEP = """
import sys
from pathlib import Path
from apis_rules.battery_claims import ClaimFile
file = ClaimFile(Path(sys.argv[1]), sys.argv[2], None)
file.take(2.0)
print("has it", flush=True)
sys.stdin.read()
"""


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """Who has the direction keeps the other away, who is told by whom; given back, the other gets it."""
    first, second = ClaimFile(tmp_path / "d", A, None), ClaimFile(tmp_path / "d", B, None)
    first.take(1.0)
    first.take(2.0)
    with pytest.raises(Unclaimable, match=r"c/north/E001 claims 2 A$") as refused:
        second.take(1.0)
    assert refused.value.passes
    first.release()
    assert (tmp_path / "d").read_bytes() == b""
    second.take(1.0)
    with pytest.raises(Unclaimable, match="south"):
        first.check(1.0)
    second.close()


def test_a_claim_outlives_its_owner(tmp_path: Path) -> None:
    """Killed, a process leaves its claim: nobody else gets the direction until it is cleared by name, or it is back."""
    path = tmp_path / "d"
    child = subprocess.Popen(
        [sys.executable, "-c", KEEP, str(path), A], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "has it\n"
    other = ClaimFile(path, B, None)
    with pytest.raises(Unclaimable, match="it takes its claim away by itself"):
        clear_claim(path, A)
    assert [(c.owner, runs) for c, runs in list_claims(path)] == [(A, True)]
    child.kill()
    child.wait(10)
    child.stdin.close()
    child.stdout.close()
    with pytest.raises(Unclaimable, match="c/north/E001 claims 2 A and does not run") as refused:
        other.take(1.0)
    assert not refused.value.passes
    assert [(c.owner, runs) for c, runs in list_claims(path)] == [(A, False)]
    back = ClaimFile(path, A, None)
    assert back.left_behind() == 2.0
    back.take(1.0)
    assert back.left_behind() == 1.0
    back.close()  # it dies once more
    assert not clear_claim(path, B)
    assert clear_claim(path, A)
    other.take(1.0)
    other.close()


def test_a_budget_is_shared(tmp_path: Path) -> None:
    """With a budget several owners have the direction at once, never for more than it; a dead one's share counts."""
    first, second = ClaimFile(tmp_path / "d", A, 4.0), ClaimFile(tmp_path / "d", B, 4.0)
    first.take(2.0)
    second.take(2.0)
    with pytest.raises(Unclaimable, match=r"north.* claims 2 A, the battery's budget is 4 A"):
        second.take(2.5)
    first.close()
    with pytest.raises(Unclaimable, match="does not run"):
        second.take(2.5)
    with pytest.raises(Unclaimable, match="budget"):
        ClaimFile(tmp_path / "other", A, 4.0).take(5.0)
    clear_claim(tmp_path / "d", A)
    second.take(4.0)
    second.close()


@pytest.mark.parametrize("content", ["[", '[{"owner": "x"}]', '{"a": 1}', "[1]", "\x00\x01"])
def test_a_damaged_file_keeps_everybody_away(tmp_path: Path, content: str) -> None:
    """What cannot be read may be anybody's claim: nobody gets the direction, nothing is overwritten."""
    path = tmp_path / "d"
    path.write_text(content)
    with pytest.raises(Unclaimable, match="damaged"):
        ClaimFile(path, A, None).take(1.0)
    with pytest.raises(Unclaimable, match="damaged"):
        clear_claim(path, A)
    assert path.read_text() == content


def test_a_file_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    """A claim whose file was removed counts as lost; it is claimed anew, or not where another was quicker."""
    path = tmp_path / "d"
    first, second = ClaimFile(path, A, None), ClaimFile(path, B, None)
    first.take(2.0)
    assert not first.lost()
    path.unlink()
    assert first.lost()
    first.take(2.0)
    assert not first.lost()
    path.unlink()
    second.take(1.0)
    assert first.lost()
    with pytest.raises(Unclaimable, match="south"):
        first.take(2.0)
    first.close()
    second.close()


def test_a_lock_of_another_program_keeps_away(tmp_path: Path) -> None:
    """apis-main locks the whole file by a lock of its process: while it has it, nobody here gets the direction."""
    path = tmp_path / "d"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(descriptor, fcntl.F_SETLK, whole)
    file = ClaimFile(path, A, None)
    with pytest.raises(Unclaimable, match="another program"):
        file.take(1.0)
    os.close(descriptor)
    file.take(1.0)
    descriptor = os.open(path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.fcntl(descriptor, fcntl.F_SETLK, whole)
    os.close(descriptor)
    file.close()


def test_a_folder_or_no_permission_is_a_sentence(tmp_path: Path) -> None:
    """A path that cannot be used refuses the direction, and says which path."""
    (tmp_path / "d").mkdir()
    with pytest.raises(Unclaimable, match="cannot be used"):
        ClaimFile(tmp_path / "d", A, None).take(1.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unclaimable, match="cannot be used"):
        ClaimFile(tmp_path / "file" / "d", A, None).take(1.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "release", "die", "clear"]), st.integers(0, 2), st.sampled_from([0.5, 1.0, 2.0, 3.0])
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, budget_a=st.sampled_from([None, 3.0]))
def test_never_more_than_the_battery_bears(
    tmp_path_factory: pytest.TempPathFactory, steps: list, budget_a: float
) -> None:
    """Whatever is taken, given back, left by a death or cleared: the file agrees with a plain book of who has what."""
    path = tmp_path_factory.mktemp("battery") / "d"
    owners = ["c/x/E001", "c/y/E001", "c/z/E001"]
    files = [ClaimFile(path, o, budget_a) for o in owners]
    book: dict[str, float] = {}
    living: set[str] = set()
    for what, who, ampere in steps:
        owner, file = owners[who], files[who]
        if what == "take":
            others = [a for o, a in book.items() if o != owner]
            may = (not others or budget_a is not None) and (budget_a is None or sum(others) + ampere <= budget_a)
            try:
                file.take(ampere)
            except Unclaimable:
                assert not may
            else:
                assert may
                book[owner] = ampere
                living.add(owner)
        elif what == "release":
            file.release()
            book.pop(owner, None)
            living.discard(owner)
        elif what == "die":
            file.close()
            files[who] = ClaimFile(path, owner, budget_a)
            living.discard(owner)
        else:
            try:
                assert clear_claim(path, owner) == (owner in book)
            except Unclaimable:
                assert owner in living
            else:
                assert owner not in living
                book.pop(owner, None)
        assert {c.owner: (c.ampere, runs) for c, runs in list_claims(path)} == {
            o: (a, o in living) for o, a in book.items()
        }
    for file in files:
        file.close()
