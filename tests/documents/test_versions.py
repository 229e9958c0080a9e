"""Versions by hash: the last twenty, in order, back to their files, also across a crash."""

from __future__ import annotations

import pytest

from apis_rules.documents.versions import KeptFile, VersionStore
from apis_rules.errors import InputError


def kept(path, text):
    """Return a file whose hash tells its text."""
    return KeptFile(str(path), text, f"sha256:{text.encode().hex():0<64}")


def test_each_content_is_a_version_and_the_newest_comes_first(tmp_path):
    """History lists what was put in force, newest first; the same content again is not a new version."""
    store = VersionStore(tmp_path / "versions")
    assert store.history() == ()
    for number, text in enumerate(("a", "b", "b", "a")):
        store.record([kept(tmp_path / "r.yaml", text)], f"2026-06-01T00:00:0{number}.000Z")
    assert [(v.number, v.since_utc[17:19], v.files[0].text) for v in store.history()] == [
        (3, "03", "a"), (2, "01", "b"), (1, "00", "a"),
    ]  # fmt: skip
    first, _, third = store.history()
    assert first.content_hash == third.content_hash


def test_the_last_twenty_are_kept(tmp_path):
    """Older versions go; numbers go on."""
    store = VersionStore(tmp_path)
    for number in range(25):
        store.record([kept("r.yaml", str(number))], "t")
    assert [v.number for v in VersionStore(tmp_path).history()] == list(range(25, 5, -1))


def test_restoring_writes_only_the_files_that_differ(tmp_path):
    """A version comes back to its files; one that is the same is left alone, one that is gone is written anew."""
    a, b, c = (tmp_path / name for name in "abc")
    store = VersionStore(tmp_path / "versions")
    version = store.record([kept(a, "ä\r\n1"), kept(b, "1"), kept(c, "1")], "t")
    a.write_text("2")
    b.write_text("1")
    assert store.restore(version) == (a, c)
    assert [p.read_bytes().decode() for p in (a, b, c)] == ["ä\r\n1", "1", "1"]
    assert store.restore(version) == ()


def test_a_version_is_found_by_the_hash_of_any_of_its_files(tmp_path):
    """A decision names the hash of its rules; the version with that file is found by it, also shortened."""
    store = VersionStore(tmp_path)
    one = store.record([kept("r.yaml", "one"), kept("p.json", "same")], "t")
    two = store.record([kept("r.yaml", "two"), kept("p.json", "same")], "t")
    assert store.find(kept("", "one").content_hash) == one
    assert store.find(kept("", "same").content_hash) == two
    assert store.find(one.content_hash[:15]) == one
    assert store.find("sha256:") is None
    assert store.find("ffff") is None


def test_a_damaged_version_is_told_and_a_half_written_one_is_not_seen(tmp_path):
    """What a crash leaves beside does not count; a file that is no version is named."""
    store = VersionStore(tmp_path)
    store.record([kept("r.yaml", "a")], "t")
    (tmp_path / ".00000002-0123456789ab.json.7-7.new").write_text('{"number": 2')
    assert len(store.history()) == 1
    (tmp_path / "00000002-0123456789ab.json").write_text('{"number": 2')
    with pytest.raises(InputError, match="AR265"):
        store.history()


def test_a_version_that_finds_no_room_leaves_nothing_behind(tmp_path, monkeypatch):
    """A full disk is not filled further by halves of versions that nobody reads; the former one stays."""
    store = VersionStore(tmp_path)
    one = store.record([kept("r.yaml", "a")], "t")
    before = sorted(tmp_path.iterdir())

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.record([kept("r.yaml", "b")], "t")
    assert sorted(tmp_path.iterdir()) == before
    assert store.history() == (one,)
