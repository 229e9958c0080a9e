"""The process above the nodes where the machine refuses it something."""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING, Any

from apis_rules.supervisor.guard import Guard
from apis_rules.supervisor.kept_server import KeptServer
from apis_rules.supervisor.process import Supervisor
from tests.supervisor.test_channel import orders

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def refuse(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """No process can be started, so many times."""
    real, left = subprocess.Popen, iter(range(times))

    def start(*args: Any, **more: Any) -> Any:
        if next(left, None) is not None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return real(*args, **more)

    monkeypatch.setattr(subprocess, "Popen", start)


def guards_ended(supervisor: Supervisor) -> None:
    for guard in supervisor._guards.values():
        guard.end()
    supervisor._close_channel()
    supervisor._selector.close()


def test_a_start_that_the_machine_refuses_is_one_more_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told and tried again as often as allowed; the converters are guarded throughout."""
    refuse(monkeypatch, times=2)
    supervisor = Supervisor(["--version"], 1, needs_scratch=False)
    supervisor._units["E001"] = orders(tmp_path)
    assert supervisor._go_on(-9) == 1
    assert list(supervisor._guards) == ["E001"]
    supervisor._teller.end()
    told = capfd.readouterr().err
    assert "cannot be started (Resource temporarily unavailable); it has died 2 times" in told
    guards_ended(supervisor)


def test_a_start_that_was_refused_once_succeeds_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its pause the process is there."""
    refuse(monkeypatch, times=1)
    supervisor = Supervisor(["--version"], 2, needs_scratch=False)
    assert supervisor._go_on(-9) is None
    assert supervisor._child is not None
    assert supervisor._child.wait(20) == 0
    guards_ended(supervisor)


def test_a_guard_that_the_machine_refuses_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a thread for it a converter is not forgotten, and the supervisor goes on."""
    real, refused = Guard.start, iter([True, True])

    def start(guard: Guard) -> None:
        if next(refused, False):
            raise RuntimeError("can't start new thread")
        real(guard)

    monkeypatch.setattr(Guard, "start", start)
    supervisor = Supervisor(["--version"], 0, needs_scratch=False)
    supervisor._units["E001"] = orders(tmp_path)
    assert supervisor._go_on(-9) == 1
    assert not supervisor._guards
    supervisor._look_after_rest(0.0)
    assert not supervisor._guards
    supervisor._look_after_rest(0.0)
    assert list(supervisor._guards) == ["E001"]
    assert not supervisor._to_guard
    supervisor._teller.end()
    assert capfd.readouterr().err.count("E001: its converter cannot be looked after now") == 1
    guards_ended(supervisor)


def test_a_lock_that_cannot_be_made_is_answered(tmp_path: Path) -> None:
    """A folder that is none keeps the server from starting, and nothing else from going on."""
    (tmp_path / "file").touch()
    server = KeptServer()
    assert server.keep(["nats-server"], str(tmp_path / "log"), str(tmp_path / "file" / "lock"), 0.0)
    assert server.pid == 0
    server.stop()


def test_a_converter_that_was_seen_to_wait_is_left_alone_at_the_end(tmp_path: Path) -> None:
    """While another one is still looked after, somebody else may take this unit over: it is looked at no more."""
    supervisor = Supervisor(["--version"], 0, needs_scratch=False)
    over, other = Guard(orders(tmp_path), lambda _: None), Guard(orders(tmp_path), lambda _: None)
    over._over.set()
    supervisor._guards = {"E001": over, "E002": other}
    supervisor._units = {"E001": over.orders, "E002": other.orders}
    looks = iter(range(3))

    def look(_at_s: float) -> None:
        if next(looks, None) is None:
            assert over._ended.is_set()
            assert not other._ended.is_set()
            other._over.set()

    supervisor._look_after_rest = look  # type: ignore[method-assign]
    assert supervisor._last_duty(1) == 1
    assert other._ended.is_set()
    guards_ended(supervisor)
