"""The loop whose time jumps."""

from __future__ import annotations

import asyncio
import time

import pytest

from apis_rules.ports.virtual_time import LoopClock, Stalled, VirtualTimeLoop, run_virtual


def test_a_day_passes_in_no_time() -> None:
    """Sleeping a day on the loop takes a day of its time and next to none of ours."""

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time() - began

    before = time.perf_counter()
    assert run_virtual(main()) == pytest.approx(86_400)
    assert time.perf_counter() - before < 10


def test_time_outs_happen_at_their_moment() -> None:
    """``asyncio.timeout`` ends what is longer and not what is shorter, as on a real loop."""

    async def main() -> list[str]:
        seen = []
        for needs_s in (0.5, 1.5):
            try:
                async with asyncio.timeout(1):
                    await asyncio.sleep(needs_s)
                seen.append("done")
            except TimeoutError:
                seen.append("late")
        return seen

    assert run_virtual(main()) == ["done", "late"]


def test_what_is_due_at_one_moment_keeps_its_order() -> None:
    """Timers of the same moment fire in the order in which they were set, however many there are."""

    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        for n in range(200):
            loop.call_at(5.0, fired.append, n)
        await asyncio.sleep(6)
        return fired

    assert run_virtual(main()) == list(range(200))


def test_a_cancelled_timer_does_not_fire() -> None:
    """Cancelling works as on a real loop, in large numbers too."""

    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(1, fired.append, n) for n in range(500)]
        for timer in timers[1:]:
            timer.cancel()
        await asyncio.sleep(2)
        return fired

    assert run_virtual(main()) == [0]


def test_a_timer_is_never_early() -> None:
    """When a timer has fired, the clock shows its moment or later, so that a loop until then ends."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        looks = 0
        for n in range(1, 200):
            until_s = n * 0.7 + 1e-7 * n
            while loop.time() < until_s:
                looks += 1
                await asyncio.sleep(until_s - loop.time())
        return looks

    assert run_virtual(main()) == 199


def test_a_wait_that_nothing_can_end_is_an_error() -> None:
    """Where a real loop would hang, this one says so."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stalled):
        run_virtual(main())


def test_a_jump_makes_everything_due() -> None:
    """After a suspension of the machine everything that became due meanwhile is due now."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.call_soon(loop.jump, 30.0)
        await asyncio.sleep(10)
        return loop.time()

    assert run_virtual(main()) == pytest.approx(30.0)


def test_the_clock_is_the_loops_time_and_utc_may_step() -> None:
    """The runtime clock never steps; the wall clock does when it is told to."""

    async def main() -> tuple[float, float, float]:
        clock = LoopClock(utc_at_zero_s=1000.0)
        await asyncio.sleep(5)
        before = clock.utc_s()
        clock.step_utc(-100)
        return clock.now_s(), before, clock.utc_s()

    assert run_virtual(main()) == pytest.approx((5.0, 1005.0, 905.0))
