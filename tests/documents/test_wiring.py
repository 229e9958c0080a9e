"""``transport/wiring.yaml``: what must hold is checked when it is loaded, each breach at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.author.check import check_paths
from apis_rules.documents.wiring import Times, load_wiring
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

SHIPPED = data_dir("transport") / "wiring.yaml"


def test_the_shipped_wiring_holds() -> None:
    """The file that is shipped loads, with the times of the README's table."""
    wiring = load_wiring()
    embedded, cluster = wiring.times_of("embedded"), wiring.times_of("cluster")
    assert (embedded.life_s, embedded.dead_man_s, embedded.holder_dead_man_s(5)) == (5, 12, 20)
    assert (cluster.life_s, cluster.dead_man_s, cluster.holder_dead_man_s(5)) == (15, 34, 42)
    assert embedded.as_values(5)["holder_dead_man_s"] == 20
    assert embedded.as_values(5)["hand_over_s"] == 12


MISTAKES = [
    ("format: 1", "format: 2", "AR204", "format"),
    ("  ping_s: 1.0", "  ping: 1.0", "AR200", "ping_s"),
    ("    life_s: 5 ", "    life_s: 2.5 ", "AR202", "life_s"),
    ("  stop: apis.{community}.{cluster}.", "  stop: apis.{community}.", "AR500", "subjects.stop"),
    ("{cluster}-policy", "policy", "AR500", "buckets.policy.name"),
    ("all.news.{topic}", "all.rpc.{topic}", "AR501", "news"),
    ('log.error"', 'log.deal"', "AR501", "ERRLOG"),
    ("{community}-{cluster}-unit", "{community}-{cluster}-ctl", "AR501", "unit.name"),
    ("    storage: memory\n    history: 1", "    storage: memory\n    history: 2", "AR502", "before"),
    ("    expiry_marker_s: 5 # how", "    # how", "AR502", "expiry_marker_s"),
    ("max_file_mb: 1024", "max_file_mb: 100", "AR503", "168"),
    ("max_memory_mb: 128", "max_memory_mb: 8", "AR503", "16"),
    ("    renewal_s: 1.5 ", "    renewal_s: 2.5 ", "AR504", "renewal_s + 2 limit_s + margin_s < life_s"),
    ("    dead_man_s: 12 ", "    dead_man_s: 11 ", "AR504", "dead_man_s"),
    ("    absence_s: 12", "    absence_s: 35", "AR504", "absence_s < dead_man_s"),
    ("    holder_reserve_s: 3 ", "    holder_reserve_s: 1 ", "AR504", "holder"),
    ("    hand_over_s: 30", "    hand_over_s: 29", "AR504", "hand-over"),
    ("  alive_s: 2.5", "  alive_s: 1.0", "AR504", "alive_s"),
    ("  refusal_s: 12.0", "  refusal_s: 10.0", "AR504", "two renewals"),
    ("    time_limit_s: 20", "    time_limit_s: 10", "AR504", "presence"),
]


@pytest.mark.parametrize(("right", "wrong", "code", "named"), MISTAKES, ids=[m[1].strip() for m in MISTAKES])
def test_a_mistake_is_found_at_its_place(tmp_path: Path, right: str, wrong: str, code: str, named: str) -> None:
    """A wiring with one mistake is refused with its code, a sentence that names it, and a line near by."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count(right) == 1
    path = tmp_path / "wiring.yaml"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_wiring(path)
    found = [d for d in caught.value.diagnostics if d.code == code]
    assert any(named in f"{d.message} {d.hint}" for d in found), caught.value
    assert all(d.location.line > 0 and d.location.column > 0 for d in found)
    assert [d.code for d in check_paths([path]).diagnostics] == [d.code for d in caught.value.diagnostics]


numbers = st.floats(0.1, 60, allow_nan=False)


@given(
    life_s=st.integers(1, 40), renewal_s=numbers, limit_s=numbers, margin_s=numbers, election_s=numbers,
    dead_man_s=numbers, holder_reserve_s=numbers, absence_s=numbers, drain_s=numbers, hand_over_s=numbers,
    hand_over_steps_s=numbers, scram_delay_s=st.floats(0, 20),
)  # fmt: skip
def test_what_must_hold_is_what_is_said(scram_delay_s: float, **times: float) -> None:
    """``broken`` names a key exactly where one of the published inequalities does not hold."""
    t = Times(replicas=1, **times)  # type: ignore[arg-type]  # the life is whole
    holder = t.dead_man_s + scram_delay_s + t.holder_reserve_s
    assert t.holder_dead_man_s(scram_delay_s) == holder > t.dead_man_s + scram_delay_s
    expected = {
        "life_s": t.renewal_s + 2 * t.limit_s + t.margin_s >= t.life_s,
        "dead_man_s": t.life_s + t.election_s + 3 * t.renewal_s + 2 * t.limit_s > t.dead_man_s,
        "absence_s": t.absence_s >= t.dead_man_s,
        "holder_reserve_s": t.life_s + t.election_s + t.absence_s + t.drain_s > holder,
        "hand_over_s": t.life_s + t.election_s + 3 * t.limit_s + t.hand_over_steps_s > t.hand_over_s,
    }
    assert [key for key, _ in t.broken(scram_delay_s)] == sorted(key for key, broken in expected.items() if broken)


def test_a_longer_scram_delay_gives_the_holder_more_time() -> None:
    """The check can be repeated for the policy in force: a short scram delay breaks what a longer one holds."""
    cluster = load_wiring().times_of("cluster")
    assert cluster.broken(5) == ()
    assert [key for key, _ in cluster.broken(1)] == ["holder_reserve_s"]
