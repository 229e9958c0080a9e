"""A master that was frozen past its term and continues: nothing that it does then has an effect."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.ports.types import CommandName, ConverterMode
from apis_transport.community import open_community
from tests.faults.candidate import quick_wiring
from tests.nats_servers import Server
from tests.transport.small_unit import order, outcome_of, run_unit

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_a_frozen_master_does_afterwards_is_refused(tmp_path: Path) -> None:
    """Its command is refused by the store, and its plain message by the unit, which has seen the newer epoch."""
    server = Server(tmp_path / "server").start()
    old = start(server.url, tmp_path / "old")
    assert old.stdout is not None
    try:
        async with (
            open_community([server.url], "c", "c", "E1", tmp_path / "E1", wiring=quick_wiring()) as community,
            run_unit("E1", community.ports) as unit,
        ):
            ports = community.ports
            old_epoch = json.loads(await next_line(old, "acquired"))["epoch"]
            await next_line(old, "sent")
            os.kill(old.pid, signal.SIGSTOP)
            async with asyncio.timeout(10):
                while (term := await ports.lease.acquire("E1")) is None:
                    await asyncio.sleep(0.05)
            assert term.epoch.number > old_epoch
            await ports.bus.ask("E1", "announce", term.epoch.to_json(), 5)
            async with ports.commands.outcomes() as outcomes:
                await ports.commands.send("E1", order(term.epoch, 1, CommandName.CHARGE, current_a=1.0), term)
                assert (await outcome_of(outcomes, term.epoch, 1)).ok
                os.kill(old.pid, signal.SIGCONT)
                last = json.loads(await next_line(old, "fenced"))["seq"]
                async with asyncio.timeout(5):
                    async for outcome in outcomes:
                        if (outcome.epoch.number, outcome.seq) == (old_epoch, last):
                            break
            assert outcome.failed == "old epoch"
            assert unit.mode is ConverterMode.CHARGE
            assert unit.acted[-1] == (term.epoch.number, 1)
    finally:
        old.kill()
        old.wait()
        old.stdout.close()
        server.stop()


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.careless", url, "c", folder], stdout=subprocess.PIPE, text=True
    )


async def next_line(process: subprocess.Popen[str], what: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while True:
            line = await asyncio.to_thread(process.stdout.readline)
            if json.loads(line)["what"] == what:
                return line
