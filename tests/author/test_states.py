"""Reading battery states: what is understood, and one clear sentence with a place for everything else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.author import states as module
from apis_rules.author.arguments import clock
from apis_rules.author.states import UNKNOWN, read_states
from apis_rules.errors import InputError


def read(content: bytes, *, nominal_wh: float = 4800, at_s: int = 0) -> list[tuple[str, int]]:
    blocks = list(read_states(io.BytesIO(content), "states", nominal_wh=nominal_wh, at_s=at_s))
    return [(block.time(row), int(block.remaining_wh[row])) for block in blocks for row in range(len(block))]


@pytest.fixture(params=["polars", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read with polars, and as an installation without it does."""
    if request.param == "polars":
        pytest.importorskip("polars")
    else:
        monkeypatch.setattr(module, "fast", lambda: False)
    return str(request.param)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"remaining_wh\n0\n2400\n", [("00:00:00", 0), ("00:00:00", 2400)]),
        (b"time,remaining_wh\n12:34:56,7\n23:59,8\n", [("12:34:56", 7), ("23:59:00", 8)]),
        (b"remaining_wh,time\r\n1,01:00:00\r\n2,\r\n", [("01:00:00", 1), ("00:00:00", 2)]),
        (b"time,rsoc\n2024/05/06-07:08:09,58.1\n", [("07:08:09", 2788)]),
        (b"remaining_wh\n2400.9\n\n1e3\n 7 \n", [("00:00:00", n) for n in (2400, 1000, 7)]),
        (b"remaining_wh,note\n5,\n,empty\n", [("00:00:00", 5), ("00:00:00", UNKNOWN)]),
        (b"\xef\xbb\xbfremaining_wh\n5", [("00:00:00", 5)]),
        (b'remaining_wh,note\n5,"a, b"\n', [("00:00:00", 5)]),
        (b'{"remaining_wh": 5, "time": "01:02:03", "temperature": 3}\n\n{"remaining_wh": null}\n', None),
        (b'{"rsoc": 100}', [("00:00:00", 4800)]),
    ],
)
def test_states_are_read(way: str, content: bytes, expected: Any) -> None:
    """CSV and JSON lines, Wh or percent, with and without time; the same with polars and without."""
    assert read(content) == (expected or [("01:02:03", 5), ("00:00:00", UNKNOWN)])


@pytest.mark.parametrize(
    ("content", "line", "code", "message"),
    [
        (b"", 0, "AR301", "no state"),
        (b"remaining_wh,time\n", 0, "AR301", "no state"),
        (b"\xff\xfe\x00r", 1, "AR300", "no text in UTF-8"),
        (b"remaining_wh\n5\n\x89PNG\x0d\xff\n", 3, "AR300", "no text in UTF-8"),
        (b"remaining_wh\n5\n\x00\n", 3, "AR300", "binary data"),
        (b"wh,when\n5,12:00\n", 1, "AR302", "a column remaining_wh or rsoc is needed; found only wh, when"),
        (b"remaining,time\n5,12:00\n", 1, "AR302", "there is no column called 'remaining'"),
        (b"remaining_wh,tme\n5,12:00\n", 1, "AR302", "there is no column called 'tme'"),
        (b"remaining_wh,rsoc\n5,6\n", 1, "AR302", "both"),
        (b"remaining_wh,remaining_wh\n5,6\n", 1, "AR302", "stands there twice"),
        (b"remaining_wh,time\n5,12:00:00\n6\n", 3, "AR303", "1 values under 2 columns"),
        (b"remaining_wh\n5\n6,7\n", 3, "AR303", "2 values under 1 columns"),
        (b"remaining_wh,time\n5,12:00:00\n6,25:00\n", 3, "AR304", "'25:00' is no time of day"),
        (b"remaining_wh,time\n5,24:00:00\n", 2, "AR304", "no time of day"),
        (b"remaining_wh\n5\n-1\n", 3, "AR305", "'-1' is no value of remaining_wh"),
        (b"remaining_wh\n5\nfull\n", 3, "AR305", "'full' is no value"),
        (b"remaining_wh\n5\nnan\n", 3, "AR305", "'nan' is no value"),
        (b"remaining_wh\n1e300\n", 2, "AR305", "no value"),
        (b"rsoc\n100.1\n", 2, "AR305", "'100.1' is no value of rsoc"),
        (b'[{"remaining_wh": 5}]', 1, "AR300", "one JSON object per line"),
        (b'{"remaining_wh": 5}\n{"remaining_wh": 6\n', 2, "AR303", "no JSON object"),
        (b'{"remaining_wh": 5}\n[6]\n', 2, "AR303", "no JSON object"),
        (b'{"remaining_wh": "5"}\n', 1, "AR305", "'5' is no value"),
        (b'{"remaining_wh": true}\n', 1, "AR305", "True is no value"),
        (b'{"remaining_wh": NaN}\n', 1, "AR305", "no value"),
        (b'{"remaining_wh": 5, "time": 12}\n', 1, "AR304", "12 is no time of day"),
        (b'{"wh": 5}\n', 1, "AR302", "a column remaining_wh or rsoc is needed"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_line(
    way: str, content: bytes, line: int, code: str, message: str
) -> None:
    """One diagnostic with the line, whatever else is right, with polars and without."""
    with pytest.raises(InputError) as refused:
        read(content)
    (diagnostic,) = refused.value.diagnostics
    assert (diagnostic.location.line, diagnostic.code) == (line, code), diagnostic
    assert message in diagnostic.message


@given(
    st.lists(
        st.tuples(st.floats(0, 100).map(lambda x: round(x, 2)) | st.none(), st.integers(0, 86399).map(clock)),
        min_size=1,
    ),
    st.sampled_from([4800.0, 5000.0, 1234.5]),
)
def test_both_ways_of_reading_agree(states: list[tuple[float | None, str]], nominal_wh: float) -> None:
    """Percent, unknown values and times give the same states with polars as without."""
    pytest.importorskip("polars")
    content = "rsoc,time\n" + "".join(f"{'' if rsoc is None else rsoc},{time}\n" for rsoc, time in states)
    quick = read(content.encode(), nominal_wh=nominal_wh)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fast", lambda: False)
        assert read(content.encode(), nominal_wh=nominal_wh) == quick


@pytest.mark.parametrize("block", [1, 7, 40])
def test_where_a_block_ends_makes_no_difference(way: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are put together across the borders of blocks, and counted across them."""
    content = b"remaining_wh,time\n" + b"".join(b"%d,00:00:%02d\n" % (n, n) for n in range(50))
    whole = read(content)
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    assert read(content) == whole
    with pytest.raises(InputError) as refused:
        read(content + b"51,oops\n")
    assert refused.value.diagnostics[0].location.line == 52


def test_a_file_without_line_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes without any end of a line are refused before they fill the memory."""
    monkeypatch.setattr(module, "LONGEST_LINE", 100)
    monkeypatch.setattr(module, "BLOCK_BYTES", 10)
    with pytest.raises(InputError, match="no end of a line"):
        read(b"x" * 1000)


def test_units_and_unknown_energies_are_kept() -> None:
    """The unit's id stays with its state; an unknown energy is marked."""
    content = b"unit_id,remaining_wh\nE001,5\n,\n"
    (block,) = read_states(io.BytesIO(content), "states", nominal_wh=1, at_s=3600)
    assert block.unit_ids is not None
    assert list(block.unit_ids) == ["E001", None]
    assert np.array_equal(block.remaining_wh, [5, UNKNOWN])
    assert block.time(0) == "01:00:00"
