"""A community as its users have it: programs in processes of their own, a broker, a modelled grid behind real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apis_rules.cli import main
from apis_rules.grid.configs import write_configs
from apis_rules.grid.device import ModelDevice
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Addresses, Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from apis_rules.ports.types import ConverterMode
from apis_transport.clock import MachineClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNITS = ("E001", "E002", "E003", "E004")
LOW_V, HIGH_V = 300.0, 380.0
"""The operating range of the bundled policy: outside of it a current has no voltage to flow at."""

SAMPLE_S = 0.05


def now_s() -> float:
    return MachineClock().now_s()


def until(condition: Callable[[], Any], within_s: float, what: str | Callable[[], str]) -> float:
    """Wait until *condition* holds; return how long it took. *what* is for the failure."""
    started_s = now_s()
    pause = threading.Event()
    while not condition():
        if now_s() - started_s > within_s:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        pause.wait(0.05)
    return now_s() - started_s


def write_community(folder: Path, addresses: Addresses, units: Sequence[str] = UNITS) -> None:
    """Write the files of the units; their deal logs go to ``dealLog/UNIT`` beside them."""
    write_configs(folder, units, addresses, "dcdc_emulator")
    for unit_id in units:
        file = folder / f"config.{unit_id}.json"
        written = json.loads(file.read_text())
        written["dealLogDirFormat"] = f"'{folder}/dealLog/{unit_id}/'uuuu'/'MM'/'dd"
        file.write_text(json.dumps(written))


class Houses:
    """The modelled grid of some units, served by a thread of this process, with an observer that samples it each 50 ms.

    Attributes:
        unheld_s: per unit, the longest time for which it was seen to charge or discharge on a bus outside the
            operating range.
    """

    def __init__(
        self, accelerate: float = 10.0, rsoc: Sequence[float] | None = None, units: Sequence[str] = UNITS
    ) -> None:
        self.accelerate = accelerate
        self.units = tuple(units)
        self.unheld_s: dict[str, float] = dict.fromkeys(self.units, 0.0)
        self._rsoc = rsoc
        self._since_s: dict[str, float] = {}
        self._port = 0
        self.start()

    def start(self) -> None:
        """Serve a grid that begins anew, on the same port."""
        self._loop, self._stop, self._ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def serving(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Begin to serve no more, and wait for nothing."""
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        """Serve no more: connections end, the port is closed."""
        self.end()
        self._thread.join(10)

    def charge(self, rsoc: Sequence[float]) -> None:
        """Set how full the batteries are, in per cent."""

        def work(grid: Grid) -> None:
            for unit_id, percent in zip(self.units, rsoc, strict=True):
                grid.set_rsoc(unit_id, percent)

        self.look(work)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        settings = (
            community(len(self.units)) if self._rsoc is None else community(len(self.units), rsoc_percent=self._rsoc)
        )
        self.plant = Plant(Grid(settings), now_s=self._loop.time, acceleration=self.accelerate)
        ports = EmulatorPorts(emulator=self._port, v2_first=None, v1_first=None)
        async with Emulator(self.plant, ports) as emulator:
            self.addresses: Addresses = emulator.addresses
            assert emulator.addresses.emulator is not None
            self._port = emulator.addresses.emulator[1]
            self._since_s.clear()
            self._ready.set()
            while not self._stop.is_set():
                self._sample()
                with suppress(TimeoutError):
                    async with asyncio.timeout(SAMPLE_S):
                        await self._stop.wait()

    def _sample(self) -> None:
        grid, moment_s = self.plant.grid_now(), self._loop.time()
        for unit_id in self.units:
            unit = grid.unit(unit_id)
            if unit.mode.current_controlled and not LOW_V <= unit.grid_voltage_v <= HIGH_V:
                since_s = self._since_s.setdefault(unit_id, moment_s)
                self.unheld_s[unit_id] = max(self.unheld_s[unit_id], moment_s - since_s)
            else:
                self._since_s.pop(unit_id, None)

    def look(self, work: Callable[[Grid], Any]) -> Any:
        """Return what *work* makes of the grid as it is now."""

        async def main() -> Any:
            return work(self.plant.grid_now())

        return asyncio.run_coroutine_threadsafe(main(), self._loop).result(10)

    def set_mode(self, unit_id: str, mode: ConverterMode) -> None:
        """Switch a converter as if a process had done it that is dead now."""

        async def main() -> None:
            await ModelDevice(self.plant, unit_id, runtime_s=self._loop.time).set_mode(mode, 350.0, 1.0, 0.0)

        asyncio.run_coroutine_threadsafe(main(), self._loop).result(10)

    def modes(self) -> dict[str, ConverterMode]:
        return self.look(lambda grid: {u: grid.unit(u).mode for u in self.units})

    def grid_v(self) -> float:
        return self.look(lambda grid: max(grid.unit(u).grid_voltage_v for u in self.units))

    def all_wait(self) -> bool:
        return all(mode is ConverterMode.WAIT for mode in self.modes().values())

    def active(self) -> list[str]:
        return [u for u, mode in self.modes().items() if mode is not ConverterMode.WAIT]

    def __enter__(self) -> Houses:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Program:
    """``apis-rules`` in a process and a process group of its own; its lines are kept with the time they came."""

    def __init__(self, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
        self.started_s = now_s()
        self.lines: list[tuple[float, str]] = []
        self.errors: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "apis_rules", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((now_s(), line.rstrip("\n")))

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors.extend(line.rstrip("\n") for line in self._process.stderr)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return "\n".join(line for _, line in self.lines)

    @property
    def told(self) -> str:
        """Everything that it has said, for a failed test."""
        return self.output + "\n--- stderr\n" + "\n".join(self.errors)

    def wait_line(self, text: str, within_s: float) -> float:
        """Wait for a line with *text*; return when it came."""

        def found() -> float | None:
            return next((moment_s for moment_s, line in list(self.lines) if text in line), None)

        try:
            until(lambda: found() is not None or not self.running, within_s, f"a line with {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told}") from None
        moment_s = found()
        assert moment_s is not None, f"it has ended without a line with {text!r}\n{self.told}"
        return moment_s

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor, where the command has one."""
        return self._process.pid

    def child(self, word: str) -> int | None:
        """Return the process below with *word* among its arguments, None where there is none."""
        for pid in _children(self._process.pid):
            with suppress(OSError):
                if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    @property
    def nodes(self) -> int:
        """The process in which the nodes run."""
        pid = self.child("--no-supervisor")
        assert pid is not None, f"there are no nodes\n{self.told}"
        return pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group of the terminal, as that does."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End the program with everything below it, as a loss of power does."""
        below = _children(self._process.pid)
        for pid in (self._process.pid, *below):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        until(lambda: not any(_alive(pid) for pid in below), 10, "the processes below are gone")

    def end(self, within_s: float) -> int:
        """Wait for the end; return the exit code."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within_s:g} s\n{self.told}") from None
        for reader in self._readers:
            reader.join(10)
        return code

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()
        for reader in self._readers:
            reader.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def ask(*arguments: object, expect: int = 0) -> str:
    """Run a verb to its end in this process; return what it prints, where it fails what it complains of."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(a) for a in arguments])
    assert code == expect, out.getvalue() + err.getvalue()
    return (out if expect == 0 else err).getvalue().strip()


def ask_json(*arguments: object) -> Any:
    return json.loads(ask(*arguments))


def refused(folder: Path, unit_id: str, *more: object) -> str:
    """Start a unit that cannot be started; return what was said, which is never a traceback."""
    config, state = folder / f"config.{unit_id}.json", folder / "state"
    said = ask("run", "--no-supervisor", config, "--state-dir", state, "--start-timeout", "1", *more, expect=2)
    assert "Traceback" not in said
    assert "AR" in said
    return said


def changed(file: Path, **keys: Any) -> None:
    """Write *keys* over those of a JSON file; None takes one away."""
    document = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in (document | keys).items() if v is not None}))
